package profile

import (
	"slices"
	"strconv"
	"strings"
)

// source is what a section reads: its table's rows, and what its paths find from
// them. The section's fields hold columns by their names and paths by their text.
type source struct {
	name, table string    // "member 2" or "lookup.activity"; with the prefix
	columns     []string  // of the table, those named anywhere in the section
	paths       []operand // each once
	timed       []string  // columns and paths that are tested against the clock
	early       bool      // a snapshot reads the table before others that explain its rows
}

// derived reports whether the section's meaning can change without its row, or is not
// known yet when a snapshot reads it.
func (s *source) derived() bool { return len(s.paths) > 0 || len(s.timed) > 0 || s.early }

// join makes one section of two that read the same rows.
func (s *source) join(other source) {
	for _, c := range other.columns {
		addOnce(&s.columns, c)
	}
	for _, o := range other.paths {
		if _, known := s.path(o.text); !known {
			s.paths = append(s.paths, o)
		}
	}
	for _, t := range other.timed {
		addOnce(&s.timed, t)
	}
}

// path finds a path by its text.
func (s *source) path(text string) (operand, bool) {
	i := slices.IndexFunc(s.paths, func(o operand) bool { return o.text == text })
	if i < 0 {
		return operand{lookup: -1, text: text, column: text}, false
	}
	return s.paths[i], true
}

func addOnce(list *[]string, s string) {
	if !slices.Contains(*list, s) {
		*list = append(*list, s)
	}
}

// column reads a key that holds a column or a path; "" when the key is not there.
func (r *reader) column(s section, key string) string {
	n := s.node.get(key)
	if n == nil {
		return ""
	}
	return r.operandIn(s, key, n, n)
}

// ownColumn reads a key that holds a column and cannot hold a path.
func (r *reader) ownColumn(s section, key string) string {
	r.need(s, key)
	n := s.node.get(key)
	switch {
	case n == nil:
		return ""
	case n.isScalar() && isPath(n.text):
		r.hint(n.at, quote(n.text), "a column of "+s.table, "a path cannot stand here")
		return ""
	}
	return r.operandIn(s, key, n, n)
}

// manyKeys are the keys as whose values a path may find several.
func manyKeys() []string {
	return []string{"member.user", "member.course", "member.section", "admin.user", "grade.group"}
}

// operandIn reads the column or path in n, which is all or a part of the key's value.
func (r *reader) operandIn(s section, key string, n, value *node) string {
	o, ok := r.operand(s, key, n, value)
	if !ok {
		return ""
	}
	if r.p.isMany(o) && (n != value || !slices.Contains(manyKeys(), s.path[0]+"."+key)) {
		r.hint(n.at, "a path that finds several rows ("+quote(n.text)+")", "a path that finds one",
			"several may stand alone in "+strings.Join(manyKeys(), ", ")+", and in conditions")
		return ""
	}
	r.enter(s, o)
	return o.text
}

// enter makes the operand one of those that the section reads.
func (r *reader) enter(s section, o operand) {
	if _, known := s.src.path(o.text); o.isPath() && !known {
		s.src.paths = append(s.src.paths, o)
	}
}

// operand reads the column or path in n. The columns in it are then in use.
func (r *reader) operand(s section, key string, n, value *node) (operand, bool) {
	switch {
	case n.kind == nodeList:
		r.add(n.at, n.String(), "one column or path")
	case !n.isScalar(), strings.TrimSpace(n.text) == "":
		r.add(n.at, n.String(), "the name of a column, or a path such as student_id -> lookup.column")
	case isPath(n.text):
		text, ok := parsePath(n.text)
		if !ok {
			r.add(n.at, quote(n.text), "a path such as student_id -> lookup.column")
			return operand{}, false
		}
		return r.resolve(s, key, text, n, value)
	default:
		return r.resolve(s, key, pathText{column: n.text}, n, value)
	}
	return operand{}, false
}

// resolve finds the lookups of a path.
func (r *reader) resolve(s section, key string, text pathText, n, value *node) (operand, bool) {
	path := append(slices.Clone(s.path), key)
	if !text.isPath() {
		addOnce(&s.src.columns, text.column)
		r.use(s, s.table, text.column, path, value)
		return operand{text: text.column, column: text.column, lookup: -1}, true
	}
	out := operand{text: text.String(), column: text.column}
	for _, t := range text.start {
		o, ok := r.resolve(s, key, t, n, value)
		if !ok {
			return operand{}, false
		}
		out.start = append(out.start, o)
	}
	i, ok := r.lookup(text.lookup, n.at)
	if !ok {
		return operand{}, false
	}
	out.lookup = i
	l := &r.p.lookups[i]
	if len(l.key) != len(out.start) {
		r.add(n.at, quote(n.text)+" begins with "+strconv.Itoa(len(out.start))+" and the key of "+quote(text.lookup)+" has "+
			strconv.Itoa(len(l.key)), "as many, joined with +")
		return operand{}, false
	}
	if l.implicit {
		r.use(s, l.table, "id", path, value)
		addOnce(&l.columns, "id")
	}
	addOnce(&l.values, text.column)
	addOnce(&l.columns, text.column)
	r.use(s, l.table, text.column, path, value)
	return out, true
}

func (r *reader) use(s section, table, column string, path []string, value *node) {
	r.p.uses = append(r.p.uses, use{
		table: table, column: column, own: s.table, path: path, value: value, entry: s.entry, whole: s.whole,
	})
}

// isMany reports whether the operand may find several values.
func (p *Profile) isMany(o operand) bool {
	return o.isPath() && (p.lookups[o.lookup].many || slices.ContainsFunc(o.start, p.isMany))
}

// key reads a key of rows: a column or a path, or a list of them, which is a
// composite key.
func (r *reader) key(s section, key string) []string {
	n := s.node.get(key)
	switch {
	case n == nil:
		return nil
	case n.kind != nodeList:
		if o := r.operandIn(s, key, n, n); o != "" {
			return []string{o}
		}
		return nil
	}
	return r.keyList(s, key, n)
}

func (r *reader) needKey(s section, key string) []string {
	r.need(s, key)
	return r.key(s, key)
}

// columns reads a key that holds a column or a path, or a list of them.
func (r *reader) columns(s section, key string) []string { return r.key(s, key) }

func (r *reader) keyList(s section, key string, n *node) []string {
	if len(n.items) == 0 {
		r.add(n.at, "an empty list", "at least one column")
	}
	var out []string
	for _, item := range n.items {
		o := r.operandIn(s, key, item, n)
		if o != "" && slices.Contains(out, o) {
			r.add(item.at, quote(o)+" a second time", "each column once")
			continue
		}
		if o != "" {
			out = append(out, o)
		}
	}
	return out
}
