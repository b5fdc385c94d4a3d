package projection_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/projection"
)

func TestACensusCountsWhatTheRowsSay(t *testing.T) {
	for _, k := range schools() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			seen := map[projection.Oddity]bool{}
			rapid.Check(t, func(rt *rapid.T) {
				l, tabs := newLMS(), newTables()
				l.school = k
				for range rapid.IntRange(0, 100).Draw(rt, "rows") {
					step(rt, l, tabs)
				}
				l.changes = nil
				l.settle(l.rows, clock(5))
				g := gatewayOf(rt, k, t.TempDir(), 0)
				defer func() { g.close() }()
				require.NoError(rt, g.reset(l.snapshot(tabs, 5)))
				c, err := g.Census(t.Context())
				require.NoError(rt, err)
				checkCensus(rt, l.rows, c)
				for _, o := range c.Odd {
					seen[o.What] = true
				}
				checkSamples(rt, g, l.rows)
			})
			require.NotEmpty(t, seen)
		})
	}
}

func checkCensus(t *rapid.T, r rows, c *projection.Census) {
	people, inactive := map[cdc.Role]int{cdc.NoRole: 0, cdc.Student: 0, cdc.Tutor: 0, cdc.Teacher: 0, cdc.Admin: 0}, 0
	for id, u := range r.users {
		if !u.active {
			inactive++
			continue
		}
		people[cdc.ParseRole(r.role(id))]++
	}
	require.Equal(t, people, c.People)
	require.Equal(t, inactive, c.Inactive)
	published, open := 0, 0
	for id, a := range r.assignments {
		if !r.school.lookups || r.isShown(id) {
			published++
		}
		if r.open(id, a) {
			open++
		}
	}
	require.Equal(t, []int{len(r.assignments), published, open, published - open}, []int{c.Assignments, c.Published, c.Open, c.Closed})
	var all, pending, graded, ungraded int
	for id, s := range r.submissions {
		if s != r.ours(id) {
			continue
		}
		all++
		switch {
		case s.submittedAt == "":
			pending++
		case !r.isGraded(s, "teacher"):
			ungraded++
		}
		if r.isGraded(s, "teacher") {
			graded++
		}
	}
	require.Equal(t, []int{all, pending, all - pending, graded, ungraded}, []int{c.Submissions, c.Pending, c.Submitted, c.Graded, c.Ungraded})
	if r.school.courses && len(r.courses) > 0 {
		quiet := 0
		for _, course := range r.courses {
			if !course.active {
				quiet++
			}
		}
		require.Equal(t, []int{len(r.courses), quiet}, []int{c.Courses, c.Quiet})
	}
	if !r.school.lookups { // one row there makes many memberships
		require.Equal(t, r.odd(), oddRows(c))
	}
	for _, o := range c.Odd {
		require.Len(t, o.Some, min(3, o.Rows))
		require.LessOrEqual(t, o.Rows, o.Of)
	}
}

func oddRows(c *projection.Census) map[projection.Oddity]int {
	rows := map[projection.Oddity]int{}
	for _, o := range c.Odd {
		rows[o.What] = o.Rows
	}
	return rows
}

// odd counts the rows that fit nothing else.
func (r rows) odd() map[projection.Oddity]int {
	odd := map[projection.Oddity]int{}
	note := func(o projection.Oddity, is bool) {
		if is {
			odd[o]++
		}
	}
	known := func(id int) bool { _, ok := r.users[id]; return ok }
	courseRows := r.school.courses && len(r.courses) > 0
	noCourse := func(id int) bool { _, ok := r.courses[id]; return courseRows && id != 0 && !ok }
	for _, a := range r.assignments {
		note(projection.OwnerUnknown, !known(a.author))
		note(projection.OwnerNoTeacher, known(a.author) && r.role(a.author) != "teacher" && r.role(a.author) != "admin")
		if r.school.yaml != "" { // django's have no course
			note(projection.AssignmentWithoutCourse, noCourse(a.course))
		}
	}
	for _, s := range r.submissions {
		note(projection.SubmissionOfUnknown, !known(s.student))
		_, there := r.assignments[s.assignment]
		note(projection.SubmissionWithoutWork, !there)
		tutor := r.tutorOf(s.student)
		note(projection.TutorUnknown, tutor != 0 && !known(tutor))
		note(projection.TutorNoTutor, tutor != 0 && known(tutor) && r.role(tutor) != "tutor" && r.role(tutor) != "admin")
		note(projection.GradedUnsubmitted, s.submittedAt == "" && s.grade != "")
	}
	if r.school.assigned {
		for _, g := range r.given {
			note(projection.GivenToUnknown, !known(g.student))
			_, there := r.assignments[g.assignment]
			note(projection.GivenWithoutWork, !there)
		}
	}
	if r.school.courses {
		for _, m := range r.members {
			if m.ended {
				continue
			}
			note(projection.MemberUnknown, !known(m.user))
			note(projection.MemberWithoutCourse, noCourse(m.course))
			as := map[string]string{"teacher": "teacher", "ta": "tutor"}[m.kind]
			note(projection.StaffOfOtherRole, r.school.role && as != "" && known(m.user) && r.users[m.user].active &&
				r.role(m.user) != as && r.role(m.user) != "admin")
		}
	}
	return odd
}

// checkSamples compares the samples with everybody's counts, and their titles with what
// they have to do with.
func checkSamples(t *rapid.T, g *gateway, r rows) {
	for _, role := range cdc.Roles {
		samples, err := g.Samples(context.Background(), role, 2)
		require.NoError(t, err)
		all := 0
		for id, u := range r.users {
			if u.active && r.role(id) == role.String() {
				all++
			}
		}
		require.Len(t, samples, min(2, all))
		for _, s := range samples {
			require.Equal(t, g.Counts(s.Person), s.Counts)
			require.Len(t, s.Titles, int(min(2, s.Counts.TotalAssignments)))
		}
	}
}
