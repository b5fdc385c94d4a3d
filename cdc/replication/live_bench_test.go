package replication_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// BenchmarkLive tells how long after the acknowledgement of its COMMIT a transaction of
// one row is with the sink, when the reader has nothing to catch up with, and how often
// what was applied is made durable and confirmed meanwhile.
func BenchmarkLive(b *testing.B) {
	for _, c := range []struct {
		name, durable string
		every         time.Duration
	}{{"100 a second", "on", 10 * time.Millisecond}, {"1000 a second", "on", time.Millisecond}, {"100 a second, flushed later", "off", 10 * time.Millisecond}} {
		b.Run(c.name, func(b *testing.B) {
			url := pgtest.Database(b)
			conn, err := pgx.Connect(b.Context(), url)
			require.NoError(b, err)
			defer conn.Close(b.Context())
			for _, sql := range []string{"CREATE TABLE t (id bigint PRIMARY KEY, filler text)", "CREATE PUBLICATION p FOR TABLE ONLY t (id, filler)", "SET synchronous_commit = " + c.durable} {
				_, err := conn.Exec(b.Context(), sql)
				require.NoError(b, err)
			}
			r := replication.New(replication.Config{
				URL: url, Slot: "live", Publication: "p", Tables: []cdc.TableSpec{{Schema: "public", Name: "t", Columns: []string{"filler"}}},
			})
			k := &timing{arrived: make(chan time.Time, 1)}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx, k, cdc.Checkpoint{}) }()
			for r.Status().State != replication.Streaming {
				require.Empty(b, ended)
				time.Sleep(time.Millisecond)
			}

			var took []time.Duration
			tick := time.NewTicker(c.every)
			defer tick.Stop()
			for n := 0; b.Loop(); n++ {
				<-tick.C
				_, err := conn.Exec(b.Context(), "INSERT INTO t VALUES ($1, 'x')", n)
				acknowledged := time.Now()
				require.NoError(b, err)
				took = append(took, (<-k.arrived).Sub(acknowledged))
			}
			cancel()
			require.NoError(b, <-ended)
			slices.Sort(took)
			at := func(share float64) float64 {
				return float64(took[int(share*float64(len(took)-1))].Nanoseconds()) / 1e6
			}
			b.ReportMetric(at(0.5), "ms_p50")
			b.ReportMetric(at(0.99), "ms_p99")
			b.ReportMetric(at(1), "ms_max")
			b.ReportMetric(float64(k.syncs)/b.Elapsed().Seconds(), "syncs/s")
		})
	}
}

// timing is a sink that tells when a transaction came.
type timing struct {
	counting
	arrived chan time.Time
	syncs   int
}

func (k *timing) Apply(_ context.Context, tx *cdc.Tx) error {
	now := time.Now()
	for _, err := range tx.Changes {
		if err != nil {
			return err
		}
	}
	k.at = tx.End
	k.arrived <- now
	return nil
}

func (k *timing) Sync(context.Context) (cdc.LSN, error) {
	k.syncs++
	return k.at, nil
}
