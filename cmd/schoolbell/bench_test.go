package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// BenchmarkDrain is how fast a gateway takes a backlog, as a share of what
// pg_recvlogical does that only throws the same bytes away. Both drain the very
// same backlog in turns, each time from a copy of the slot and, for the gateway, of
// the data directory. The gateway's time is from its first look at the log until
// the server has heard that everything is durable; pg_recvlogical's is its life.
//
// One iteration is one run of each; -benchtime=5x gives the median of five.
// SCHOOLBELL_TEST_BENCH_ROWS is the size of the backlog, 100,000 by default.
// SCHOOLBELL_TEST_BENCH_PROFILE names a file for a CPU profile of the gateway's first
// SCHOOLBELL_TEST_BENCH_PROFILE_SECONDS, 1 by default.
func BenchmarkDrain(b *testing.B) {
	rows := number("SCHOOLBELL_TEST_BENCH_ROWS", 100_000)
	b.Run("transactions of 1 row", func(b *testing.B) { benchmarkDrain(b, rows, 1) })
	b.Run("transactions of 1000 rows", func(b *testing.B) { benchmarkDrain(b, rows, 1000) })
}

func benchmarkDrain(b *testing.B, rows, each int) {
	l := newBacklog(b, rows, each)
	var ratios, ours, theirs, processor []float64
	for i := 0; b.Loop(); i++ {
		var gateway, plain run
		if i%2 == 0 {
			plain, gateway = l.pgRecvlogical(), l.gateway()
		} else {
			gateway, plain = l.gateway(), l.pgRecvlogical()
		}
		ratios = append(ratios, plain.took.Seconds()/gateway.took.Seconds())
		ours = append(ours, float64(rows)/gateway.took.Seconds())
		theirs = append(theirs, float64(rows)/plain.took.Seconds())
		processor = append(processor, float64(gateway.processor.Nanoseconds())/1e3/float64(rows))
		b.Logf("gateway %v, pg_recvlogical %v, ratio %.2f", gateway, plain, ratios[i])
	}
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(slices.Max(ours)/slices.Max(theirs), "ratio-of-best") // says more where others use the machine too
	b.ReportMetric(median(ours), "rows/s")
	b.ReportMetric(median(theirs), "rows/s-pg_recvlogical")
	b.ReportMetric(median(processor), "cpu-µs/row")
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// run is how one program drained the backlog.
type run struct {
	took      time.Duration
	processor time.Duration // of its whole life
}

func (r run) String() string {
	return fmt.Sprintf("%v (%v of processor)", r.took.Round(time.Millisecond), r.processor.Round(10*time.Millisecond))
}

// bench is a school with its publication and a gateway of its own.
type bench struct {
	b       *testing.B
	server  *postgres.Server
	url     string
	conn    *pgx.Conn
	lms     *school.School
	data    string
	address string
	admin   string
}

func newBench(b *testing.B, size school.Size, settings map[string]string) *bench {
	server := pgtest.Own(b, settings)
	s := &bench{b: b, server: server, url: server.URL("postgres"), data: filepath.Join(b.TempDir(), "data"), address: freePort(b), admin: freePort(b)}
	s.conn = s.connect()
	require.NoError(b, school.Create(b.Context(), s.conn))
	var err error
	s.lms, err = school.Populate(b.Context(), s.conn, size, 1)
	require.NoError(b, err)
	s.exec(`VACUUM ANALYZE`)
	p, err := profile.Open("django")
	require.NoError(b, err)
	cfg := Config{Database: Secret(s.url), Slot: "schoolbell", Publication: "schoolbell"}
	require.NoError(b, replication.Init(b.Context(), replicationConfig(cfg, p, slog.New(slog.DiscardHandler))))
	return s
}

func (s *bench) connect() *pgx.Conn {
	conn, err := pgx.Connect(s.b.Context(), s.url)
	require.NoError(s.b, err)
	s.b.Cleanup(func() { _ = conn.Close(context.WithoutCancel(s.b.Context())) })
	return conn
}

func (s *bench) exec(sql string) {
	s.b.Helper()
	_, err := s.conn.Exec(s.b.Context(), sql)
	require.NoError(s.b, err)
}

func (s *bench) text(sql string) (value string) {
	s.b.Helper()
	require.NoError(s.b, s.conn.QueryRow(s.b.Context(), sql).Scan(&value))
	return value
}

// serve runs a gateway over a data directory.
func (s *bench) serve(data string, more ...string) *process {
	return start(s.b, append([]string{
		"serve", "--database", s.url, "--data", data, "--listen", s.address, "--admin-listen", s.admin, "--log-format", "json",
	}, more...)...)
}

// backlog is work in the log that nobody has read, behind a slot that stays where
// it is.
type backlog struct {
	*bench
	end    string         // of all but a last transaction
	events map[string]int // that the gateway must find
}

func newBacklog(b *testing.B, rows, each int) *backlog {
	l := &backlog{bench: newBench(b, school.Size{Teachers: 20, Tutors: 5, Admins: 2, Students: 500, Assignments: 1000}, map[string]string{
		"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "32GB", "synchronous_commit": "off",
	})}
	if _, err := exec.LookPath(l.pgRecvlogicalPath()); err != nil {
		b.Skipf("this benchmark needs pg_recvlogical beside the server: %v", err)
	}
	first := l.serve(l.data)
	get(b, "http://"+l.address+"/readyz", ready)
	require.Zero(b, first.stop(10*time.Second))
	l.exec(`SELECT pg_copy_logical_replication_slot('schoolbell', 'kept')`)
	l.exec(fmt.Sprintf(work, rows/each, each))
	l.events = map[string]int{"submission": (rows/each + 1) / 2 * each, "grade": rows / each / 2 * each}
	l.end = l.text(`SELECT pg_current_wal_insert_lsn()::text`)
	// A last transaction, so that something comes after the end.
	l.exec(`SET synchronous_commit = on; UPDATE assignments_assignmentsubmission SET grade = 101 WHERE id = 1`)
	return l
}

// work is %[1]d transactions of %[2]d rows each, as an ORM saves them: all columns
// named, whatever changed. Somebody hands in, and is then graded, again and again:
// each row is an event.
const work = `DO $$
DECLARE
	ids bigint[] := ARRAY(SELECT id FROM assignments_assignmentsubmission ORDER BY id);
	rounds int := cardinality(ids) / %[2]d;
	first int;
BEGIN
	FOR i IN 0 .. %[1]d - 1 LOOP
		first := (i / 2) %% rounds * %[2]d + 1;
		UPDATE assignments_assignmentsubmission SET
			assignment_id = assignment_id, student_id = student_id, content = content, feedback = feedback,
			status = CASE i %% 2 WHEN 0 THEN 'submitted' ELSE 'graded' END,
			submitted_at = CASE i %% 2 WHEN 0 THEN clock_timestamp() ELSE submitted_at END,
			grade = CASE i %% 2 WHEN 0 THEN grade ELSE (coalesce(grade, 0) + 1) %% 101 END,
			updated_at = clock_timestamp()
		WHERE id = ANY (ids[first : first + %[2]d - 1]);
		COMMIT;
	END LOOP;
END $$`

// rewind makes the slot of that name stand where the backlog begins.
func (l *backlog) rewind(slot string) {
	l.exec(fmt.Sprintf(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '%s'`, slot))
	l.exec(fmt.Sprintf(`SELECT pg_copy_logical_replication_slot('kept', '%s')`, slot))
}

// pgRecvlogical lets PostgreSQL's own client drain the backlog to nowhere.
func (l *backlog) pgRecvlogical() run {
	l.rewind("plain")
	cmd := exec.CommandContext(l.b.Context(), l.pgRecvlogicalPath(), "--dbname", l.url, "--slot", "plain", "--start",
		"--endpos", l.end, "--file", os.DevNull, "--no-loop", "-o", "proto_version=1", "-o", "publication_names=schoolbell")
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	require.NoError(l.b, err, string(out))
	return run{took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

func (l *backlog) pgRecvlogicalPath() string { return filepath.Join(l.server.Bin(), "pg_recvlogical") }

// gateway lets a gateway drain the backlog.
func (l *backlog) gateway() run {
	l.rewind("schoolbell")
	data := filepath.Join(l.b.TempDir(), "data")
	require.NoError(l.b, os.CopyFS(data, os.DirFS(l.data)))
	p := l.serve(data, "--history-size", "10GB")
	if name := os.Getenv("SCHOOLBELL_TEST_BENCH_PROFILE"); name != "" {
		l.profile(name)
	}
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	confirmed := fmt.Sprintf(`SELECT (confirmed_flush_lsn > '%s')::text FROM pg_replication_slots WHERE slot_name = 'schoolbell'`, l.end)
	for l.text(confirmed) != "true" {
		select {
		case <-poll.C:
		case <-p.done:
			l.b.Fatalf("the gateway ended:\n%s", p.text())
		}
	}
	took := time.Since(logged(l.b, p, "following the log"))
	page := get(l.b, "http://"+l.admin+"/metrics", ready)
	for _, kind := range []string{"submission", "grade"} {
		events, err := strconv.Atoi(metric(page, `schoolbell_events_total{kind="`+kind+`"}`))
		require.NoError(l.b, err)
		require.GreaterOrEqual(l.b, events, l.events[kind], kind)
	}
	require.Zero(l.b, p.stop(10*time.Second))
	state := p.cmd.ProcessState
	return run{took, state.UserTime() + state.SystemTime()}
}

// logged is when the program wrote that message.
func logged(b *testing.B, p *process, message string) time.Time {
	for line := range strings.Lines(p.text()) {
		var l struct {
			Time time.Time
			Msg  string
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == message {
			return l.Time
		}
	}
	b.Fatalf("%q was not logged:\n%s", message, p.text())
	return time.Time{}
}

// profile writes what the gateway's processor does from now on.
func (s *bench) profile(name string) {
	get(s.b, "http://"+s.admin+"/debug/pprof/cmdline", ready)
	seconds := cmp.Or(os.Getenv("SCHOOLBELL_TEST_BENCH_PROFILE_SECONDS"), "1")
	resp, err := http.Get("http://" + s.admin + "/debug/pprof/profile?seconds=" + seconds)
	require.NoError(s.b, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.b, err)
	require.NoError(s.b, os.WriteFile(name, text, 0o600))
}
