package shadow_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func events(t testing.TB, s *shadow.Store, after, upTo cdc.Position) []*cdc.Event {
	t.Helper()
	var all []*cdc.Event
	for e, err := range s.Events(after, upTo) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func TestEventsComeInOrderAfterTheFirstPositionUpToTheSecond(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(300, 1))
		b.Append(event(20, 2))
		b.Append(event(20, 1))
		b.Append(event(20, 300))
		b.Append(event(1<<30, 1))
	})
	all := []*cdc.Event{event(20, 1), event(20, 2), event(20, 300), event(300, 1), event(1<<30, 1)}
	require.Equal(t, all, events(t, s, at(0, 0), at(1<<50, 0)))
	require.Equal(t, all[1:3], events(t, s, at(20, 1), at(20, 300)))
	require.Equal(t, all[:3], events(t, s, at(20, 0), at(300, 0)))
	require.Empty(t, events(t, s, at(300, 1), at(300, 1)))
	require.Empty(t, events(t, s, at(300, 1), at(20, 1)))
}

func TestAnEventComesBackAsItWentIn(t *testing.T) {
	s := open(t, t.TempDir())
	id := rapid.Custom(func(t *rapid.T) cdc.ID {
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			return cdc.IntID(rapid.Int64().Draw(t, "int"))
		case 1:
			return cdc.TextID(string(rapid.SliceOf(rapid.SampledFrom([]byte{0, 1, 2, 'a', 0xff})).Draw(t, "text")))
		}
		return cdc.ID{}
	})
	rapid.Check(t, func(rt *rapid.T) {
		e := &cdc.Event{
			Position:   cdc.Position{LSN: cdc.LSN(rapid.Uint64Range(1, 1<<63).Draw(rt, "lsn")), Index: rapid.Uint32().Draw(rt, "index")},
			Kind:       rapid.SampledFrom(cdc.Kinds[:]).Draw(rt, "kind"),
			Time:       time.UnixMicro(rapid.Int64Range(-1e14, 1e16).Draw(rt, "time")).UTC(),
			Assignment: id.Draw(rt, "assignment"),
			Audience:   cdc.Audience{People: rapid.SliceOfN(id, 0, 20).Draw(rt, "people"), Admins: rapid.Bool().Draw(rt, "admins")},
			Body:       append([]byte{'{'}, rapid.SliceOf(rapid.Byte()).Draw(rt, "body")...),
		}
		b := s.NewBatch()
		b.Append(e)
		require.NoError(rt, b.Commit())
		before := cdc.Position{LSN: e.Position.LSN - 1, Index: 1<<32 - 1}
		got := events(t, s, before, e.Position)
		got = got[len(got)-1:]
		if len(e.Audience.People) == 0 {
			e.Audience.People = nil
		}
		require.Equal(rt, e, got[0])

		// EventsOf finds exactly those that it concerns.
		person := id.Draw(rt, "person")
		if n := len(e.Audience.People); n > 0 && rapid.Bool().Draw(rt, "one of them") {
			person = e.Audience.People[rapid.IntRange(0, n-1).Draw(rt, "which")]
		}
		admin := rapid.Bool().Draw(rt, "admin")
		want := admin && e.Audience.Admins
		for _, p := range e.Audience.People {
			want = want || (p == person && !person.IsZero())
		}
		found := false
		wasAdmin := func(at cdc.Position) bool { return admin && at == e.Position }
		reached, err := s.EventsOf(person, wasAdmin, before, e.Position, 1<<40, func(f *cdc.Event) bool {
			found = found || f.Position == e.Position
			return true
		})
		require.NoError(rt, err)
		require.Equal(rt, e.Position, reached)
		require.Equal(rt, want, found)
	})
}

func TestEventsOfSaysUpToWhereItHasLooked(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) {
		for i := range 10 {
			e := event(i+1, 1)
			e.Audience.People = []cdc.ID{cdc.IntID(int64(i % 2))}
			b.Append(e)
		}
	})
	for _, c := range []struct {
		name        string
		after, upTo cdc.Position
		most, give  int
		found       int
		reached     cdc.Position
	}{
		{"all", at(0, 0), at(99, 0), 100, 100, 5, at(99, 0)},
		{"as many as it may look at", at(0, 0), at(99, 0), 7, 100, 4, at(7, 1)},
		{"as many as were wanted", at(0, 0), at(99, 0), 100, 2, 2, at(3, 1)},
		{"a part", at(2, 1), at(5, 0), 100, 100, 1, at(5, 0)},
		{"nothing", at(5, 0), at(5, 0), 100, 100, 0, at(5, 0)},
		{"nothing that is theirs", at(9, 1), at(10, 1), 100, 100, 0, at(10, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := 0
			reached, err := s.EventsOf(cdc.IntID(0), never, c.after, c.upTo, c.most, func(e *cdc.Event) bool {
				require.EqualValues(t, 1, e.Position.LSN%2)
				found++
				return found < c.give
			})
			require.NoError(t, err)
			require.Equal(t, c.found, found)
			require.Equal(t, c.reached, reached)
		})
	}
}

func never(cdc.Position) bool { return false }

func TestEventsThatAreLeftOutCostNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := open(t, t.TempDir())
	fill := func(n int) func() {
		return func() {
			_, err := s.EventsOf(cdc.IntID(0), never, at(0, 0), at(n, 1), 1<<40, func(*cdc.Event) bool { panic("not theirs") })
			require.NoError(t, err)
		}
	}
	commit(t, s, func(b *shadow.Batch) {
		for i := range 2000 {
			b.Append(event(i+1, 1))
		}
	})
	few, many := testing.AllocsPerRun(20, fill(10)), testing.AllocsPerRun(20, fill(2000))
	require.InDelta(t, few, many, 10)
}

func TestAnEventOwnsItsMemory(t *testing.T) {
	const n = 3000
	s, err := shadow.Open(t.TempDir(), shadow.Config{CacheBytes: 1}) // so that blocks are reused at once
	require.NoError(t, err)
	defer s.Close()
	commit(t, s, func(b *shadow.Batch) {
		for i := range n {
			e := event(i+1, 1)
			b.Append(e)
			clear(e.Body) // the batch has its copy
		}
	})
	require.NoError(t, s.Settle(t.Context())) // into tables
	all := events(t, s, at(0, 0), at(n, 1))
	require.Len(t, all, n)
	for i, e := range all {
		require.Equal(t, event(i+1, 1), e)
		_ = append(e.Body, "xxxxxxxxxxxx"...) // ends at its capacity
	}
	require.Equal(t, event(1, 1), all[0])
}

func TestEventsSeesOneMomentAndHoldsUpNoWriter(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(1, 1))
		b.Append(event(2, 1))
		b.Append(event(3, 1))
	})
	var seen []*cdc.Event
	for e, err := range s.Events(at(0, 0), at(1000, 0)) {
		require.NoError(t, err)
		seen = append(seen, e)
		commit(t, s, func(b *shadow.Batch) { b.Append(event(100+len(seen), 1)) })
		require.NoError(t, s.Sync())
		if len(seen) == 1 {
			n, err := s.Trim(noon.Add(3*time.Second), 0)
			require.NoError(t, err)
			require.Equal(t, 2, n)
		}
	}
	require.Equal(t, []*cdc.Event{event(1, 1), event(2, 1), event(3, 1)}, seen)
	require.True(t, s.Kept().After(at(0, 0)), "and Kept, asked afterwards, tells of the removal")
}

func TestTrimRemovesWhatIsOlderAndMovesKeptWithIt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, func(b *shadow.Batch) {
		b.DropHistory(at(0, 7))
		for i := range 10 {
			b.Append(event(i+1, 1))
		}
		b.SetCheckpoint(checkpoint(11))
	})
	for _, c := range []struct {
		olderThan time.Time
		removed   int
		kept      cdc.Position
	}{
		{time.Time{}, 0, at(0, 7)},
		{noon, 0, at(0, 7)},
		{noon.Add(4 * time.Second), 3, at(3, 1)}, // event 4 happened at that very moment
		{noon.Add(4 * time.Second), 0, at(3, 1)},
		{noon.Add(8 * time.Second), 4, at(7, 1)},
		{noon.Add(time.Hour), 3, at(10, 1)},
	} {
		n, err := s.Trim(c.olderThan, 0)
		require.NoError(t, err)
		require.Equal(t, c.removed, n)
		require.Equal(t, c.kept, s.Kept())
		for i, e := range events(t, s, at(0, 0), at(1000, 0)) {
			require.Equal(t, event(int(c.kept.LSN)+i+1, 1), e)
		}
	}
	require.NoError(t, s.Close())
	s = open(t, dir)
	require.Equal(t, at(10, 1), s.Kept())
	require.Empty(t, events(t, s, at(0, 0), at(1000, 0)))
}

func TestTrimBySizeLeavesTheNewestThatFitAndConverges(t *testing.T) {
	s, err := shadow.Open(t.TempDir(), shadow.Config{MemtableBytes: 256 << 10})
	require.NoError(t, err)
	defer s.Close()
	rnd := rand.NewChaCha8([32]byte{1})
	const n, body, limit = 20_000, 500, 2 << 20
	b := s.NewBatch()
	for i := range n {
		b.Reset()
		e := event(i+1, 1)
		e.Body = bytes.Repeat([]byte("x"), body)
		_, _ = rnd.Read(e.Body[:body/2]) // compresses to about a half
		b.Append(e)
		b.SetCheckpoint(checkpoint(i + 1))
		require.NoError(t, b.Commit())
	}
	removed, err := s.Trim(time.Time{}, limit)
	require.NoError(t, err)
	left := len(events(t, s, at(0, 0), at(n, 1)))
	require.Equal(t, n, removed+left)
	require.InDelta(t, limit, left*body/2, limit*0.4, "events left: %d", left)
	require.Equal(t, at(removed, 1), s.Kept())

	again, err := s.Trim(time.Time{}, limit)
	require.NoError(t, err)
	// What reached the disk meanwhile may go; what was removed but still takes room
	// must not be counted again.
	require.Less(t, again, left/4)
}

func TestDropHistoryForgetsAllEventsAndRemembersThatTheyAreLost(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(1000, 1))
		b.SetCheckpoint(checkpoint(1001))
	})
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(2000, 1)) // of the same batch, and still before the drop
		b.DropHistory(at(5, 0))
		b.Append(event(6, 1))
		b.SetCheckpoint(checkpoint(6))
	})
	for range 2 {
		require.Equal(t, []*cdc.Event{event(6, 1)}, events(t, s, at(0, 0), at(5000, 0)))
		require.Equal(t, at(5, 0), s.Kept())
		require.Equal(t, at(5, 0), s.Lost())
		require.NoError(t, s.Close())
		s = open(t, dir)
	}
	n, err := s.Trim(noon.Add(time.Hour), 0)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for range 2 {
		require.Equal(t, at(6, 1), s.Kept())
		require.Equal(t, at(5, 0), s.Lost(), "what Trim removed is not lost")
		require.NoError(t, s.Close())
		s = open(t, dir)
	}
}

func TestEventsThatNoCheckpointCoversAreRemovedByOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(10, 1))
		b.SetCheckpoint(checkpoint(20))
	})
	// Covered by the next checkpoint, though in a batch of its own.
	commit(t, s, func(b *shadow.Batch) { b.Append(event(20, 1)) })
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(20, 2))
		b.SetCheckpoint(checkpoint(30))
	})
	// Begins where the last one ends, and never comes to its own end.
	commit(t, s, func(b *shadow.Batch) { b.Append(event(30, 1)) })
	commit(t, s, func(b *shadow.Batch) { b.Append(event(30, 2)) })
	require.Len(t, events(t, s, at(0, 0), at(99, 0)), 5)
	require.NoError(t, s.Close())

	s = open(t, dir)
	require.Equal(t, []*cdc.Event{event(10, 1), event(20, 1), event(20, 2)}, events(t, s, at(0, 0), at(99, 0)))
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(30, 1))
		b.SetCheckpoint(checkpoint(40))
	})
	require.NoError(t, s.Close())
	require.Len(t, events(t, open(t, dir), at(0, 0), at(99, 0)), 4)
}

func TestEventsOfASnapshotThatNeverEndedAreRemovedByOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, func(b *shadow.Batch) { b.Append(event(10, 1)) })
	require.NoError(t, s.Close())
	require.Empty(t, events(t, open(t, dir), at(0, 0), at(99, 0)))
}

func TestBackFindsWhereTheLastEventsBegin(t *testing.T) {
	s := open(t, t.TempDir())
	back := func(upTo cdc.Position, n int) cdc.Position {
		after, err := s.Back(upTo, n)
		require.NoError(t, err)
		return after
	}
	require.Zero(t, back(at(99, 0), 1))
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(20, 1))
		b.Append(event(20, 2))
		b.Append(event(300, 1))
	})
	require.Equal(t, at(300, 1), back(at(300, 1), 0))
	require.Equal(t, at(20, 2), back(at(300, 1), 1))
	require.Equal(t, at(20, 1), back(at(300, 1), 2))
	require.Zero(t, back(at(300, 1), 3), "there are no more")
	require.Equal(t, at(20, 1), back(at(300, 0), 1), "what comes later does not count")
}

func TestFirstFindsTheFirstEventAfterAPosition(t *testing.T) {
	s := open(t, t.TempDir())
	first := func(after cdc.Position) cdc.Position {
		found, when, err := s.First(after)
		require.NoError(t, err)
		require.Equal(t, found == cdc.Position{}, when.IsZero())
		return found
	}
	require.Zero(t, first(at(0, 0)))
	commit(t, s, func(b *shadow.Batch) {
		b.Append(event(20, 1))
		b.Append(event(20, 2))
		b.Append(event(300, 1))
	})
	require.Equal(t, at(20, 1), first(at(0, 0)))
	require.Equal(t, at(20, 1), first(at(20, 0)))
	require.Equal(t, at(20, 2), first(at(20, 1)))
	require.Equal(t, at(300, 1), first(at(20, 2)))
	require.Zero(t, first(at(300, 1)))
}
