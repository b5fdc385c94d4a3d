package profile

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// SQL writes a condition of the profile as a boolean expression on the row r of the
// section's table, with its paths as subqueries, as of a moment. The condition is named
// as the file places it: "submission.gone", "member 2.teacher", "lookup.activity.where".
// tableOf describes the tables, as the log does. Server and profile agree on what holds;
// that is for tests and for people who ask why: no row is read by it.
func (p *Profile) SQL(condition string, tableOf func(table string) *cdc.Table, now time.Time) (string, error) {
	i := strings.LastIndexByte(condition, '.')
	if i < 0 {
		return "", fmt.Errorf("%q names no condition; write one such as submission.gone", condition)
	}
	src, c, ok := p.conditionOf(condition[:i], condition[i+1:])
	if !ok {
		return "", fmt.Errorf("the profile %s has no condition %s", p.name, condition)
	}
	w := sqlWriter{p: p, tableOf: tableOf, now: now}
	return w.condition(src, c, "r")
}

// conditionOf finds a condition by its place.
func (p *Profile) conditionOf(section, key string) (*source, condition, bool) {
	type of = map[string]condition
	find := func(src *source, keys of) (*source, condition, bool) {
		c, ok := keys[key]
		return src, c, ok && src.name == section
	}
	for i := range p.lookups {
		l := &p.lookups[i]
		if src, c, ok := find(&l.source, of{"where": l.where}); ok {
			return src, c, true
		}
	}
	for i := range p.members {
		m := &p.members[i]
		if src, c, ok := find(&m.source, of{"where": m.where, "own_section_only": m.ownSection, "teacher": m.teacher,
			"tutor": m.tutor, "student": m.student}); ok {
			return src, c, true
		}
	}
	for i := range p.admins {
		if src, c, ok := find(&p.admins[i].source, of{"where": p.admins[i].where}); ok {
			return src, c, true
		}
	}
	switch section {
	case "user":
		return find(&p.user.source, of{"where": p.user.where, "active": p.user.active})
	case "course":
		if p.course != nil {
			return find(&p.course.source, of{"active": p.course.active})
		}
	case "assignment":
		a := &p.assign
		return find(&a.source, of{"where": a.where, "published": a.published, "closed": a.closed, "by_section": a.bySection,
			"anonymous": a.anonymous, "gone": a.gone})
	case "submission":
		return find(&p.submit.source, of{"where": p.submit.where, "gone": p.submit.gone, "submitted": p.submit.submitted})
	case "grade":
		if g := p.grade; g != nil {
			return find(&g.source, of{"where": g.where, "graded": g.graded, "hidden": g.hidden, "auto": g.auto})
		}
	}
	return nil, nil, false
}

// sqlWriter writes conditions and paths. Every subquery calls its rows l1, l2, …
type sqlWriter struct {
	p       *Profile
	tableOf func(table string) *cdc.Table
	now     time.Time
	aliases int
}

// expression is a value in SQL, and the lateral subqueries that it is read from.
type expression struct {
	from []string
	sql  string
	typ  uint32
}

func (w *sqlWriter) condition(src *source, c condition, row string) (string, error) {
	if c == nil {
		return "true", nil
	}
	maps := make([]string, len(c))
	for i, all := range c {
		tests := make([]string, len(all))
		for j, t := range all {
			var err error
			if tests[j], err = w.test(src, t, row); err != nil {
				return "", err
			}
		}
		maps[i] = "(" + strings.Join(tests, " AND ") + ")"
	}
	return "(" + strings.Join(maps, " OR ") + ")", nil
}

// test writes a test on a column or a path: it holds if it holds for any row found, and
// `not` of it if it holds for none.
func (w *sqlWriter) test(src *source, t columnTest, row string) (string, error) {
	o, isPath := src.path(t.column)
	e, err := w.operand(o, src.table, row)
	if err != nil {
		return "", err
	}
	if !isPath {
		return w.on(t.test, e), nil
	}
	negate := t.test.negate
	t.test.negate = false
	out := "EXISTS (SELECT 1 FROM " + strings.Join(e.from, " CROSS JOIN LATERAL ") + " WHERE " + w.on(t.test, e) + ")"
	if negate {
		out = "NOT " + out
	}
	return out, nil
}

// on writes a test on one value.
func (w *sqlWriter) on(t test, e expression) string {
	if !t.timed() {
		out, _ := t.sql(e.sql, e.typ)
		return out
	}
	now := quoteText(w.now.UTC().Format("2006-01-02 15:04:05.999999+00")) + "::timestamptz"
	at, known := e.sql, "true"
	switch zone := w.p.times.zone.String(); {
	case isInteger(e.typ):
		now = strconv.FormatInt(w.now.Unix(), 10)
		known = at + " > 0"
	case e.typ == oidTimestamp, e.typ == oidDate:
		at = "(" + at + "::timestamp AT TIME ZONE " + quoteText(zone) + ")"
	}
	out := known + " AND " + at + " <= " + now
	if t.op == opFuture {
		out = known + " AND " + at + " > " + now
	}
	if t.negate {
		return "(" + out + ") IS NOT TRUE"
	}
	return "(" + out + ")"
}

// operand writes a column of row, or a path that begins there.
func (w *sqlWriter) operand(o operand, table, row string) (expression, error) {
	if !o.isPath() {
		typ, err := w.typeOf(table, o.column)
		return expression{sql: row + "." + quoteName(o.column), typ: typ}, err
	}
	l := &w.p.lookups[o.lookup]
	var out expression
	starts := make([]string, len(o.start))
	for i, s := range o.start {
		e, err := w.operand(s, table, row)
		if err != nil {
			return expression{}, err
		}
		starts[i] = e.sql
		out.from = append(out.from, e.from...)
	}
	w.aliases++
	found := "l" + strconv.Itoa(w.aliases)
	rows, err := w.rows(l, starts, found)
	if err != nil {
		return expression{}, err
	}
	out.from = append(out.from, rows+" AS "+found)
	out.sql = found + "." + quoteName(o.column)
	out.typ, err = w.typeOf(l.table, o.column)
	return out, err
}

// rows writes the subquery of the rows that a lookup finds.
func (w *sqlWriter) rows(l *lookupSpec, starts []string, alias string) (string, error) {
	row := alias + "x"
	var all []string
	for i, key := range l.key {
		e, err := w.scalar(&l.source, key, row)
		if err != nil {
			return "", err
		}
		start, has := starts[i]+"::text", e.sql+"::text"
		switch {
		case l.parts != "":
			all = append(all, has+" IN ("+partsOf(start, l.parts)+")")
		case l.split != "":
			all = append(all, start+" IN ("+partsOf(has, l.split)+")")
		default:
			all = append(all, has+" = "+start)
		}
	}
	where, err := w.condition(&l.source, l.where, row)
	if err != nil {
		return "", err
	}
	out := "(SELECT " + row + ".* FROM " + quoteName(w.p.schema) + "." + quoteName(l.table) + " AS " + row +
		" WHERE " + strings.Join(append(all, where), " AND ")
	if l.many {
		return out + ")", nil
	}
	order, err := w.order(l, row)
	return out + " ORDER BY " + order + " LIMIT 1)", err
}

// order is which of several rows is found.
func (w *sqlWriter) order(l *lookupSpec, row string) (string, error) {
	var by []string
	if l.first != "" {
		e, err := w.scalar(&l.source, l.first, row)
		if err != nil {
			return "", err
		}
		switch class := classOf(e.typ); class {
		case classNumber, classTime:
			by = append(by, e.sql+" NULLS LAST")
		default:
			by = append(by, e.sql+`::text COLLATE "C" NULLS LAST`)
		}
	}
	for _, c := range w.tableOf(l.table).Columns {
		if c.Key {
			by = append(by, row+"."+quoteName(c.Name))
		}
	}
	return strings.Join(append(by, row+".ctid"), ", "), nil
}

// scalar writes a column or a path that finds one value.
func (w *sqlWriter) scalar(src *source, text, row string) (expression, error) {
	o, isPath := src.path(text)
	e, err := w.operand(o, src.table, row)
	if isPath {
		e.sql = "(SELECT " + e.sql + " FROM " + strings.Join(e.from, " CROSS JOIN LATERAL ") + ")"
		e.from = nil
	}
	return e, err
}

// partsOf writes the parts of a value, taken apart at split.
func partsOf(e, split string) string {
	return "SELECT btrim(part, E' \\t\\n\\r') FROM unnest(string_to_array(" + e + ", " + quoteText(split) + ")) AS part WHERE btrim(part) <> ''"
}

func (w *sqlWriter) typeOf(table, column string) (uint32, error) {
	t := w.tableOf(table)
	if t == nil {
		return 0, fmt.Errorf("table %s is not described", table)
	}
	for _, c := range t.Columns {
		if c.Name == column {
			return c.Type, nil
		}
	}
	return 0, w.p.missing(t.Schema, table, column, nil)
}
