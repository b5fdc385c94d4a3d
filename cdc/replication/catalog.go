package replication

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// table is one of the tables asked for, as the catalogue has it.
type table struct {
	spec cdc.TableSpec

	oid         uint32 // 0: there is none of this name
	noSchema    bool
	kind        string // pg_class.relkind
	persistence string // pg_class.relpersistence
	identity    cdc.Identity
	estimate    int64  // rows, as the planner has it; 0 or less: unknown
	filenode    string // changes when the table is rewritten or truncated
	usage       bool   // the role may use the schema
	hidden      bool   // row security hides rows from the role
	hasKey      bool   // has a primary key that can be an identity
	candidate   string // a unique index that could be the identity instead
	columns     []column
}

// column is one of all the table's columns.
type column struct {
	cdc.Column
	number    int
	generated bool
	readable  bool // the role may SELECT it
	primary   bool // of the primary key
	typeName  string
}

func (t *table) String() string { return t.spec.Schema + "." + t.spec.Name }

// find is the column of that name, or nil.
func (t *table) find(name string) *column {
	for i := range t.columns {
		if t.columns[i].Name == name {
			return &t.columns[i]
		}
	}
	return nil
}

// wanted are the columns we take, in the table's order: those asked for, and those
// that identify a row.
func (t *table) wanted() []column {
	var cols []column
	for _, c := range t.columns {
		identifies := c.Key && t.identity != cdc.IdentityFull || c.primary && t.identity == cdc.IdentityFull
		asked := slices.Contains(t.spec.Columns, c.Name) || slices.Contains(t.spec.Keep, c.Name)
		if !c.generated && (identifies || asked) {
			cols = append(cols, c)
		}
	}
	return cols
}

// list is what the publication's column list has to be; nil where it must have none:
// with the whole row as identity, anything less makes UPDATE and DELETE fail.
func (t *table) list() []string {
	if t.identity == cdc.IdentityFull {
		return nil
	}
	var names []string
	for _, c := range t.wanted() {
		names = append(names, c.Name)
	}
	return names
}

// word is the table as the log describes it.
func (t *table) word() *cdc.Table {
	w := &cdc.Table{OID: t.oid, Schema: t.spec.Schema, Name: t.spec.Name, Identity: t.identity}
	for _, c := range t.wanted() {
		w.Columns = append(w.Columns, c.Column)
	}
	return w
}

// readTables reads what the catalogue says of the tables asked for, in their order.
func readTables(ctx context.Context, c *conn, specs []cdc.TableSpec, role string) ([]*table, error) {
	tables, err := readClasses(ctx, c, specs, role)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue's tables: %w", err)
	}
	byOID := map[uint32]*table{}
	for _, t := range tables {
		if t.oid != 0 {
			byOID[t.oid] = t
		}
	}
	if len(byOID) == 0 {
		return tables, nil
	}
	if err := readColumns(ctx, c, byOID, role); err != nil {
		return nil, fmt.Errorf("read the catalogue's columns: %w", err)
	}
	if err := readKeys(ctx, c, byOID); err != nil {
		return nil, fmt.Errorf("read the catalogue's indexes: %w", err)
	}
	return tables, nil
}

func readClasses(ctx context.Context, c *conn, specs []cdc.TableSpec, role string) ([]*table, error) {
	values := make([]string, len(specs))
	for i, s := range specs {
		values[i] = fmt.Sprintf("(%d,%s,%s)", i, literal(s.Schema), literal(s.Name))
	}
	rows, err := c.query(ctx, `
		SELECT c.oid, n.oid IS NULL, c.relkind, c.relpersistence, c.relreplident, c.reltuples::bigint,
			c.relfilenode, pg_catalog.has_schema_privilege(`+roleOr(role)+`, n.oid, 'USAGE'),
			pg_catalog.row_security_active(c.oid)
		FROM (VALUES `+strings.Join(values, ",")+`) AS w (i, schema, name)
		LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
		LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
		ORDER BY w.i`)
	if err != nil {
		return nil, err
	}
	tables := make([]*table, len(specs))
	for i, r := range rows {
		t := &table{
			spec: specs[i], oid: uint32(r.int(0)), noSchema: r.bool(1), kind: r.text(2), persistence: r.text(3),
			estimate: r.int(5), filenode: r.text(6), usage: r.bool(7), hidden: r.bool(8),
		}
		if t.oid != 0 {
			t.identity = cdc.Identity(r.text(4)[0])
		}
		tables[i] = t
	}
	return tables, nil
}

// roleOr is the role whose rights are asked for.
func roleOr(role string) string {
	if role == "" {
		return "current_user"
	}
	return literal(role) + "::name"
}

func oids(tables map[uint32]*table) string {
	var all []string
	for oid := range tables {
		all = append(all, strconv.FormatUint(uint64(oid), 10))
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func readColumns(ctx context.Context, c *conn, tables map[uint32]*table, role string) error {
	rows, err := c.query(ctx, `
		SELECT a.attrelid, a.attnum, a.attname, a.atttypid,
			COALESCE(pg_catalog.to_jsonb(a) ->> 'attgenerated', '') <> '',
			pg_catalog.has_column_privilege(`+roleOr(role)+`, a.attrelid, a.attnum, 'SELECT'),
			pg_catalog.format_type(a.atttypid, a.atttypmod)
		FROM pg_catalog.pg_attribute a
		WHERE a.attrelid IN (`+oids(tables)+`) AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY a.attrelid, a.attnum`)
	if err != nil {
		return err
	}
	for _, r := range rows {
		t := tables[uint32(r.int(0))]
		t.columns = append(t.columns, column{
			Column: cdc.Column{Name: r.text(2), Type: uint32(r.int(3)), Key: t.identity == cdc.IdentityFull},
			number: int(r.int(1)), generated: r.bool(4), readable: r.bool(5), typeName: r.text(6),
		})
	}
	return nil
}

// readKeys reads which columns identify a row, as the server itself decides it: an
// index that is deferrable or not yet valid does not count.
func readKeys(ctx context.Context, c *conn, tables map[uint32]*table) error {
	rows, err := c.query(ctx, `
		SELECT i.indrelid, i.indisprimary, i.indisreplident, i.indkey, i.indnkeyatts, c.relname,
			NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid
				AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)
		FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
		WHERE i.indrelid IN (`+oids(tables)+`) AND i.indisunique AND i.indisvalid AND i.indimmediate
			AND i.indpred IS NULL AND i.indexprs IS NULL
		ORDER BY i.indrelid, c.relname`)
	if err != nil {
		return err
	}
	for _, r := range rows {
		t, primary, chosen := tables[uint32(r.int(0))], r.bool(1), r.bool(2)
		numbers := r.numbers(3)[:r.int(4)]
		identifies := t.identity == cdc.IdentityDefault && primary || t.identity == cdc.IdentityIndex && chosen
		for i := range t.columns {
			if col := &t.columns[i]; slices.Contains(numbers, col.number) {
				col.Key = col.Key || identifies
				col.primary = col.primary || primary
			}
		}
		t.hasKey = t.hasKey || primary
		if !primary && r.bool(6) && t.candidate == "" {
			t.candidate = r.text(5)
		}
	}
	return nil
}
