package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// meaningVersion is part of every hash. Raise it when the same profile comes to
	// mean something else.
	meaningVersion = 2
	// markVersion is part of every hash and of Marks. Raise it when the same values
	// come to give another mark.
	markVersion = 1
)

// meaning hashes what rows mean, written out in one fixed form. The name, the file,
// the tables of credentials and the columns of `at` are no part of it: nothing
// remembered hangs on them.
func (p *Profile) meaning() string {
	var b strings.Builder
	line := func(key string, value ...any) {
		fmt.Fprintf(&b, "%s=%q\n", key, fmt.Sprintln(value...))
	}
	line("version", meaningVersion, markVersion)
	line("schema", p.schema)
	line("times", p.times.name)
	for _, l := range p.lookups {
		line("lookup", l.table, l.key, quoteAll(l.columns))
	}
	u := p.user
	line("user", u.table, u.where, u.active, quoteAll([]string{u.name, u.first, u.last, u.email, u.role}))
	for _, value := range slices.Sorted(maps.Keys(u.roles)) {
		line("user.roles", strconv.Quote(value), u.roles[value])
	}
	if c := p.course; c != nil {
		line("course", c.table, c.active, quoteAll([]string{c.title}))
	}
	for _, m := range p.members { // in their order: what is remembered names them by it
		line("member", m.table, m.where, m.ownSection, m.teacher, m.tutor, m.student,
			quoteAll([]string{m.user, m.course, m.section}))
	}
	for _, a := range p.admins {
		line("admin", a.table, a.where, quoteAll([]string{a.user, a.split}))
	}
	a := p.assign
	line("assignment", a.table, a.where, a.published, a.closed,
		quoteAll([]string{a.title, a.description, a.course, a.teacher, a.due, a.closes}))
	if p.given != nil {
		line("assigned", p.given.table, quoteAll([]string{p.given.assignment, p.given.student}))
	}
	s := p.submit
	line("submission", s.table, s.where, s.gone, s.submitted, s.tutorLookup, s.tutorColumn,
		quoteAll([]string{s.assignment, s.student, s.tutor}), quoteAll(s.again))
	if g := p.grade; g != nil {
		line("grade", g.graded, g.hidden, quoteAll([]string{g.score, g.text}), quoteAll(g.again))
	}
	return digest(b.String())
}

// Marks names what the marks of "submitted" and "graded" are made of: the `again`
// columns in their order, and how their values enter. Of two marks other than 0 that
// were made under different names, being unequal says nothing. Whether there is a
// mark at all hangs on the conditions, which are part of Hash only; so is the zone
// of `times`, which no mark hangs on. Without a section grade the second name is "".
func (p *Profile) Marks() (submitted, graded string) {
	name := func(again []string) string { return digest(fmt.Sprintf("%d %q", markVersion, again)) }
	if p.grade != nil {
		graded = name(p.grade.again)
	}
	return name(p.submit.again), graded
}

// digest is 16 hexadecimal digits.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

func quoteAll(words []string) string { return fmt.Sprintf("%q", words) }

// String writes a condition so that equal ones are written alike: the order of the
// maps, of their keys and of a list of values says nothing.
func (c condition) String() string {
	if c == nil {
		return "always"
	}
	maps := make([]string, len(c))
	for i, all := range c {
		tests := make([]string, len(all))
		for j, t := range all {
			tests[j] = fmt.Sprintf("%q: %s", t.column, t.test)
		}
		slices.Sort(tests)
		maps[i] = "{" + strings.Join(tests, ", ") + "}"
	}
	slices.Sort(maps)
	return "[" + strings.Join(maps, ", ") + "]"
}

func (t test) String() string {
	values := make([]string, len(t.values))
	for i, v := range t.values {
		values[i] = fmt.Sprintf("%d %q", v.kind, v.text)
	}
	slices.Sort(values)
	out := fmt.Sprintf("op %d, negate %t, values %q", t.op, t.negate, values)
	if t.min != nil {
		out += ", min " + t.min.text
	}
	if t.below != nil {
		out += ", below " + t.below.text
	}
	return out
}
