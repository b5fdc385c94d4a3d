package replication_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

func TestAQuietPublicationBesideABusyDatabaseHoldsNoLog(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET wal_sender_timeout = ''900ms''', current_database()); END $$")
	k := newSink()
	r, stop := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	began := ask[string](t, s.Conn, "SELECT pg_current_wal_lsn()::text")
	for range 40 {
		s.exec(t, "INSERT INTO elsewhere (filler) SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
	}
	written := ask[int64](t, s.Conn, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn)::bigint", began)
	require.Greater(t, written, int64(40_000_000))
	until(t, "the log is let go", func() bool { return s.held(t) < 100_000 })
	require.Empty(t, k.ends, "no transaction of ours")
	require.NoError(t, stop())

	// The position went along: what was confirmed is durable.
	_, stop = s.run(t, k, k.checkpoint())
	s.agree(t, k)
	require.NoError(t, stop())
}

func TestUnderLoadSyncIsOncePerSecondAndAtOnceWhenNothingFollows(t *testing.T) {
	s := newSchool(t)
	s.cfg.SyncIdle = 100 * time.Millisecond
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	began := time.Now()
	stopWriters := s.writers(t, 0)
	until(t, "a second of load", func() bool { return time.Since(began) > 1500*time.Millisecond })
	stopWriters()
	busy := time.Since(began)
	k.mu.Lock()
	syncs := k.syncs
	k.mu.Unlock()
	require.LessOrEqual(t, syncs, int(busy/time.Second)+2)

	s.agree(t, k)
	ended := time.Now()
	until(t, "the last one is confirmed", func() bool { return r.Status().Confirmed == k.checkpoint().Applied && s.held(t) < 100_000 })
	require.Less(t, time.Since(ended), 2*time.Second)
	require.True(t, r.Status().CaughtUp)
	require.Zero(t, r.Status().Lag)
}

func TestAFastShutdownIsNotDelayedAndNothingIsLost(t *testing.T) {
	server := pgtest.Own(t, nil)
	s := bareSchool(t, server.URL("postgres"))
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	for _, mode := range []string{"fast", "immediate"} {
		for _, sql := range []string{
			"INSERT INTO work SELECT '', n, count(*), 'a' FROM work, generate_series(1, 20000) n GROUP BY n",
			"INSERT INTO elsewhere (filler) SELECT repeat('x', 1000) FROM generate_series(1, 5000)",
		} {
			s.exec(t, sql)
			_ = s.Close(t.Context())
			until(t, "the stream", streaming(r))
			began := time.Now()
			require.NoError(t, server.Restart(context.Background(), mode))
			require.Less(t, time.Since(began), 5*time.Second, mode)
			s.Conn = open(t, s.cfg.URL)
			until(t, "it is noticed", func() bool {
				return r.Status().State != replication.Streaming || r.Status().Reconnects[replication.ServerGone]+r.Status().Reconnects[replication.ServerShutdown] > 0
			})
			s.agree(t, k)
		}
	}
	require.Equal(t, 1, k.resets)
	s.exec(t, "INSERT INTO work SELECT '', n, -1, 'a' FROM generate_series(1, 1000) n")
	_ = s.Close(t.Context())
}

// Nobody writes, so that nobody else tells the time.
func TestASinkThatWantsToBeWokenHearsTheServersClock(t *testing.T) {
	server := pgtest.Own(t, map[string]string{"autovacuum": "off"}) // whatever anybody writes makes the server talk
	s := bareSchool(t, server.URL("postgres"))
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	k := newSink()
	var mu sync.Mutex
	var wake time.Time
	var late []time.Duration // how late we were told, by the server's clock
	calls := 0
	k.onAdvance = func(clock time.Time) time.Time {
		mu.Lock()
		defer mu.Unlock()
		calls++
		switch {
		case wake.IsZero():
		case clock.Before(wake):
			return wake
		default:
			late = append(late, clock.Sub(wake))
		}
		wake = clock.Add(1500 * time.Millisecond)
		return wake
	}
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	until(t, "it is woken", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(late) == 4
	})
	mu.Lock()
	defer mu.Unlock()
	for _, d := range late {
		require.Less(t, d, time.Second)
	}
	require.LessOrEqual(t, calls, 4*3, "the server is not asked all the time")
}
