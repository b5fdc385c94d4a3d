package projection_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

func TestWhatHappenedWithoutUsIsToldAsItsNetEffectInOrder(t *testing.T) {
	g, l, tabs := classroom(t)
	s := l.submissions[20]
	s.grade = "78"
	set(l, tabs.submissions, l.submissions, 20, s)
	set(l, tabs.submissions, l.submissions, 21, submission{assignment: 11, student: 4, submittedAt: "2026-11-21 10:00:00+00", grade: "0"})
	set(l, tabs.assignments, l.assignments, 11, assignment{title: "Next", author: 1, status: "published"})
	set(l, tabs.assignments, l.assignments, 10, assignment{title: "Essay", author: 1, status: "closed"})
	require.NoError(t, g.reset(l.snapshot(tabs, 50)))
	require.Equal(t, []string{
		"0/32.1 assignment 08:00:50", "0/32.2 submission 08:00:50", "0/32.3 grade 08:00:50", "0/32.4 grade 08:00:50", "0/32.5 assignment_closed 08:00:50",
	}, told(g))
	require.Equal(t, cdc.Position{LSN: 50, Index: 5}, g.Cursor())
	checkCounts(t, g, l.rows)

	// And the log goes on, even with a commit that begins where the snapshot was.
	l.changes = nil
	s.grade = "79"
	set(l, tabs.submissions, l.submissions, 20, s)
	require.NoError(t, g.Apply(t.Context(), l.tx(50)))
	require.Equal(t, []string{"0/32.6 grade 08:00:50"}, told(g))
}

func TestWhatHappenedWithoutUsIsToldInPartsWhenItIsMuch(t *testing.T) {
	g, l, tabs := classroom(t)
	const rows = 11_000 // more than one batch of the snapshot
	for id := 1000; id < 1000+rows; id++ {
		l.submissions[id] = submission{assignment: 10, student: id, submittedAt: "2026-11-21 10:00:00+00"}
	}
	require.NoError(t, g.reset(l.snapshot(tabs, 50)))
	require.Len(t, g.published, 1, "all parts, put together")
	require.Len(t, g.published[0].Events, rows)
	require.False(t, g.published[0].More)
	for range 2 { // and after a restart
		for id := range l.users {
			person, _ := g.Person(cdc.IntID(int64(id)))
			require.Equal(t, l.counts(id), g.Counts(person))
		}
		g.close()
		g.open()
	}
	require.Equal(t, cdc.Position{LSN: 50, Index: rows}, g.Cursor(), "the router starts behind what was told")
}

func TestAComparisonKeepsWhatOnlyTheShadowKnows(t *testing.T) {
	l, tabs := newLMS(), newTables()
	set(l, tabs.assignments, l.assignments, 10, assignment{title: "Essay", author: 1, status: "published", due: due(20)})
	p, err := profile.Parse("mine.yaml", []byte("profile: mine\nextends: django\nassignment: {published: {status: published}, closes: due_date}\n"))
	require.NoError(t, err)
	g := &gateway{t: t, dir: t.TempDir(), profile: p}
	g.open()
	t.Cleanup(func() { g.close() })
	require.NoError(t, g.reset(l.snapshot(tabs, 5)))
	g.Advance(30, clock(30))
	require.Len(t, told(g), 1, "closed by itself")

	a := l.assignments[10]
	a.status = "draft"
	set(l, tabs.assignments, l.assignments, 10, a)
	snap := l.snapshot(tabs, 40)
	snap.Time = clock(10) // the server's clock was set back
	require.NoError(t, g.reset(snap))
	require.Empty(t, told(g))
	require.Zero(t, g.Advance(45, clock(45)), "it has closed already")

	l.changes = nil
	a.status = "published"
	set(l, tabs.assignments, l.assignments, 10, a)
	require.NoError(t, g.Apply(t.Context(), l.tx(50)))
	require.Empty(t, told(g), "it was created already, and has closed already")
}

func TestRightsThatChangedWithoutUsComeBeforeTheEvents(t *testing.T) {
	g, l, tabs := classroom(t)
	set(l, tabs.users, l.users, 1, user{email: "t@x", role: "teacher"}) // deactivated
	set(l, tabs.users, l.users, 2, user{email: "u@x", role: "admin", active: true})
	remove(l, tabs.users, l.users, 3)
	s := l.submissions[20]
	s.grade = "78"
	set(l, tabs.submissions, l.submissions, 20, s)
	require.NoError(t, g.reset(l.snapshot(tabs, 50)))
	require.Len(t, g.published, 1)
	var people []string
	for _, p := range g.published[0].People {
		people = append(people, fmt.Sprint(p.ID, " ", p.Role, " ", p.Active))
	}
	require.Equal(t, []string{"1 teacher false", "2 admin true", "3 none false"}, people)
	require.Len(t, g.published[0].Events, 1)
	require.Empty(t, g.published[0].Events[0].Audience.People, "neither the teacher nor the tutor is one now")

	at := g.published[0].Events[0].Position
	before := cdc.Position{LSN: 40}
	for range 2 {
		require.True(t, g.WasAdmin(cdc.IntID(2), at))
		require.False(t, g.WasAdmin(cdc.IntID(2), before))
		require.False(t, g.WasAdmin(cdc.IntID(3), at))
		require.True(t, g.WasAdmin(cdc.IntID(3), before))
		g.close()
		g.open()
	}
}

func TestAChangedProfileIsComparedWithASnapshot(t *testing.T) {
	g, l, tabs := classroom(t)
	s := l.submissions[20]
	s.grade = "78"
	set(l, tabs.submissions, l.submissions, 20, s)
	set(l, tabs.submissions, l.submissions, 21, submission{assignment: 10, student: 4})
	require.NoError(t, g.Apply(t.Context(), l.tx(10)))
	require.Len(t, told(g), 1)
	change := func(yaml string) {
		p, err := profile.Parse("mine.yaml", []byte("profile: mine\nextends: django\n"+yaml))
		require.NoError(t, err)
		g.close()
		g.profile = p
		g.open()
		require.Equal(t, "profile_changed", g.Stale())
		checkCounts(t, g, l.rows) // until it has been compared, nobody misses anything
	}

	change("assignment: {closed: {status: archived}}\n")
	s.grade = "79"
	l.submissions[20] = s
	require.NoError(t, g.reset(l.snapshot(tabs, 50)))
	require.Equal(t, []string{"0/32.1 grade 08:00:50"}, told(g))
	require.Empty(t, g.Stale())

	// The marks of a grade are made of something else now: another mark is no news, a
	// first one is.
	change("grade: {again: [grade, submitted_at]}\n")
	l.submissions[21] = submission{assignment: 10, student: 4, submittedAt: "2026-11-21 10:00:00+00", grade: "5"}
	require.NoError(t, g.reset(l.snapshot(tabs, 60)))
	require.Equal(t, []string{"0/3C.1 submission 08:01:00", "0/3C.2 grade 08:01:00"}, told(g))
	g.close()
	g.open()
	require.Empty(t, g.Stale())
	checkCounts(t, g, l.rows)
}

func TestEventsOfATransactionThatBrokeOffAreNotCoveredByASnapshot(t *testing.T) {
	l, tabs := newLMS(), newTables()
	for id := 1; id < 5000; id++ {
		l.submissions[id] = submission{assignment: 10, student: 4}
	}
	g := newGateway(t, t.TempDir(), 1)
	t.Cleanup(func() { g.close() })
	require.NoError(t, g.reset(l.snapshot(tabs, 5)))

	// A transaction so large that its events go ahead is settled, and then not stored.
	before := l.clone()
	for id, s := range l.submissions {
		s.submittedAt = "2026-11-21 10:00:00+00"
		set(l, tabs.submissions, l.submissions, id, s)
	}
	tx := l.tx(20)
	require.NoError(t, g.ApplyUntilSettled(tx))
	l.rows = before
	require.NoError(t, g.reset(l.snapshot(tabs, 50)))
	require.Empty(t, told(g))
	for e, err := range g.store.Events(cdc.Position{}, cdc.Position{LSN: 1 << 40}) {
		t.Fatal("an event in the history", e, err)
	}
}

func TestASnapshotFromBeforeWhatWasToldIsRefused(t *testing.T) {
	g, l, tabs := classroom(t)
	g.Advance(60, time.Time{})
	_, err := g.Reset(t.Context(), l.snapshot(tabs, 50))
	require.ErrorContains(t, err, "the snapshot's position 0/32 lies before 0/3C.0")
}

func TestASourceThatMovedIsRemembered(t *testing.T) {
	g, _, _ := classroom(t)
	source := cdc.Source{System: "7301", Timeline: 3, Database: "lms", Slot: "schoolbell"}
	require.NoError(t, g.Moved(source))
	g.close()
	g.open()
	require.Equal(t, source, g.Checkpoint().Source)
}

// BenchmarkReset takes a snapshot of 100,000 submissions: into an empty shadow, and in
// place of one in which a hundredth of them differs.
func BenchmarkReset(b *testing.B) {
	l, tabs := newLMS(), newTables()
	for id := range 100_000 {
		l.submissions[id] = submission{assignment: id % 500, student: id % 5000, submittedAt: "2026-11-20 10:00:00+00"}
	}
	at := cdc.LSN(5)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			g := newGateway(b, b.TempDir(), 0)
			require.NoError(b, g.reset(l.snapshot(tabs, at)))
			g.close()
		}
		b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("compared", func(b *testing.B) {
		g := newGateway(b, b.TempDir(), 0)
		g.discard = true
		defer g.close()
		_, err := g.Reset(b.Context(), l.snapshot(tabs, at))
		require.NoError(b, err)
		for b.Loop() {
			at += 10
			for id := 0; id < 100_000; id += 100 {
				s := l.submissions[id]
				s.grade = strconv.Itoa(int(at))
				l.submissions[id] = s
			}
			_, err := g.Reset(b.Context(), l.snapshot(tabs, at))
			require.NoError(b, err)
		}
		b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
