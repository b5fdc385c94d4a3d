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
	p         *Profile
	root      *node
	lost      bool           // the base is unknown: do not complain of what it would have given
	known     map[string]int // lookups that were read, by name; -1: not without mistakes
	resolving []string       // lookups being read, each for the one before it
}

// section is one table's part of the file: what its keys are read from.
type section struct {
	path  []string // "grade", or "lookup" and "profile"
	entry int      // of a list of maps: 1 is the first; 0: it is no list
	whole *node    // the list, which a file that extends another replaces whole; or nil
	at    place
	node  *node
	table string  // with the prefix
	src   *source // what it reads, gathered
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
	own           string   // the table of the section, where paths begin
	path          []string // section and key
	value         *node    // of the key
	entry         int      // as in section
	whole         *node    // as in section
}

func (u use) name() string {
	key := len(u.path) - 1
	return section{path: u.path[:key], entry: u.entry}.name() + "." + u.path[key]
}

// part is what keysOf calls the section.
func (s section) part() string {
	if len(s.path) == 2 && s.path[0] == "lookup" {
		return "lookup"
	}
	return strings.Join(s.path, ".")
}

// keys reports the keys of a map that nobody knows.
func (r *reader) keys(n *node, part string) {
	known := keyNames(part)
	for _, e := range n.keys {
		if !slices.Contains(known, e.key) {
			r.hint(e.at, "unknown key "+quote(e.key), "one of "+strings.Join(known, ", "), didYouMean(e.key, known))
		}
	}
}

// section opens a section and reads its `from`. It answers false when there is
// nothing to read.
func (r *reader) section(parent *node, path ...string) (section, bool) {
	e := parent.entry(path[len(path)-1])
	if e == nil {
		return section{path: path}, false
	}
	return r.open(section{path: path, at: e.at, node: e.value})
}

// entries opens the entries of a section that is a list of maps. One map is a list
// of one.
func (r *reader) entries(name string) []section {
	e := r.root.entry(name)
	switch {
	case e == nil:
		return nil
	case e.value.kind != nodeList:
		if s, ok := r.open(section{path: []string{name}, whole: e.value, at: e.at, node: e.value}); ok {
			return []section{s}
		}
		return nil
	case len(e.value.items) == 0:
		r.add(e.value.at, "an empty list", "at least one map with the keys of "+name)
	}
	var out []section
	for i, item := range e.value.items {
		s := section{path: []string{name}, entry: i + 1, whole: e.value, at: item.at, node: item}
		if s, ok := r.open(s); ok {
			out = append(out, s)
		}
	}
	return out
}

// open reads what all sections have.
func (r *reader) open(s section) (section, bool) {
	s.src = &source{name: s.name()}
	known := keyNames(s.part())
	if s.node.kind != nodeMap {
		r.add(s.node.at, s.node.String(), "the keys of "+s.name()+": "+strings.Join(known, ", "))
		return s, false
	}
	r.keys(s.node, s.part())
	if from := r.word(s, "from", "the name of a table"); from != "" {
		if strings.Contains(from, ".") {
			r.hint(s.node.get("from").at, quote(from), "a table's name without its schema",
				"the top-level key schema names the schema of all tables")
		}
		s.table = r.p.prefix + from
	} else if i := slices.Index(known, "from"); keysOf(s.part())[i].need {
		r.need(s, "from")
	}
	s.src.table = s.table
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
