package projection_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/projection"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// gateway is a projection over a store that can be closed and opened again.
type gateway struct {
	t interface {
		require.TestingT
		Helper()
	}
	dir       string
	profile   *profile.Profile
	store     *shadow.Store
	rows      int  // projection.Config.Rows
	students  bool // projection.Config.Students
	discard   bool // what is published
	telling   func(projection.Result)
	log       *slog.Logger
	published []projection.Result
	*projection.Projection
}

// publish puts the parts of a large transaction together again.
func (g *gateway) publish(r projection.Result) {
	if g.telling != nil {
		g.telling(r)
	}
	if g.discard {
		return
	}
	if n := len(g.published); n > 0 && g.published[n-1].More {
		last := &g.published[n-1]
		last.Cursor, last.More = r.Cursor, r.More
		last.Events = append(last.Events, r.Events...)
		last.People = append(last.People, r.People...)
		last.Echoes = append(last.Echoes, r.Echoes...)
		return
	}
	g.published = append(g.published, r)
}

func newGateway(t interface {
	require.TestingT
	Helper()
}, dir string, rows int,
) *gateway {
	t.Helper()
	return gatewayOf(t, schools()[0], dir, rows)
}

func gatewayOf(t interface {
	require.TestingT
	Helper()
}, k school, dir string, rows int,
) *gateway {
	t.Helper()
	p, err := profile.Open("django")
	if k.yaml != "" {
		p, err = profile.Parse(k.name, []byte(k.yaml))
	}
	require.NoError(t, err)
	g := &gateway{t: t, dir: dir, rows: rows, students: k.students, profile: p}
	g.open()
	return g
}

func (g *gateway) open() {
	g.t.Helper()
	var err error
	g.store, err = shadow.Open(g.dir, shadow.Config{})
	require.NoError(g.t, err)
	g.Projection, err = projection.Open(g.store, g.profile, g.publish, projection.Config{Rows: g.rows, Students: g.students, Log: g.log, Emails: true})
	require.NoError(g.t, err)
}

// reset takes a snapshot, and checks that what it answers is what it published.
func (g *gateway) reset(snap *cdc.Snapshot) error {
	_, err := g.Sync(context.Background()) // what has waited in a group
	require.NoError(g.t, err)
	n, before := 0, len(g.published)
	events, err := g.Reset(context.Background(), snap)
	for _, r := range g.published[before:] {
		n += len(r.Events)
	}
	require.Equal(g.t, uint64(n), events)
	return err
}

func (g *gateway) close() {
	g.t.Helper()
	require.NoError(g.t, g.store.Close())
}

// message is what a client reads of an event.
type message struct {
	Type         string  `json:"type"`
	ID           string  `json:"id"`
	SubmissionID int     `json:"submission_id"`
	AssignmentID int     `json:"assignment_id"`
	Title        string  `json:"title"`
	DueDate      *string `json:"due_date"`
	Student      struct {
		ID        int    `json:"id"`
		Email     string `json:"email"`
		FirstName string `json:"first_name"`
	} `json:"student"`
	Group struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	} `json:"group"`
	Automatic bool            `json:"automatic"`
	Grade     json.RawMessage `json:"grade"`
	Timestamp string          `json:"timestamp"`
}

// author writes whose work it is as rows.by does.
func (m message) author() string {
	if m.Group.ID != 0 {
		return fmt.Sprintf("team %d %q", m.Group.ID, m.Group.Name)
	}
	return fmt.Sprintf("%d %q", m.Student.ID, m.Student.Email)
}

// line writes an event as rows.expected does.
func line(t require.TestingT, e *cdc.Event) string {
	var m message
	require.NoError(t, json.Unmarshal(e.Body, &m), string(e.Body))
	require.Equal(t, e.Position.String(), m.ID)
	require.Equal(t, e.Kind.String(), m.Type)
	to := " to " + fmt.Sprint(e.Audience.People)
	if !e.Audience.Admins {
		to += " alone"
	}
	switch e.Kind {
	case cdc.Assignment:
		due := ""
		if m.DueDate != nil {
			due = (*m.DueDate)[:10] + " 00:00:00+00"
		}
		return fmt.Sprintf("assignment %d %q due %q", m.AssignmentID, m.Title, due) + to
	case cdc.Submission:
		return fmt.Sprintf("submission %d of %d by %s", m.SubmissionID, m.AssignmentID, m.author()) + to
	case cdc.Grade:
		return fmt.Sprintf("grade %d of %d by %s: %s", m.SubmissionID, m.AssignmentID, m.author(), m.Grade) + to
	}
	return fmt.Sprintf("%s %d", m.Type, m.AssignmentID) + to
}

// Random transactions over few rows, so that everything meets everything: rows are
// deleted and come back, change twice, lose their assignment, move to another
// student, owner or tutor.
func TestEventsAreNetDifferencesAndCountsEqualTheDefinitionAtEveryCommit(t *testing.T) {
	for _, s := range schools() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it waits for the disk
			checkSchool(t, s)
		})
	}
}

func checkSchool(t *testing.T, k school) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		l, tabs := newLMS(), newTables()
		l.school = k
		if k.lookups && rapid.IntRange(0, 3).Draw(rt, "a campus from nothing") > 0 {
			l.found(tabs)
		}
		for range rapid.IntRange(0, 60).Draw(rt, "rows before the snapshot") {
			step(rt, l, tabs)
		}
		l.changes = nil
		l.settle(l.rows, clock(5))
		// Few rows in memory, so that most transactions are large; or as it is.
		g := gatewayOf(rt, k, dir, rapid.SampledFrom([]int{0, 1, 3}).Draw(rt, "rows in memory"))
		defer func() { g.close() }()
		require.NoError(rt, g.reset(l.snapshot(tabs, 5)))
		checkCounts(rt, g, l.rows)

		var want []expected
		for commit := cdc.LSN(10); commit < 10+10*cdc.LSN(rapid.IntRange(1, 12).Draw(rt, "transactions")); commit += 10 {
			want = letPass(rt, g, l, commit, want)
			before := l.clone()
			for range rapid.IntRange(0, 6).Draw(rt, "changes") {
				step(rt, l, tabs)
			}
			l.settle(before, clock(commit))
			if rapid.IntRange(0, 5).Draw(rt, "the slot is lost") == 0 {
				checkRecovers(rt, g, l, tabs, before, commit, &want)
				continue
			}
			tx := l.tx(commit)
			if rapid.IntRange(0, 5).Draw(rt, "cut") == 0 {
				checkNoTrace(rt, g, before, tx)
			}
			tx.More = rapid.Bool().Draw(rt, "more has arrived")
			require.NoError(rt, g.Apply(t.Context(), tx))
			want = append(want, expected{tx, before.expected(l.rows), false})
			checkCounts(rt, g, l.rows)
			if !tx.More {
				want = checkPublished(rt, g, want)
			}
			if rapid.IntRange(0, 4).Draw(rt, "restart") == 0 {
				at, err := g.Sync(t.Context())
				require.NoError(rt, err)
				require.Equal(rt, tx.End, at)
				want = checkPublished(rt, g, want)
				g.close()
				g.open()
				require.Equal(rt, tx.End, g.Checkpoint().Applied)
				checkCounts(rt, g, l.rows)
			}
		}
	})
}

// letPass lets the moments pass that lie before a commit, which nobody is told of.
func letPass(t *rapid.T, g *gateway, l *lms, commit cdc.LSN, want []expected) []expected {
	l.now = clock(commit)
	if !l.school.lookups || commit != 30 && commit != 40 {
		return want
	}
	g.Advance(0, clock(commit))
	_, err := g.Sync(context.Background())
	require.NoError(t, err)
	for _, r := range g.published[len(want):] {
		require.Empty(t, r.Events)
	}
	g.published = g.published[:len(want)]
	want = checkPublished(t, g, want)
	checkCounts(t, g, l.rows)
	return want
}

// checkRecovers takes a snapshot in place of the changes at hand, maybe in the second
// attempt.
func checkRecovers(t *rapid.T, g *gateway, l *lms, tabs tables, before rows, at cdc.LSN, want *[]expected) {
	l.changes = nil
	if rapid.IntRange(0, 2).Draw(t, "the snapshot breaks off") == 0 {
		require.ErrorIs(t, g.reset(cutOff(l.snapshot(tabs, at-1), rapid.IntRange(0, 10).Draw(t, "after"))), errCut)
		checkCounts(t, g, before)
		if rapid.Bool().Draw(t, "and the process is killed") {
			*want = checkPublished(t, g, *want)
			g.close()
			g.open()
		}
	}
	require.NoError(t, g.reset(l.snapshot(tabs, at)))
	checkCounts(t, g, l.rows)
	*want = append(*want, expected{&cdc.Tx{Commit: at, End: at, CommitTime: clock(at)}, before.expected(l.rows), true})
	*want = checkPublished(t, g, *want)
}

// cutOff is a snapshot whose connection breaks.
func cutOff(snap *cdc.Snapshot, after int) *cdc.Snapshot {
	whole := snap.Rows
	snap.Rows = func(yield func(cdc.Row, error) bool) {
		for row := range whole {
			if after--; after < 0 {
				break
			}
			if !yield(row, nil) {
				return
			}
		}
		yield(cdc.Row{}, errCut)
	}
	return snap
}

// expected is what a transaction that was applied must mean.
type expected struct {
	tx        *cdc.Tx
	events    []string
	recovered bool // tx is a snapshot, in truth
}

// checkPublished compares everything that was published with everything that was
// applied, and with the history.
func checkPublished(t require.TestingT, g *gateway, want []expected) []expected {
	require.Len(t, g.published, len(want))
	for i, w := range want {
		res := g.published[i]
		if !w.recovered {
			require.Equal(t, cdc.Position{LSN: w.tx.End}, res.Cursor)
		}
		var got []string
		for n, e := range res.Events {
			require.Equal(t, w.recovered, strings.Contains(string(e.Body), `,"recovered":true}`))
			require.Equal(t, cdc.Position{LSN: w.tx.Commit, Index: uint32(n) + 1}, e.Position)
			require.Equal(t, w.tx.CommitTime, e.Time)
			got = append(got, line(t, e))
		}
		require.True(t, slices.IsSortedFunc(res.Events, byStage), "created, then submissions and grades, then closed")
		if w.recovered {
			require.True(t, slices.IsSortedFunc(res.Events, byKind), "submissions before grades")
			require.Equal(t, g.Cursor(), cmp.Or(lastPosition(res.Events), cdc.Position{LSN: w.tx.End}))
		}
		slices.Sort(got)
		require.Equal(t, w.events, got)

		var stored []*cdc.Event
		for e, err := range g.store.Events(cdc.Position{LSN: w.tx.Commit}, cdc.Position{LSN: w.tx.End, Index: 1 << 31}) {
			require.NoError(t, err)
			stored = append(stored, e)
		}
		require.Equal(t, res.Events, stored)
	}
	g.published = nil
	return nil
}

func byStage(a, b *cdc.Event) int {
	stage := map[cdc.Kind]int{cdc.Assignment: 0, cdc.Submission: 1, cdc.Grade: 1, cdc.AssignmentClosed: 2}
	return stage[a.Kind] - stage[b.Kind]
}

// byKind is the order of cdc.Kinds: assignment, submission, grade, assignment_closed.
func byKind(a, b *cdc.Event) int {
	return slices.Index(cdc.Kinds[:], a.Kind) - slices.Index(cdc.Kinds[:], b.Kind)
}

func lastPosition(events []*cdc.Event) cdc.Position {
	if len(events) == 0 {
		return cdc.Position{}
	}
	return events[len(events)-1].Position
}

func checkCounts(t require.TestingT, g *gateway, r rows) {
	checkEmails(t, g, r)
	for id := range r.users {
		role := r.role(id)
		person, ok := g.Person(cdc.IntID(int64(id)))
		require.True(t, ok)
		require.Equal(t, role, person.Role.String())
		require.Equal(t, r.counts(id), g.Counts(person), "counts of %s %d", role, id)
		checkOverview(t, g, r, id, person)
	}
}

// checkOverview compares what somebody sees of each assignment with its definition.
func checkOverview(t require.TestingT, g *gateway, r rows, id int, person cdc.Person) {
	views, err := g.Assignments(context.Background(), person, cdc.ID{}, 100)
	require.NoError(t, err)
	var got, want []string
	for _, v := range views {
		got = append(got, fmt.Sprint(v.ID, v.Pending, v.Ungraded, v.Graded))
		one, ok, err := g.Assignment(context.Background(), person, v.ID)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, v, one)
	}
	role := r.role(id)
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(r.assignments))) {
		if !person.Active || !r.isThere(id, role, n, r.assignments[n]) {
			continue
		}
		var pending, ungraded, graded int
		for key, s := range r.submissions {
			switch {
			case s.assignment != n || s != r.ours(key) || !r.counted(id, role, s):
			case s.submittedAt == "":
				pending++
			case !r.isGraded(s, role):
				ungraded++
			default:
				graded++
			}
		}
		want = append(want, fmt.Sprint(cdc.IntID(int64(n)), pending, ungraded, graded))
	}
	require.Equal(t, want, got, "assignments of %s %d", role, id)
}

var errCut = errors.New("the connection broke")

// checkNoTrace applies the transaction with its end cut off.
func checkNoTrace(t require.TestingT, g *gateway, before rows, tx *cdc.Tx) {
	at := g.Checkpoint()
	whole := tx.Changes
	broken := *tx
	broken.Changes = func(yield func(*cdc.Change, error) bool) {
		for c := range whole {
			if !yield(c, nil) {
				return
			}
		}
		yield(nil, errCut)
	}
	require.ErrorIs(t, g.Apply(context.Background(), &broken), errCut)
	require.Equal(t, at, g.Checkpoint())
	checkCounts(t, g, before)
}

// step makes one random change of a row.
func step(t *rapid.T, l *lms, tabs tables) {
	id := rapid.IntRange(1, 6).Draw(t, "row")
	if rapid.IntRange(0, 5).Draw(t, "delete") == 0 {
		switch rapid.IntRange(0, 7).Draw(t, "table") {
		case 5:
			remove(l, tabs.courses, l.courses, id)
		case 6:
			remove(l, tabs.members, l.members, id*10+rapid.IntRange(0, 2).Draw(t, "seat"))
		case 7:
			remove(l, tabs.staff, l.staff, id)
		case 0:
			remove(l, tabs.users, l.users, id)
		case 1:
			remove(l, tabs.profiles, l.profiles, id)
		case 2:
			remove(l, tabs.assignments, l.assignments, id)
		case 3:
			remove(l, tabs.given, l.given, id)
		case 4:
			remove(l, tabs.submissions, l.submissions, id)
		}
		return
	}
	one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	number := func(name string) int { return rapid.IntRange(1, 6).Draw(t, name) }
	if l.school.lookups && rapid.Bool().Draw(t, "of the campus") {
		campusStep(t, l, tabs, id)
		return
	}
	if table := rapid.IntRange(0, 12).Draw(t, "table"); table >= 7 && l.school.courses {
		courseStep(t, l, tabs, table, id)
		return
	}
	switch rapid.IntRange(0, 7).Draw(t, "table") {
	case 7:
		if rapid.IntRange(0, 9).Draw(t, "truncate") == 0 {
			truncate(l, tabs.submissions, l.submissions)
			truncate(l, tabs.given, l.given)
		}
	case 0:
		set(l, tabs.users, l.users, id, user{
			email: one("email", "a@x", "A@X", "b@x", ""), role: one("role", "teacher", "tutor", "admin", "student"), active: number("active") > 1,
		})
	case 1: // user_id is unique
		set(l, tabs.profiles, l.profiles, id, studentProfile{user: id, tutor: rapid.IntRange(0, 6).Draw(t, "tutor")})
	case 2:
		set(l, tabs.assignments, l.assignments, id, assignment{
			title: one("title", "Essay", "«Война и мир» \"2\""), author: number("author"),
			status: one("status", "draft", "published", "closed"), due: one("due", "", "2026-12-01 00:00:00+00"),
			course: rapid.IntRange(0, 2).Draw(t, "course"), whole: rapid.Bool().Draw(t, "whole"), anonymous: number("anonymous") == 1,
			created: l.assignments[id].created,
		})
	case 3:
		set(l, tabs.given, l.given, id, pair{number("assignment"), number("student")})
	default:
		student, team := number("student"), 0
		if l.school.lookups && rapid.IntRange(0, 3).Draw(t, "team's") == 0 {
			student, team = 0, rapid.IntRange(1, 2).Draw(t, "team")
		}
		set(l, tabs.submissions, l.submissions, id, submission{
			assignment: number("assignment"), student: student, team: team, attempt: rapid.IntRange(0, 1).Draw(t, "attempt"),
			submittedAt: one("submitted", "", "2026-11-20 10:00:00+00", "2026-11-21 10:00:00+00"),
			grade:       one("grade", "", "0", "78"),
			posted:      rapid.Bool().Draw(t, "posted"),
		})
	}
}

// courseStep makes one random change of a course, or of who is what in one.
func courseStep(t *rapid.T, l *lms, tabs tables, table, id int) {
	switch table {
	case 7:
		set(l, tabs.courses, l.courses, id, course{
			active: rapid.IntRange(0, 3).Draw(t, "active") > 0, path: rapid.SampledFrom([]string{"", "/1", "/1/2", "/2/3/", "/1/3"}).Draw(t, "path"),
		})
	case 8:
		set(l, tabs.staff, l.staff, id, staff{rapid.SampledFrom([]string{"", "1", "2, 3", "6,6"}).Draw(t, "admins")})
	default:
		set(l, tabs.members, l.members, id*10+rapid.IntRange(0, 2).Draw(t, "seat"), member{
			user: rapid.IntRange(1, 6).Draw(t, "user"), course: rapid.IntRange(1, 2).Draw(t, "course"),
			section: rapid.IntRange(0, 2).Draw(t, "section"), kind: rapid.SampledFrom([]string{"teacher", "ta", "student", "student"}).Draw(t, "kind"),
			limited: rapid.Bool().Draw(t, "limited"), ended: rapid.IntRange(0, 4).Draw(t, "ended") == 0,
			until: rapid.SampledFrom([]string{"", "", "2026-11-23 08:00:25+00", "2026-11-23 08:00:40+00"}).Draw(t, "until"),
		})
	}
}
