package shadow_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// However events share blocks, and whatever comes again beside which others: the history
// is the events that were appended, in order, the last of each position.
func TestTheHistoryIsWhatWasAppendedHoweverItLies(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		s := open(t, dir)
		defer func() { _ = s.Close() }()
		model := map[cdc.Position]*cdc.Event{}
		var kept cdc.Position
		draw := func(what string, atMost int) int { return rapid.IntRange(0, atMost).Draw(rt, what) }
		position := func(what string) cdc.Position { return at(1+draw(what, 30), draw(what+"'s number", 3)) }
		for range draw("steps", 10) {
			switch draw("step", 3) {
			default:
				commit(t, s, func(b *shadow.Batch) {
					for range draw("events", 20) {
						p := position("event")
						e := event(int(p.LSN), int(p.Index))
						e.Body = append(e.Body, strings.Repeat("x", draw("length", 3)*20_000)...)
						b.Append(e)
						model[p] = e
					}
					b.SetCheckpoint(checkpoint(1000)) // covers them all
				})
			case 0:
				olderThan := noon.Add(time.Duration(draw("seconds", 32)) * time.Second)
				before := len(events(t, s, kept, at(1<<40, 0)))
				n, err := s.Trim(olderThan, 0)
				require.NoError(rt, err)
				if n > 0 {
					require.True(rt, s.Kept().After(kept))
					kept = s.Kept()
					for p := range model {
						if !p.After(kept) {
							delete(model, p)
						}
					}
				}
				require.Equal(rt, before-n, len(events(t, s, kept, at(1<<40, 0))))
			case 1:
				require.NoError(rt, s.Close())
				s = open(t, dir)
			}
			var want []*cdc.Event
			for _, e := range model {
				want = append(want, e)
			}
			slices.SortFunc(want, func(x, y *cdc.Event) int { return x.Position.Compare(y.Position) })
			require.Equal(rt, want, events(t, s, cdc.Position{}, at(1<<40, 0)))
			require.EqualValues(rt, len(want), s.HistoryEvents())

			after, upTo, n := position("after"), position("up to"), draw("back", 5)
			upToThere := slices.DeleteFunc(slices.Clone(want), func(e *cdc.Event) bool { return e.Position.After(upTo) })
			between := slices.DeleteFunc(slices.Clone(upToThere), func(e *cdc.Event) bool { return !e.Position.After(after) })
			require.ElementsMatch(rt, between, events(t, s, after, upTo))
			back, err := s.Back(upTo, n)
			require.NoError(rt, err)
			if n < len(upToThere) {
				require.Equal(rt, upToThere[len(upToThere)-1-n].Position, back)
			} else {
				require.Zero(rt, back)
			}
			first, _, err := s.First(after)
			require.NoError(rt, err)
			if i := slices.IndexFunc(want, func(e *cdc.Event) bool { return e.Position.After(after) }); i < 0 {
				require.Zero(rt, first)
			} else {
				require.Equal(rt, want[i].Position, first)
			}
		}
	})
}
