package replication_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

func TestWhatTheServerSpillsForTheSlotIsKnownFromPostgreSQL14On(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()); END $$")
	s.cfg.WatchSlot = fast
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	s.watch(t, r)
	until(t, "the stream", streaming(r))
	until(t, "a look", func() bool { return !r.Status().Slot.Seen.IsZero() })
	require.Zero(t, r.Status().Slot.Spilled)
	s.exec(t, "INSERT INTO work SELECT '', n, 1, repeat('x', 100) FROM generate_series(1, 5000) n")
	s.agree(t, k)
	if pgtest.Server(t).Major() < 14 {
		seen := r.Status().Slot.Seen
		until(t, "another look", func() bool { return r.Status().Slot.Seen.After(seen) })
		require.Equal(t, replication.Spilled{}, r.Status().Slot.Spilled)
		return
	}
	until(t, "it is known", func() bool {
		spilled := r.Status().Slot.Spilled
		return spilled.Transactions > 0 && spilled.Bytes > 100_000
	})
}
