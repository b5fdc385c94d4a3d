package guess

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// world is a catalogue with what has to be known of it again and again.
type world struct {
	*words
	tables []*table
	byName map[string]*table
	byHead map[string][]*table // by the singular of a name's last words
}

type table struct {
	Table
	refs    []ref
	pointed int // other tables that refer to it
}

// ref is one way to refer to another table: a foreign key, or columns that are called
// as if they were one.
type ref struct {
	columns  []string
	to       *table
	declared bool
}

func newWorld(c Catalogue) *world {
	w := &world{words: readWords(), byName: map[string]*table{}, byHead: map[string][]*table{}}
	for _, t := range c.Tables {
		if !isName(t.Name) {
			continue
		}
		t.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(c Column) bool { return !isName(c.Name) })
		for i := range t.Columns {
			t.Columns[i].Values = slices.DeleteFunc(slices.Clone(t.Columns[i].Values), func(v string) bool { return strings.ContainsFunc(v, unicode.IsControl) })
		}
		one := &table{Table: t}
		w.tables = append(w.tables, one)
		w.byName[t.Name] = one
		list := w.split(t.Name)
		for i := range list {
			head := strings.Join(append(slices.Clone(list[i:len(list)-1]), singular(lastWord(list))), "_")
			if !slices.Contains(w.byHead[head], one) {
				w.byHead[head] = append(w.byHead[head], one)
			}
		}
	}
	for _, t := range w.tables {
		t.refs = w.refsOf(t)
	}
	for _, t := range w.tables {
		seen := map[*table]bool{t: true}
		for _, r := range t.refs {
			if !seen[r.to] {
				seen[r.to], r.to.pointed = true, r.to.pointed+1
			}
		}
	}
	return w
}

// isName says whether a profile can name a table or column: not if it has what paths are
// made of in it, nor if it would end a comment.
func isName(s string) bool {
	return !strings.ContainsFunc(s, unicode.IsControl) && !strings.ContainsAny(s, ".()+#") && !strings.Contains(s, "->") && strings.TrimSpace(s) == s && s != ""
}

func (w *world) refsOf(t *table) []ref {
	var out []ref
	declared := map[string]bool{}
	for _, f := range t.Foreign {
		if to := w.byName[f.Table]; to != nil && slices.Equal(f.To, to.Key) {
			out = append(out, ref{columns: f.Columns, to: to, declared: true})
			declared[strings.Join(f.Columns, ",")] = true
		}
	}
	for _, c := range t.Columns {
		name, ok := w.referred(c.Name)
		if !ok || declared[c.Name] {
			continue
		}
		for _, to := range w.byHead[name] {
			if to != t && w.fits(c, to) {
				out = append(out, ref{columns: []string{c.Name}, to: to})
			}
		}
	}
	return out
}

// referred is what a column's name says that it refers to: the user of user_id, userId,
// id_user, fk_user.
func (w *world) referred(column string) (name string, ok bool) {
	list := w.split(column)
	if n := len(list); n > 1 {
		switch {
		case list[n-1] == "id" || list[n-1] == "uuid" || list[n-1] == "fk":
			list = list[:n-1]
		case list[0] == "id" || list[0] == "fk":
			list = list[1:]
		default:
			return "", false
		}
		list = slices.Clone(list)
		list[len(list)-1] = singular(lastWord(list))
		return strings.Join(list, "_"), true
	}
	return "", false
}

// fits says whether a column can hold the key of a table.
func (w *world) fits(c Column, to *table) bool {
	if len(to.Key) != 1 {
		return false
	}
	key := to.column(to.Key[0])
	return key != nil && kindOf(key.Type) == kindOf(c.Type) && kindOf(c.Type) != kindOther
}

func (t *table) column(name string) *Column {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &t.Columns[i]
}

// isUnique says whether no two rows have the same in these columns.
func (t *table) isUnique(columns ...string) bool {
	same := func(other []string) bool {
		return len(other) == len(columns) && !slices.ContainsFunc(columns, func(c string) bool { return !slices.Contains(other, c) })
	}
	return same(t.Key) || slices.ContainsFunc(t.Unique, same)
}

// route is how a row of one table leads to a row of another: by its own columns, or
// with one table in between.
type route struct {
	columns  []string
	mid      *table
	back     string // the column of mid
	declared bool
	score    int
}

// names are the columns that a route goes through, the last one first: that says most
// about what the row at its end is.
func (r route) names() []string {
	if r.mid != nil {
		return append([]string{r.back}, r.columns...)
	}
	return r.columns
}

// Scores of routes, on top of what the columns' names say.
const (
	scoreDeclared = 6  // a foreign key
	scoreCalled   = 4  // a column that is called like one
	scoreTopic    = 2  // a column whose name only says what it is about
	scoreDetour   = -3 // another table in between
	scoreAlways   = 2  // it never leads nowhere
)

// routes are the ways from one table to another, the best first. topic says what the
// row at the end is to this one.
func (w *world) routes(from, to *table, topic string) []route {
	if from == to {
		return nil
	}
	out := w.direct(from, to, topic)
	for _, first := range from.refs {
		mid := first.to
		if mid == from || mid == to || len(first.columns) != 1 || w.score("table.aside", mid.Name) > 0 && w.head("table.profile", mid.Name) == 0 {
			continue
		}
		for _, second := range mid.refs {
			if second.to != to || len(second.columns) != 1 {
				continue
			}
			r := route{columns: first.columns, mid: mid, back: second.columns[0], declared: first.declared && second.declared}
			r.score = scoreDetour + scoreCalled + w.speaks(topic, r.names())
			if r.declared {
				r.score += scoreDeclared - scoreCalled
			}
			r.score += from.always(r.columns)
			out = append(out, r)
		}
	}
	out = slices.DeleteFunc(out, func(r route) bool { return r.score <= 0 })
	slices.SortStableFunc(out, func(a, b route) int { return cmp.Compare(b.score, a.score) })
	return out
}

func (w *world) direct(from, to *table, topic string) []route {
	var out []route
	seen := map[string]bool{}
	for _, r := range from.refs {
		key := strings.Join(r.columns, ",")
		if r.to != to || seen[key] {
			continue
		}
		seen[key] = true
		one := route{columns: r.columns, declared: r.declared, score: scoreCalled + w.speaks(topic, r.columns)}
		if r.declared {
			one.score += scoreDeclared - scoreCalled
		}
		one.score += from.always(r.columns)
		out = append(out, one)
	}
	for _, c := range from.Columns {
		says := w.speaks(topic, []string{c.Name})
		if seen[c.Name] || from.leadsAway(c.Name) || from.called(c.Name) || says <= 0 || !w.fits(c, to) || slices.Contains(from.Key, c.Name) && len(from.Key) == 1 {
			continue
		}
		if _, called := w.referred(c.Name); called || kindOf(c.Type) == kindUUID || kindOf(c.Type) == kindInteger {
			out = append(out, route{columns: []string{c.Name}, score: scoreTopic + says + from.always([]string{c.Name})})
		}
	}
	return out
}

// called says whether a column is called like the key of some table.
func (t *table) called(column string) bool {
	return slices.ContainsFunc(t.refs, func(r ref) bool { return slices.Contains(r.columns, column) })
}

// always is what a reference is worth more that is never NULL.
func (t *table) always(columns []string) int {
	for _, name := range columns {
		if c := t.column(name); c == nil || !c.NotNull {
			return 0
		}
	}
	return scoreAlways
}

// leadsAway says whether a column is a declared reference, which then leads nowhere else.
func (t *table) leadsAway(column string) bool {
	return slices.ContainsFunc(t.Foreign, func(f Foreign) bool { return slices.Contains(f.Columns, column) })
}

// speaks is what the names of columns say for a topic: the first one that says
// anything.
func (w *world) speaks(topic string, columns []string) int {
	for _, c := range columns {
		if s := w.score(topic, c); s != 0 {
			return s
		}
	}
	return 0
}
