package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// BenchmarkCommitToSocket is how long after its commit a grade is at an admin's
// client: from the moment COMMIT was sent, and from the moment the server had
// answered it. Each iteration is one commit, at a fixed rate whatever the answers
// take, with fsync on; -benchtime=20s gives enough of them for the 99th percentile.
func BenchmarkCommitToSocket(b *testing.B) {
	for _, rate := range []int{100, 1000} {
		b.Run(fmt.Sprintf("%d commits a second", rate), func(b *testing.B) { benchmarkCommitToSocket(b, rate) })
	}
}

func benchmarkCommitToSocket(b *testing.B, rate int) {
	s := newBench(b, school.Size{Teachers: 20, Tutors: 5, Admins: 1, Students: 500, Assignments: 60}, map[string]string{"fsync": "on", "full_page_writes": "on"})
	s.serve(s.data)
	get(b, "http://"+s.address+"/readyz", ready)
	var ids []int64
	rows, err := s.conn.Query(b.Context(), `SELECT id FROM assignments_assignmentsubmission ORDER BY id`)
	require.NoError(b, err)
	ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(b, err)

	w := &watch{arrivals: map[int]time.Time{}}
	w.run(b, s.address, s.lms.Admins[0].Token)
	graders := make(chan *pgx.Conn, 4) // one commit may take longer than the pause between two
	for range cap(graders) {
		graders <- s.connect()
	}
	var commits []*grading
	var running sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		n := len(commits)
		c, conn := &grading{row: ids[n%len(ids)], grade: 1000 + n}, <-graders
		commits = append(commits, c)
		running.Go(func() {
			c.err = c.run(b.Context(), conn)
			graders <- conn
		})
	}
	running.Wait()
	w.await(len(commits))
	w.report(b, commits)
}

// grading is one transaction that gives a grade.
type grading struct {
	row            int64
	grade          int // no other has it
	sent, answered time.Time
	err            error
}

func (c *grading) run(ctx context.Context, conn *pgx.Conn) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE assignments_assignmentsubmission SET grade = $2, status = 'graded', updated_at = now() WHERE id = $1`, c.row, c.grade); err != nil {
		return err
	}
	c.sent = time.Now()
	err = tx.Commit(ctx)
	c.answered = time.Now()
	return err
}

// watch is a client that notes when each grade came.
type watch struct {
	mu       sync.Mutex // guards what follows
	arrivals map[int]time.Time
	wanted   int
	enough   chan struct{} // closed when wanted have come
}

// run connects and reads until the benchmark ends.
func (w *watch) run(b *testing.B, address, token string) {
	conn, _, err := websocket.Dial(b.Context(), "ws://"+address+"/ws/dashboard/", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Token " + token}}})
	require.NoError(b, err)
	_, _, err = conn.Read(b.Context())
	require.NoError(b, err, "the welcome")
	var reading sync.WaitGroup
	b.Cleanup(func() { _ = conn.CloseNow(); reading.Wait() })
	reading.Go(func() {
		for {
			_, text, err := conn.Read(context.WithoutCancel(b.Context()))
			now := time.Now()
			if err != nil {
				return
			}
			var m struct {
				Type  string
				Grade int
			}
			if json.Unmarshal(text, &m) == nil && m.Type == "grade" {
				w.note(m.Grade, now)
			}
		}
	})
}

func (w *watch) note(grade int, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrivals[grade] = at
	if w.enough != nil && len(w.arrivals) == w.wanted {
		close(w.enough)
	}
}

// await waits for that many grades.
func (w *watch) await(n int) {
	w.mu.Lock()
	if len(w.arrivals) == n {
		w.mu.Unlock()
		return
	}
	w.wanted, w.enough = n, make(chan struct{})
	w.mu.Unlock()
	select {
	case <-w.enough:
	case <-time.After(time.Minute): // report says which are missing
	}
}

func (w *watch) report(b *testing.B, commits []*grading) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var sent, answered []time.Duration
	for _, c := range commits {
		require.NoError(b, c.err)
		at, ok := w.arrivals[c.grade]
		require.True(b, ok, "grade %d did not come", c.grade)
		sent, answered = append(sent, at.Sub(c.sent)), append(answered, at.Sub(c.answered))
	}
	reportPercentiles(b, map[string][]time.Duration{"COMMIT": sent, "answer": answered})
}

// BenchmarkIdleSockets is what a gateway's process holds for each connected
// dashboard that nothing happens to but its metrics message: resident memory as
// the system counts it, and of it what Go has in use after a collection.
func BenchmarkIdleSockets(b *testing.B) {
	sockets := number("SCHOOLBELL_TEST_BENCH_SOCKETS", 5000)
	for b.Loop() {
		b.StopTimer()
		s := newBench(b, school.Size{Teachers: 20, Tutors: 5, Admins: 1, Students: 500, Assignments: 60}, nil)
		s.serve(s.data, "--max-sessions-per-person", strconv.Itoa(sockets), "--max-sessions-per-address", strconv.Itoa(sockets),
			"--handshakes-per-address", strconv.Itoa(sockets), "--heartbeat", "1h", "--metrics-interval", "5s")
		get(b, "http://"+s.address+"/readyz", ready)
		resident, inUse := s.memory()
		for i := range sockets {
			s.idle(s.lms.Teachers[i%len(s.lms.Teachers)].Token)
		}
		get(b, "http://"+s.admin+"/metrics", func(_ int, page string) bool { // everybody has had the second one
			return value(page, `schoolbell_messages_sent_total{type="metrics"}`) >= float64(2*sockets)
		})
		require.InDelta(b, sockets, value(s.page("/metrics"), `schoolbell_sessions{role="teacher"}`), 0)
		after, inUseAfter := s.memory()
		b.ReportMetric((after-resident)/float64(sockets)/1024, "KB-resident/socket")
		b.ReportMetric((inUseAfter-inUse)/float64(sockets)/1024, "KB-in-use/socket")
		b.StartTimer()
	}
	b.ReportMetric(0, "ns/op")
}

// idle connects a client that never reads and never sends.
func (s *bench) idle(token string) {
	conn, err := net.Dial("tcp", s.address)
	require.NoError(s.b, err)
	s.b.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET /ws/dashboard/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Token %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", s.address, token)
	require.NoError(s.b, err)
	var status [len("HTTP/1.1 101")]byte
	_, err = conn.Read(status[:])
	require.NoError(s.b, err)
	require.Equal(s.b, "HTTP/1.1 101", string(status[:]))
}

// memory is what the gateway's process holds after a collection, in bytes.
func (s *bench) memory() (resident, inUse float64) {
	for range 3 { // stacks shrink by half in each
		s.page("/debug/pprof/heap?gc=1")
	}
	page := s.page("/metrics")
	for _, name := range []string{"go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes", "go_memstats_gc_sys_bytes", "go_memstats_other_sys_bytes"} {
		inUse += value(page, name)
	}
	return value(page, "process_resident_memory_bytes"), inUse
}

// page fetches one of the admin listener.
func (s *bench) page(path string) string { return get(s.b, "http://"+s.admin+path, ready) }

func value(page, name string) float64 {
	v, _ := strconv.ParseFloat(metric(page, name), 64)
	return v
}
