package profile

import (
	"strconv"
	"strings"
)

// whereOf is TableSpec.Where of a table: what any of the sections that read it wants of
// a row, of which the row's own columns can be asked. nil: one of them wants all rows.
func (p *Profile) whereOf(table string) func(typeOf func(column string) (uint32, bool)) string {
	var any []condition
	for _, s := range p.readers() {
		if s.src.table != table {
			continue
		}
		c := s.where.ownPart(s.src)
		if c == nil {
			return nil
		}
		any = append(any, c)
	}
	if len(any) == 0 {
		return nil
	}
	return func(typeOf func(column string) (uint32, bool)) string {
		w := weakWriter{typeOf: typeOf}
		out := make([]string, len(any))
		for i, c := range any {
			if out[i] = w.condition(c); out[i] == "" {
				return ""
			}
		}
		return strings.Join(out, " OR ")
	}
}

// reader of a table: a section, and which rows are anything to it.
type tableReader struct {
	src   *source
	where condition // nil: all
}

// readers are all sections that read rows. A grade beside a submission reads those that
// the submission does.
func (p *Profile) readers() []tableReader {
	var out []tableReader
	for i := range p.lookups {
		out = append(out, tableReader{&p.lookups[i].source, p.lookups[i].where})
	}
	out = append(out, tableReader{&p.user.source, p.user.where})
	if p.course != nil {
		out = append(out, tableReader{src: &p.course.source})
	}
	for i := range p.members {
		out = append(out, tableReader{&p.members[i].source, p.members[i].where})
	}
	for i := range p.admins {
		out = append(out, tableReader{&p.admins[i].source, p.admins[i].where})
	}
	out = append(out, tableReader{&p.assign.source, p.assign.where})
	if p.given != nil {
		out = append(out, tableReader{src: &p.given.source})
	}
	if p.HasGradeTable() {
		out = append(out, tableReader{&p.grade.source, p.grade.where})
	}
	return append(out, tableReader{&p.submit.source, p.submit.where})
}

// weakWriter writes conditions in SQL so that no row that fulfils one fails what is
// written: a test that SQL may see otherwise is left out.
type weakWriter struct {
	typeOf func(column string) (uint32, bool)
}

// condition writes a condition; "" where nothing is left of it.
func (w weakWriter) condition(c condition) string {
	var maps []string
	for _, all := range c {
		var tests []string
		for _, t := range all {
			typ, ok := w.typeOf(t.column)
			if !ok {
				continue
			}
			if s, exact := t.test.sql(quoteName(t.column), typ); exact {
				tests = append(tests, s)
			}
		}
		if len(tests) == 0 {
			return ""
		}
		maps = append(maps, "("+strings.Join(tests, " AND ")+")")
	}
	return "(" + strings.Join(maps, " OR ") + ")"
}

// sql writes a test on an expression of a type, as a boolean that is not NULL where it
// is negated. exact says that every server decides it as we do.
func (t test) sql(e string, typ uint32) (out string, exact bool) {
	if _, err := (columnTest{test: t}).bind(0, typ); err != nil || t.timed() {
		return "true", false
	}
	class := classOf(typ)
	exact = true
	switch {
	case t.op == opPresent:
		out = e + " IS NOT NULL"
	case class == classBool:
		out = e + " = " + t.values[0].text
	case class == classText, class == classUUID:
		out = textIn(e, t.texts(class))
	case class == classNumber:
		e, exact = numericOf(e, typ)
		out = t.numbers(e, true)
	default:
		var texts []string
		if t.op == opValue {
			texts = t.texts(class)
		}
		if out = t.numbers(e+"::text::numeric", false); out != "" {
			exact = false
			out = "CASE WHEN " + e + "::text ~ '^[+-]?[0-9]+[.]?[0-9]*$' THEN " + out + " ELSE false END"
		}
		if len(texts) > 0 && out != "" {
			out = textIn(e, texts) + " OR " + out
		} else if len(texts) > 0 {
			out = textIn(e, texts)
		}
	}
	if t.negate {
		return "(" + out + ") IS NOT TRUE", exact
	}
	return "(" + out + ")", exact
}

// numericOf is an expression that compares as we compare numbers, digit by digit. On
// old servers the infinity of a float is no numeric.
func numericOf(e string, typ uint32) (out string, exact bool) {
	switch typ {
	case oidFloat4, oidFloat8:
		return e + "::text::numeric", false
	case oidOID:
		return e + "::int8", true
	}
	return e, true
}

// numbers writes what the test says of a number; "" where it says nothing. Of values
// in quotes it says something only where all are numbers.
func (t test) numbers(e string, all bool) string {
	var out []string
	if t.op == opRange {
		if t.min != nil {
			out = append(out, e+" >= "+numericLiteral(t.min.text))
		}
		if t.below != nil {
			out = append(out, e+" < "+numericLiteral(t.below.text))
		}
		return strings.Join(out, " AND ")
	}
	for _, l := range t.values {
		if all || l.kind == nodeNumber {
			out = append(out, numericLiteral(l.text))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return e + " IN (" + strings.Join(out, ", ") + ")"
}

// texts are the texts that the test is true for.
func (t test) texts(class class) []string {
	var out []string
	for _, l := range t.values {
		switch uuid, ok := canonicalUUID(l.text); {
		case class == classUUID && ok:
			out = append(out, uuid)
		default:
			out = append(out, l.text)
			if class == classOther && l.kind == nodeBool {
				out = append(out, l.text[:1])
			}
		}
	}
	return out
}

func textIn(e string, texts []string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = quoteText(s)
	}
	return e + `::text COLLATE "C" IN (` + strings.Join(quoted, ", ") + ")"
}

// numericLiteral is bare where it is an integer: an index can then be of use.
func numericLiteral(text string) string {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text {
		return text
	}
	return quoteText(text) + "::numeric"
}

// quoteText is a text in SQL, whatever standard_conforming_strings is.
func quoteText(s string) string {
	s = "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(s, `\`, `\\`)
	}
	return s
}

func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
