package profile

import (
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
)

// truth is the outcome of a condition. It is unknown where the log does not carry
// the column that decides (cdc.Unchanged): then what was, stays.
type truth byte

const (
	no truth = iota
	yes
	unknown
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// or replaces an unknown outcome by what was known before.
func (t truth) or(was bool) bool { return t == yes || t == unknown && was }

// clauses is a condition bound to a table's columns; nil always holds, and an empty
// one never.
type clauses [][]clause

// clause is one test on one column.
type clause struct {
	col    int
	typ    uint32
	op     clauseOp
	negate bool
	want   bool      // clauseBool
	texts  []string  // clauseText: one of them
	nums   []decimal // clauseNumber: one of them
	min    *decimal  // clauseRange
	below  *decimal
}

type clauseOp byte

const (
	clausePresent clauseOp = iota + 1
	clauseBool
	clauseText
	clauseNumber
	clauseRange
	clauseMixed // a type we do not know, values of several kinds: text or number
)

// eval decides the condition on a row.
func (c clauses) eval(row []cdc.Value) truth {
	if c == nil {
		return yes
	}
	out := no
	for _, all := range c {
		switch evalAll(all, row) {
		case yes:
			return yes
		case unknown:
			out = unknown
		}
	}
	return out
}

func evalAll(all []clause, row []cdc.Value) truth {
	out := yes
	for i := range all {
		switch all[i].eval(row[all[i].col]) {
		case no:
			return no
		case unknown:
			out = unknown
		}
	}
	return out
}

func (c *clause) eval(v cdc.Value) truth {
	switch v.Kind {
	case cdc.Null:
		return truthOf(c.negate) // NULL is not present, equals nothing and lies in no range
	case cdc.Unchanged:
		if c.op != clausePresent {
			return unknown
		}
		return truthOf(!c.negate) // NULL is never stored out of line
	}
	if v.Kind == several {
		return c.any(v)
	}
	return truthOf(c.holds(v) != c.negate)
}

// any decides the test on what a path found, which are several: it holds if it holds
// for any of them, and `not` of it if it holds for none.
func (c *clause) any(v cdc.Value) truth {
	one := *c
	one.negate = false
	out := no
	for v := range each(v) {
		switch one.eval(v) {
		case yes:
			return truthOf(!c.negate)
		case unknown:
			out = unknown
		}
	}
	if out == no {
		return truthOf(c.negate)
	}
	return unknown
}

// holds decides the test, not yet negated, on a value that is there.
func (c *clause) holds(v cdc.Value) bool {
	switch c.op {
	case clausePresent:
		return true
	case clauseBool:
		return isTrue(v) == c.want
	case clauseText:
		return c.holdsText(v)
	case clauseNumber:
		return c.holdsNumber(v)
	case clauseRange:
		var buf [32]byte
		d, ok := number(v, c.typ, buf[:])
		return ok && (c.min == nil || d.compare(c.min) >= 0) && (c.below == nil || d.compare(c.below) < 0)
	case clauseMixed:
		return c.holdsText(v) || c.holdsNumber(v)
	}
	return false
}

func (c *clause) holdsText(v cdc.Value) bool {
	b := v.Data
	if v.Kind == cdc.Binary || c.typ == oidBpchar {
		var buf [64]byte
		return oneOfTexts(c.texts, textBytes(v, c.typ, buf[:]))
	}
	return oneOfTexts(c.texts, b)
}

func oneOfTexts(texts []string, b []byte) bool {
	for _, t := range texts {
		if t == string(b) {
			return true
		}
	}
	return false
}

func (c *clause) holdsNumber(v cdc.Value) bool {
	if len(c.nums) == 0 {
		return false
	}
	var buf [32]byte
	d, ok := number(v, c.typ, buf[:])
	if !ok {
		return false
	}
	for i := range c.nums {
		if d.compare(&c.nums[i]) == 0 {
			return true
		}
	}
	return false
}

// bind turns a test of the file into a clause for a column of one type.
func (t columnTest) bind(col int, typ uint32) (clause, error) {
	c := clause{col: col, typ: typ, negate: t.test.negate}
	switch t.test.op {
	case opPresent:
		c.op = clausePresent
		return c, nil
	case opRange:
		c.op = clauseRange
		if class := classOf(typ); class != classNumber && class != classOther {
			return c, fmt.Errorf("%s tests min or below on column %q, which is %s; write a list of values", t.label, t.column, class)
		}
		c.min, c.below = t.test.min.decimal(), t.test.below.decimal()
		return c, nil
	}
	var err error
	for _, l := range t.test.values {
		if err = c.accept(l); err != nil {
			return c, fmt.Errorf("%s tests column %q for %q, but the column is %w", t.label, t.column, l.text, err)
		}
	}
	return c, nil
}

// accept adds one of the values that a clause is true for.
func (c *clause) accept(l literal) error {
	d, isNumber := parseDecimal([]byte(l.text))
	switch class := classOf(c.typ); class {
	case classBool:
		want := l.text == "true"
		if l.kind != nodeBool {
			return fmt.Errorf("%s; write true or false", class)
		}
		if c.op == clauseBool && c.want != want {
			return fmt.Errorf("%s and is always true or false; write present", class)
		}
		c.op, c.want = clauseBool, want
	case classNumber:
		if !isNumber || l.kind == nodeBool {
			return fmt.Errorf("%s; write a number, such as 1 for true", class)
		}
		c.op, c.nums = clauseNumber, append(c.nums, d)
	case classText:
		c.op, c.texts = clauseText, append(c.texts, l.text)
	case classTime:
		return fmt.Errorf("%s; write present, absent, past or future", class)
	case classUUID:
		text, ok := canonicalUUID(l.text)
		if !ok {
			return fmt.Errorf("%s; write one such as 6f1c8d2e-0000-4000-8000-000000000000", class)
		}
		c.op, c.texts = clauseText, append(c.texts, text)
	default:
		c.op, c.texts = clauseMixed, append(c.texts, l.text)
		if l.kind == nodeNumber {
			c.nums = append(c.nums, d)
		}
		if l.kind == nodeBool {
			c.texts = append(c.texts, l.text[:1]) // as a domain over boolean prints it
		}
	}
	return nil
}

func (l *literal) decimal() *decimal {
	if l == nil {
		return nil
	}
	d, _ := parseDecimal([]byte(l.text))
	return &d
}
