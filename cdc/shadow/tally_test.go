package shadow_test

import (
	"testing"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever is appended, brought again, trimmed and dropped, and wherever a start comes in
// between: the number is that of the events that are there.
func TestTheNumberOfEventsIsThatOfThoseThatAreThere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		s := open(t, dir)
		defer func() { _ = s.Close() }()
		b, next, covered := s.NewBatch(), 1, 1
		draw := func(what string, atMost int) int { return rapid.IntRange(0, atMost).Draw(rt, what) }
		for range draw("steps", 12) {
			b.Reset()
			switch draw("step", 6) {
			case 0: // a transaction
				for i := range draw("events", 4) {
					b.Append(event(next, i+1))
				}
				b.SetCheckpoint(checkpoint(next))
				next++
				covered = next
				require.NoError(rt, b.Commit())
			case 1: // a part of a large one
				for i := range draw("part", 4) {
					b.Append(event(next, i+1))
				}
				require.NoError(rt, b.Commit())
				next++
			case 2: // what came before comes again, the large one's parts, too
				next = max(covered, next-1)
			case 3:
				b.DropHistory(at(next, 0))
				for i := range draw("kept", 2) {
					b.Append(event(next, i+1))
				}
				b.SetCheckpoint(checkpoint(next))
				next++
				covered = next
				require.NoError(rt, b.Commit())
			case 4:
				_, err := s.Trim(noon.Add(time.Duration(draw("seconds", next))*time.Second), 0)
				require.NoError(rt, err)
			case 5:
				require.NoError(rt, s.Close())
				s = open(t, dir)
				b, next = s.NewBatch(), covered
			case 6:
				require.NoError(rt, s.DropUncovered())
				next = covered
			}
			require.EqualValues(rt, len(events(t, s, cdc.Position{}, at(1<<40, 0))), s.HistoryEvents())
		}
	})
}

// Nobody appends an event before another one; if somebody does, the number still holds.
func TestEventsThatAreAppendedInAnyOrderAreCountedOnce(t *testing.T) {
	s := open(t, t.TempDir())
	for range 2 {
		commit(t, s, func(b *shadow.Batch) {
			b.Append(event(300, 1))
			b.Append(event(20, 2))
			b.Append(event(20, 1))
		})
		require.EqualValues(t, 3, s.HistoryEvents())
	}
}

// A part of a large transaction may be as old as what is removed, and comes again after a
// start.
func TestAnEventThatComesAgainAfterItWasRemovedIsCountedUntilItIsRemovedAgain(t *testing.T) {
	s := open(t, t.TempDir())
	trim := func() {
		t.Helper()
		_, err := s.Trim(noon.Add(time.Hour), 0)
		require.NoError(t, err)
		require.Zero(t, s.HistoryEvents())
	}
	commit(t, s, func(b *shadow.Batch) { b.Append(event(2, 1)) })
	trim()
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(2, 1))
		b.Append(event(2, 2))
		b.SetCheckpoint(checkpoint(2))
	})
	require.EqualValues(t, 2, s.HistoryEvents())
	trim()
}

func TestWhoWantsToKnowIsToldOfEveryBatchAndEverySync(t *testing.T) {
	var batches []int
	var syncs []time.Duration
	s, err := shadow.Open(t.TempDir(), shadow.Config{
		Committed: func(bytes int) { batches = append(batches, bytes) },
		Synced:    func(took time.Duration) { syncs = append(syncs, took) },
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	commit(t, s, func(b *shadow.Batch) { b.Set([]byte("key"), make([]byte, 1000)) })
	require.Empty(t, syncs)
	require.NoError(t, s.Sync())
	require.Len(t, batches, 1)
	require.InDelta(t, 1020, batches[0], 20)
	require.Len(t, syncs, 1)
	require.Positive(t, syncs[0])
}

func TestTheRoomOnTheDiskIsThatOfTheDirectorysFileSystem(t *testing.T) {
	s := open(t, t.TempDir())
	free, err := s.DiskFree()
	require.NoError(t, err)
	require.Positive(t, free)
}
