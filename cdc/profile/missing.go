package profile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// A MissingColumnError says that a table lacks a column of the profile, what was
// probably meant, and the lines of a profile that put it right.
type MissingColumnError struct {
	Profile       string
	Schema, Table string
	Column        string
	Keys          []string // where the profile names it, such as "grade.score"
	Nearest       string   // the column that was probably meant; may be empty
	Fix           string   // what to write where; may be empty when Nearest is
	InLog         bool     // the log does not carry it: the publication may be what lacks it

	have []string
}

// Error is one sentence with the remedy.
func (e *MissingColumnError) Error() string {
	var b strings.Builder
	table := e.Schema + "." + e.Table
	if e.InLog {
		fmt.Fprintf(&b, "the log carries no column %q of table %s", e.Column, table)
	} else {
		fmt.Fprintf(&b, "table %s has no column %q", table, e.Column)
	}
	fmt.Fprintf(&b, ", which the profile %s names in %s; ", e.Profile, strings.Join(e.Keys, ", "))
	switch {
	case e.Nearest != "":
		fmt.Fprintf(&b, "it has %q: %s", e.Nearest, e.Fix)
	case e.InLog:
		b.WriteString("schoolbell check says whether the table or the publication lacks it")
	case len(e.have) > 0:
		b.WriteString("name one of " + strings.Join(e.have, ", "))
	default:
		b.WriteString("name a column that it has")
	}
	return b.String()
}

// MissingColumn describes a column of Tables that the catalogue does not have, for
// whoever compares the two; have are the columns that the table does have.
func (p *Profile) MissingColumn(schema, table, column string, have []string) error {
	return p.missing(schema, table, column, have)
}

func (p *Profile) missing(schema, table, column string, have []string) *MissingColumnError {
	e := &MissingColumnError{Profile: p.name, Schema: schema, Table: table, Column: column}
	const most = 12
	if e.have = have; len(have) > most {
		e.have = append(slices.Clone(have[:most]), "…")
	}
	for _, u := range p.uses {
		if u.table == table && u.column == column && !slices.Contains(e.Keys, u.name()) {
			e.Keys = append(e.Keys, u.name())
		}
	}
	if e.Nearest = cdc.Nearest(column, have); e.Nearest == "" {
		e.Nearest = p.twin(table, column, have)
	}
	if e.Nearest != "" {
		e.Fix = p.rename(table, column, e.Nearest)
	}
	return e
}

// twin knows that one LMS has two names for one thing: the mark of a submission is
// called grade in some deployments and score in others.
func (p *Profile) twin(table, column string, have []string) string {
	for _, pair := range [...][2]string{{"grade", "score"}, {"score", "grade"}} {
		if p.grade != nil && table == p.grade.table && column == pair[0] && slices.Contains(have, pair[1]) {
			return pair[1]
		}
	}
	return ""
}

// rename says what to write so that the profile names another column.
func (p *Profile) rename(table, from, to string) string {
	var lines []string
	if p.file == "" {
		lines = append(lines, quoteLine("extends: "+p.name))
	}
	for _, one := range p.parts(table, from, to) {
		lines = append(lines, one.String())
	}
	if p.file == "" {
		return "write a file with the lines " + strings.Join(lines, " and ") + " and give it as the profile"
	}
	return "in " + p.file + " write " + strings.Join(lines, " and ")
}

// part is what a remedy writes into one section.
type part struct {
	section string // "grade", or "lookup: {profile"
	entry   int    // of a list in the school's own file, else 0
	keys    []string
	list    string // instead of keys: all of a list that is the base's
}

func (o part) String() string {
	switch {
	case o.list != "":
		return quoteLine(o.section + ": " + o.list)
	case o.entry > 0:
		keys := make([]string, len(o.keys))
		for i, key := range o.keys {
			keys[i] = quoteLine(key)
		}
		return fmt.Sprintf("in entry %d of %s %s", o.entry, o.section, strings.Join(keys, " and "))
	}
	ends := strings.Repeat("}", strings.Count(o.section, "{")+1)
	return quoteLine(o.section + ": {" + strings.Join(o.keys, ", ") + ends)
}

// parts gathers what is to be written, section by section in the order of the uses.
func (p *Profile) parts(table, from, to string) []part {
	var out []part
	for _, u := range p.uses {
		if u.table != table || u.column != from {
			continue
		}
		key := len(u.path) - 1
		one := part{section: strings.Join(u.path[:key], ": {"), entry: u.entry}
		line := u.path[key] + ": " + p.swap(u, from, to)
		if u.whole != nil && (p.file == "" || u.whole.at.file != p.file) { // the file cannot change one entry of the base's
			one.entry, one.list = 0, p.rewrite(u.whole, table, from, to)
		}
		i := slices.IndexFunc(out, func(o part) bool { return o.section == one.section && o.entry == one.entry })
		if i < 0 {
			out, i = append(out, one), len(out)
		}
		if !slices.Contains(out[i].keys, line) {
			out[i].keys = append(out[i].keys, line)
		}
	}
	return out
}

// rewrite writes a list of maps, or the one map in its place, with one column of a
// table in place of another.
func (p *Profile) rewrite(list *node, table, from, to string) string {
	entries := list.items
	if list.kind != nodeList {
		entries = []*node{list}
	}
	out := make([]string, len(entries))
	for i, n := range entries {
		keys := make([]string, len(n.keys))
		for j, e := range n.keys {
			value := flow(e.value, func(s string) string { return s })
			if k := slices.IndexFunc(p.uses, func(u use) bool { return u.value == e.value && u.table == table && u.column == from }); k >= 0 {
				value = p.swap(p.uses[k], from, to)
			}
			keys[j] = e.key + ": " + value
		}
		out[i] = "{" + strings.Join(keys, ", ") + "}"
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func quoteLine(s string) string { return "`" + s + "`" }

// swap writes the value of a key with one column of a table in place of another,
// also where a path names it.
func (p *Profile) swap(u use, from, to string) string {
	change := func(s string) string {
		switch text, ok := parsePath(s); {
		case isPath(s) && ok:
			return text.rename(u.own, u.table, from, to, p.lookupTable).String()
		case s == from && u.table == u.own:
			return to
		}
		return s
	}
	switch n := u.value; n.kind {
	case nodeMap:
		return flow(n, change)
	case nodeList:
		items := make([]string, len(n.items))
		for i, item := range n.items {
			if items[i] = flow(item, change); item.isScalar() {
				items[i] = change(item.text)
			}
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return change(n.text)
	}
}

// lookupTable is the table that a path's step goes to.
func (p *Profile) lookupTable(name string) string {
	i := slices.IndexFunc(p.lookups, func(l lookupSpec) bool { return l.name == name || l.name == "lookup."+name })
	if i < 0 {
		return ""
	}
	return p.lookups[i].table
}

// flow writes a value on one line; change may rename the keys of the outer map.
func flow(n *node, change func(string) string) string {
	same := func(s string) string { return s }
	switch n.kind {
	case nodeMap:
		keys := make([]string, len(n.keys))
		for i, e := range n.keys {
			keys[i] = change(e.key) + ": " + flow(e.value, same)
		}
		return "{" + strings.Join(keys, ", ") + "}"
	case nodeList:
		items := make([]string, len(n.items))
		for i, item := range n.items {
			items[i] = flow(item, same)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case nodeQuoted:
		return strconv.Quote(n.text)
	}
	return n.text
}
