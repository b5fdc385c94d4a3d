package profile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// BenchmarkCondition decides one condition on one row.
func BenchmarkCondition(b *testing.B) {
	for _, c := range []struct {
		name, condition string
		typ             uint32
		value           string
	}{
		{"word", "{x: closed}", oidText, "closed"},
		{"list", "{x: [open, shut, closed]}", oidText, "closed"},
		{"boolean", "{x: true}", oidBool, "t"},
		{"present", "{x: present}", oidTimestamptz, "2026-11-22 21:05:11.123456+00"},
		{"number", "{x: 78.5}", oidNumeric, "78.50000"},
		{"min", "{x: {min: 0}}", oidNumeric, "78.50000"},
		{"two", "{x: {not: closed}, student_id: present}", oidText, "open"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := Parse("school.yaml", []byte("extends: django\nsubmission: {gone: "+c.condition+"}\n"))
			require.NoError(b, err)
			t, err := p.Bind(submissionTable(cdc.Column{Name: "x", Type: c.typ}))
			require.NoError(b, err)
			row := submissionRow(c.value)
			require.Equal(b, yes, t.Submission.gone.eval(row))
			b.ReportAllocs()
			for b.Loop() {
				t.Submission.gone.eval(row)
			}
		})
	}
}

// BenchmarkSubmissionRow reads all that a change of a submission needs: the key,
// the fields, and the marks of what was handed in and of the grade.
func BenchmarkSubmissionRow(b *testing.B) {
	p, err := Open("django")
	require.NoError(b, err)
	t, err := p.Bind(submissionTable())
	require.NoError(b, err)
	row := submissionRow("")
	b.ReportAllocs()
	for b.Loop() {
		t.Key(row)
		t.Submission.Read(row, SubmissionFields{})
		t.Grade.Read(row, 0)
	}
}

// BenchmarkMemberRow reads a membership that is saved as it was.
func BenchmarkMemberRow(b *testing.B) {
	p, err := Open("testdata/campus.yaml")
	require.NoError(b, err)
	t, err := p.Bind(&cdc.Table{Schema: "public", Name: "enrolments", Identity: cdc.IdentityDefault, Columns: []cdc.Column{
		{Name: "id", Type: oidInt8, Key: true}, {Name: "person_id", Type: oidInt8}, {Name: "course_id", Type: oidInt8},
		{Name: "section_id", Type: oidInt8}, {Name: "kind", Type: oidText}, {Name: "limited", Type: oidBool}, {Name: "state", Type: oidText},
	}})
	require.NoError(b, err)
	row := texts("1", "7", "5", "3", "teacher", "f", "active")
	was, ok := t.Members[0].Read(row, MemberFields{})
	require.True(b, ok)
	b.ReportAllocs()
	for b.Loop() {
		t.Key(row)
		t.Members[0].Read(row, was)
	}
}

// BenchmarkAdminRow reads a value of four ids that is saved as it was.
func BenchmarkAdminRow(b *testing.B) {
	p, err := Parse("school.yaml", []byte("extends: django\nadmin: {from: config, user: value, where: {name: siteadmins}, split: \",\"}\n"))
	require.NoError(b, err)
	t, err := p.Bind(&cdc.Table{Schema: "public", Name: "config", Identity: cdc.IdentityDefault, Columns: []cdc.Column{
		{Name: "id", Type: oidInt8, Key: true}, {Name: "name", Type: oidText}, {Name: "value", Type: oidText},
	}})
	require.NoError(b, err)
	row := texts("1", "siteadmins", "2,17,5,3")
	was, ok := t.Admins[0].Read(row, nil)
	require.True(b, ok)
	b.ReportAllocs()
	for b.Loop() {
		t.Admins[0].Read(row, was)
	}
}

func submissionTable(more ...cdc.Column) *cdc.Table {
	return &cdc.Table{
		Schema: "public", Name: "assignments_assignmentsubmission", Identity: cdc.IdentityDefault,
		Columns: append([]cdc.Column{
			{Name: "id", Type: oidInt8, Key: true},
			{Name: "assignment_id", Type: oidInt8},
			{Name: "student_id", Type: oidInt8},
			{Name: "submitted_at", Type: oidTimestamptz},
			{Name: "grade", Type: oidNumeric},
		}, more...),
	}
}

func submissionRow(x string) []cdc.Value {
	return texts("1", "2", "3", "2026-11-22 21:05:11.123456+00", "78.50000", x)
}

func texts(values ...string) []cdc.Value {
	row := make([]cdc.Value, len(values))
	for i, v := range values {
		row[i] = cdc.Value{Kind: cdc.Text, Data: []byte(v)}
	}
	return row
}

// alwaysFinder finds one record per lookup under every key.
type alwaysFinder [][]*LookupRecord

func (f alwaysFinder) Find(lookup int, _ cdc.ID) []*LookupRecord { return f[lookup] }

// BenchmarkDerivedSubmission evaluates a held submission with two conditions on paths.
func BenchmarkDerivedSubmission(b *testing.B) {
	p, err := Parse("school.yaml", []byte(`
extends: django
submission:
  where: {assignment_id -> assignments_assignment.team: false, student_id -> accounts_user.is_active: true}
`))
	require.NoError(b, err)
	bound, err := p.Bind(submissionTable())
	require.NoError(b, err)
	held, ok := bound.Feeds[0].Hold(nil, submissionRow(""), nil)
	require.True(b, ok)
	flag := func(word string) []*LookupRecord {
		return []*LookupRecord{{values: []typed{{oidBool, cdc.Value{Kind: cdc.Text, Data: []byte(word)}}}}}
	}
	var find Finder = alwaysFinder{nil, flag("f"), flag("t")}
	if p.lookups[1].values[0] != "team" {
		find = alwaysFinder{flag("f"), flag("t"), nil}
	}
	e, now := p.Derived()[0].Evaluator(), time.Unix(1_800_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		section, rows, _, err := e.Rows(held, now, find)
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := section.Submission.Read(rows[0], SubmissionFields{}); !ok {
			b.Fatal("it is none")
		}
	}
}

// BenchmarkHold holds a row for a derived section.
func BenchmarkHold(b *testing.B) {
	p, err := Parse("school.yaml", []byte("extends: django\nsubmission: {gone: {student_id -> accounts_user.left: present}}\n"))
	require.NoError(b, err)
	bound, err := p.Bind(submissionTable())
	require.NoError(b, err)
	row := submissionRow("")
	held, _ := bound.Feeds[0].Hold(nil, row, nil)
	room := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		bound.Feeds[0].Hold(room, row, held)
	}
}
