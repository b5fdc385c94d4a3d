package projection_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// timed is the django profile of a school where a due date closes by itself.
func timed(t require.TestingT) *profile.Profile {
	p, err := profile.Parse("timed.yaml", []byte("profile: timed\nextends: django\nassignment: {closes: due_date}\n"))
	require.NoError(t, err)
	return p
}

// newTimedGateway has an assignment 10 of teacher 1 that closes at position 100's time.
func newTimedGateway(t *testing.T) (*gateway, *lms, tables) {
	l, tabs := newLMS(), newTables()
	set(l, tabs.users, l.users, 1, user{email: "t@x", role: "teacher", active: true})
	set(l, tabs.assignments, l.assignments, 10, assignment{title: "Essay", author: 1, status: "published", due: due(100)})
	l.changes = nil
	g := &gateway{t: t, dir: t.TempDir(), profile: timed(t)}
	g.open()
	t.Cleanup(func() { g.close() })
	require.NoError(t, g.reset(l.snapshot(tabs, 5)))
	return g, l, tabs
}

func due(at cdc.LSN) string { return clock(at).Format("2006-01-02 15:04:05.999999+00") }

// told is what was published since it was asked last: ids, kinds, times.
func told(g *gateway) (all []string) {
	for _, r := range g.published {
		for _, e := range r.Events {
			all = append(all, fmt.Sprintf("%v %v %v", e.Position, e.Kind, e.Time.Format(time.TimeOnly)))
		}
	}
	g.published = nil
	return all
}

func TestAMomentThatPassesClosesOnceBehindTheLastTransaction(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	set(l, tabs.users, l.users, 2, user{email: "u@x", role: "tutor", active: true})
	require.NoError(t, g.Apply(t.Context(), l.tx(50)))
	require.Equal(t, clock(100), g.Advance(60, clock(99)), "asks to be called when it is due")
	require.Empty(t, told(g))
	require.Zero(t, g.Advance(70, clock(100)))
	require.Equal(t, []string{"0/46.1 assignment_closed 08:01:40"}, told(g))
	require.Equal(t, cdc.Position{LSN: 70, Index: 1}, g.Cursor())

	g.Advance(80, clock(200))
	set(l, tabs.assignments, l.assignments, 10, assignment{title: "Essay!", author: 1, status: "closed", due: due(100)})
	require.NoError(t, g.Apply(t.Context(), l.tx(210)))
	require.Empty(t, told(g), "it is closed already")
}

func TestAMomentThatPassedWhileWeWereDownClosesBeforeTheNextTransaction(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	g.close()
	g.open()
	// The transaction begins at the very byte up to which we had come.
	set(l, tabs.assignments, l.assignments, 11, assignment{title: "Next", author: 1, status: "published"})
	require.NoError(t, g.Apply(t.Context(), func() *cdc.Tx { tx := l.tx(120); tx.Commit = 5; return tx }()))
	require.Equal(t, []string{"0/5.1 assignment_closed 08:01:40", "0/5.2 assignment 08:02:00"}, told(g))
}

func TestWhatClosedIsDurableBeforeItIsTold(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	g.Advance(70, clock(100))
	require.Len(t, told(g), 1)
	// As after a kill: the log is read again from a confirmed position further back.
	g.close()
	g.open()
	require.Equal(t, cdc.Position{LSN: 70, Index: 1}, g.Cursor())
	require.Zero(t, g.Advance(70, clock(300)))
	set(l, tabs.assignments, l.assignments, 10, assignment{title: "Essay", author: 1, status: "published", due: due(100)})
	require.NoError(t, g.Apply(t.Context(), l.tx(310)))
	require.Empty(t, told(g))
}

func TestADeadlineThatMovesIsArmedAgain(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	g.Advance(70, clock(100))
	require.Len(t, told(g), 1)
	move := func(to, at cdc.LSN) {
		set(l, tabs.assignments, l.assignments, 10, assignment{title: "Essay", author: 1, status: "published", due: due(to)})
		require.NoError(t, g.Apply(t.Context(), l.tx(at)))
	}
	move(500, 110)
	require.Empty(t, told(g), "it opens again, silently")
	require.Equal(t, clock(500), g.Advance(120, clock(130)))
	move(400, 140)
	require.Equal(t, clock(400), g.Advance(150, clock(150)))
	move(145, 160)
	require.Equal(t, []string{"0/A0.1 assignment_closed 08:02:40"}, told(g), "moved into the past, it closes with the transaction")
	move(144, 170)
	require.Empty(t, told(g), "from past to past nothing happens")
	require.Zero(t, g.Advance(180, clock(600)))
	require.Empty(t, told(g))
}

func TestAMomentThatPassedWhileTheSlotWasLostIsTold(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	require.NoError(t, g.reset(l.snapshot(tabs, 300)))
	require.Equal(t, []string{"0/12C.1 assignment_closed 08:05:00"}, told(g))
	require.Zero(t, g.Advance(310, clock(310)))
	require.NoError(t, g.reset(l.snapshot(tabs, 400)))
	require.Empty(t, told(g))
}

// Random deadlines, transactions, keepalives and restarts, against a model that closes
// an assignment as soon as the log's clock has passed its moment.
func TestEveryMomentClosesOnceWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l, tabs := newLMS(), newTables()
		g := &gateway{t: rt, dir: t.TempDir(), profile: timed(rt)}
		g.open()
		defer func() { g.close() }()
		require.NoError(rt, g.reset(l.snapshot(tabs, 5)))
		open, expired := map[int]bool{}, map[int]bool{}
		passed := func(a assignment, at cdc.LSN) bool { return a.due != "" && a.due <= due(at) }
		for at := cdc.LSN(10); at < 200; at += cdc.LSN(rapid.IntRange(2, 20).Draw(rt, "later")) {
			var want []string
			for id, a := range l.assignments {
				if !expired[id] && passed(a, at) {
					if expired[id] = true; open[id] {
						want = append(want, fmt.Sprintf("closed %d at %s", id, a.due))
					}
					open[id] = false
				}
			}
			if rapid.Bool().Draw(rt, "only time passes") {
				g.Advance(at, clock(at))
			} else {
				id := rapid.IntRange(1, 3).Draw(rt, "assignment")
				was, existed := l.assignments[id]
				now := assignment{
					title: "A", author: 1, status: rapid.SampledFrom([]string{"published", "published", "closed"}).Draw(rt, "status"),
					due: rapid.SampledFrom([]string{"", due(at - 5), due(at), due(at + 7), due(at + 30), was.due}).Draw(rt, "due"),
				}
				set(l, tabs.assignments, l.assignments, id, now)
				require.NoError(rt, g.Apply(t.Context(), l.tx(at)))
				expired[id] = passed(now, at)
				is := now.status != "closed" && !expired[id]
				if !existed {
					want = append(want, fmt.Sprintf("created %d", id))
				} else if open[id] && !is {
					want = append(want, fmt.Sprintf("closed %d at %s", id, due(at)))
				}
				open[id] = is
			}
			if rapid.IntRange(0, 3).Draw(rt, "restart") == 0 {
				_, err := g.Sync(t.Context())
				require.NoError(rt, err)
				g.close()
				g.open()
			}
			requireTold(rt, g, want)
		}
	})
}

func requireTold(t *rapid.T, g *gateway, want []string) {
	var got []string
	var last cdc.Position
	for _, r := range g.published {
		for _, e := range r.Events {
			require.True(t, e.Position.After(last), "ids grow")
			last = e.Position
			if id := e.Assignment; e.Kind == cdc.Assignment {
				got = append(got, fmt.Sprintf("created %v", id))
			} else {
				got = append(got, fmt.Sprintf("closed %v at %s", id, e.Time.Format("2006-01-02 15:04:05.999999+00")))
			}
		}
	}
	g.published = nil
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, want, got)
}
