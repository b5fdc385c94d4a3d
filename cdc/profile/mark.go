package profile

import (
	"github.com/schoolbell/schoolbell/cdc"
)

// Mark remembers a state of a row in eight bytes: 0 while a condition does not hold
// ("not handed in", "not graded"), otherwise a hash of the `again` columns. An equal
// mark means that nothing happened.
type Mark uint64

// marker computes the marks of one condition.
type marker struct {
	when  clauses
	again []column
}

// column is a column of the profile, found in a table.
type column struct {
	index int // unnamed, or in Table.Columns
	typ   uint32
	class class
}

// unnamed is the column that the profile does not name.
const unnamed = -1

func (c column) named() bool { return c.index != unnamed }

// read computes the mark of a row. Where the log does not carry what decides, the
// mark is what it was.
func (m *marker) read(row []cdc.Value, was Mark) Mark {
	switch m.when.eval(row) {
	case no:
		return 0
	case unknown:
		return was
	}
	h := hashStart
	for i := range m.again {
		v := row[m.again[i].index]
		if v.Kind == cdc.Unchanged && was != 0 {
			return was
		}
		h = h.value(v, m.again[i])
	}
	return Mark(max(h, 1))
}

// hash is FNV-1a with 64 bits.
type hash uint64

const (
	hashStart hash = 14695981039346656037
	hashPrime hash = 1099511628211
)

// Tags before a hashed value, so that different kinds never look alike.
const (
	tagNull byte = iota + 1
	tagUnchanged
	tagNumber
	tagTime
	tagText
)

// value adds one value, by what it means and not by how it is printed: a number
// without the zeros behind it, a time as an instant, the rest as text with its
// length. So a change of time zone, of a column's scale, or from text to binary
// changes no mark.
func (h hash) value(v cdc.Value, c column) hash {
	switch v.Kind {
	case cdc.Null:
		return h.byte(tagNull)
	case cdc.Unchanged:
		return h.byte(tagUnchanged)
	}
	var buf [64]byte
	switch c.class {
	case classNumber:
		if d, ok := number(v, c.typ, buf[:]); ok && d.special == 0 {
			return h.decimal(d)
		}
	case classTime:
		if us, ok := instant(v, c.typ); ok {
			return h.byte(tagTime).uint64(uint64(us))
		}
	}
	return h.byte(tagText).bytes(textBytes(v, c.typ, buf[:]))
}

func (h hash) decimal(d decimal) hash {
	sign := byte('+')
	if d.neg {
		sign = '-'
	}
	return h.byte(tagNumber).byte(sign).bytes(d.whole).bytes(d.part)
}

func (h hash) byte(b byte) hash { return (h ^ hash(b)) * hashPrime }

func (h hash) uint64(n uint64) hash {
	for range 8 {
		h = h.byte(byte(n))
		n >>= 8
	}
	return h
}

// bytes adds b behind its length.
func (h hash) bytes(b []byte) hash {
	n := len(b)
	h = h.byte(byte(n)).byte(byte(n >> 8)).byte(byte(n >> 16)).byte(byte(n >> 24))
	for _, c := range b {
		h = (h ^ hash(c)) * hashPrime
	}
	return h
}

// instant is a time as microseconds since 1970, a time without a zone taken as UTC
// so that a mark does not hang on the profile's zone.
func instant(v cdc.Value, typ uint32) (int64, bool) {
	at := times{}.moment(v, typ)
	return at.UnixMicro(), !at.IsZero()
}
