package profile_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

func without(t *cdc.Table, name, instead string, typ int) *cdc.Table {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			t.Columns[i] = cdc.Column{Name: instead, Type: uint32(typ)}
		}
	}
	return t
}

func TestAMarkOfTheOtherNameIsAnsweredWithTheLinesToWrite(t *testing.T) {
	_, err := open(t, "django").Bind(without(submissions(number), "grade", "score", int4s))
	require.EqualError(t, err, `the log carries no column "grade" of table public.assignments_assignmentsubmission, `+
		`which the profile django names in grade.graded, grade.again, grade.score; it has "score": write a file with the lines `+
		"`extends: django` and `grade: {graded: {score: present}, again: score, score: score}` and give it as the profile")
	missing, ok := errors.AsType[*profile.MissingColumnError](err)
	require.True(t, ok)
	require.Equal(t, "score", missing.Nearest)

	p, err := profile.Parse("school.yaml", []byte("extends: django\ngrade: {graded: {score: present}, again: score, score: score}\n"))
	require.NoError(t, err)
	_, err = p.Bind(without(submissions(number), "grade", "score", int4s))
	require.NoError(t, err, "the lines of the remedy are the remedy")

	_, err = open(t, "testdata/school-with-score.yaml").Bind(submissions(number))
	require.ErrorContains(t, err, `it has "grade": in testdata/school-with-score.yaml write `+
		"`grade: {graded: {grade: present}, again: grade, score: grade}`")
}

func TestAMissingColumnIsAnsweredWithTheNearest(t *testing.T) {
	p := open(t, "django")
	err := p.MissingColumn("public", "assignments_assignment", "status", []string{"id", "state", "statuss"})
	require.EqualError(t, err, `table public.assignments_assignment has no column "status", which the profile django names in `+
		"assignment.closed; it has \"statuss\": write a file with the lines `extends: django` and `assignment: {closed: {statuss: closed}}` and give it as the profile")

	closes := parse(t, "extends: django\nassignment: {closes: closes_at}\n")
	_, err = closes.Bind(without(closing(tstz), "closes_at", "closed_at", tstz))
	require.EqualError(t, err, `the log carries no column "closes_at" of table public.assignments_assignment, which the profile django names in `+
		"assignment.closes; it has \"closed_at\": in school.yaml write `assignment: {closes: closed_at}`")

	err = p.MissingColumn("public", "accounts_studentprofile", "user_id", []string{"id", "users_id"})
	require.ErrorContains(t, err, "`lookup: {profile: {key: users_id}}`")
	err = p.MissingColumn("public", "accounts_studentprofile", "tutor_id", []string{"id", "tutors_id"})
	require.ErrorContains(t, err, "`submission: {tutor: student_id -> profile.tutors_id}`")
	err = p.MissingColumn("public", "assignments_assignmentsubmission", "student_id", []string{"students_id"})
	require.ErrorContains(t, err, "`submission: {student: students_id, tutor: students_id -> profile.tutor_id}`")
	err = p.MissingColumn("public", "accounts_user", "role", []string{"id", "kind"})
	require.EqualError(t, err, `table public.accounts_user has no column "role", which the profile django names in user.role; name one of id, kind`)
}

func TestAMissingColumnOfAnEntryIsAnsweredWithItsNumber(t *testing.T) {
	p := parse(t, `extends: django
assignment: {course: course_id}
member:
  - {from: guests, user: user_id, course: course_id, student: {kind: guest}}
  - {from: enrolments, user: user_id, course: course_id, where: {state: "on"}, teacher: [{kind: teacher, user_id: present}, {kind: head}]}
  - {from: enrolments, user: user_id, course: course_id, tutor: {kind: ta}}
admin: {from: staff, user: user_id, where: {user_id: {not: 1}}}
`)
	require.EqualError(t, p.MissingColumn("public", "enrolments", "user_id", []string{"id", "users_id"}),
		`table public.enrolments has no column "user_id", which the profile django names in member 2.user, member 2.teacher, member 3.user; `+
			"it has \"users_id\": in school.yaml write in entry 2 of member `user: users_id` and "+
			"`teacher: [{kind: teacher, users_id: present}, {kind: head}]` and in entry 3 of member `user: users_id`")
	require.ErrorContains(t, p.MissingColumn("public", "staff", "user_id", []string{"users_id"}),
		"names in admin.where, admin.user; it has \"users_id\": in school.yaml write `admin: {where: {users_id: {not: 1}}, user: users_id}`")
	require.ErrorContains(t, p.MissingColumn("public", "assignments_assignment", "course_id", []string{"courses_id"}),
		"in school.yaml write `assignment: {course: courses_id}`")

	_, err := p.Bind(table("enrolments", "id", int8s, "users_id", int8s, "course_id", int8s, "state", boolean, "kind", text))
	require.ErrorContains(t, err, `the log carries no column "user_id" of table public.enrolments`)
	require.ErrorContains(t, err, `table public.enrolments: member 2.where tests column "state" for "on", but the column is a boolean`)
}

func TestAColumnThatHoldsOneIdIsNotTakenApart(t *testing.T) {
	p := parse(t, "extends: django\nadmin: {from: staff, user: user_id, split: \",\"}\n")
	_, err := p.Bind(table("staff", "id", int8s, "user_id", int8s))
	require.EqualError(t, err, `table public.staff: admin.split takes column "user_id" apart, which is a number and holds one id; leave split out`)
	_, err = p.Bind(table("staff", "id", int8s, "user_id", text))
	require.NoError(t, err)
}

func TestEverythingWrongWithATableIsToldAtOnce(t *testing.T) {
	people := table("accounts_user", "id", int8s, "email", text, "first_name", text, "last_name", text)
	_, err := open(t, "django").Bind(people)
	require.EqualError(t, err, `the log carries no column "role" of table public.accounts_user, which the profile django names in user.role; `+
		"schoolbell check says whether the table or the publication lacks it\n"+
		`the log carries no column "is_active" of table public.accounts_user, which the profile django names in user.active; `+
		"schoolbell check says whether the table or the publication lacks it")
}

func TestATestThatCannotFitItsColumnIsRefused(t *testing.T) {
	for _, c := range []struct {
		condition string
		typ       int
		want      string
	}{
		{"{x: closed}", boolean, `submission.gone tests column "x" for "closed", but the column is a boolean; write true or false`},
		{"{x: 1}", boolean, `for "1", but the column is a boolean; write true or false`},
		{"{x: [true, false]}", boolean, "the column is a boolean and is always true or false; write present"},
		{"{x: true}", int4s, `for "true", but the column is a number; write a number, such as 1 for true`},
		{"{x: closed}", number, `the column is a number; write a number`},
		{"{x: 2026-01-01}", tstz, "the column is a time; write present, absent, past or future"},
		{"{x: seven}", uuid, "the column is a uuid; write one such as"},
		{"{x: {min: 3}}", text, `submission.gone tests min or below on column "x", which is text; write a list of values`},
	} {
		p := parse(t, "extends: django\nsubmission: {gone: "+c.condition+"}\n")
		sub := submissions(number)
		sub.Columns = append(sub.Columns, cdc.Column{Name: "x", Type: uint32(c.typ)})
		_, err := p.Bind(sub)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, "table public.assignments_assignmentsubmission: ")
	}
}

func TestATimeInAColumnThatIsNoneIsRefused(t *testing.T) {
	p := parse(t, "extends: django\n")
	_, err := p.Bind(without(assignments(), "due_date", "due_date", int8s))
	require.ErrorContains(t, err, `assignment.due is column "due_date", an integer; if it counts seconds since 1970 the profile needs the line times: unix`)
	_, err = p.Bind(without(assignments(), "due_date", "due_date", text))
	require.ErrorContains(t, err, `assignment.due is column "due_date", which is text; name a column of type timestamptz, timestamp or date`)

	p = parse(t, "extends: django\nassignment: {closes: closes_at}\n")
	_, err = p.Bind(closing(int8s))
	require.ErrorContains(t, err, `assignment.closes is column "closes_at", an integer; if it counts`)
	_, err = p.Bind(without(closing(tstz), "closes_at", "closes_at", boolean))
	require.ErrorContains(t, err, `assignment.closes is column "closes_at", which is a boolean; name a column of type`)

	p = parse(t, "extends: django\nsubmission: {at: assignment_id}\ngrade: {at: graded_on}\n")
	_, err = p.Bind(submissions(number))
	require.ErrorContains(t, err, `submission.at is column "assignment_id", an integer`, "what nothing reads must be so all the same")
	require.ErrorContains(t, err, `no column "graded_on"`)
}

// Canvas has most of its tables replicated by an index with the root account, or an array of
// them, before the id.
func TestARowIsKnownByItsIDWhereTheIdentityHasMore(t *testing.T) {
	users := &cdc.Table{Schema: "public", Name: "accounts_user", Identity: cdc.IdentityIndex, Columns: []cdc.Column{
		{Name: "tenants", Type: 1016, Key: true}, {Name: "id", Type: int8s, Key: true}, {Name: "first_name", Type: text}, {Name: "last_name", Type: text},
		{Name: "email", Type: text}, {Name: "is_active", Type: boolean}, {Name: "role", Type: text},
	}}
	row := []cdc.Value{{Kind: cdc.Text, Data: []byte("{1,9}")}, {Kind: cdc.Text, Data: []byte("5")}, {Kind: cdc.Null}, {Kind: cdc.Null}, {Kind: cdc.Null}, {Kind: cdc.Null}, {Kind: cdc.Null}}
	b, err := open(t, "django").Bind(users)
	require.NoError(t, err)
	require.Equal(t, cdc.ParseID("5"), b.Key(row))

	users.Identity = cdc.IdentityDefault // a primary key of two columns
	b, err = open(t, "django").Bind(users)
	require.NoError(t, err)
	require.Equal(t, "{1,9}:5", b.Key(row).String())

	users.Identity, users.Columns[1].Key = cdc.IdentityIndex, false // an index without the id
	b, err = open(t, "django").Bind(users)
	require.NoError(t, err)
	require.Equal(t, "{1,9}", b.Key(row).String())
}
