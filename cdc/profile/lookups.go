package profile

import (
	"slices"
	"strings"
)

// lookupSpec is a table as paths go through it.
type lookupSpec struct {
	source
	key          []string
	where        condition
	first        string
	many         bool
	split, parts string   // what a key, and what a path comes with, is taken apart at; "": it is not
	values       []string // the columns that paths take
	implicit     bool     // a table by its own name, keyed by id
	meaning      string   // what it means, in a few digits
}

// plain reports whether a row is found by one column alone, whatever else it holds.
func (l *lookupSpec) plain() bool {
	return len(l.key) == 1 && l.where == nil && l.first == "" && !l.many && l.split == "" && l.parts == "" && !l.derived()
}

// lookup finds the lookup that a path names, and reads it if no path did before. So
// lookups come in an order in which those that others need are before them.
func (r *reader) lookup(name string, at place) (int, bool) {
	if i, ok := r.known[name]; ok {
		return i, i >= 0
	}
	if i := slices.Index(r.resolving, name); i >= 0 {
		r.add(at, "the lookups need each other: "+strings.Join(append(r.resolving[i:], name), " -> "),
			"one of them without a path back to the others")
		return -1, false
	}
	entries := r.root.get("lookup")
	e := entries.find(name)
	if e == nil {
		return r.implicit(name, at)
	}
	r.resolving = append(r.resolving, name)
	before := len(r.mistakes.list)
	l, ok := r.readLookup(name)
	r.resolving = r.resolving[:len(r.resolving)-1]
	i := -1
	if ok && len(r.mistakes.list) == before {
		i = len(r.p.lookups)
		r.p.lookups = append(r.p.lookups, l)
	}
	r.known[name] = i
	return i, i >= 0
}

// implicit is the lookup of a table that paths name by itself.
func (r *reader) implicit(name string, at place) (int, bool) {
	var names []string
	if n := r.root.get("lookup"); n != nil {
		for _, e := range n.keys {
			names = append(names, e.key)
		}
	}
	slices.Sort(names)
	if hint := didYouMean(name, names); hint != "" {
		r.hint(at, "no lookup is called "+quote(name), "one of "+strings.Join(names, ", "),
			hint+"; a table of that name needs an entry in lookup")
		return -1, false
	}
	r.known[name] = len(r.p.lookups)
	r.p.lookups = append(r.p.lookups, lookupSpec{
		source: source{name: name, table: r.p.prefix + name}, key: []string{"id"}, implicit: true,
	})
	return r.known[name], true
}

func (r *reader) readLookup(name string) (lookupSpec, bool) {
	s, ok := r.section(r.root.get("lookup"), "lookup", name)
	if !ok {
		return lookupSpec{}, false
	}
	l := lookupSpec{
		key: r.key(s, "key"), where: r.condition(s, "where"), first: r.column(s, "first"), many: r.flag(s, "many"),
		split: r.separator(s, "split", "the parts of a value"), parts: r.separator(s, "parts", "the parts of a value"),
	}
	if s.node.get("key") == nil {
		l.key = []string{"id"}
		addOnce(&s.src.columns, "id")
		r.use(s, s.table, "id", []string{"lookup", name, "key"}, &node{at: s.at, kind: nodeWord, text: "id"})
	}
	switch {
	case l.split != "" && len(l.key) > 1:
		r.add(s.node.get("split").at, "split beside a key of several columns", "a key of one column")
	case l.parts != "" && !l.many:
		r.hint(s.node.get("parts").at, "parts without many", "", "several rows may be found: add many: true")
	case l.parts != "" && l.split != "":
		r.add(s.node.get("parts").at, "parts beside split", "one of them")
	}
	l.source = *s.src
	return l, true
}

// restOfLookups reads the lookups that no path uses, for the mistakes in them: what
// they name is not published.
func (r *reader) restOfLookups() {
	n := r.root.get("lookup")
	switch {
	case n == nil:
		return
	case n.kind != nodeMap:
		r.add(n.at, n.String(), "names, each with the keys from and key")
		return
	}
	uses, lookups := len(r.p.uses), slices.Clone(r.p.lookups)
	for _, e := range n.keys {
		r.lookup(e.key, e.at)
	}
	r.p.uses, r.p.lookups = r.p.uses[:uses], lookups
}

// flag reads a key that holds true or false.
func (r *reader) flag(s section, key string) bool {
	n := s.node.get(key)
	if n != nil && n.kind != nodeBool {
		r.add(n.at, n.String(), "true or false")
	}
	return n != nil && n.kind == nodeBool && n.text == "true"
}

// find is entry of a node that may be none or no map.
func (n *node) find(key string) *entry {
	if n == nil || n.kind != nodeMap {
		return nil
	}
	return n.entry(key)
}
