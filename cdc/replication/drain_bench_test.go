package replication_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// BenchmarkDrain reads one backlog through two slots: with pg_recvlogical into nothing,
// and with a Reader whose sink only counts.
func BenchmarkDrain(b *testing.B) {
	for _, c := range []struct {
		name         string
		transactions int
		rows         int
	}{{"one row each", 30_000, 1}, {"1000 rows each", 100, 1000}} {
		b.Run(c.name, func(b *testing.B) {
			var ours, theirs time.Duration
			n := 0
			for b.Loop() {
				n++
				d := newDrain(b, n, c.transactions, c.rows)
				theirs += d.theirs(b)
				ours += d.ours(b)
			}
			b.ReportMetric(float64(n*c.transactions*c.rows)/ours.Seconds(), "rows/s")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of_pg_recvlogical")
		})
	}
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

func (d *drain) theirs(b *testing.B) time.Duration {
	began := time.Now()
	out, err := exec.CommandContext(b.Context(), filepath.Join(pgtest.Server(b).Bin(), "pg_recvlogical"),
		"-d", d.cfg.URL, "-S", d.other, "--start", "--no-loop", "--endpos", d.end, "-f", "/dev/null",
		"-o", "proto_version=1", "-o", "publication_names=p").CombinedOutput()
	require.NoError(b, err, string(out))
	return time.Since(began)
}

func (d *drain) ours(b *testing.B) time.Duration {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	d.sink.done = cancel
	began := time.Now()
	require.NoError(b, replication.New(d.cfg).Run(ctx, d.sink, d.from))
	return time.Since(began)
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
