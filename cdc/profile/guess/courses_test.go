package guess_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// campus is a small LMS with courses, in the notation of school.
const campus = `
people: id bigint *, name text, email text, is_admin boolean
courses: id bigint *, title text, archived boolean
exercises: id bigint *, course_id bigint ! > courses, title text, due_at timestamp with time zone
solutions: id bigint *, exercise_id bigint ! > exercises, person_id bigint ! > people, submitted_at timestamp with time zone, score numeric
`

func TestWhoIsWhatInACourseIsToldByAColumnANameOrTheirRole(t *testing.T) {
	d := draft(t, campus, `enrolments: id bigint *, person_id bigint > people, course_id bigint > courses, group_id bigint, kind text = teacher ta student guest, status text = active left, limited boolean`)
	require.True(t, d.Complete)
	require.Empty(t, d.Questions)
	has(t, d, "from: enrolments", "user: person_id", "course: course_id", "where: {status: active}", "section: group_id", "own_section_only: {limited: true}",
		"teacher: {kind: teacher}", "tutor: {kind: ta}", "student: {kind: student}", "active: {archived: false}",
		"admin: [{from: people, user: id, where: {is_admin: true}}]")

	d = draft(t, campus, `course_teachers: course_id bigint * > courses, person_id bigint * > people`, `course_students: course_id bigint * > courses, student_id bigint * > people`)
	require.True(t, d.Complete)
	has(t, d, "teacher: {person_id: present}", "student: {student_id: present}")

	d = draft(t, campus, `people: id bigint *, name text, role text = pupil teacher`, `course_members: course_id bigint * > courses, person_id bigint * > people`)
	require.True(t, d.Complete)
	has(t, d, "teacher: {person_id -> people.role: teacher}", "student: {person_id -> people.role: pupil}")

	d = draft(t, campus, `courses: id bigint *, title text, teacher_id bigint > people`, `course_students: course_id bigint * > courses, person_id bigint * > people`)
	has(t, d, "from: courses", "user: teacher_id", "course: id", "teacher: {teacher_id: present}")
}

func TestMembersOfWhomNobodyCanTellWhatTheyAreAreAComment(t *testing.T) {
	d := draft(t, campus, `enrolments: id bigint *, person_id bigint > people, course_id bigint > courses, kind text`)
	require.False(t, d.Complete)
	asks(t, d, "member: which values of enrolments.kind mean teacher, tutor and student?")
	has(t, d, "# member:", "# - from: enrolments")
	d = draft(t, campus, `memberships: id bigint *, person_id bigint > people, course_id bigint > courses`)
	require.False(t, d.Complete)
	asks(t, d, "member: what are the people of memberships in their courses: teachers, tutors or students?")
	d = draft(t, campus)
	asks(t, d, "member: no table says who is in which course (courses); without it nobody is told of an assignment but its own teacher")
}

func TestATableInBetweenIsAStepOfAPathAndNothingElse(t *testing.T) {
	d := draft(t, campus, `enrolments: id bigint *, person_id bigint > people, course_id bigint > courses, kind text = teacher student`,
		`participations: id bigint *, exercise_id bigint ! > exercises, student_id bigint ! > people`,
		`solutions: id bigint *, participation_id bigint ! > participations, submitted boolean`,
		`results: id bigint *, solution_id bigint ! > solutions, score numeric, rated boolean`)
	require.True(t, d.Complete)
	has(t, d, "assignment: participation_id -> participations.exercise_id", "student: participation_id -> participations.student_id",
		"from: results", "submission: solution_id", "# where: {rated: true}")
	require.Equal(t, []string{"grade.where: are rows of results no grades while rated is false?"}, d.Questions)
	require.NotContains(t, string(d.YAML), "assigned:")
}

// Two numbers of the same type may be the keys of anything, so a name that is that of
// another table leads there.
func TestAColumnThatIsCalledLikeATableLeadsThere(t *testing.T) {
	d := draft(t, school, `students: id bigint *, user_id bigint ! > users`,
		`submissions: id bigint *, assignment_id bigint ! > assignments, student_id bigint !, submitted_at date, score numeric`)
	has(t, d, "student: student_id -> students.user_id")
	d = draft(t, school, `submissions: id bigint *, assignment_id uuid !, student_id uuid !, submitted_at date, score numeric`)
	require.False(t, d.Complete, "a uuid is no key of a table whose key is a number")
	asks(t, d, "submission.from is missing: which table holds what students hand in?")
	// A profile with several rows for a student does not say who their tutor is.
	d = draft(t, school, `tutorings: id bigint *, user_id bigint > users, tutor_id bigint > users`)
	require.NotContains(t, string(d.YAML), "tutor: ")
}
