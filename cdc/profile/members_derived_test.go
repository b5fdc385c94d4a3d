package profile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// moodle is a school with two courses in a category: 10 with a group each of persons 7
// and 8, and 11. Contexts: 1 the system, 2 the category, 3 and 4 the courses.
func moodle(t testing.TB) *school {
	p, err := profile.Open("moodle")
	require.NoError(t, err)
	s := newSchool(t, p)
	s.put(mdl("context", "id", int8s, "path", text, "contextlevel", int8s, "instanceid", int8s),
		row("1", "/1", "10", "0"), row("2", "/1/2", "40", "1"), row("3", "/1/2/3", "50", "10"), row("4", "/1/2/4", "50", "11"))
	s.put(mdl("enrol", "id", int8s, "courseid", int8s, "status", int8s), row("1", "10", "0"), row("2", "11", "0"))
	s.put(mdl("groups", "id", int8s, "courseid", int8s, "name", text), row("1", "10", "Red"), row("2", "10", "Blue"), row("3", "11", "Green"))
	s.put(mdl("groups_members", "id", int8s, "userid", int8s, "groupid", int8s),
		row("1", "7", "1"), row("2", "8", "1"), row("3", "8", "2"), row("4", "7", "3"))
	s.put(mdl("role", "id", int8s, "archetype", text), row("1", "manager"), row("3", "editingteacher"), row("4", "teacher"), row("5", "student"))
	s.enrol(row("1", "7", "1", "0", "0", "0"), row("2", "8", "1", "0", "0", "0"), row("3", "7", "2", "0", "0", "0"))
	s.allow(row("1", "3", "1", "mod/assign:grade", "1"), row("2", "3", "1", "moodle/site:accessallgroups", "1"), row("3", "4", "1", "mod/assign:grade", "1"),
		row("4", "1", "1", "mod/assign:grade", "1"), row("5", "1", "1", "moodle/site:accessallgroups", "1"), row("6", "1", "1", "moodle/course:view", "1"))
	return s
}

func mdl(name string, columns ...any) *cdc.Table { return table("mdl_"+name, columns...) }

func (s *school) enrol(rows ...[]cdc.Value) {
	s.put(mdl("user_enrolments", "id", int8s, "userid", int8s, "enrolid", int8s, "status", int8s, "timestart", int8s, "timeend", int8s), rows...)
}

func (s *school) allow(rows ...[]cdc.Value) {
	s.put(mdl("role_capabilities", "id", int8s, "roleid", int8s, "contextid", int8s, "capability", text, "permission", int8s), rows...)
}

// is lists what a role assignment makes of a person: "course 10 section 1 teacher".
func (s *school) is(user, role, context string) (out []string) {
	s.t.Helper()
	s.put(mdl("role_assignments", "id", int8s, "userid", int8s, "contextid", int8s, "roleid", int8s), row("1", user, context, role))
	b, rows, _ := s.rows("member", "1")
	require.Len(s.t, b.Members, 1)
	for _, r := range rows {
		m, ok := b.Members[0].Read(r, profile.MemberFields{})
		if !ok {
			continue
		}
		require.Equal(s.t, user, m.User.String())
		what := "course " + m.Course.String()
		if !m.Section.IsZero() {
			what += " section " + m.Section.String()
		}
		for _, is := range []struct {
			word string
			is   bool
		}{{"teacher", m.Teacher}, {"tutor", m.Tutor}, {"student", m.Student}, {"limited", m.OwnSection}} {
			if is.is {
				what += " " + is.word
			}
		}
		out = append(out, what)
	}
	return out
}

func TestARoleInMoodleIsAMembershipOfEveryCourseBelowItsContextAndEveryGroup(t *testing.T) {
	s := moodle(t)
	require.Equal(t, []string{"course 10 section 1 teacher"}, s.is("7", "3", "3"))
	require.Equal(t, []string{"course 10 section 1 tutor limited", "course 10 section 2 tutor limited"}, s.is("8", "4", "3"))
	require.Equal(t, []string{"course 10 section 1 student limited", "course 11 section 3 student limited"}, s.is("7", "5", "2"), "in a category")
	require.Equal(t, []string{"course 10 teacher", "course 11 teacher"}, s.is("9", "1", "1"), "who may view courses need not be enrolled")
	require.Empty(t, s.is("9", "3", "3"), "who may not, must be")
	require.Equal(t, []string{"course 10 section 1 teacher", "course 10 section 2 teacher"}, s.is("8", "3", "2"), "enrolled in one of the courses")
}

func TestAnOverrideInMoodleTakesAwayOrGrants(t *testing.T) {
	s := moodle(t)
	s.allow(row("10", "3", "4", "mod/assign:grade", "-1"))
	require.Equal(t, []string{"course 10 section 1 teacher", "course 11 section 3"}, s.is("7", "3", "2"), "prevented in one course")
	s.allow(row("10", "3", "2", "mod/assign:grade", "-1000"), row("11", "3", "3", "mod/assign:grade", "1"))
	require.Equal(t, []string{"course 10 section 1", "course 11 section 3"}, s.is("7", "3", "2"), "a prohibit above wins over an allow below")
	s = moodle(t)
	s.allow(row("10", "4", "2", "moodle/site:accessallgroups", "1"))
	require.Equal(t, []string{"course 10 section 1 teacher"}, s.is("7", "4", "3"), "allowed on the way")
	s.allow(row("11", "4", "3", "moodle/site:accessallgroups", "-1"))
	require.Equal(t, []string{"course 10 section 1 tutor limited"}, s.is("7", "4", "3"))
}

func TestAnEnrolmentInMoodleBeginsAndEndsByItself(t *testing.T) {
	s := moodle(t)
	d := s.p.Derived()[0]
	require.Equal(t, "lookup.enrolled", d.Name())
	for _, c := range []struct {
		start, end string
		until      int64 // 0: never
		is         bool
	}{
		{"0", "0", 0, true},
		{"1799999999", "0", 0, true},
		{"1800000000", "0", 0, true},
		{"1800000001", "0", 1800000001, false},
		{"0", "1800000001", 1800000001, true},
		{"0", "1800000000", 0, false},
		{"1800000005", "1800000009", 1800000005, false},
		{"1", "2", 0, false},
	} {
		s.enrol(row("1", "7", "1", "0", c.start, c.end))
		_, _, until := s.rows("lookup.enrolled", "1")
		want := time.Time{}
		if c.until > 0 {
			want = time.Unix(c.until, 0).UTC()
		}
		require.Equal(t, want, until, "%v", c)
		require.Equal(t, c.is, len(s.is("7", "3", "3")) > 0, "%v", c)
	}
}

func TestWhoSeesEverythingInMoodle(t *testing.T) {
	s := moodle(t)
	s.put(mdl("role_assignments", "id", int8s, "userid", int8s, "contextid", int8s, "roleid", int8s), row("1", "9", "1", "1"), row("2", "9", "2", "1"), row("3", "9", "1", "3"))
	for id, want := range map[string]bool{"1": true, "2": false, "3": false} {
		b, rows, _ := s.rows("admin 2", id)
		require.Len(t, rows, 1)
		who, ok := b.Admins[0].Read(rows[0], nil)
		require.Equal(t, want, ok, id)
		if ok {
			require.Equal(t, []cdc.ID{cdc.IntID(9)}, who)
			require.Equal(t, 1, b.Admins[0].Index())
		}
	}
}

func TestAGradeInMoodleIsThatOfAPersonAndOfTheirTeams(t *testing.T) {
	s := moodle(t)
	require.True(t, s.p.HasGradeTable())
	require.False(t, s.p.GradeNamesSubmission())
	s.put(mdl("assign", "id", int8s, "name", text, "intro", text, "course", int8s, "duedate", int8s, "cutoffdate", int8s, "blindmarking", int2s,
		"revealidentities", int2s, "teamsubmission", int2s, "markingworkflow", int2s),
		row("100", "Essay", "", "10", "0", "0", "0", "0", "1", "1"))
	grades := mdl("assign_grades", "id", int8s, "assignment", int8s, "userid", int8s, "attemptnumber", int8s, "grade", number, "timemodified", int8s)
	flags := mdl("assign_user_flags", "id", int8s, "assignment", int8s, "userid", int8s, "workflowstate", text)
	read := func() profile.GradeFields {
		b, rows, _ := s.rows("grade", "1")
		got, ok := b.Grade.ReadRow(rows[0], profile.GradeFields{})
		require.True(t, ok)
		require.Equal(t, `78.50000`, string(b.Grade.AppendScore(nil, rows[0])))
		return got
	}
	s.put(grades, row("1", "100", "8", "0", "78.50000", "0"))
	got := read()
	require.Equal(t, profile.GradeFields{
		Assignment: cdc.IntID(100), Student: cdc.IntID(8), Attempt: cdc.IntID(0),
		Groups: string(cdc.IntID(2).AppendKey(cdc.IntID(1).AppendKey(nil))), Graded: got.Graded, Hidden: true,
	}, got)
	require.NotZero(t, got.Graded)
	s.put(flags, row("1", "100", "8", "released"))
	require.False(t, read().Hidden)
	s.put(flags, row("1", "100", "8", "inreview"))
	require.True(t, read().Hidden)

	works := mdl("assign_submission", "id", int8s, "latest", int2s, "assignment", int8s, "userid", int8s, "groupid", int8s, "attemptnumber", int8s, "status", text, "timemodified", int8s)
	s.put(works, row("1", "1", "100", "0", "2", "3", "submitted", "0"), row("2", "1", "100", "8", "0", "3", "submitted", "0"))
	b, rows, _ := s.rows("submission", "1")
	work, ok := b.Submission.Read(rows[0], profile.SubmissionFields{})
	require.True(t, ok)
	require.Equal(t, profile.SubmissionFields{Assignment: cdc.IntID(100), Group: cdc.IntID(2), GroupName: "Blue",
		Attempt: cdc.IntID(3), Submitted: work.Submitted}, work)
	require.NotZero(t, work.Submitted)
	b, rows, _ = s.rows("submission", "2")
	_, ok = b.Submission.Read(rows[0], profile.SubmissionFields{})
	require.False(t, ok, "a member's own row of a team's work")
}

func TestAnAssignmentInMoodleIsThereWhileItsActivityIs(t *testing.T) {
	s := moodle(t)
	assign := mdl("assign", "id", int8s, "name", text, "intro", text, "course", int8s, "duedate", int8s, "cutoffdate", int8s, "blindmarking", int2s,
		"revealidentities", int2s, "teamsubmission", int2s, "markingworkflow", int2s)
	course := mdl("course", "id", int8s, "fullname", text, "visible", int2s, "groupmodeforce", int2s, "groupmode", int2s)
	modules := mdl("course_modules", "id", int8s, "instance", int8s, "module", int8s, "visible", int2s, "deletioninprogress", int2s, "groupmode", int2s)
	s.put(mdl("modules", "id", int8s, "name", text), row("1", "assign"), row("2", "quiz"))
	s.put(course, row("10", "Latin", "1", "0", "1"))
	s.put(assign, row("100", "Essay", "Write.", "10", "1800000000", "0", "1", "0", "0", "0"))
	read := func() profile.AssignmentFields {
		b, rows, _ := s.rows("assignment", "100")
		got, ok := b.Assignment.Read(rows[0], profile.AssignmentFields{})
		require.True(t, ok)
		return got
	}
	want := profile.AssignmentFields{Title: "Essay", Description: "Write.", Course: cdc.IntID(10), Due: time.Unix(1800000000, 0).UTC(), Anonymous: true}
	require.Equal(t, want, read(), "no activity yet")
	s.put(modules, row("5", "100", "2", "1", "0", "0"))
	require.Equal(t, want, read(), "the activity of a quiz of that number")
	s.put(modules, row("6", "100", "1", "1", "0", "0"))
	want.Published = true
	require.Equal(t, want, read())
	s.put(modules, row("6", "100", "1", "1", "0", "1"))
	want.BySection = true
	require.Equal(t, want, read(), "separate groups of the activity")
	s.put(course, row("10", "Latin", "1", "1", "2"))
	want.BySection = false
	require.Equal(t, want, read(), "the course forces its mode")
	s.put(modules, row("6", "100", "1", "1", "1", "1"))
	want.Published = false
	require.Equal(t, want, read(), "being deleted")
}
