package cdc

// Table is what the log says of a table: its name and those of its columns that
// are published, in the log's order. A *Table never changes; when the LMS alters
// the table, later changes carry another pointer, so a pointer is a good key for
// anything computed from the columns.
type Table struct {
	OID      uint32
	Schema   string
	Name     string
	Identity Identity
	Columns  []Column
}

// Identity says which columns of the old row an UPDATE or DELETE carries
// (pg_class.relreplident).
type Identity byte

const (
	IdentityDefault Identity = 'd' // the primary key
	IdentityNothing Identity = 'n' // none: publishing such a table breaks the LMS's statements
	IdentityIndex   Identity = 'i' // the columns of a named unique index
	IdentityFull    Identity = 'f' // the whole old row
)

// Column is one published column.
type Column struct {
	Name string
	Type uint32 // pg_type.oid
	Key  bool   // part of the replica identity
}

// ValueKind says in which form a Value came.
type ValueKind byte

const (
	Null      ValueKind = 'n' // SQL NULL
	Unchanged ValueKind = 'u' // stored out of line and not changed: the log does not carry it
	Text      ValueKind = 't' // PostgreSQL's text form
	Binary    ValueKind = 'b' // PostgreSQL's binary form
)

// Value is one column of one row. Data aliases the receive buffer and is valid
// only until the next row is read: copy what is kept.
type Value struct {
	Kind ValueKind
	Data []byte
}

// IsNull reports whether v is SQL NULL.
func (v Value) IsNull() bool { return v.Kind == Null }

// Row is one row of a table as the snapshot read it.
type Row struct {
	Table  *Table
	Values []Value // in the order of Table.Columns
}

// Op is what happened to a row.
type Op byte

const (
	Insert   Op = 'I'
	Update   Op = 'U'
	Delete   Op = 'D'
	Truncate Op = 'T' // the whole table; a Change without values
)

// Change is one row's change. It and everything in it is valid only until the
// next change is read.
type Change struct {
	Op    Op
	Table *Table
	// New is the row after the change, in the order of Table.Columns; nil for a
	// delete and a truncate. A column may be Unchanged.
	New []Value
	// Old is nil for an insert and for an update that left the identity alone.
	// Otherwise it holds the old row as far as the identity reaches: the columns
	// beyond it are Null, unless the identity is full.
	Old []Value
}
