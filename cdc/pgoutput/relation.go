package pgoutput

import (
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// Relation describes a table. The server sends one before the first row of the
// table in a session, and again whenever something about the table may have
// changed; in protocol 2 also in each transaction that it streams.
type Relation struct {
	XID   uint32 // inside a stream the sub-transaction, otherwise the transaction
	Table *cdc.Table
	// Changed is false when the table is as it was described before: then Table is
	// the same pointer, too.
	Changed bool
}

// Type names a type that is not built in, before the first Relation that uses it.
type Type struct {
	XID    uint32 // as in Relation
	OID    uint32
	Schema string
	Name   string // of a domain: that of the type below it
}

func (*Relation) message() {}
func (*Type) message()     {}

// minColumn is the least that a column takes: flags, the end of its name, type and
// type modifier.
const minColumn = 1 + 1 + 4 + 4

func (d *Decoder) decodeRelation(r *reader) error {
	xid := d.readXID(r)
	t := cdc.Table{OID: r.uint32("oid"), Schema: r.schema("schema"), Name: string(r.text("name"))}
	t.Identity = readIdentity(r)
	n := int(r.uint16("number of columns"))
	if r.err == nil && n > len(r.rest)/minColumn {
		r.fail(fixMalformed, "%d columns need at least %d bytes, %d remain", n, n*minColumn, len(r.rest))
	}
	if r.err != nil {
		return r.err
	}
	t.Columns = make([]cdc.Column, n)
	for i := range t.Columns {
		const partOfIdentity = 1
		t.Columns[i] = cdc.Column{
			Key:  r.byte("column's flags")&partOfIdentity != 0,
			Name: string(r.text("column's name")),
			Type: r.uint32("column's type"),
		}
		r.uint32("column's type modifier")
	}
	if err := r.end(); err != nil {
		return err
	}
	d.relation = Relation{XID: xid}
	d.relation.Table, d.relation.Changed = d.remember(t)
	return nil
}

func readIdentity(r *reader) cdc.Identity {
	before := r.rest
	id := cdc.Identity(r.byte("replica identity"))
	switch id {
	case cdc.IdentityDefault, cdc.IdentityNothing, cdc.IdentityIndex, cdc.IdentityFull:
	default:
		if r.err == nil {
			r.rest = before
			r.fail(fixVersion, "replica identity %q, want 'd', 'n', 'i' or 'f'", byte(id))
		}
	}
	return id
}

// remember makes t what the rows of its oid are from now on.
func (d *Decoder) remember(t cdc.Table) (table *cdc.Table, changed bool) {
	table = d.tables[t.OID].table
	if changed = table == nil || !sameTable(table, &t); changed {
		table = &t
	}
	if d.tables == nil {
		d.tables = make(map[uint32]known)
	}
	d.tables[t.OID] = known{table: table, session: d.session}
	d.last = nil
	return table, changed
}

func sameTable(a, b *cdc.Table) bool {
	return a.OID == b.OID && a.Schema == b.Schema && a.Name == b.Name &&
		a.Identity == b.Identity && slices.Equal(a.Columns, b.Columns)
}

// table finds what the server said of oid in this session; nil and a failed r if
// it said nothing.
func (d *Decoder) table(r *reader, oid uint32) *cdc.Table {
	if r.err != nil {
		return nil
	}
	k, ok := d.tables[oid]
	if !ok || k.session != d.session {
		r.fail(fixTable, "the server did not describe the table with oid %d", oid)
		return nil
	}
	return k.table
}

func (d *Decoder) decodeType(r *reader) error {
	d.typ = Type{
		XID:    d.readXID(r),
		OID:    r.uint32("oid"),
		Schema: r.schema("schema"),
		Name:   string(r.text("name")),
	}
	return r.end()
}
