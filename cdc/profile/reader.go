package profile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// reader turns the tree of a file into a Profile, going on after every mistake.
type reader struct {
	mistakes
	p    *Profile
	root *node
	lost bool // the base is unknown: do not complain of what it would have given
}

// section is one table's part of the file: what its keys are read from.
type section struct {
	path  []string // "grade", or "lookup" and "profile"
	entry int      // of a list of maps: 1 is the first; 0: it is no list
	whole *node    // the list, which a file that extends another replaces whole; or nil
	at    place
	node  *node
	table string // with the prefix
}

// name is "grade", "lookup.profile" or "member 2", which is its second entry.
func (s section) name() string {
	name := strings.Join(s.path, ".")
	if s.entry > 0 {
		name += " " + strconv.Itoa(s.entry)
	}
	return name
}

// use is one place in the file that names a column, for the list of columns to
// publish and for the remedy when the column is not there.
type use struct {
	table, column string
	path          []string // section and key
	value         *node    // of the key
	entry         int      // as in section
	whole         *node    // as in section
}

func (u use) name() string {
	key := len(u.path) - 1
	return section{path: u.path[:key], entry: u.entry}.name() + "." + u.path[key]
}

// keys reports the keys of a map that nobody knows, and those that a later version
// will know.
func (r *reader) keys(n *node, name, now, later string) {
	known, refused := strings.Fields(now), strings.Fields(later)
	for _, e := range n.keys {
		switch full := strings.TrimPrefix(name+"."+e.key, "."); {
		case slices.Contains(known, e.key):
		case slices.Contains(refused, e.key) && name == "":
			r.unsupported(e.at, "the section "+quote(full), "leave it out")
		case slices.Contains(refused, e.key):
			r.unsupported(e.at, "the key "+quote(full), "leave it out")
		default:
			r.hint(e.at, "unknown key "+quote(e.key), "one of "+strings.Join(known, ", "),
				didYouMean(e.key, slices.Concat(known, refused)))
		}
	}
}

// section opens a section and reads its `from`. It answers false when there is
// nothing to read.
func (r *reader) section(parent *node, path []string, now, later string) (section, bool) {
	e := parent.entry(path[len(path)-1])
	if e == nil {
		return section{path: path}, false
	}
	return r.open(section{path: path, at: e.at, node: e.value}, now, later)
}

// entries opens the entries of a section that is a list of maps. One map is a list
// of one.
func (r *reader) entries(name, now string) []section {
	e := r.root.entry(name)
	switch {
	case e == nil:
		return nil
	case e.value.kind != nodeList:
		if s, ok := r.open(section{path: []string{name}, whole: e.value, at: e.at, node: e.value}, now, ""); ok {
			return []section{s}
		}
		return nil
	case len(e.value.items) == 0:
		r.add(e.value.at, "an empty list", "at least one map with the keys of "+name)
	}
	var out []section
	for i, item := range e.value.items {
		s := section{path: []string{name}, entry: i + 1, whole: e.value, at: item.at, node: item}
		if s, ok := r.open(s, now, ""); ok {
			out = append(out, s)
		}
	}
	return out
}

// open reads what all sections have.
func (r *reader) open(s section, now, later string) (section, bool) {
	if s.node.kind != nodeMap {
		r.add(s.node.at, s.node.String(), "the keys of "+s.name()+": "+strings.Join(strings.Fields(now), ", "))
		return s, false
	}
	r.keys(s.node, s.name(), now, later)
	if !slices.Contains(strings.Fields(now), "from") {
		return s, true // it reads the table of another section
	}
	if from := r.word(s, "from", "the name of a table"); from != "" {
		if strings.Contains(from, ".") {
			r.hint(s.node.get("from").at, quote(from), "a table's name without its schema",
				"the top-level key schema names the schema of all tables")
		}
		s.table = r.p.prefix + from
	} else {
		r.need(s, "from")
	}
	return s, true
}

// need complains when a key is missing altogether.
func (r *reader) need(s section, key string) {
	if s.node.get(key) == nil && !r.lost {
		r.add(s.at, quote(s.name())+" has no key "+quote(key)+", which it needs", "")
	}
}

// word reads a key that holds one word.
func (r *reader) word(s section, key, want string) string {
	n := s.node.get(key)
	switch {
	case n == nil:
		return ""
	case !n.isScalar(), strings.TrimSpace(n.text) == "":
		r.add(n.at, n.String(), want)
		return ""
	}
	return n.text
}

// column reads a key that holds a column's name; "" when the key is not there.
func (r *reader) column(s section, key string) string {
	n := s.node.get(key)
	if n == nil {
		return ""
	}
	return r.columnOf(s, key, n, n)
}

// columnOf reads the column's name in n, which is all or a part of the key's value.
func (r *reader) columnOf(s section, key string, n, value *node) string {
	switch {
	case n.kind == nodeList:
		r.unsupported(n.at, "a key of several columns", "name one column of "+s.table)
		return ""
	case !r.isColumn(n, "a path here", s.table):
		return ""
	}
	r.useOf(s, key, n.text, value)
	return n.text
}

// isColumn complains of what cannot be a column's name; path is what to call an
// arrow in it.
func (r *reader) isColumn(n *node, path, table string) bool {
	switch {
	case n.isScalar() && strings.Contains(n.text, "->"):
		r.unsupported(n.at, path+" ("+quote(n.text)+")", "name a column of "+table)
	case !n.isScalar(), strings.TrimSpace(n.text) == "":
		r.add(n.at, n.String(), "the name of a column")
	default:
		return true
	}
	return false
}

func (r *reader) needColumn(s section, key string) string {
	r.need(s, key)
	return r.column(s, key)
}

// columns reads a key that holds a column or a list of them.
func (r *reader) columns(s section, key string) []string {
	n := s.node.get(key)
	switch {
	case n == nil:
		return nil
	case n.kind != nodeList:
		if c := r.column(s, key); c != "" {
			return []string{c}
		}
		return nil
	case len(n.items) == 0:
		r.add(n.at, "an empty list", "at least one column")
	}
	var out []string
	for _, item := range n.items {
		c := r.columnOf(s, key, item, n)
		if c != "" && slices.Contains(out, c) {
			r.add(item.at, quote(c)+" a second time", "each column once")
		}
		out = append(out, c)
	}
	return out
}

func (r *reader) use(table, column string, path []string, value *node) {
	r.p.uses = append(r.p.uses, use{table: table, column: column, path: path, value: value})
}

// useOf is use for a column of a section's own table.
func (r *reader) useOf(s section, key, column string, value *node) {
	r.p.uses = append(r.p.uses, use{
		table: s.table, column: column, path: append(slices.Clone(s.path), key), value: value,
		entry: s.entry, whole: s.whole,
	})
}

// lookups reads the entries of `lookup:`, so that paths can name them.
func (r *reader) lookups() map[string]lookupSpec {
	out := map[string]lookupSpec{}
	n := r.root.get("lookup")
	switch {
	case n == nil:
		return out
	case n.kind != nodeMap:
		r.add(n.at, n.String(), "names, each with the keys from and key")
		return out
	}
	for _, e := range n.keys {
		before := len(r.p.uses)
		s, ok := r.section(n, []string{"lookup", e.key}, "from key", "where first many")
		if ok {
			out[e.key] = lookupSpec{name: e.key, table: s.table, key: r.needColumn(s, "key")}
		}
		r.p.uses = r.p.uses[:before] // counted when a path uses the lookup
	}
	return out
}

// path reads the one path of this version: student's column -> lookup.column.
func (r *reader) path(s section, key, student string, known map[string]lookupSpec) (lookup, column int) {
	n := s.node.get(key)
	steps := strings.Split(n.text, "->")
	for i := range steps {
		steps[i] = strings.TrimSpace(steps[i])
	}
	if len(steps) > 2 {
		r.unsupported(n.at, "a path of several steps ("+quote(n.text)+")", "name one lookup")
		return -1, -1
	}
	name, col, ok := strings.Cut(steps[1], ".")
	if !ok || steps[0] == "" || name == "" || col == "" || strings.Contains(col, ".") {
		r.add(n.at, quote(n.text), "a path such as student_id -> lookup.column")
		return -1, -1
	}
	if steps[0] != student && student != "" {
		r.unsupported(n.at, "a path that begins at another column than the student's ("+quote(steps[0])+")",
			"begin it at "+quote(student))
		return -1, -1
	}
	spec, ok := known[name]
	if !ok {
		names := make([]string, 0, len(known))
		for k := range known {
			names = append(names, k)
		}
		slices.Sort(names)
		if hint := didYouMean(name, names); hint != "" {
			r.hint(n.at, "no lookup is called "+quote(name), "one of "+strings.Join(names, ", "),
				hint+"; a table of that name needs an entry in lookup")
			return -1, -1
		}
		spec = lookupSpec{name: name, table: r.p.prefix + name, key: "id"}
	}
	spec.columns = []string{col}
	r.p.lookups = append(r.p.lookups, spec)
	path := append(slices.Clone(s.path), key)
	keyPath, keyNode := []string{"lookup", name, "key"}, r.root.get("lookup").get(name).get("key")
	if !ok {
		keyPath, keyNode = path, n
	}
	r.use(s.table, steps[0], path, n)
	r.use(spec.table, spec.key, keyPath, keyNode)
	r.use(spec.table, col, path, n)
	return 0, 0
}

func (n *node) entry(key string) *entry {
	for i := range n.keys {
		if n.keys[i].key == key {
			return &n.keys[i]
		}
	}
	return nil
}

// top reads a top-level key that holds one word.
func (r *reader) top(key, want string) string {
	return r.word(section{node: r.root}, key, want)
}

// extend puts the base profile under the file.
func (r *reader) extend() {
	n := r.root.get("extends")
	if n == nil {
		return
	}
	name := r.top("extends", "the name of a built-in profile")
	r.lost = true
	if name == "" {
		return
	}
	src, err := builtin.ReadFile("builtin/" + name + ".yaml")
	if err != nil {
		known := BuiltIn()
		r.hint(n.at, fmt.Sprintf("no built-in profile is called %s", quote(name)),
			"one of "+strings.Join(known, ", "), didYouMean(name, known))
		return
	}
	r.lost = false
	r.p.base = name
	r.root = merge(parseTree(name+" (built in)", src, &r.mistakes), r.root)
}
