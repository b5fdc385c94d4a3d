package profile

import (
	"slices"
	"strings"
)

// operand is what a key of the file names in a row: a column, or a path, which is
// one column of the rows that a lookup finds. A path of several steps begins at the
// path before its last step.
type operand struct {
	text   string    // in one fixed form; what a section's fields hold
	column string    // of the section's table, or of the lookup's
	start  []operand // of a path: what the key is made of
	lookup int       // of a path: its number; -1: a column
}

func (o operand) isPath() bool { return o.lookup >= 0 }

// site is the part of a path's text that says which rows it finds: paths of one
// section that share it mean the same rows.
func (o operand) site() string { return o.text[:len(o.text)-len(o.column)-1] }

// pathText is a path as the file says it, its lookups still names.
type pathText struct {
	column string
	start  []pathText // of a path
	lookup string     // of a path
}

func (t pathText) isPath() bool { return t.lookup != "" }

// String writes the path in one fixed form.
func (t pathText) String() string {
	if !t.isPath() {
		return t.column
	}
	start := make([]string, len(t.start))
	for i, s := range t.start {
		if start[i] = s.String(); s.isPath() && len(t.start) > 1 {
			start[i] = "(" + start[i] + ")"
		}
	}
	return strings.Join(start, " + ") + " -> " + t.lookup + "." + t.column
}

// isPath tells a path from a column's name, in which there is no arrow.
func isPath(text string) bool { return strings.Contains(text, "->") }

// parsePath reads
//
//	path    := start { "->" step }
//	start   := operand { "+" operand }
//	operand := column | "(" path ")"
//	step    := lookup "." column
//
// It answers false for anything else, and for a path of no step at the outside.
func parsePath(text string) (pathText, bool) {
	p := pathParser{rest: text, ok: true}
	out := p.path(0)
	return out, p.ok && p.rest == "" && out.isPath()
}

type pathParser struct {
	rest string
	ok   bool
}

// maxSteps bounds what a path is made of, and how deep its brackets go.
const maxSteps = 8

func (p *pathParser) path(depth int) pathText {
	start := []pathText{p.operand(depth)}
	for p.ok && p.accept("+") {
		start = append(start, p.operand(depth))
	}
	if !p.ok || len(start) > maxSteps {
		p.ok = false
		return pathText{}
	}
	out := start[0]
	for steps := 0; p.accept("->"); steps++ {
		lookup, column, ok := strings.Cut(p.word(), ".")
		if !ok || lookup == "" || column == "" || strings.Contains(column, ".") || steps == maxSteps {
			p.ok = false
			return pathText{}
		}
		if steps > 0 {
			start = []pathText{out}
		}
		out = pathText{start: start, lookup: lookup, column: column}
	}
	p.ok = p.ok && (out.isPath() || len(start) == 1)
	return out
}

func (p *pathParser) operand(depth int) pathText {
	if !p.accept("(") {
		name := p.word()
		p.ok = p.ok && name != ""
		return pathText{column: name}
	}
	if depth == maxSteps {
		p.ok = false
		return pathText{}
	}
	out := p.path(depth + 1)
	p.ok = p.accept(")") && p.ok && out.isPath()
	return out
}

func (p *pathParser) accept(token string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSpace(p.rest), token)
	if ok {
		p.rest = strings.TrimSpace(rest)
	}
	return ok
}

// word reads a name: all up to the next sign of the grammar.
func (p *pathParser) word() string {
	end := len(p.rest)
	for _, sign := range []string{"->", "+", "(", ")"} {
		if i := strings.Index(p.rest, sign); i >= 0 {
			end = min(end, i)
		}
	}
	name := strings.TrimSpace(p.rest[:end])
	p.rest = p.rest[end:]
	return name
}

// rename writes the path with one column of a table in place of another; own is the
// table where it begins.
func (t pathText) rename(own, table, from, to string, tableOf func(lookup string) string) pathText {
	if t.isPath() {
		t.start = slices.Clone(t.start)
		for i, s := range t.start {
			t.start[i] = s.rename(own, table, from, to, tableOf)
		}
		own = tableOf(t.lookup)
	}
	if own == table && t.column == from {
		t.column = to
	}
	return t
}
