package projection_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/projection"
)

// classroom has a teacher 1, a tutor 2, an admin 3 and a student 4 whose tutor is
// 2; assignment 10 of teacher 1, given to the student; submission 20, handed in.
func classroom(t *testing.T) (*gateway, *lms, tables) {
	l, tabs := newLMS(), newTables()
	set(l, tabs.users, l.users, 1, user{email: "t@x", role: "teacher", active: true})
	set(l, tabs.users, l.users, 2, user{email: "u@x", role: "tutor", active: true})
	set(l, tabs.users, l.users, 3, user{email: "a@x", role: "admin", active: true})
	set(l, tabs.users, l.users, 4, user{email: "s@x", role: "student", active: true})
	set(l, tabs.profiles, l.profiles, 1, studentProfile{user: 4, tutor: 2})
	set(l, tabs.assignments, l.assignments, 10, assignment{title: "Essay", description: "Write.", author: 1, status: "published"})
	set(l, tabs.given, l.given, 1, pair{10, 4})
	set(l, tabs.submissions, l.submissions, 20, submission{assignment: 10, student: 4, submittedAt: "2026-11-20 10:00:00+00"})
	l.changes = nil
	g := newGateway(t, t.TempDir(), 0)
	t.Cleanup(g.close)
	require.NoError(t, g.reset(l.snapshot(tabs, 5)))
	return g, l, tabs
}

func apply(t *testing.T, g *gateway, tx *cdc.Tx) projection.Result {
	t.Helper()
	require.NoError(t, g.Apply(t.Context(), tx))
	require.Len(t, g.published, 1)
	res := g.published[0]
	g.published = nil
	return res
}

func TestASnapshotIsNotNews(t *testing.T) {
	g, l, _ := classroom(t)
	checkCounts(t, g, l.rows)
	for _, err := range g.store.Events(cdc.Position{}, cdc.Position{LSN: 1 << 60}) {
		t.Fatal("an event in the history", err)
	}
	require.Equal(t, cdc.Position{LSN: 5}, g.store.Kept())
}

func TestARowWithANewKeyIsStillTheSameThing(t *testing.T) {
	g, l, tabs := classroom(t)
	values := l.submissions[20].values(21)
	old := l.submissions[20].values(20)
	for i := range old[1:] {
		old[i+1] = cdc.Value{Kind: cdc.Null}
	}
	l.changes = []cdc.Change{{Op: cdc.Update, Table: tabs.submissions, Old: old, New: values}}
	require.Empty(t, apply(t, g, l.tx(10)).Events, "handed in before, under another key")

	s := l.submissions[20]
	delete(l.submissions, 20)
	l.submissions[21] = s
	checkCounts(t, g, l.rows)
	s.grade = "0"
	set(l, tabs.submissions, l.submissions, 21, s)
	events := apply(t, g, l.tx(20)).Events
	require.Len(t, events, 1)
	require.Contains(t, string(events[0].Body), `"grade":0,`)
}

func TestTruncateIsTheDeletionOfEveryRow(t *testing.T) {
	g, l, tabs := classroom(t)
	before := l.clone()
	clear(l.submissions)
	clear(l.given)
	clear(l.assignments)
	for _, table := range []*cdc.Table{tabs.submissions, tabs.given, tabs.assignments} {
		l.changes = append(l.changes, cdc.Change{Op: cdc.Truncate, Table: table})
	}
	res := apply(t, g, l.tx(10))
	require.Len(t, res.Events, 1)
	require.Equal(t, before.expected(l.rows), []string{line(t, res.Events[0])})
	checkCounts(t, g, l.rows)
}

func TestAColumnStoredOutOfLineKeepsWhatItWas(t *testing.T) {
	g, l, tabs := classroom(t)
	// Hidden when it was written, so that its description is told only now, when the
	// log does not carry it any more.
	yaml := "profile: hidden\nextends: django\nassignment: {published: {status: published}}\n"
	p, err := profile.Parse("hidden.yaml", []byte(yaml))
	require.NoError(t, err)
	g.close()
	g.dir, g.profile = t.TempDir(), p
	g.open()
	a := assignment{title: "Long", description: strings.Repeat("я", 5000), author: 1, status: "draft"}
	l.assignments[10] = a
	require.NoError(t, g.reset(l.snapshot(tabs, 5)))

	a.status = "published"
	set(l, tabs.assignments, l.assignments, 10, a)
	l.changes[0].New[2] = cdc.Value{Kind: cdc.Unchanged}
	events := apply(t, g, l.tx(10)).Events
	require.Len(t, events, 1)
	require.Contains(t, string(events[0].Body), `"description":"`+strings.Repeat("я", 200)+`"`)
}

func TestACrashInALargeTransactionLeavesAllOfItOrNothing(t *testing.T) {
	g, l, tabs := classroom(t)
	g.close()
	g.rows = 2
	g.open()
	before := l.clone()
	for id := 21; id <= 40; id++ {
		set(l, tabs.submissions, l.submissions, id, submission{assignment: 10, student: 4, submittedAt: "2026-11-21 10:00:00+00", grade: "7"})
		set(l, tabs.given, l.given, id, pair{10, 4})
	}
	remove(l, tabs.submissions, l.submissions, 20)
	changes := l.changes
	tx := func() *cdc.Tx { l.changes = changes; return l.tx(10) }

	require.NoError(t, g.ApplyUntilSettled(tx()))
	g.close()
	g.open()
	require.Equal(t, cdc.LSN(5), g.Checkpoint().Applied)
	checkCounts(t, g, before)
	for range g.store.Events(cdc.Position{}, cdc.Position{LSN: 1 << 60}) {
		t.Fatal("events of a transaction that is not true")
	}
	for range g.store.Scan([]byte("+")) {
		t.Fatal("rows aside of a transaction that is not true")
	}

	require.NoError(t, g.ApplyUntilTrue(tx()))
	g.close()
	g.open()
	require.Equal(t, cdc.LSN(11), g.Checkpoint().Applied)
	checkCounts(t, g, l.rows)
	events := 0
	for range g.store.Events(cdc.Position{}, cdc.Position{LSN: 1 << 60}) {
		events++
	}
	require.Equal(t, 40, events)

	// What was moved is what later transactions are compared with.
	before = l.clone()
	for id := 21; id <= 40; id++ {
		s := l.submissions[id]
		s.grade = "8"
		set(l, tabs.submissions, l.submissions, id, s)
	}
	remove(l, tabs.given, l.given, 1)
	var got []string
	for _, e := range apply(t, g, l.tx(20)).Events {
		got = append(got, line(t, e))
	}
	slices.Sort(got)
	require.Equal(t, before.expected(l.rows), got)
	checkCounts(t, g, l.rows)

	// And what each of them counted for, it ceases to count for.
	for id := 21; id <= 40; id++ {
		remove(l, tabs.submissions, l.submissions, id)
	}
	apply(t, g, l.tx(30))
	checkCounts(t, g, l.rows)
}

func TestATransactionMayTouchMoreRowsThanFitIntoTheMemory(t *testing.T) {
	g, _, tabs := classroom(t)
	g.close()
	g.rows, g.discard = 1000, true
	g.open()
	const rows = 20_000
	most := 0
	tx := &cdc.Tx{Commit: 10}
	tx.Changes = func(yield func(*cdc.Change, error) bool) {
		for id := range rows {
			s := submission{assignment: 10, student: 4, submittedAt: "2026-11-21 10:00:00+00"}
			if !yield(&cdc.Change{Op: cdc.Insert, Table: tabs.submissions, New: s.values(100 + id)}, nil) {
				return
			}
			most = max(most, g.RowsInMemory())
		}
		tx.End = 11
	}
	require.NoError(t, g.Apply(t.Context(), tx))
	require.LessOrEqual(t, most, g.rows)
	teacher, _ := g.Person(cdc.IntID(1))
	require.Equal(t, int64(rows+1), g.Counts(teacher).UngradedSubmissions)
	require.Equal(t, uint64(rows), g.Stats().Events[cdc.Submission])
}

// However many threads there are: what is kept of them is in the store.
func TestTheMemoryGrowsWithPeopleAndAssignmentsNotWithThreads(t *testing.T) {
	for _, rows := range []int{0, 100} { // or so few in memory that the transaction is large
		g, l, tabs := classroom(t)
		g.close()
		g.rows = rows
		g.open()
		one := g.InMemory()
		for _, what := range []string{"people", "assignments", "counts"} {
			require.Positive(t, one[what], what)
		}
		for id := 21; id <= 520; id++ {
			set(l, tabs.submissions, l.submissions, id, submission{assignment: 10, student: 4, submittedAt: "2026-11-21 10:00:00+00"})
		}
		apply(t, g, l.tx(10))
		apply(t, g, l.tx(20)) // of nothing, so that nothing is left of the one before
		require.Equal(t, one, g.InMemory())
		checkCounts(t, g, l.rows)
		g.close()
		g.open()
		require.Equal(t, one, g.InMemory())
	}
}

// A grade in a table of its own says of which submission it is, also where one transaction
// makes both and neither fits into the memory.
func TestAGradeKnowsTheSubmissionThatItsTransactionMakes(t *testing.T) {
	campus := schools()[slices.IndexFunc(schools(), func(s school) bool { return s.lookups })]
	for _, rows := range []int{1000, 1} {
		t.Run(strconv.Itoa(rows)+" rows in memory", func(t *testing.T) {
			l, tabs := newLMS(), newTables()
			l.school = campus
			l.found(tabs)
			set(l, tabs.assignments, l.assignments, 1, assignment{title: "Essay", course: 1, status: "published"})
			set(l, tabs.mates, l.mates, 1, pair{2, 5})
			set(l, tabs.submissions, l.submissions, 21, submission{assignment: 1, student: 4, attempt: 1})
			l.changes = nil
			g := gatewayOf(t, campus, t.TempDir(), rows)
			defer g.close()
			require.NoError(t, g.reset(l.snapshot(tabs, 5)))

			set(l, tabs.submissions, l.submissions, 21, submission{assignment: 1, student: 4})
			set(l, tabs.submissions, l.submissions, 22, submission{assignment: 1, student: 6})
			set(l, tabs.submissions, l.submissions, 22, submission{assignment: 1, team: 2})
			for id, student := range []int{4, 5, 6} {
				set(l, tabs.grades, l.grades, id+1, gradeRow{assignment: 1, student: student, grade: "78"})
			}
			var of []int
			for _, e := range apply(t, g, l.tx(10)).Events {
				var m message
				require.NoError(t, json.Unmarshal(e.Body, &m))
				of = append(of, m.SubmissionID)
			}
			require.Equal(t, []int{21, 22, 0}, of, "a student's own, a team's, and one that has none")
			checkCounts(t, g, l.rows)
		})
	}
}

func TestRightsThatChangeAreToldWithTheTransaction(t *testing.T) {
	g, l, tabs := classroom(t)
	u := l.users[1]
	u.first = "Anna"
	set(l, tabs.users, l.users, 1, u)
	require.Empty(t, apply(t, g, l.tx(10)).People, "a name is no right")

	u.active = false
	set(l, tabs.users, l.users, 1, u)
	remove(l, tabs.users, l.users, 2)
	s := l.submissions[20]
	s.grade = "5"
	set(l, tabs.submissions, l.submissions, 20, s)
	res := apply(t, g, l.tx(20))
	require.Len(t, res.People, 2)
	require.Equal(t, cdc.IntID(1), res.People[0].ID)
	require.False(t, res.People[0].Active)
	require.Equal(t, cdc.IntID(2), res.People[1].ID)
	require.False(t, res.People[1].Active)
	require.Len(t, res.Events, 1)
	require.Empty(t, res.Events[0].Audience.People, "neither may see the grade of their own last transaction")
}

func TestWasAdminRemembersWhoWasAnAdminWhen(t *testing.T) {
	g, l, tabs := classroom(t)
	admin, teacher := l.users[3], l.users[1]
	admin.role, teacher.role = "teacher", "admin"
	set(l, tabs.users, l.users, 3, admin)
	set(l, tabs.users, l.users, 1, teacher)
	apply(t, g, l.tx(10))
	admin.role = "admin"
	set(l, tabs.users, l.users, 3, admin)
	apply(t, g, l.tx(20))

	check := func(person, lsn int, want bool) {
		t.Helper()
		require.Equal(t, want, g.WasAdmin(cdc.IntID(int64(person)), cdc.Position{LSN: cdc.LSN(lsn), Index: 1}))
	}
	for range 2 { // and after a restart
		check(3, 7, true)
		check(3, 10, false)
		check(3, 15, false)
		check(3, 20, true)
		check(1, 7, false)
		check(1, 10, true)
		check(2, 15, false)
		g.close()
		g.open()
	}
}

func TestAClaimOutlivesAKill(t *testing.T) {
	g := newGateway(t, t.TempDir(), 0)
	require.NoError(t, g.Claim(time.Now()))
	g.close()
	g.open()
	defer g.close()
	at, begun := g.store.Checkpoint()
	require.True(t, begun)
	require.False(t, at.Complete)
}

func TestAFirstSnapshotThatBreaksOffLeavesASayingSo(t *testing.T) {
	_, l, tabs := classroom(t)
	g := newGateway(t, t.TempDir(), 0)
	defer func() { g.close() }()
	require.ErrorIs(t, g.reset(cutOff(l.snapshot(tabs, 50), 3)), errCut)
	g.close()
	g.open()
	require.False(t, g.Checkpoint().Complete)

	require.NoError(t, g.reset(l.snapshot(tabs, 60)))
	require.True(t, g.Checkpoint().Complete)
	checkCounts(t, g, l.rows)
}

func TestAGroupIsPublishedWhenItIsStoredAndRightsStandAlone(t *testing.T) {
	g, l, tabs := classroom(t)
	send := func(commit cdc.LSN) {
		t.Helper()
		tx := l.tx(commit)
		tx.More = true
		require.NoError(t, g.Apply(t.Context(), tx))
	}
	grade := func(commit cdc.LSN, grade string) {
		t.Helper()
		s := l.submissions[20]
		s.grade = grade
		set(l, tabs.submissions, l.submissions, 20, s)
		send(commit)
	}
	grade(10, "1")
	grade(20, "2")
	require.Empty(t, g.published, "more has arrived: it waits")
	admin := l.users[3]
	admin.active = false
	set(l, tabs.users, l.users, 3, admin)
	send(30)
	require.Len(t, g.published, 3, "rights change when everything before them is out")
	grade(40, "3")
	require.Len(t, g.published, 3)

	at, err := g.Sync(t.Context())
	require.NoError(t, err)
	require.Equal(t, cdc.LSN(41), at)
	require.Len(t, g.published, 4)
	for i, n := range []int{1, 1, 0, 1} {
		require.Len(t, g.published[i].Events, n)
	}
}

func TestALargeGroupDoesNotWait(t *testing.T) {
	g, l, tabs := classroom(t)
	for i := range 1000 {
		s := l.submissions[20]
		s.grade = strconv.Itoa(i)
		set(l, tabs.submissions, l.submissions, 20, s)
		tx := l.tx(cdc.LSN(10 + 10*i))
		tx.More = true
		require.NoError(t, g.Apply(t.Context(), tx))
	}
	require.GreaterOrEqual(t, len(g.published), 700)
}

// One-row transactions, as a busy LMS commits them: a submission is handed in or
// graded, which is an event for three people.
func BenchmarkApply(b *testing.B) {
	b.Run("one by one", func(b *testing.B) { benchmarkApply(b, false) })
	b.Run("in groups", func(b *testing.B) { benchmarkApply(b, true) })
}

func benchmarkApply(b *testing.B, more bool) {
	l, tabs := newLMS(), newTables()
	set(l, tabs.users, l.users, 1, user{email: "t@x", role: "teacher", active: true})
	set(l, tabs.users, l.users, 2, user{email: "u@x", role: "tutor", active: true})
	const students = 1000
	for id := 100; id < 100+students; id++ {
		set(l, tabs.users, l.users, id, user{email: "s@x", first: "Anna", last: "Petrova", role: "student", active: true})
		set(l, tabs.profiles, l.profiles, id, studentProfile{user: id, tutor: 2})
	}
	for id := 1; id <= 100; id++ {
		set(l, tabs.assignments, l.assignments, id, assignment{title: "Essay", author: 1, status: "published"})
		for s := range students {
			l.submissions[id*students+s] = submission{assignment: id, student: 100 + s}
		}
	}
	g := newGateway(b, b.TempDir(), 0)
	defer g.close()
	require.NoError(b, g.reset(l.snapshot(tabs, 5)))
	l.changes = nil

	n, commit := 0, cdc.LSN(10)
	times := []string{"2026-11-20 10:00:00+00", "2026-11-21 10:00:00+00"}
	b.ReportAllocs()
	for b.Loop() {
		id := students + (n*7919)%(100*students)
		s := submission{assignment: id / students, student: 100 + id%students, submittedAt: times[n/(100*students)%2]}
		change := cdc.Change{Op: cdc.Update, Table: tabs.submissions, New: s.values(id)}
		tx := &cdc.Tx{Commit: commit, More: more}
		tx.Changes = func(yield func(*cdc.Change, error) bool) { yield(&change, nil); tx.End = commit + 1 }
		if err := g.Apply(b.Context(), tx); err != nil {
			b.Fatal(err)
		}
		if n%1000 == 999 {
			if _, err := g.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
			g.published = nil
		}
		n++
		commit += 10
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "changes/s")
}
