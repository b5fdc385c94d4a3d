package replication_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

func TestAFirstStartUnderLoadLosesNothingAndDoublesNothing(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "INSERT INTO people SELECT n, 'p' || n, 'secret', now(), '1 day', n / 3.0, '\\x01ff' FROM generate_series(1, 3000) n")
	for round := range 5 {
		stopWriters := s.writers(t, 10*round)
		k := newSink()
		r, stop := s.run(t, k, cdc.Checkpoint{})
		until(t, "transactions of the stream", func() bool { return r.Status().Transactions > 200 })
		stopWriters()
		s.agree(t, k)
		status := r.Status()
		require.Equal(t, replication.Progress{
			Rows: status.Snapshot.Rows, Expected: status.Snapshot.Expected, PerSecond: status.Snapshot.PerSecond, Share: 1, Done: true,
		}, status.Snapshot)
		require.GreaterOrEqual(t, status.Snapshot.Rows, int64(3000))
		require.NoError(t, stop())
		s.dropSlot(t)
	}
}

// writers change rows of work, each of its own, until what they answer is called.
func (s *school) writers(t *testing.T, seed int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for w := range 4 {
		c := open(t, s.cfg.URL)
		all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				_, err := c.Exec(context.Background(), fmt.Sprintf(`
					INSERT INTO work VALUES ('n', %d, %d, 'new');
					UPDATE work SET mark = 'seen' WHERE assignment = %[1]d AND student = %[2]d - 1 AND student %% 3 = 0;
					UPDATE work SET student = -student WHERE assignment = %[1]d AND student = %[2]d - 2 AND student %% 7 = 0;
					DELETE FROM work WHERE assignment = %[1]d AND student = %[2]d - 3 AND student %% 5 = 0`, seed+w+1, n))
				if err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func TestValuesReadTheSameInTheSnapshotAndInTheStream(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Kolkata''', current_database()); "+
		"EXECUTE format('ALTER DATABASE %I SET datestyle = ''German''', current_database()); "+
		"EXECUTE format('ALTER DATABASE %I SET intervalstyle = ''iso_8601''', current_database()); "+
		"EXECUTE format('ALTER DATABASE %I SET extra_float_digits = 0', current_database()); "+
		"EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', current_database()); END $$")
	const values = "'zoë@école.fr', 'secret', '2026-11-22 21:05:11.123456+00', '1 day 02:03:04', 0.1::float8 + 0.2, '\\x00ff20'"
	s.exec(t, "INSERT INTO people VALUES (1, "+values+")")
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	snapped := *k.words["people"]
	s.exec(t, "INSERT INTO people VALUES (2, "+values+")")
	until(t, "the row", func() bool { return k.table(people)["2"] != "" })

	got := k.table(people)
	require.Equal(t, "1|zoë@école.fr|2026-11-22 21:05:11.123456+00|1 day 02:03:04|0.30000000000000004|\\x00ff20", got["1"])
	require.Equal(t, got["1"][1:], got["2"][1:])
	streamed := *k.words["people"]
	if pgtest.Server(t).Major() < listsFrom { // the snapshot leaves out what nobody asked for, the stream cannot
		streamed.Columns = slices.DeleteFunc(slices.Clone(streamed.Columns), func(c cdc.Column) bool { return isUnasked(c.Name) })
		require.Len(t, k.words["people"].Columns, len(streamed.Columns)+1)
	}
	require.Equal(t, snapped, streamed, "the same columns, types and keys in the same order")
}

func TestAnInterruptedSnapshotLeavesNoSlotAndBeginsAgain(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "INSERT INTO work VALUES ('', 1, 1, 'old')")
	k := newSink()
	failures := 2
	k.onReset = func(context.Context) error {
		if failures--; failures >= 0 {
			s.exec(t, "INSERT INTO work VALUES ('', 2, $1, 'meanwhile')", failures)
			return fmt.Errorf("the disk is full")
		}
		return nil
	}
	r, stop := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	require.Equal(t, int64(2), r.Status().Reconnects[replication.SinkFailed])
	s.agree(t, k)
	require.NoError(t, stop())
	s.dropSlot(t)

	// The end of ctx in the middle of it leaves no slot either.
	ctx, cancel := context.WithCancel(t.Context())
	k.onReset = func(context.Context) error { cancel(); return context.Canceled }
	require.NoError(t, replication.New(s.cfg).Run(ctx, k, cdc.Checkpoint{}))
	require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot))
}

func TestASlotIsClaimedBeforeItIsMade(t *testing.T) {
	s := newSchool(t)
	count := func() int {
		return ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot)
	}
	slots := -1
	s.cfg.Claim = func(time.Time) error { slots = count(); return nil }
	r, stop := s.run(t, newSink(), cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	require.Zero(t, slots)
	require.NoError(t, stop())

	// What cannot be claimed is not made.
	s.dropSlot(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.cfg.Claim = func(time.Time) error { cancel(); return errors.New("the disk is full") }
	require.NoError(t, replication.New(s.cfg).Run(ctx, newSink(), cdc.Checkpoint{}))
	require.Zero(t, count())
}

func TestASlotThatIsNotOursIsLeftAloneAtAFirstStart(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", s.cfg.Slot)
	err := replication.New(s.cfg).Run(t.Context(), newSink(), cdc.Checkpoint{})
	require.EqualError(t, err, "replication slot "+s.cfg.Slot+" is there already, and the data directory knows nothing of it, "+
		"want none before the first start; fix: if nobody else uses it, SELECT pg_drop_replication_slot('"+s.cfg.Slot+"'); "+
		"otherwise choose another slot name in the configuration")

	// Left behind by a first start of ours that was killed, it is in the way.
	s.cfg.Interrupted = true
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.agree(t, k)
}
