package profile

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// A Reading is what one section of a profile reads in one row, and how its conditions
// come out: for people who want to know why, not for the fold.
type Reading struct {
	Section    string // as the file has it: "submission", "member 2", "lookup.profile"
	Keys       []KeyReading
	Conditions []ConditionReading
}

// KeyReading is a key that takes a column or a path, and what that gives.
type KeyReading struct {
	Key    string
	Column string
	Value  string
}

// ConditionReading is a condition: it holds where all tests of one of Any do.
type ConditionReading struct {
	Key   string
	Holds bool
	Any   [][]TestReading
}

// TestReading is one test, and the value that decides it.
type TestReading struct {
	Column string
	Value  string
	Test   string // "present", "one of a, b", "not closed", "at least 0"
	Holds  bool
}

// Explain tells how the profile reads a row of a table, section by section, with what
// paths find and by the clock; none where it does not map the table. A row that makes
// several memberships has a Reading for each of the first few.
func (p *Profile) Explain(t *cdc.Table, row []cdc.Value, now time.Time, find Finder) ([]Reading, error) {
	e := explainer{p: p, t: t, row: row, now: now, find: find}
	e.sections()
	return e.readings, errors.Join(e.errs...)
}

// mostReadings is how many of the memberships are read that one row makes.
const mostReadings = 5

// explainer reads a row as the bindings do, and remembers why.
type explainer struct {
	p    *Profile
	t    *cdc.Table
	row  []cdc.Value
	now  time.Time
	find Finder

	readings []Reading
	errs     []error
}

// partOf is a section, or what is told apart of one.
type partOf struct {
	name       string
	keys       []keyOf
	conditions []conditionOf
}

type (
	keyOf struct {
		name    string
		columns []string // "" or none: the profile does not say
	}
	conditionOf struct {
		name      string
		condition condition
	}
)

func (e *explainer) sections() {
	p := e.p
	for i := range p.lookups {
		l := &p.lookups[i]
		e.section(SectionLookup, i, &l.source, partOf{l.name, []keyOf{{"key", l.key}, {"first", []string{l.first}}, {"column", l.values}}, []conditionOf{{"where", l.where}}})
	}
	u := &p.user
	e.section(SectionUser, 0, &u.source, partOf{"user",
		[]keyOf{{"name", []string{u.name}}, {"first", []string{u.first}}, {"last", []string{u.last}}, {"email", []string{u.email}}, {"role", []string{u.role}}},
		[]conditionOf{{"where", u.where}, {"active", u.active}}})
	if c := p.course; c != nil {
		e.section(SectionCourse, 0, &c.source, partOf{"course", []keyOf{{"title", []string{c.title}}}, []conditionOf{{"active", c.active}}})
	}
	for i := range p.members {
		m := &p.members[i]
		e.section(SectionMember, i, &m.source, partOf{m.name, []keyOf{{"user", m.user}, {"course", m.course}, {"section", m.section}},
			[]conditionOf{{"where", m.where}, {"teacher", m.teacher}, {"tutor", m.tutor}, {"student", m.student}, {"own_section_only", m.ownSection}}})
	}
	for i := range p.admins {
		a := &p.admins[i]
		e.section(SectionAdmin, i, &a.source, partOf{a.name, []keyOf{{"user", a.user}}, []conditionOf{{"where", a.where}}})
	}
	a := &p.assign
	e.section(SectionAssignment, 0, &a.source, partOf{"assignment",
		[]keyOf{{"title", []string{a.title}}, {"course", a.course}, {"teacher", a.teacher}, {"due", []string{a.due}}, {"closes", []string{a.closes}}},
		[]conditionOf{{"where", a.where}, {"published", a.published}, {"closed", a.closed}, {"by_section", a.bySection}, {"anonymous", a.anonymous}}})
	if g := p.given; g != nil {
		e.section(SectionAssigned, 0, &g.source, partOf{"assigned", []keyOf{{"assignment", []string{g.assignment}}, {"student", []string{g.student}}}, nil})
	}
	e.work()
}

// work reads submissions and grades, which may stand in one row.
func (e *explainer) work() {
	s, g := &e.p.submit, e.p.grade
	tutor := s.tutor
	if lookup, column, ok := e.p.TutorPath(); ok {
		l := &e.p.lookups[lookup]
		tutor = []string{s.student[0] + " -> " + strings.TrimPrefix(l.name, "lookup.") + "." + l.values[column]}
	}
	submission := partOf{"submission", []keyOf{
		{"assignment", s.assignment}, {"student", s.student}, {"group", s.group}, {"group_name", []string{s.groupName}}, {"attempt", s.attempt},
		{"tutor", tutor}, {"at", []string{s.at}}, {"again", s.again},
	}, []conditionOf{{"where", s.where}, {"submitted", s.submitted}, {"gone", s.gone}}}
	if g == nil {
		e.section(SectionSubmission, 0, &s.source, submission)
		return
	}
	grade := partOf{"grade", []keyOf{
		{"submission", g.submission}, {"assignment", g.assignment}, {"student", g.student}, {"group", g.group}, {"attempt", g.attempt},
		{"score", []string{g.score}}, {"text", []string{g.text}}, {"at", []string{g.at}}, {"again", g.again},
	}, []conditionOf{{"where", g.where}, {"graded", g.graded}, {"hidden", g.hidden}, {"auto", g.auto}}}
	if !g.own {
		e.section(SectionSubmission, 0, &s.source, submission, grade)
		return
	}
	e.section(SectionGrade, 0, &g.source, grade)
	e.section(SectionSubmission, 0, &s.source, submission)
}

// section notes how a section reads the row, if it reads its table.
func (e *explainer) section(kind Section, entry int, src *source, parts ...partOf) {
	if src.table != e.t.Name || e.t.Schema != e.p.schema {
		return
	}
	t, rows := e.t, [][]cdc.Value{e.row}
	if i := slices.IndexFunc(e.p.derived, func(d *Derived) bool { return d.kind == kind && d.entry == entry }); i >= 0 {
		var err error
		if t, rows, err = e.evaluate(e.p.derived[i]); err != nil {
			e.errs = append(e.errs, err)
			return
		}
	}
	for _, row := range rows[:min(len(rows), mostReadings)] {
		for _, part := range parts {
			r := rowReader{binder{p: e.p, t: t, out: &Binding{Table: t}}, row}
			e.readings = append(e.readings, r.read(part))
			e.errs = append(e.errs, r.errs...)
		}
	}
}

// evaluate reads the row as a derived section does: as a table of its columns and of what
// its paths find. A row that its own columns exclude is read all the same.
func (e *explainer) evaluate(d *Derived) (*cdc.Table, [][]cdc.Value, error) {
	b := binder{p: e.p, t: e.t, out: &Binding{Table: e.t}}
	feed := Feed{d: d, columns: b.columns(d.src.columns)}
	if len(b.errs) > 0 {
		return nil, nil, errors.Join(b.errs...)
	}
	held, _ := feed.Hold(nil, e.row, nil)
	bound, rows, _, err := d.Rows(held, e.now, e.find)
	if err != nil {
		return nil, nil, err
	}
	return bound.Table, rows, nil
}

// rowReader reads one row by the columns of its table.
type rowReader struct {
	binder
	row []cdc.Value
}

// read notes what a part reads. What the profile does not say is left out.
func (r *rowReader) read(p partOf) Reading {
	out := Reading{Section: p.name}
	for _, k := range p.keys {
		for _, column := range k.columns {
			if column != "" {
				out.Keys = append(out.Keys, KeyReading{k.name, column, r.value(column)})
			}
		}
	}
	for _, c := range p.conditions {
		if c.condition != nil {
			out.Conditions = append(out.Conditions, r.condition(c))
		}
	}
	return out
}

// condition decides a condition as the binding does, test by test.
func (r *rowReader) condition(c conditionOf) ConditionReading {
	bound := r.binder.condition(c.condition)
	out := ConditionReading{Key: c.name}
	if len(r.errs) > 0 {
		return out // a column is missing, which is said
	}
	out.Holds = bound.eval(r.row) == yes
	for i, all := range c.condition {
		var tests []TestReading
		for j, t := range all {
			clause := bound[i][j]
			tests = append(tests, TestReading{t.column, r.value(t.column), t.test.words(), clause.eval(r.row[clause.col]) == yes})
		}
		out.Any = append(out.Any, tests)
	}
	return out
}

// value is what stands in a column or at the end of a path, for people. The path to a
// tutor is followed elsewhere: of that it is the beginning.
func (r *rowReader) value(column string) string {
	i := slices.IndexFunc(r.t.Columns, func(c cdc.Column) bool { return c.Name == column })
	if start, _, isPath := strings.Cut(column, " -> "); i < 0 && isPath {
		i = slices.IndexFunc(r.t.Columns, func(c cdc.Column) bool { return c.Name == start })
	}
	if i < 0 {
		r.column(column) // says that it is missing
		return ""
	}
	v := r.row[i]
	switch v.Kind {
	case cdc.Null:
		return "NULL"
	case cdc.Unchanged:
		return "(not in the log)"
	case several:
		var all []string
		for one := range each(v) {
			all = append(all, valueText(one, r.t.Columns[i].Type))
		}
		return strings.Join(all, ", ")
	}
	return valueText(v, r.t.Columns[i].Type)
}

func valueText(v cdc.Value, typ uint32) string {
	var buf [64]byte
	return string(textBytes(v, typ, buf[:]))
}

// words say what a test asks for.
func (t test) words() string {
	var text string
	switch {
	case t.op == opPresent && t.negate:
		return "absent"
	case t.op == opPresent:
		return "present"
	case t.op == opPast:
		text = "past"
	case t.op == opFuture:
		text = "future"
	case t.op == opRange:
		var bounds []string
		if t.min != nil {
			bounds = append(bounds, "at least "+t.min.text)
		}
		if t.below != nil {
			bounds = append(bounds, "below "+t.below.text)
		}
		text = strings.Join(bounds, " and ")
	case len(t.values) == 1:
		text = t.values[0].text
	default:
		values := make([]string, len(t.values))
		for i, v := range t.values {
			values[i] = v.text
		}
		text = "one of " + strings.Join(slices.Clip(values), ", ")
	}
	if t.negate {
		return "not " + text
	}
	return text
}
