package profile

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// LookupRow reads the rows of a lookup: the columns that paths take from it, and the
// keys that paths find the row by.
type LookupRow struct {
	index  int
	where  clauses
	key    identity
	first  column
	values []column
	split  []byte // between the keys in a value; empty: it holds one
}

// Index is the lookup's number.
func (l *LookupRow) Index() int { return l.index }

// LookupRecord is what paths know of one row of a lookup. It never changes.
type LookupRecord struct {
	keys   []cdc.ID
	first  typed
	values []typed
}

// Read reads a row, given what was known of it before (nil: nothing). It answers false
// when paths cannot find it: `where` does not hold, or it has no key. It returns was
// itself when nothing changed.
func (l *LookupRow) Read(row []cdc.Value, was *LookupRecord) (*LookupRecord, bool) {
	if !l.where.eval(row).or(was != nil) {
		return nil, false
	}
	if was != nil && len(was.values) != len(l.values) {
		was = nil
	}
	var room [8]cdc.ID
	keys := l.keys(row, room[:0], was)
	if len(keys) == 0 {
		return nil, false
	}
	if was != nil && slices.Equal(keys, was.keys) && l.same(row, was) {
		return was, true
	}
	now := &LookupRecord{keys: slices.Clone(keys), values: make([]typed, len(l.values))}
	now.first.Kind = cdc.Null
	if l.first.named() {
		now.first = keep(row, l.first, was, func() typed { return was.first })
	}
	for i, c := range l.values {
		now.values[i] = keep(row, c, was, func() typed { return was.values[i] })
	}
	return now, true
}

// keys appends what the row is found by, sorted, each once.
func (l *LookupRow) keys(row []cdc.Value, dst []cdc.ID, was *LookupRecord) []cdc.ID {
	switch {
	case l.key.unchanged(row) && was == nil:
		return nil
	case l.key.unchanged(row):
		return was.keys
	case len(l.split) == 0:
		return l.key.ids(row, dst)
	}
	c := l.key[0]
	dst = appendParts(dst, row[c.index], c.typ, l.split)
	slices.SortFunc(dst, cdc.ID.Compare)
	return slices.Compact(dst)
}

// same reports whether the row's values are those of was.
func (l *LookupRow) same(row []cdc.Value, was *LookupRecord) bool {
	if l.first.named() && !sameValue(row, l.first, was.first) {
		return false
	}
	for i, c := range l.values {
		if !sameValue(row, c, was.values[i]) {
			return false
		}
	}
	return true
}

func sameValue(row []cdc.Value, c column, was typed) bool {
	v := row[c.index]
	switch {
	case v.Kind == cdc.Unchanged:
		return true
	case c.typ != was.typ:
		return false
	case v.Kind == cdc.Null:
		return was.Kind == cdc.Null
	}
	var room [96]byte
	return was.Kind == cdc.Text && bytes.Equal(plainText(room[:0], v, c.typ), was.Data)
}

// keep copies a value out of a row; one that the log does not carry stays what it was.
func keep(row []cdc.Value, c column, was *LookupRecord, before func() typed) typed {
	v := row[c.index]
	switch {
	case v.Kind == cdc.Unchanged && was != nil:
		return before()
	case v.Kind == cdc.Null || v.Kind == cdc.Unchanged:
		return typed{c.typ, cdc.Value{Kind: v.Kind}}
	}
	var room [96]byte
	return typed{c.typ, cdc.Value{Kind: cdc.Text, Data: bytes.Clone(plainText(room[:0], v, c.typ))}}
}

// Keys are what paths find the row by, sorted, each once.
func (r *LookupRecord) Keys() []cdc.ID { return r.keys }

// ID is the key in one of the columns that paths take.
func (r *LookupRecord) ID(column int) cdc.ID {
	v := r.values[column]
	return idOf(v.Value, v.typ)
}

// Compare orders two rows of one lookup by its `first`, NULL last; it is 0 where they
// are equal, and where there is no `first`: then the lower row id comes first.
func (r *LookupRecord) Compare(o *LookupRecord) int {
	a, b := r.first, o.first
	switch {
	case a.Kind != cdc.Text && b.Kind != cdc.Text:
		return 0
	case a.Kind != cdc.Text:
		return 1
	case b.Kind != cdc.Text:
		return -1
	}
	if class := classOf(a.typ); class == classOf(b.typ) {
		var bufA, bufB [40]byte
		switch class {
		case classNumber:
			x, okX := number(a.Value, a.typ, bufA[:])
			y, okY := number(b.Value, b.typ, bufB[:])
			if okX && okY {
				return x.compare(&y)
			}
		case classTime:
			return compareTimes(a, b)
		}
	}
	return bytes.Compare(a.Data, b.Data)
}

// compareTimes orders times of one type, infinity and years before Christ among them.
func compareTimes(a, b typed) int {
	rank := func(v typed) (int, int64) {
		if at, ok := instant(v.Value, v.typ); ok {
			return 0, at
		}
		if string(v.Data) == "infinity" {
			return 1, 0
		}
		text, isBC := bytes.CutSuffix(v.Data, []byte(" BC"))
		if at, _, ok := parseTime(text); isBC && ok {
			return -1, at.AddDate(1-2*at.Year(), 0, 0).UnixMicro()
		}
		return -2, 0
	}
	edgeA, atA := rank(a)
	edgeB, atB := rank(b)
	switch {
	case edgeA != edgeB:
		return edgeA - edgeB
	case atA < atB:
		return -1
	case atA > atB:
		return 1
	}
	return 0
}

// Append writes the record: equal ones as equal bytes.
func (r *LookupRecord) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r.keys)))
	for _, k := range r.keys {
		dst = k.AppendKey(dst)
	}
	dst = r.first.append(dst)
	dst = binary.AppendUvarint(dst, uint64(len(r.values)))
	for _, v := range r.values {
		dst = v.append(dst)
	}
	return dst
}

// ReadLookupRecord reads what Append wrote.
func ReadLookupRecord(b []byte) (*LookupRecord, error) {
	b = bytes.Clone(b)
	r := &LookupRecord{}
	n, b, err := cutCount(b)
	if err != nil {
		return nil, err
	}
	r.keys = make([]cdc.ID, n)
	for i := range r.keys {
		if r.keys[i], b, err = cdc.CutKey(b); err != nil {
			return nil, err
		}
	}
	if r.first, b, err = cutTyped(b); err != nil {
		return nil, err
	}
	if n, b, err = cutCount(b); err != nil {
		return nil, err
	}
	r.values = make([]typed, n)
	for i := range r.values {
		if r.values[i], b, err = cutTyped(b); err != nil {
			return nil, err
		}
	}
	if len(b) > 0 {
		return nil, errShort
	}
	return r, nil
}

// cutCount reads how many of something follow, each of at least one byte.
func cutCount(b []byte) (int, []byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return 0, nil, errShort
	}
	return int(n), b[size:], nil
}
