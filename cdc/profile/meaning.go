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
	meaningVersion = 3
	// markVersion is part of every hash and of Marks. Raise it when the same values
	// come to give another mark.
	markVersion = 1
)

// meaning hashes what rows mean, written out in one fixed form. The name, the file,
// the names of lookups, the tables of credentials, the columns of `at` and what is
// kept besides are no part of it: nothing remembered hangs on them.
func (p *Profile) meaning() string {
	w := meaningWriter{p: p}
	w.line("version", meaningVersion, markVersion)
	w.line("schema", p.schema)
	w.line("times", p.times.name)
	for i := range p.lookups { // in their order: what is remembered names them by it
		l := &p.lookups[i]
		w.of(&l.source)
		l.meaning = digest(fmt.Sprintf("%q", []string{
			l.table, w.key(l.key), w.when(l.where), w.key([]string{l.first}), strconv.FormatBool(l.many), l.split, l.parts,
		}))
		w.line("lookup", l.meaning, quoteAll(l.values))
	}
	u := p.user
	w.of(&u.source)
	w.line("user", u.table, w.when(u.where), w.when(u.active), w.key([]string{u.name, u.first, u.last, u.email, u.role}))
	for _, value := range slices.Sorted(maps.Keys(u.roles)) {
		w.line("user.roles", strconv.Quote(value), u.roles[value])
	}
	if c := p.course; c != nil {
		w.of(&c.source)
		w.line("course", c.table, w.when(c.active), w.key([]string{c.title}))
	}
	for i := range p.members { // in their order, as above
		m := &p.members[i]
		w.of(&m.source)
		w.line("member", m.table, w.when(m.where), w.when(m.ownSection), w.when(m.teacher), w.when(m.tutor), w.when(m.student),
			w.key(m.user), w.key(m.course), w.key(m.section))
	}
	for i := range p.admins {
		a := &p.admins[i]
		w.of(&a.source)
		w.line("admin", a.table, w.when(a.where), w.key(a.user), strconv.Quote(a.split))
	}
	w.works()
	return digest(w.b.String())
}

// works writes what assignments, submissions and grades mean.
func (w *meaningWriter) works() {
	a := w.p.assign
	w.of(&a.source)
	w.line("assignment", a.table, w.when(a.where), w.when(a.published), w.when(a.closed), w.when(a.bySection), w.when(a.anonymous), w.when(a.gone),
		w.key([]string{a.title, a.description, a.due, a.closes}), w.key(a.course), w.key(a.teacher))
	if g := w.p.given; g != nil {
		w.line("assigned", g.table, quoteAll([]string{g.assignment, g.student}))
	}
	s := w.p.submit
	w.of(&s.source)
	w.line("submission", s.table, w.when(s.where), w.when(s.gone), w.when(s.submitted), s.tutorLookup, s.tutorColumn,
		w.key(s.assignment), w.key(s.student), w.key(s.tutor), w.key(s.group), w.key(s.attempt),
		w.key([]string{s.groupName}), w.key(s.again))
	if g := w.p.grade; g != nil {
		w.of(&g.source)
		w.line("grade", g.own, g.table, w.when(g.where), w.when(g.graded), w.when(g.hidden), w.when(g.auto),
			w.key(g.submission), w.key(g.assignment), w.key(g.student), w.key(g.group), w.key(g.attempt),
			w.key([]string{g.score, g.text}), w.key(g.again))
	}
}

// meaningWriter writes what a profile means.
type meaningWriter struct {
	p   *Profile
	src *source
	b   strings.Builder
}

// of says whose columns and paths are written from now on.
func (w *meaningWriter) of(src *source) { w.src = src }

func (w *meaningWriter) line(key string, value ...any) {
	fmt.Fprintf(&w.b, "%s=%q\n", key, fmt.Sprintln(value...))
}

// name writes a column or a path. A path names what its lookups mean.
func (w *meaningWriter) name(text string) string {
	o, _ := w.src.path(text)
	return w.operand(o)
}

func (w *meaningWriter) operand(o operand) string {
	if !o.isPath() {
		return o.column
	}
	start := make([]string, len(o.start))
	for i, s := range o.start {
		start[i] = w.operand(s)
	}
	return quoteAll(start) + " -> " + w.p.lookups[o.lookup].meaning + "." + o.column
}

func (w *meaningWriter) key(texts []string) string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = w.name(text)
	}
	return quoteAll(out)
}

// when writes a condition so that equal ones are written alike: the order of the
// maps, of their keys and of a list of values says nothing.
func (w *meaningWriter) when(c condition) string {
	if c == nil {
		return "always"
	}
	maps := make([]string, len(c))
	for i, all := range c {
		tests := make([]string, len(all))
		for j, t := range all {
			tests[j] = fmt.Sprintf("%q: %s", w.name(t.column), t.test)
		}
		slices.Sort(tests)
		maps[i] = "{" + strings.Join(tests, ", ") + "}"
	}
	slices.Sort(maps)
	return "[" + strings.Join(maps, ", ") + "]"
}

// Marks names what the marks of "submitted" and "graded" are made of: the `again`
// columns in their order, and how their values enter. Of two marks other than 0 that
// were made under different names, being unequal says nothing. Whether there is a
// mark at all hangs on the conditions, which are part of Hash only; so is the zone
// of `times`, which no mark hangs on. A table of the grades' own is part of the second. Without a section grade the second name is "".
func (p *Profile) Marks() (submitted, graded string) {
	name := func(src *source, again []string) string {
		w := meaningWriter{p: p, src: src}
		names := make([]string, len(again))
		for i, text := range again {
			names[i] = w.name(text)
		}
		return fmt.Sprintf("%d %q", markVersion, names)
	}
	if g := p.grade; g != nil {
		graded = name(&g.source, g.again)
		if g.own {
			graded += " " + g.table
		}
		graded = digest(graded)
	}
	return digest(name(&p.submit.source, p.submit.again)), graded
}

// digest is 16 hexadecimal digits.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

func quoteAll(words []string) string { return fmt.Sprintf("%q", words) }

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
