package replication_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
)

func TestARestartContinuesAtTheCheckpoint(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	from := cdc.Checkpoint{}
	for range 3 {
		r, stop := s.run(t, k, from)
		until(t, "the stream", streaming(r))
		s.exec(t, "INSERT INTO work SELECT '', n, (random() * 1e9)::int, 'a' FROM generate_series(1, 10) n")
		s.agree(t, k)
		require.NoError(t, stop())
		require.Equal(t, replication.Idle, r.Status().State)
		from = k.checkpoint()
		require.Equal(t, k.at, from.Applied, "the last Sync was after the last transaction")
		require.Equal(t, from.Applied.String(), ask[string](t, s.Conn, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot),
			"what is durable was confirmed before we left")
		s.exec(t, "INSERT INTO work SELECT '', n, -(random() * 1e9)::int, 'away' FROM generate_series(1, 10) n")
	}
	require.Equal(t, 1, k.resets)
}

func TestNothingIsConfirmedThatSyncDidNotAnswerFor(t *testing.T) {
	s := newSchool(t)
	s.cfg.SyncIdle, s.cfg.SyncEvery = time.Hour, time.Hour // so that there is something to lose
	k := newSink()
	for round := range 4 {
		r, stop := s.run(t, k, k.checkpoint())
		until(t, "the stream", streaming(r))
		stopWriters := s.writers(t, 10*round)
		more := r.Status().Transactions + 50
		until(t, "transactions", func() bool { return r.Status().Transactions > more })
		stopWriters()
		s.exec(t, "INSERT INTO elsewhere (filler) VALUES ('the log goes on')")
		until(t, "a keepalive past all of them", func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.dead = len(k.ends) > 0 && k.at > k.ends[len(k.ends)-1]
			return k.dead
		})
		require.NoError(t, stop())

		var from cdc.Checkpoint
		k, from = k.crash()
		confirmed, err := cdc.ParseLSN(ask[string](t, s.Conn, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot))
		require.NoError(t, err)
		require.LessOrEqual(t, confirmed, from.Applied)
		require.Less(t, from.Applied, r.Status().Applied, "the crash lost something, which has to come again")
	}
	s.cfg.SyncIdle, s.cfg.SyncEvery = 0, 0
	_, stop := s.run(t, k, k.checkpoint())
	s.agree(t, k)
	require.NoError(t, stop())
}

func TestWhatWasRolledBackNeverComes(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, `BEGIN;
		INSERT INTO work VALUES ('', 1, 1, 'kept');
		SAVEPOINT a;
			INSERT INTO work VALUES ('', 1, 2, 'lost');
			SAVEPOINT b;
				UPDATE work SET mark = 'lost' WHERE student = 1;
			RELEASE b;
		ROLLBACK TO a;
		INSERT INTO work VALUES ('', 1, 3, 'kept');
		SAVEPOINT c;
			DELETE FROM work WHERE student = 3;
		RELEASE c;
		COMMIT;
		BEGIN; INSERT INTO work VALUES ('', 9, 9, 'lost'); ROLLBACK`)
	s.agree(t, k)
	require.Equal(t, []string{"I work 1/1", "I work 1/3", "D work 1/3", "I work 0/0"}, k.log(), "in one transaction, and the last one")
	require.Len(t, k.ends, 2)
}

func TestEveryKindOfChangeArrives(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "INSERT INTO work VALUES ('', 1, 1, 'a'), ('', 1, 2, 'b')")
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, "UPDATE work SET mark = 'c' WHERE student = 1")
	s.exec(t, "UPDATE work SET student = 3 WHERE student = 1")
	s.exec(t, "DELETE FROM work WHERE student = 2")
	s.exec(t, "INSERT INTO elsewhere (filler) VALUES ('not ours')")
	s.exec(t, "TRUNCATE work, people")
	s.agree(t, k)
	require.Equal(t, []string{"U work 1/1", "U work 1/3", "D work 1/2"}, k.log()[:3])
	require.ElementsMatch(t, []string{"T work ", "T people "}, k.log()[3:5])
	status := r.Status()
	require.Equal(t, []replication.TableRows{
		{Table: "public.people", Truncates: 1},
		{Table: "public.work", Inserts: 1, Updates: 2, Deletes: 1, Truncates: 1},
	}, status.Rows)
	require.Equal(t, int64(5), status.Transactions)
}

func TestATransactionOfAnySizePassesInBoundedMemoryWhileTheServerIsAnswered(t *testing.T) {
	s := newSchool(t)
	// Three times shorter than the transaction takes below.
	s.exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET wal_sender_timeout = ''1s''', current_database()); END $$")
	k := newSink()
	k.forget = true
	var rows, peak int
	var first uint64
	k.onChange = func(*cdc.Change) {
		if rows++; rows%10_000 != 0 {
			return
		}
		<-time.After(150 * time.Millisecond) // a sink that takes its time
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if first == 0 {
			first = m.HeapAlloc
		}
		peak = max(peak, int(m.HeapAlloc)-int(first))
	}
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	var commit atomic.Uint64
	k.onApply = func(tx *cdc.Tx) error { commit.Store(uint64(tx.Commit)); return nil }
	s.exec(t, "INSERT INTO work SELECT '', n, 0, repeat('x', 500) FROM generate_series(1, 200000) n")
	until(t, "half of it", func() bool { return r.Status().Rows[1].Inserts > 100_000 })
	require.Less(t, r.Status().Confirmed, cdc.LSN(commit.Load()), "nothing of it is confirmed in the middle of it")
	until(t, "all of it", func() bool { return r.Status().Transactions == 1 })
	require.Equal(t, 200_000, rows, "sent once: the server did not lose patience")
	require.Less(t, peak, 16<<20, "bytes on the heap for 100 MB of rows")
	require.Empty(t, r.Status().Reason)
	until(t, "it is confirmed", func() bool { return r.Status().Confirmed == k.checkpoint().Applied })
}

func TestATerminatedWalsenderCostsNothing(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	stopWriters := s.writers(t, 0)
	for n := range int64(5) {
		more := r.Status().Transactions + 50
		until(t, "transactions", func() bool { return r.Status().Transactions > more })
		s.exec(t, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot)
		until(t, "it is noticed", func() bool { return r.Status().Reconnects[replication.Terminated] == n+1 })
	}
	stopWriters()
	s.agree(t, k)
	require.Equal(t, 1, k.resets)
}

func TestASinkThatFailsGetsTheTransactionAgain(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	failures := 3
	k.onApply = func(tx *cdc.Tx) error {
		if failures--; failures >= 0 {
			for range tx.Changes {
				break // and what it began to read is dropped
			}
			return errors.New("the disk is full")
		}
		return nil
	}
	s.exec(t, "INSERT INTO work VALUES ('', 1, 1, 'a'), ('', 1, 2, 'b')")
	s.agree(t, k)
	require.Equal(t, int64(3), r.Status().Reconnects[replication.SinkFailed])
	require.Len(t, k.ends, 2)
}

func TestASinkThatReadsHalfIsFoundOut(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	r, stop := s.run(t, lazy{k}, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, "INSERT INTO work VALUES ('', 1, 1, 'a'), ('', 1, 2, 'b')")
	until(t, "the mistake is seen", func() bool { return r.Status().Reconnects[replication.SinkFailed] > 0 })
	require.NoError(t, stop())
	require.Zero(t, r.Status().Transactions)
}

// lazy reads one change of a transaction.
type lazy struct{ *sink }

func (lazy) Apply(_ context.Context, tx *cdc.Tx) error {
	for range tx.Changes {
		return nil
	}
	return nil
}
