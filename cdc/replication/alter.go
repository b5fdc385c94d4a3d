package replication

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
)

// known is what the sink has of a table, and how it is to be read.
type known struct {
	spec cdc.TableSpec
	member
}

func (k *known) name() string { return k.spec.Schema + "." + k.spec.Name }

// knownTables are those that the sink has, by oid.
func knownTables(l lineage, specs []cdc.TableSpec) map[uint32]*known {
	all := map[uint32]*known{}
	for i, m := range l.tables {
		if m.oid != 0 {
			all[m.oid] = &known{specs[i], m}
		}
	}
	return all
}

// describe judges what the log says of a table before any row of it is read. It stops
// before the rows of one that is not the one that the sink has, although it has its name,
// before those of one that has its name no more, and before those that would be misread:
// because a column is missing or of another type, or the key is another one. That may be
// over by now, as the log tells of the past; then the tables are compared.
//
// Without a column that is optional the rows are read on.
func (s *stream) describe(m *pgoutput.Relation) error {
	ours, name := s.ours(m.Table), m.Table.Schema+"."+m.Table.Name
	have := s.tables[m.Table.OID]
	if have == nil && ours {
		return &loss{TablesReplaced, "table " + name + " was made anew, or had another name for a while"}
	}
	if have == nil {
		return nil
	}
	if have.name() != name {
		return &loss{TablesReplaced, "table " + cmp.Or(have.name(), name) + " was made anew, or had another name for a while"}
	}
	if m.Changed {
		s.changed(m.Table)
	}
	lacking, news, why := have.judge(m.Table)
	if why == "" {
		why = s.unsuitable(stretched(m.Table, lacking))
	}
	switch {
	case why != "":
		return &loss{TablesAltered, why}
	case news:
		return &lacksColumns{m.Table.OID, lacking}
	case lacking == nil:
		return nil
	}
	if s.short == nil {
		s.short = map[*cdc.Table]*short{}
	}
	if s.short[m.Table] == nil {
		s.short[m.Table] = &short{table: stretched(m.Table, lacking), lacks: len(lacking)}
	}
	return nil
}

// judge answers the optional columns that the log lacks, and whether that is news; or why
// the table cannot be read.
func (k *known) judge(t *cdc.Table) (lacking []string, news bool, why string) {
	var keys []string
	for _, c := range t.Columns {
		if c.Key {
			keys = append(keys, keyed(c.Name, c.Type))
		}
	}
	switch {
	case len(keys) == 0:
		return nil, false, "the log has table " + k.name() + " without a key"
	case t.Identity != cdc.IdentityFull && len(k.keys) > 0 && !slices.Equal(keys, k.keys):
		return nil, false, "the log has table " + k.name() + " with the key " + describeKeys(keys)
	}
	for i, name := range k.spec.Columns {
		at := slices.IndexFunc(t.Columns, func(c cdc.Column) bool { return c.Name == name })
		optional := slices.Contains(k.spec.Optional, name)
		_, kind, present := strings.Cut(k.columns[i], ":")
		switch {
		case at < 0 && !optional:
			return nil, false, fmt.Sprintf("the log lacks column %s of table %s", name, k.name())
		case at < 0:
			lacking, news = append(lacking, name), news || present
		case present && kindOf(t.Columns[at].Type) != kind:
			return nil, false, fmt.Sprintf("the log has column %s of table %s with another type", name, k.name())
		}
	}
	return lacking, news, ""
}

// unsuitable is why the rows of a table cannot be read; "": they can.
func (s *stream) unsuitable(t *cdc.Table) string {
	if s.suits == nil {
		return ""
	}
	if err := s.suits(t); err != nil {
		return oneLine(err)
	}
	return ""
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// short is a table of which the log lacks optional columns. The sink is given it with
// them, at the end; of no type, as nothing is read of them.
type short struct {
	table    *cdc.Table
	lacks    int
	change   cdc.Change
	new, old []cdc.Value
}

// stretched is a table with the columns that it lacks.
func stretched(t *cdc.Table, lacking []string) *cdc.Table {
	if len(lacking) == 0 {
		return t
	}
	w := *t
	w.Columns = slices.Clone(t.Columns)
	for _, name := range lacking {
		w.Columns = append(w.Columns, cdc.Column{Name: name})
	}
	return &w
}

// stretch gives a change what its table lacks: NULL in a row that is new, or that has
// gone, and otherwise what it was.
func (s *stream) stretch(c *cdc.Change) *cdc.Change {
	t := s.short[c.Table]
	if t == nil {
		return c
	}
	kind := cdc.Null
	if c.Op == cdc.Update {
		kind = cdc.Unchanged
	}
	t.change = cdc.Change{Op: c.Op, Table: t.table}
	if c.New != nil {
		t.new = pad(append(t.new[:0], c.New...), t.lacks, kind)
		t.change.New = t.new
	}
	if c.Old != nil {
		t.old = pad(append(t.old[:0], c.Old...), t.lacks, cdc.Null)
		t.change.Old = t.old
	}
	return &t.change
}

func pad(values []cdc.Value, n int, kind cdc.ValueKind) []cdc.Value {
	for range n {
		values = append(values, cdc.Value{Kind: kind})
	}
	return values
}

// lacksColumns ends a stream before the first row without columns that are optional.
type lacksColumns struct {
	oid     uint32
	columns []string
}

func (e *lacksColumns) Error() string {
	return "the log lacks " + enumerate(e.columns) + ": going on without"
}

// goWithout notes that columns are missing, before any row is read without them: once
// they are back the tables have to be compared, also where nobody sees that before a
// restart.
func (r *Reader) goWithout(e *lacksColumns) error {
	l, ok := parseLineage(r.source.Lineage, r.cfg.Tables)
	for i := range l.tables {
		for j, name := range r.cfg.Tables[i].Columns {
			if l.tables[i].oid == e.oid && slices.Contains(e.columns, name) {
				l.tables[i].columns[j] = missing
			}
		}
	}
	moved := r.source
	moved.Lineage = l.String()
	if !ok || moved == r.source {
		return fmt.Errorf("%w; this is a mistake in schoolbell: please report it", e)
	}
	if r.cfg.Moved != nil {
		if err := r.cfg.Moved(moved); err != nil {
			return &sinkError{fmt.Errorf("note which columns are missing: %w", err)}
		}
	}
	r.source = moved
	r.log.Warn("the log lacks columns: going on without, until they are back", "reason", e.Error())
	return nil
}
