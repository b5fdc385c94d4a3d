package profile_test

import (
	"testing"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// BenchmarkCondition reads `gone` of a submission, so it includes the ids and the
// mark; the condition alone is the difference to "none".
func BenchmarkCondition(b *testing.B) {
	for _, c := range []struct {
		name, condition string
		typ             int
		value           any
	}{
		{"none", "", text, nil},
		{"word", "{gone: {x: closed}}", text, "closed"},
		{"list", "{gone: {x: [open, shut, closed]}}", text, "closed"},
		{"number", "{gone: {x: 78.5}}", number, "78.50000"},
		{"range", "{gone: {x: {min: 0, below: 100}}}", number, "78.50000"},
		{"boolean", "{gone: {x: true}}", boolean, "t"},
		{"two", "{gone: {x: {not: closed}, submitted_at: present}}", text, "open"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := profile.Parse("school.yaml", []byte("extends: django\nsubmission: "+c.condition+"\n"))
			if c.condition == "" {
				p, err = profile.Open("django")
			}
			if err != nil {
				b.Fatal(err)
			}
			sub := submissions(number)
			sub.Columns = append(sub.Columns, cdc.Column{Name: "x", Type: uint32(c.typ)})
			read := bind(b, p, sub).Submission
			r := row("1", "2", "3", nil, nil, c.value)
			b.ReportAllocs()
			for b.Loop() {
				read.Read(r, profile.SubmissionFields{})
			}
		})
	}
}

func BenchmarkSubmissionWithGrade(b *testing.B) {
	p, err := profile.Open("django")
	if err != nil {
		b.Fatal(err)
	}
	t := bind(b, p, submissions(number))
	r := row("1", "2", "3", "2026-11-22 21:05:11.123456+00", "78.50000")
	b.ReportAllocs()
	for b.Loop() {
		t.Key(r)
		t.Submission.Read(r, profile.SubmissionFields{})
		t.Grade.Read(r, 0)
	}
}
