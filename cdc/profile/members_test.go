package profile_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

func enrolments() *cdc.Table {
	return table("enrolments", "id", int8s, "person_id", int8s, "course_id", int8s, "section_id", int8s,
		"kind", text, "limited", boolean, "state", text)
}

// columnsOf is Profile.Tables without Where, which cannot be compared.
func columnsOf(p *profile.Profile) []cdc.TableSpec {
	out := p.Tables()
	for i := range out {
		out[i].Where = nil
	}
	return out
}

func TestTheCampusHasCoursesAndRolesThatFollowFromMemberships(t *testing.T) {
	p := open(t, "testdata/campus.yaml")
	require.False(t, p.HasRole())
	require.True(t, p.HasCourses())
	require.False(t, p.HasAssigned())
	require.Equal(t, 1, p.Members())
	require.Equal(t, 1, p.Admins())
	require.Equal(t, []cdc.TableSpec{
		{Schema: "public", Name: "people", Columns: []string{"active", "name", "email"}},
		{Schema: "public", Name: "courses", Columns: []string{"name", "state"}},
		{Schema: "public", Name: "enrolments", Columns: []string{"state", "person_id", "course_id", "section_id", "limited", "kind"}},
		{Schema: "public", Name: "staff", Columns: []string{"superuser", "person_id"}},
		{Schema: "public", Name: "assignments", Columns: []string{"state", "title", "body", "course_id", "due_at", "closes_at"}},
		{Schema: "public", Name: "submissions", Columns: []string{"assignment_id", "person_id", "handed_in_at", "attempt", "score", "posted_at"}},
	}, columnsOf(p))

	p = open(t, "testdata/campus_roles.yaml")
	require.True(t, p.HasRole())
	require.True(t, p.HasCourses())
	require.True(t, p.HasAssigned())
	require.Equal(t, 1, p.Members())
	require.Zero(t, p.Admins())

	p = open(t, "django")
	require.True(t, p.HasRole())
	require.False(t, p.HasCourses())
	require.True(t, p.HasAssigned())
	require.Zero(t, p.Members())
	require.Zero(t, p.Admins())
}

func TestAPersonWithoutAColumnOfRolesHasNone(t *testing.T) {
	people := table("people", "id", int8s, "email", text, "name", text, "active", boolean)
	got, ok := bind(t, open(t, "testdata/campus.yaml"), people).User.Read(row("7", "ann@school.test", "Ann Lee", "t"), cdc.Person{})
	require.True(t, ok)
	require.Equal(t, cdc.Person{ID: cdc.IntID(7), Email: "ann@school.test", FirstName: "Ann Lee", Active: true}, got)
}

func TestACourseIsRead(t *testing.T) {
	c := bind(t, open(t, "testdata/campus.yaml"), table("courses", "id", int8s, "name", text, "state", text)).Course
	got, ok := c.Read(row("1", "Latin", "available"), profile.CourseFields{})
	require.True(t, ok)
	latin := profile.CourseFields{Title: "Latin", Active: true}
	require.Equal(t, latin, got)
	got, ok = c.Read(row("1", cdc.Unchanged, cdc.Unchanged), latin)
	require.True(t, ok)
	require.Equal(t, latin, got)
	got, ok = c.Read(row("1", "Latin", "completed"), latin)
	require.True(t, ok)
	require.Equal(t, profile.CourseFields{Title: "Latin"}, got)

	always := parse(t, "extends: django\ncourse: {from: courses, title: name}\nassignment: {course: course_id}\n")
	got, _ = bind(t, always, table("courses", "id", int8s, "name", text)).Course.Read(row("1", "Latin"), profile.CourseFields{})
	require.Equal(t, latin, got)
}

func TestAnAssignmentBelongsToACourse(t *testing.T) {
	tasks := table("assignments", "id", int8s, "course_id", int8s, "title", text, "body", text, "state", text, "due_at", tstz, "closes_at", tstz)
	a := bind(t, open(t, "testdata/campus.yaml"), tasks).Assignment
	got, ok := a.Read(row("1", "5", "Essay", "Write.", "draft", nil, nil), profile.AssignmentFields{})
	require.True(t, ok)
	essay := profile.AssignmentFields{Title: "Essay", Description: "Write.", Course: cdc.IntID(5), BySection: true}
	require.Equal(t, essay, got)
	got, _ = a.Read(row("1", cdc.Unchanged, "Essay", "Write.", "draft", nil, nil), essay)
	require.Equal(t, essay, got)
	got, _ = a.Read(row("1", "6", "Essay", "Write.", "draft", nil, nil), essay)
	require.Equal(t, cdc.IntID(6), got.Course)
}

func TestAMembershipIsRead(t *testing.T) {
	b := bind(t, open(t, "testdata/campus.yaml"), enrolments())
	require.Len(t, b.Members, 1)
	m := b.Members[0]
	require.Zero(t, m.Index())
	base := profile.MemberFields{User: cdc.IntID(7), Course: cdc.IntID(5), Section: cdc.IntID(3)}
	with := func(change func(*profile.MemberFields)) profile.MemberFields {
		out := base
		change(&out)
		return out
	}
	teacher := with(func(f *profile.MemberFields) { f.Teacher = true })
	const u = cdc.Unchanged
	for _, c := range []struct {
		why  string
		row  []any
		was  profile.MemberFields
		want profile.MemberFields // zero: gone
	}{
		{"a teacher", []any{"1", "7", "5", "3", "teacher", "f", "active"}, profile.MemberFields{}, teacher},
		{"a tutor of one section", []any{"1", "7", "5", "3", "ta", "t", "active"}, profile.MemberFields{},
			with(func(f *profile.MemberFields) { f.Tutor, f.OwnSection = true, true })},
		{"a student", []any{"1", "7", "5", "3", "student", nil, "active"}, profile.MemberFields{},
			with(func(f *profile.MemberFields) { f.Student = true })},
		{"of no section", []any{"1", "7", "5", nil, "teacher", "f", "active"}, teacher,
			with(func(f *profile.MemberFields) { f.Teacher, f.Section = true, cdc.ID{} })},
		{"of a kind that nobody named", []any{"1", "7", "5", "3", "guest", "f", "active"}, teacher, base},
		{"binary", []any{binary(t, int8s, 1), binary(t, int8s, 7), binary(t, int8s, 5), binary(t, int8s, 3), []byte("teacher"), []byte{0}, []byte("active")},
			profile.MemberFields{}, teacher},
		{"not carried", []any{"1", u, u, u, u, u, u}, with(func(f *profile.MemberFields) { f.Teacher, f.OwnSection = true, true }),
			with(func(f *profile.MemberFields) { f.Teacher, f.OwnSection = true, true })},
		{"not carried and not known", []any{"1", u, u, u, u, u, u}, profile.MemberFields{}, profile.MemberFields{}},
		{"ended", []any{"1", "7", "5", "3", "teacher", "f", "ended"}, teacher, profile.MemberFields{}},
		{"never begun", []any{"1", "7", "5", "3", "teacher", "f", nil}, profile.MemberFields{}, profile.MemberFields{}},
		{"of nobody", []any{"1", nil, "5", "3", "teacher", "f", "active"}, teacher, profile.MemberFields{}},
		{"of no course", []any{"1", "7", nil, "3", "teacher", "f", "active"}, teacher, profile.MemberFields{}},
	} {
		got, ok := m.Read(row(c.row...), c.was)
		require.Equal(t, c.want, got, c.why)
		require.Equal(t, c.want != profile.MemberFields{}, ok, c.why)
	}
}

func TestWhatAnEntryDoesNotSayNobodyIs(t *testing.T) {
	p := parse(t, "extends: django\nassignment: {course: course_id}\n"+
		"member: {from: enrolments, user: person_id, course: course_id, student: {kind: student}}\n")
	got, ok := bind(t, p, enrolments()).Members[0].Read(
		row("1", "7", "5", "3", "student", "t", "active"), profile.MemberFields{Teacher: true, Tutor: true, OwnSection: true})
	require.True(t, ok)
	require.Equal(t, profile.MemberFields{User: cdc.IntID(7), Course: cdc.IntID(5), Student: true}, got)
}

func TestATableMayHoldSeveralEntriesAndAnEntryKeepsItsPlace(t *testing.T) {
	p := parse(t, `
extends: django
assignment: {course: course_id}
member:
  - {from: others, user: person_id, course: course_id, tutor: {kind: ta}}
  - {from: enrolments, user: person_id, course: course_id, teacher: {kind: teacher}}
  - {from: enrolments, user: limited, course: section_id, student: {kind: student}}
admin:
  - {from: enrolments, user: person_id, where: {kind: chief}}
  - {from: accounts_user, user: id, where: {is_superuser: true}}
`)
	require.Equal(t, 3, p.Members())
	require.Equal(t, 2, p.Admins())
	b := bind(t, p, enrolments())
	require.Len(t, b.Members, 2)
	require.Equal(t, 1, b.Members[0].Index())
	require.Equal(t, 2, b.Members[1].Index())
	require.Len(t, b.Admins, 1)
	require.Zero(t, b.Admins[0].Index())
	require.Nil(t, b.Course)

	var names []string
	for _, spec := range p.Tables() {
		names = append(names, spec.Name)
	}
	require.Equal(t, []string{
		"accounts_studentprofile", "accounts_user", "others", "enrolments",
		"assignments_assignment", "assignments_assignment_assigned_to", "assignments_assignmentsubmission",
	}, names, "each table once, at its first place")
	people := bind(t, p, table("accounts_user", "id", int8s, "email", text, "first_name", text, "last_name", text,
		"role", text, "is_active", boolean, "is_superuser", boolean))
	require.NotNil(t, people.User)
	require.Equal(t, 1, people.Admins[0].Index())
	ids, ok := people.Admins[0].Read(row("7", "", "", "", "teacher", "t", "t"), nil)
	require.True(t, ok)
	require.Equal(t, []cdc.ID{cdc.IntID(7)}, ids)
}

func TestAdminsAreRead(t *testing.T) {
	staff := table("staff", "person_id", int8s, "superuser", boolean)
	a := bind(t, open(t, "testdata/campus.yaml"), staff).Admins[0]
	require.Zero(t, a.Index())
	seven := []cdc.ID{cdc.IntID(7)}
	const u = cdc.Unchanged
	for _, c := range []struct {
		row       []any
		was, want []cdc.ID // nil: nobody
	}{
		{[]any{"7", "t"}, nil, seven},
		{[]any{"7", "t"}, seven, seven},
		{[]any{"8", "t"}, seven, []cdc.ID{cdc.IntID(8)}},
		{[]any{binary(t, int8s, 7), []byte{1}}, nil, seven},
		{[]any{"7", "f"}, seven, nil},
		{[]any{nil, "t"}, seven, nil},
		{[]any{u, "t"}, seven, seven},
		{[]any{"7", u}, seven, seven},
		{[]any{"7", u}, nil, nil},
		{[]any{u, "t"}, nil, nil},
	} {
		got, ok := a.Read(row(c.row...), c.was)
		require.Equal(t, c.want, got, c.row)
		require.Equal(t, c.want != nil, ok, c.row)
	}
}

func config(t testing.TB, split string) *profile.AdminRow {
	t.Helper()
	p, err := profile.Parse("school.yaml", []byte("extends: django\nadmin: {from: config, user: value, where: {name: siteadmins}, split: "+split+"}\n"))
	require.NoError(t, err)
	return bind(t, p, table("config", "id", int8s, "name", text, "value", text)).Admins[0]
}

func TestAValueMayHoldSeveralAdmins(t *testing.T) {
	a := config(t, `","`)
	ids := func(in ...int64) (out []cdc.ID) {
		for _, n := range in {
			out = append(out, cdc.IntID(n))
		}
		return out
	}
	for value, want := range map[string][]cdc.ID{
		"2":                                    ids(2),
		"2,3,5":                                ids(2, 3, 5),
		"5, 3,\t2,3,\n":                        ids(2, 3, 5),
		",,10,9,":                              ids(9, 10),
		"":                                     nil,
		" , ":                                  nil,
		"2,anna,007":                           {cdc.IntID(2), cdc.TextID("007"), cdc.TextID("anna")},
		"6f1c8d2e-0000-4000-8000-0123456789ab": {cdc.TextID("6f1c8d2e-0000-4000-8000-0123456789ab")},
		"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,1": ids(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
	} {
		got, ok := a.Read(row("1", "siteadmins", value), nil)
		require.Equal(t, want, got, value)
		require.Equal(t, want != nil, ok, value)
	}
	_, ok := a.Read(row("1", "theme", "7"), nil)
	require.False(t, ok)
	_, ok = a.Read(row("1", "theme", "7"), ids(7))
	require.False(t, ok, "where holds no more")
	got, ok := a.Read(row("1", "siteadmins", cdc.Unchanged), ids(2, 3))
	require.True(t, ok)
	require.Equal(t, ids(2, 3), got)
	got, _ = config(t, `" "`).Read(row("1", "siteadmins", "3  2"), nil)
	require.Equal(t, ids(2, 3), got, "a space may stand between them")
	got, _ = config(t, `"::"`).Read(row("1", "siteadmins", "3::2:1"), nil)
	require.Equal(t, []cdc.ID{cdc.IntID(3), cdc.TextID("2:1")}, got)
}

func TestIdsOfMembersAreEqualToThoseOfPeople(t *testing.T) {
	const id = "6f1c8d2e-0000-4000-8000-0123456789ab"
	var parsed pgtype.UUID
	require.NoError(t, parsed.Scan(id))
	bin := binary(t, uuid, parsed)
	p := open(t, "testdata/campus.yaml")
	people := bind(t, p, table("people", "id", uuid, "email", text, "name", text, "active", boolean))
	person, _ := people.User.Read(row(bin, "", "", "t"), cdc.Person{})

	member := bind(t, p, table("enrolments", "id", int8s, "person_id", uuid, "course_id", int2s, "section_id", text,
		"kind", text, "limited", boolean, "state", text)).Members[0]
	for _, v := range []any{id, bin} {
		got, _ := member.Read(row("1", v, "5", "A", "student", "f", "active"), profile.MemberFields{})
		require.Equal(t, person.ID, got.User)
		require.Equal(t, cdc.IntID(5), got.Course)
		require.Equal(t, cdc.TextID("A"), got.Section)
	}
	admin := bind(t, p, table("staff", "person_id", uuid, "superuser", boolean)).Admins[0]
	for _, v := range []any{id, bin} {
		got, _ := admin.Read(row(v, "t"), nil)
		require.Equal(t, []cdc.ID{person.ID}, got)
	}
	got, _ := config(t, `","`).Read(row("1", "siteadmins", id+",2"), nil)
	require.Equal(t, []cdc.ID{cdc.IntID(2), person.ID}, got)
}

func TestAGradeMayBeHiddenFromTheStudent(t *testing.T) {
	works := table("submissions", "id", int8s, "assignment_id", int8s, "person_id", int8s, "handed_in_at", tstz,
		"attempt", int4s, "score", number, "posted_at", tstz)
	g := bind(t, open(t, "testdata/campus.yaml"), works).Grade
	for _, c := range []struct {
		posted    any
		was, want bool
	}{
		{nil, false, true},
		{"2026-11-22 21:05:11+00", true, false},
		{cdc.Unchanged, true, false}, // NULL is never stored out of line
	} {
		require.Equal(t, c.want, g.Hidden(row("1", "1", "1", nil, "1", "3", c.posted), c.was), c.posted)
	}

	states := submissions(number)
	states.Columns = append(states.Columns, cdc.Column{Name: "state", Type: text})
	g = bind(t, parse(t, "extends: django\ngrade: {hidden: {state: secret}}\n"), states).Grade
	for _, was := range []bool{true, false} {
		require.Equal(t, was, g.Hidden(row("1", "1", "1", nil, "1", cdc.Unchanged), was))
	}
	require.False(t, bind(t, open(t, "django"), submissions(number)).Grade.Hidden(row("1", "1", "1", nil, "1"), true), "nothing hides it")
}

// Promise: reading conditions and marks allocates nothing; nor does a membership that
// is saved as it was.
func TestAMembershipSavedAsItWasAllocatesNothing(t *testing.T) {
	p := open(t, "testdata/campus.yaml")
	m := bind(t, p, enrolments()).Members[0]
	r := row("1", "7", "5", "3", "teacher", "f", "active")
	was, _ := m.Read(r, profile.MemberFields{})
	c := bind(t, p, table("courses", "id", int8s, "name", text, "state", text)).Course
	cr := row("1", "Latin", "available")
	course, _ := c.Read(cr, profile.CourseFields{})
	one := bind(t, p, table("staff", "person_id", int8s, "superuser", boolean)).Admins[0]
	or := row("7", "t")
	chief, _ := one.Read(or, nil)
	many := config(t, `","`)
	mr := row("1", "siteadmins", "5, 2,3,5")
	chiefs, _ := many.Read(mr, nil)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.Read(r, was)
		c.Read(cr, course)
		one.Read(or, chief)
		many.Read(mr, chiefs)
	}))
}
