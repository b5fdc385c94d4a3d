package profile

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// over reads a file as if it extended the campus, whose list of members begins
// with the entries given besides.
func over(t *testing.T, file string, besides ...string) *Profile {
	t.Helper()
	src, err := os.ReadFile("testdata/campus.yaml")
	require.NoError(t, err)
	for _, entry := range besides {
		src = bytes.Replace(src, []byte("member:\n"), []byte("member:\n  - "+entry+"\n"), 1)
	}
	r := reader{p: &Profile{file: "school.yaml", schema: "public"}}
	r.root = merge(parseTree("campus (built in)", src, &r.mistakes), parseTree("school.yaml", []byte(file), &r.mistakes))
	r.read()
	require.Empty(t, r.list)
	r.p.finish()
	return r.p
}

func TestAListOfTheFileReplacesTheBasesWhole(t *testing.T) {
	p := over(t, "course: {title: label}\nmember: {from: guests, user: u, course: c, tutor: {kind: ta}}\nadmin: [{from: a, user: u}, {from: b, user: u}]\n")
	require.Equal(t, "label", p.course.title)
	require.NotNil(t, p.course.active, "a section is laid over the base's key by key")
	require.Len(t, p.members, 1)
	require.Equal(t, "guests", p.members[0].table)
	require.Nil(t, p.members[0].where)
	require.Len(t, p.admins, 2)

	p = over(t, "admin: {from: chiefs, user: id}")
	require.Len(t, p.admins, 1)
	require.Nil(t, p.admins[0].where, "also where both are one map")
}

// Promise: a missing column is answered with lines that are right as they stand.
func TestTheRemedyForAListOfTheBaseIsTheWholeList(t *testing.T) {
	p := over(t, "user: {email: mail}\n")
	missing := p.missing("public", "enrolments", "kind", []string{"id", "kinds"})
	require.Equal(t, []string{"member 1.teacher", "member 1.tutor", "member 1.student"}, missing.Keys)
	require.Equal(t, "in school.yaml write `member: [{from: enrolments, where: {state: active}, user: person_id, course: course_id, "+
		"section: section_id, own_section_only: {limited: true}, teacher: {kinds: teacher}, tutor: {kinds: ta}, student: {kinds: student}}]`", missing.Fix)

	fixed := over(t, "member: [{from: enrolments, where: {state: active}, user: person_id, course: course_id, section: section_id, "+
		"own_section_only: {limited: true}, teacher: {kinds: teacher}, tutor: {kinds: ta}, student: {kinds: student}}]")
	_, err := fixed.Bind(&cdc.Table{Schema: "public", Name: "enrolments", Identity: cdc.IdentityDefault, Columns: []cdc.Column{
		{Name: "id", Key: true}, {Name: "person_id"}, {Name: "course_id"}, {Name: "section_id"}, {Name: "limited"}, {Name: "state"}, {Name: "kinds"},
	}})
	require.NoError(t, err, "the line of the remedy is the remedy")

	two := over(t, "user: {email: mail}\n", "{from: enrolments, user: person_id, course: course_id, tutor: [{kind: [a, 'b'], x: true}]}").
		missing("public", "enrolments", "kind", []string{"id", "kinds"})
	require.Equal(t, []string{"member 1.tutor", "member 2.teacher", "member 2.tutor", "member 2.student"}, two.Keys)
	require.Equal(t, "in school.yaml write `member: [{from: enrolments, user: person_id, course: course_id, tutor: [{kinds: [a, \"b\"], x: true}]}, "+
		"{from: enrolments, where: {state: active}, user: person_id, course: course_id, section: section_id, own_section_only: {limited: true}, "+
		"teacher: {kinds: teacher}, tutor: {kinds: ta}, student: {kinds: student}}]`", two.Fix, "once, whichever entries it stands in")

	require.Equal(t, "in school.yaml write `admin: [{from: staff, user: persons_id, where: {superuser: true}}]`",
		p.missing("public", "staff", "person_id", []string{"persons_id"}).Fix)
}
