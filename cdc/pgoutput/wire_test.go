package pgoutput_test

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// The functions of this file write messages as the server does
// (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html).

type wire []byte

func kind(k byte) wire { return wire{k} }

func (w wire) u8(v byte) wire     { return append(w, v) }
func (w wire) u16(v uint16) wire  { return binary.BigEndian.AppendUint16(w, v) }
func (w wire) u32(v uint32) wire  { return binary.BigEndian.AppendUint32(w, v) }
func (w wire) u64(v uint64) wire  { return binary.BigEndian.AppendUint64(w, v) }
func (w wire) lsn(v cdc.LSN) wire { return w.u64(uint64(v)) }
func (w wire) str(v string) wire  { return append(append(w, v...), 0) }

func (w wire) time(v time.Time) wire {
	return w.u64(uint64(v.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Microseconds()))
}

// sub writes the sub-transaction where there is one: inside a stream.
func (w wire) sub(xid ...uint32) wire {
	for _, x := range xid {
		w = w.u32(x)
	}
	return w
}

func (w wire) tuple(values ...cdc.Value) wire {
	w = w.u16(uint16(len(values)))
	for _, v := range values {
		w = w.u8(byte(v.Kind))
		if v.Kind == cdc.Text || v.Kind == cdc.Binary {
			w = append(w.u32(uint32(len(v.Data))), v.Data...)
		}
	}
	return w
}

func begin(lsn cdc.LSN, at time.Time, xid uint32) wire {
	return kind('B').lsn(lsn).time(at).u32(xid)
}

func commit(lsn, end cdc.LSN, at time.Time) wire {
	return kind('C').u8(0).lsn(lsn).lsn(end).time(at)
}

func relation(t *cdc.Table, xid ...uint32) wire {
	w := kind('R').sub(xid...).u32(t.OID).str(t.Schema).str(t.Name).u8(byte(t.Identity))
	w = w.u16(uint16(len(t.Columns)))
	for _, c := range t.Columns {
		flags := byte(0)
		if c.Key {
			flags = 1
		}
		w = w.u8(flags).str(c.Name).u32(c.Type).u32(0xffffffff)
	}
	return w
}

func insert(t *cdc.Table, row []cdc.Value, xid ...uint32) wire {
	return kind('I').sub(xid...).u32(t.OID).u8('N').tuple(row...)
}

func update(t *cdc.Table, oldKind byte, old, row []cdc.Value, xid ...uint32) wire {
	w := kind('U').sub(xid...).u32(t.OID)
	if oldKind != 0 {
		w = w.u8(oldKind).tuple(old...)
	}
	return w.u8('N').tuple(row...)
}

func deletion(t *cdc.Table, oldKind byte, old []cdc.Value, xid ...uint32) wire {
	return kind('D').sub(xid...).u32(t.OID).u8(oldKind).tuple(old...)
}

func truncate(options byte, oids []uint32, xid ...uint32) wire {
	return kind('T').sub(xid...).u32(uint32(len(oids))).u8(options).sub(oids...)
}

func logical(flags byte, lsn cdc.LSN, prefix, content string, xid ...uint32) wire {
	return append(kind('M').sub(xid...).u8(flags).lsn(lsn).str(prefix).u32(uint32(len(content))), content...)
}

func null() cdc.Value             { return cdc.Value{Kind: cdc.Null} }
func unchanged() cdc.Value        { return cdc.Value{Kind: cdc.Unchanged} }
func text(s string) cdc.Value     { return cdc.Value{Kind: cdc.Text, Data: []byte(s)} }
func binary8(b ...byte) cdc.Value { return cdc.Value{Kind: cdc.Binary, Data: append([]byte{}, b...)} }

// people has the default identity.
func people() *cdc.Table {
	return &cdc.Table{OID: 16393, Schema: "public", Name: "accounts_user", Identity: cdc.IdentityDefault, Columns: []cdc.Column{
		{Name: "id", Type: 20, Key: true}, {Name: "email", Type: 1043}, {Name: "bio", Type: 25},
	}}
}

// audit has the full identity.
func audit() *cdc.Table {
	return &cdc.Table{OID: 16400, Schema: "Année", Name: `a "b"`, Identity: cdc.IdentityFull, Columns: []cdc.Column{
		{Name: "what", Type: 25, Key: true}, {Name: "n", Type: 23, Key: true},
	}}
}

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC) }

// with is t with other columns.
func with(t *cdc.Table, columns ...cdc.Column) *cdc.Table {
	c := *t
	c.Columns = slices.Concat(t.Columns, columns)
	return &c
}
