package profile

import (
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// identity are the columns that make up a key: of the row itself, or of another that
// it names. None are a key that the profile does not name.
type identity []column

func (k identity) id(row []cdc.Value) cdc.ID {
	if len(k) == 0 {
		return cdc.ID{}
	}
	if len(k) == 1 {
		return k[0].id(row)
	}
	var b strings.Builder
	for i, c := range k {
		if i > 0 {
			b.WriteByte(':')
		}
		joinPart(&b, c.id(row))
	}
	return cdc.TextID(b.String())
}

// joinPart writes one part of a composite key so that what is joined can be told from
// what a part contains.
func joinPart(b *strings.Builder, id cdc.ID) {
	part := strings.ReplaceAll(id.String(), `\`, `\\`)
	b.WriteString(strings.ReplaceAll(part, ":", `\:`))
}

// joinIDs is a composite key; none if any part is.
func joinIDs(parts []cdc.ID) cdc.ID {
	if len(parts) == 1 {
		return parts[0]
	}
	var b strings.Builder
	for i, id := range parts {
		if id.IsZero() {
			return cdc.ID{}
		}
		if i > 0 {
			b.WriteByte(':')
		}
		joinPart(&b, id)
	}
	return cdc.TextID(b.String())
}

// id reads a key in a column.
func (c column) id(row []cdc.Value) cdc.ID { return idOf(row[c.index], c.typ) }

// idOf reads a key in a value. A uuid is the same in both forms, and the spaces that
// fill up a char(n) are no part of it.
func idOf(v cdc.Value, typ uint32) cdc.ID {
	switch {
	case typ == oidUUID && v.Kind == cdc.Binary:
		var buf [36]byte
		v = cdc.Value{Kind: cdc.Text, Data: textBytes(v, typ, buf[:])}
	case typ == oidBpchar:
		v.Data = trimPadding(v.Data)
	}
	return cdc.IDOf(v, typ)
}

// unchanged reports whether the log does not carry a part of the key.
func (k identity) unchanged(row []cdc.Value) bool {
	for _, c := range k {
		if row[c.index].Kind == cdc.Unchanged {
			return true
		}
	}
	return false
}

// idOr is the key that the row names; none where a part is NULL, and what it was where
// the log does not carry it.
func (k identity) idOr(row []cdc.Value, was cdc.ID) cdc.ID {
	if len(k) != 1 {
		return k.joinedOr(row, was)
	}
	v := row[k[0].index]
	if v.Kind == cdc.Unchanged {
		return was
	}
	return idOf(v, k[0].typ)
}

func (k identity) joinedOr(row []cdc.Value, was cdc.ID) cdc.ID {
	if len(k) > 0 && k.unchanged(row) {
		return was
	}
	for _, c := range k {
		if row[c.index].Kind == cdc.Null {
			return cdc.ID{}
		}
	}
	return k.id(row)
}

// ids appends the keys that the row names: several where a path found several.
func (k identity) ids(row []cdc.Value, dst []cdc.ID) []cdc.ID {
	if len(k) == 1 && row[k[0].index].Kind == several {
		for v := range each(row[k[0].index]) {
			if id := idOf(v, k[0].typ); !id.IsZero() {
				dst = append(dst, id)
			}
		}
		return dst
	}
	if id := k.idOr(row, cdc.ID{}); !id.IsZero() {
		dst = append(dst, id)
	}
	return dst
}
