package replication_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// BenchmarkDrain reads one backlog through two slots: with pg_recvlogical into nothing,
// and with a Reader whose sink only counts. Beside the speed it tells the processor time
// per row, in microseconds: of each reader, and of the server's process that sends to it.
func BenchmarkDrain(b *testing.B) {
	for _, c := range []struct {
		name         string
		transactions int
		rows         int
	}{{"one row each", 50_000, 1}, {"1000 rows each", 200, 1000}} {
		b.Run(c.name, func(b *testing.B) {
			var ours, theirs drained
			n := 0
			for b.Loop() {
				n++
				d := newDrain(b, n, c.transactions, c.rows)
				theirs.add(d.theirs(b))
				ours.add(d.ours(b))
			}
			rows := float64(n * c.transactions * c.rows)
			b.ReportMetric(rows/ours.took.Seconds(), "rows/s")
			b.ReportMetric(theirs.took.Seconds()/ours.took.Seconds(), "of_pg_recvlogical")
			b.ReportMetric(float64(ours.reader.Nanoseconds())/1e3/rows, "µs/row")
			b.ReportMetric(float64(theirs.reader.Nanoseconds())/1e3/rows, "µs/row_pg_recvlogical")
			b.ReportMetric(float64(ours.sender.Nanoseconds())/1e3/rows, "µs/row_sender")
			b.ReportMetric(float64(theirs.sender.Nanoseconds())/1e3/rows, "µs/row_sender_pg_recvlogical")
			b.ReportMetric(float64(ours.mallocs)/rows, "allocs/row")
		})
	}
}

// drained is what a backlog took.
type drained struct {
	took           time.Duration
	reader, sender time.Duration // of processors
	mallocs        uint64
}

func (d *drained) add(o drained) {
	d.took, d.reader, d.sender, d.mallocs = d.took+o.took, d.reader+o.reader, d.sender+o.sender, d.mallocs+o.mallocs
}

// drain is a backlog that waits in two slots.
type drain struct {
	cfg        replication.Config
	sink       *counting
	from       cdc.Checkpoint
	other, end string
}

func newDrain(b *testing.B, n, transactions, rows int) *drain {
	b.Helper()
	url := pgtest.Database(b)
	conn, err := pgx.Connect(b.Context(), url)
	require.NoError(b, err)
	exec := func(sql string, args ...any) {
		b.Helper()
		_, err := conn.Exec(b.Context(), fmt.Sprintf(sql, args...))
		require.NoError(b, err)
	}
	exec("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, filler text)")
	exec("CREATE PUBLICATION p FOR TABLE ONLY t (id, filler)")
	d := &drain{sink: &counting{}, other: fmt.Sprintf("drain_theirs_%d_%d", rows, n)}
	d.cfg = replication.Config{
		URL: url, Slot: fmt.Sprintf("drain_ours_%d_%d", rows, n), Publication: "p",
		Tables: []cdc.TableSpec{{Schema: "public", Name: "t", Columns: []string{"filler"}}},
	}
	exec("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", d.other)
	d.from = firstStart(b, d.cfg, d.sink)
	exec("SET synchronous_commit = off")
	exec("DO $$ BEGIN FOR n IN 1..%d LOOP INSERT INTO t (filler) SELECT repeat('x', 1000) FROM generate_series(1, %d); COMMIT; END LOOP; END $$", transactions, rows)
	exec("CHECKPOINT")
	require.NoError(b, conn.QueryRow(b.Context(), "SELECT pg_current_wal_lsn()::text").Scan(&d.end))
	require.NoError(b, conn.Close(b.Context()))
	d.sink.want = int64(transactions * rows)
	return d
}

func (d *drain) theirs(b *testing.B) drained {
	sender := watchSender(b, d.cfg.URL, d.other)
	cmd := exec.CommandContext(b.Context(), filepath.Join(pgtest.Server(b).Bin(), "pg_recvlogical"),
		"-d", d.cfg.URL, "-S", d.other, "--start", "--no-loop", "--endpos", d.end, "-f", "/dev/null",
		"-o", "proto_version=1", "-o", "publication_names=p")
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	require.NoError(b, err, string(out))
	return drained{took: took, reader: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), sender: sender()}
}

func (d *drain) ours(b *testing.B) drained {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	d.sink.done = cancel
	sender := watchSender(b, d.cfg.URL, d.cfg.Slot)
	began, processor, mallocs := time.Now(), ownProcessor(b), ownMallocs()
	require.NoError(b, replication.New(d.cfg).Run(ctx, d.sink, d.from))
	return drained{time.Since(began), ownProcessor(b) - processor, sender(), ownMallocs() - mallocs}
}

func ownProcessor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func ownMallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// watchSender watches the server's process that sends to a slot. What it answers waits for
// the process to end and says what that had used of a processor; 0 where nobody can say.
func watchSender(b *testing.B, url, slot string) func() time.Duration {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	require.NoError(b, err)
	used := make(chan time.Duration, 1)
	go func() {
		var last time.Duration
		defer func() {
			_ = conn.Close(context.Background())
			used <- last
		}()
		pid := 0
		for pid == 0 {
			time.Sleep(time.Millisecond)
			if conn.QueryRow(b.Context(), "SELECT coalesce(active_pid, 0) FROM pg_replication_slots WHERE slot_name = $1", slot).Scan(&pid) != nil {
				return
			}
		}
		for ; ; time.Sleep(5 * time.Millisecond) {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid)) // nanoseconds first
			if err != nil {
				return
			}
			if _, err := fmt.Sscan(string(text), &last); err != nil {
				return
			}
		}
	}()
	return func() time.Duration { return <-used }
}

func firstStart(b *testing.B, cfg replication.Config, k *counting) cdc.Checkpoint {
	b.Helper()
	r := replication.New(cfg)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, k, cdc.Checkpoint{}) }()
	for r.Status().State != replication.Streaming {
		time.Sleep(time.Millisecond)
	}
	cancel()
	require.NoError(b, <-ended)
	return cdc.Checkpoint{Source: k.source, Applied: k.at}
}

// counting is a sink that only counts.
type counting struct {
	source     cdc.Source
	at         cdc.LSN
	rows, want int64
	done       func()
}

func (k *counting) Reset(_ context.Context, snap *cdc.Snapshot) error {
	for _, err := range snap.Rows {
		if err != nil {
			return err
		}
	}
	k.source, k.at = snap.Source, snap.At
	return nil
}

func (k *counting) Apply(_ context.Context, tx *cdc.Tx) error {
	for _, err := range tx.Changes {
		if err != nil {
			return err
		}
		k.rows++
	}
	k.at = tx.End
	if k.rows == k.want {
		k.done()
	}
	return nil
}

func (k *counting) Advance(at cdc.LSN, _ time.Time) time.Time {
	k.at = max(k.at, at)
	return time.Time{}
}

func (k *counting) Sync(context.Context) (cdc.LSN, error) { return k.at, nil }
