package replication

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatIsLeftOfASnapshotFollowsFromItsSpeedAndTheEstimate(t *testing.T) {
	b := newBoard(nil)
	began := time.Now()
	left := func(after time.Duration) time.Duration { return b.progress(began.Add(after)).Remaining }
	require.Zero(t, left(0), "none runs")

	b.expected.Store(1000)
	b.snapshotBegan.Store(began.UnixNano())
	b.reading("work")
	require.Zero(t, left(time.Second), "nobody can say yet")
	b.rows.Store(100)
	require.InDelta(t, 18, left(2*time.Second).Seconds(), 0.001)
	b.rows.Store(500)
	require.InDelta(t, 5, left(5*time.Second).Seconds(), 0.001)
	b.rows.Store(1200)
	require.Zero(t, left(12*time.Second), "the estimate was too low")
	b.rows.Store(900)
	b.reading("")
	require.Zero(t, left(13*time.Second), "it is over")
}

func TestWhyASlotWasGivenUpIsOneWord(t *testing.T) {
	for _, c := range []struct {
		slot slot
		want string
	}{
		{slot{walStatus: "reserved"}, ""},
		{slot{walStatus: "unreserved"}, ""},
		{slot{}, ""},
		{slot{walStatus: "lost"}, "wal_removed"},
		{slot{walStatus: "lost", why: "idle_timeout"}, "idle_timeout"},
		{slot{walStatus: "lost", why: "wal_level_insufficient"}, "wal_level_insufficient"},
	} {
		require.Equal(t, c.want, c.slot.invalidated())
	}
}
