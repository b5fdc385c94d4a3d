package pgoutput

import (
	"encoding/binary"

	"github.com/schoolbell/schoolbell/cdc"
)

// Row is a row that was inserted, updated or deleted.
type Row struct {
	XID    uint32 // inside a stream the sub-transaction, otherwise the transaction
	Change cdc.Change
}

func (*Row) message() {}

func (d *Decoder) decodeRow(r *reader) error {
	d.at(r, d.place != outside)
	d.row.XID = d.readXID(r)
	oid := r.uint32("oid")
	t := d.last // rows of one table mostly come together
	if t == nil || t.OID != oid {
		if t = d.table(r, oid); t == nil {
			return r.err
		}
		d.last = t
	}
	if r.err != nil {
		return r.err
	}
	c := &d.row.Change
	c.Op, c.Table, c.Old, c.New = cdc.Op(r.msg[0]), t, nil, nil
	part := r.byte("kind of row")
	if c.Op != cdc.Insert && (part == 'K' || part == 'O') {
		d.oldValues = readTuple(r, t, d.oldValues)
		c.Old = d.oldValues
		if c.Op == cdc.Delete {
			return r.end()
		}
		part = r.byte("kind of row")
	}
	if c.Op == cdc.Delete || part != 'N' {
		return badPart(r, c.Op, part)
	}
	d.newValues = readTuple(r, t, d.newValues)
	c.New = d.newValues
	return r.end()
}

func badPart(r *reader, op cdc.Op, part byte) error {
	if r.err != nil {
		return r.err
	}
	want := "'N'"
	switch op {
	case cdc.Update:
		want = "'K', 'O' or 'N', and 'N' after one of the others"
	case cdc.Delete:
		want = "'K' or 'O'"
	}
	r.rest = r.msg[len(r.msg)-len(r.rest)-1:]
	r.fail(fixMalformed, "kind of row %q, want %s", part, want)
	return r.err
}

// readTuple reads the values of a row of t into dst, which grows to the widest
// table and no further.
func readTuple(r *reader, t *cdc.Table, dst []cdc.Value) []cdc.Value {
	n := int(r.uint16("number of values"))
	if r.err != nil {
		return dst
	}
	if n != len(t.Columns) {
		r.rest = r.msg[len(r.msg)-len(r.rest)-2:]
		r.fail(fixTable, "%d values for the %d columns of %s.%s", n, len(t.Columns), t.Schema, t.Name)
		return dst
	}
	if n > len(r.rest) {
		r.fail(fixMalformed, "%d values need at least %d bytes, %d remain", n, n, len(r.rest))
		return dst
	}
	if cap(dst) < n {
		dst = make([]cdc.Value, n)
	}
	dst = dst[:n]
	rest := r.rest
	for i := range dst {
		if len(rest) == 0 {
			return badValue(r, t, i, rest, dst)
		}
		switch kind := cdc.ValueKind(rest[0]); kind {
		case cdc.Null, cdc.Unchanged:
			dst[i] = cdc.Value{Kind: kind}
			rest = rest[1:]
		case cdc.Text, cdc.Binary:
			if len(rest) < 5 {
				return badValue(r, t, i, rest, dst)
			}
			size := uint64(binary.BigEndian.Uint32(rest[1:]))
			if size > uint64(len(rest)-5) {
				return badValue(r, t, i, rest, dst)
			}
			// With its capacity cut, an append by the caller cannot reach the next value.
			dst[i] = cdc.Value{Kind: kind, Data: rest[5 : 5+size : 5+size]}
			rest = rest[5+size:]
		default:
			return badValue(r, t, i, rest, dst)
		}
	}
	r.rest = rest
	return dst
}

// badValue says what is wrong with the value at the front of rest, out of the way
// of the loop above.
func badValue(r *reader, t *cdc.Table, i int, rest []byte, dst []cdc.Value) []cdc.Value {
	r.rest = rest
	column := t.Columns[i].Name
	switch {
	case len(rest) == 0:
		r.fail(fixMalformed, "the row ends before column %q of %s.%s", column, t.Schema, t.Name)
	case rest[0] != byte(cdc.Text) && rest[0] != byte(cdc.Binary):
		r.fail(fixVersion, "value of kind %q in column %q of %s.%s, want 'n', 'u', 't' or 'b'",
			rest[0], column, t.Schema, t.Name)
	case len(rest) < 5:
		r.fail(fixMalformed, "the length of column %q of %s.%s needs 4 bytes, %d remain",
			column, t.Schema, t.Name, len(rest)-1)
	default:
		r.fail(fixMalformed, "column %q of %s.%s needs %d bytes, %d remain",
			column, t.Schema, t.Name, binary.BigEndian.Uint32(rest[1:]), len(rest)-5)
	}
	return dst
}
