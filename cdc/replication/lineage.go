package replication

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// lineage tells the publication, the tables and the columns of ours from others of the
// same names: all that has to be as it was for the log to go on where the sink stands.
//
// A table that was taken out and added again, or whose columns were listed anew, has
// another row in pg_publication_rel; a publication whose actions were changed and
// changed back has another xmin. While it was so, the log lacked changes. Publications
// of all tables or of a schema have no such rows, and are refused elsewhere. What ALTER
// TABLE does to the values that are there already is in no log: a column that was made
// anew has another number, and one that was rewritten mostly another type.
//
// As text it is the publication's oid and xmin, and for each table
// oid.membership(number:kind,...;key:kind,...), the columns in the order of the spec, "-"
// for one that is not there.
type lineage struct {
	publication string
	tables      []member
}

// member is one table of ours in the publication.
type member struct {
	oid        uint32 // 0: there is none of this name
	membership string // "0": it is not in the publication
	columns    []string
	keys       []string
}

func (l lineage) String() string {
	var b strings.Builder
	b.WriteString(l.publication)
	for _, m := range l.tables {
		fmt.Fprintf(&b, " %d.%s(%s;%s)", m.oid, m.membership, strings.Join(m.columns, ","), strings.Join(m.keys, ","))
	}
	return b.String()
}

// missing is what a lineage says of a column that the table or the log lacks.
const missing = "-"

// parseLineage reads what was noted of these tables; false: it is of others, or of none.
func parseLineage(text string, specs []cdc.TableSpec) (lineage, bool) {
	parts := strings.Fields(text)
	if len(parts) != len(specs)+1 {
		return lineage{}, false
	}
	l := lineage{publication: parts[0]}
	for i, part := range parts[1:] {
		oid, rest, _ := strings.Cut(strings.TrimSuffix(part, ")"), ".")
		membership, rest, ok := strings.Cut(rest, "(")
		columns, keys, _ := strings.Cut(rest, ";")
		n, err := strconv.ParseUint(oid, 10, 32)
		m := member{uint32(n), membership, split(columns), split(keys)}
		if err != nil || !ok || len(m.columns) != len(specs[i].Columns) {
			return lineage{}, false
		}
		l.tables = append(l.tables, m)
	}
	return l, true
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// kindOf is what of a type tells its values from those of another in the log's text
// form: integers of any width look alike, and so do texts.
func kindOf(typ uint32) string {
	switch typ {
	case 20, 21, 23: // int8, int2, int4
		return "int"
	case 18, 19, 25, 1042, 1043: // char, name, text, bpchar, varchar
		return "text"
	}
	return strconv.FormatUint(uint64(typ), 10)
}

// keyed is what a lineage says of a column of the key.
func keyed(name string, typ uint32) string { return url.QueryEscape(name) + ":" + kindOf(typ) }

// readLineage reads it as the connection's snapshot shows it, by one statement.
func readLineage(ctx context.Context, c *conn, cfg Config) (lineage, error) {
	values := make([]string, len(cfg.Tables))
	for i, s := range cfg.Tables {
		names := make([]string, len(s.Columns))
		for j, name := range s.Columns {
			names[j] = literal(name)
		}
		values[i] = fmt.Sprintf("(%d,%s,%s,ARRAY[%s]::text[])", i, literal(s.Schema), literal(s.Name), strings.Join(names, ","))
	}
	rows, err := c.query(ctx, `
		SELECT COALESCE(p.oid, 0), COALESCE(p.xmin::text, '0'), COALESCE(c.oid, 0), COALESCE(pr.oid, 0),
			(SELECT json_agg(json_build_object('Number', a.attnum, 'Type', a.atttypid::bigint) ORDER BY o.n)
				FROM unnest(w.columns) WITH ORDINALITY AS o (name, n)
				LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = o.name AND NOT a.attisdropped),
			(SELECT json_agg(json_build_object('Name', a.attname, 'Type', a.atttypid::bigint) ORDER BY a.attnum)
				FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
				WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
				AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false ELSE i.indisprimary END)
		FROM (VALUES `+strings.Join(values, ",")+`) AS w (i, schema, name, columns)
		LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
		LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
		LEFT JOIN pg_catalog.pg_publication p ON p.pubname = `+literal(cfg.Publication)+`
		LEFT JOIN pg_catalog.pg_publication_rel pr ON pr.prpubid = p.oid AND pr.prrelid = c.oid
		ORDER BY w.i`)
	if err != nil {
		return lineage{}, fmt.Errorf("read which tables the publication has: %w", err)
	}
	l := lineage{publication: rows[0].text(0) + "." + rows[0].text(1)}
	for _, r := range rows {
		m := member{oid: uint32(r.int(2)), membership: r.text(3)}
		var columns []struct{ Number, Type *uint32 }
		var keys []struct {
			Name string
			Type uint32
		}
		if err := unmarshal(r[4], &columns); err != nil {
			return lineage{}, err
		}
		if err := unmarshal(r[5], &keys); err != nil {
			return lineage{}, err
		}
		for _, c := range columns {
			if c.Number == nil {
				m.columns = append(m.columns, missing)
			} else {
				m.columns = append(m.columns, fmt.Sprintf("%d:%s", *c.Number, kindOf(*c.Type)))
			}
		}
		for _, k := range keys {
			m.keys = append(m.keys, keyed(k.Name, k.Type))
		}
		l.tables = append(l.tables, m)
	}
	return l, nil
}

// unmarshal reads what the server aggregated; NULL is nothing.
func unmarshal(b []byte, into any) error {
	if b == nil {
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read which columns the tables have: %w", err)
	}
	return nil
}

// differs answers why the log may lack something since the lineage was as it was; nil: it
// does not. An optional column that is not there lacks nothing that was; one that is back
// is compared, within an upgrade when that is over. While the publication is widened for
// one, the rows of pg_publication_rel are not what they were, and nothing is lost.
func (l lineage) differs(was lineage, specs []cdc.TableSpec, widened bool) *loss {
	if l.publication != was.publication {
		return &loss{TablesReplaced, "the publication was made anew, or lacked some kind of change for a while"}
	}
	for i, m := range l.tables {
		before, table := was.tables[i], "table "+specs[i].Schema+"."+specs[i].Name
		out := m.membership == "0" || before.membership == "0"
		switch {
		case m.oid != before.oid:
			return &loss{TablesReplaced, table + " was made anew"}
		case m.membership != before.membership && (out || !widened):
			return &loss{TablesReplaced, table + " was listed anew in the publication, or out of it for a while"}
		case !slices.Equal(m.keys, before.keys):
			return &loss{TablesAltered, "the key of " + table + " was altered"}
		}
		for j, name := range specs[i].Columns {
			now, then := m.columns[j], before.columns[j]
			optional := slices.Contains(specs[i].Optional, name)
			switch {
			case now == then, optional && (now == missing || widened && then == missing):
			case now == missing:
				return &loss{TablesReplaced, "column " + name + " of " + table + " is missing"}
			case then == missing:
				return &loss{TablesReplaced, "column " + name + " of " + table + " was missing for a while"}
			default:
				return &loss{TablesAltered, "column " + name + " of " + table + " was made anew, or has another type"}
			}
		}
	}
	return nil
}

// altered reports whether a column that is in both was made anew, or is of another type.
// In another table numbers tell nothing, nor do the types that are the database's own.
func (l lineage) altered(was lineage) bool {
	for i, m := range l.tables {
		same := m.oid == was.tables[i].oid
		for j, column := range m.columns {
			before := was.tables[i].columns[j]
			_, kind, present := strings.Cut(column, ":")
			_, kindBefore, wasPresent := strings.Cut(before, ":")
			own := len(kind) > 4 && len(kindBefore) > 4 // oids from 16384 on
			if present && wasPresent && (same && column != before || !own && kind != kindBefore) {
				return true
			}
		}
	}
	return false
}

// rekeyed finds the first table whose rows have other keys than they had, by which every
// row would look new.
func (l lineage) rekeyed(was lineage, specs []cdc.TableSpec) *SetupError {
	for i, m := range l.tables {
		before := was.tables[i]
		if len(m.keys) == 0 || len(before.keys) == 0 || slices.Equal(m.keys, before.keys) {
			continue
		}
		return &SetupError{
			Setting: "key of table " + specs[i].Schema + "." + specs[i].Name, Got: describeKeys(m.keys) + ", by which every row would look new", Want: describeKeys(before.keys) + ", as when the table was read",
			Fix:   "change it back, or begin afresh, which forgets the history: stop schoolbell, remove its data directory, drop the slot if it is there, and start it",
			level: blind,
		}
	}
	return nil
}

// describeKeys writes keys for people: student, assignment (int).
func describeKeys(keys []string) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		name, kind, _ := strings.Cut(k, ":")
		name, _ = url.QueryUnescape(name)
		switch {
		case kind == "int":
			kind = "an integer"
		case kind != "text":
			kind = "of type " + kind
		}
		parts[i] = name + " (" + kind + ")"
	}
	return enumerate(parts)
}
