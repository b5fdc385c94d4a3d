package profile

import (
	"encoding/binary"
	"errors"
	"iter"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// several is the kind of a value that a path found more than one of. Such a value is
// only ever in the row of a derived section.
const several cdc.ValueKind = 'm'

// appendElement adds one to the values of a value of kind several.
func appendElement(dst []byte, v cdc.Value) []byte {
	dst = append(dst, byte(v.Kind))
	dst = binary.AppendUvarint(dst, uint64(len(v.Data)))
	return append(dst, v.Data...)
}

// each yields the values in a value: itself, where it is one.
func each(v cdc.Value) iter.Seq[cdc.Value] {
	return func(yield func(cdc.Value) bool) {
		if v.Kind != several {
			yield(v)
			return
		}
		for rest := v.Data; len(rest) > 0; {
			n, size := binary.Uvarint(rest[1:])
			data := rest[1+size:]
			if !yield(cdc.Value{Kind: cdc.ValueKind(rest[0]), Data: data[:n]}) {
				return
			}
			rest = data[n:]
		}
	}
}

// typed is a value that outlives the table's description.
type typed struct {
	typ uint32
	cdc.Value
}

var errShort = errors.New("a remembered row is cut short")

// append writes the value in text form with its type.
func (t typed) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(t.typ))
	dst = append(dst, byte(t.Kind))
	if t.Kind != cdc.Text && t.Kind != cdc.Binary {
		return dst
	}
	dst[len(dst)-1] = byte(cdc.Text)
	var room [96]byte
	text := plainText(room[:0], t.Value, t.typ)
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// cutTyped reads a value that append wrote and returns what follows it.
func cutTyped(b []byte) (typed, []byte, error) {
	typ, size := binary.Uvarint(b)
	if size <= 0 || typ > 1<<32-1 || len(b) <= size {
		return typed{}, nil, errShort
	}
	out := typed{typ: uint32(typ), Value: cdc.Value{Kind: cdc.ValueKind(b[size])}}
	b = b[size+1:]
	switch out.Kind {
	case cdc.Null, cdc.Unchanged:
		return out, b, nil
	case cdc.Text:
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return typed{}, nil, errShort
		}
		out.Data = b[size : size+int(n) : size+int(n)]
		return out, b[size+int(n):], nil
	}
	return typed{}, nil, errShort
}

// plainText writes a value as text, in one form however the log carried it: dst is
// written to only where the value is not that text already.
func plainText(dst []byte, v cdc.Value, typ uint32) []byte {
	if classOf(typ) != classTime {
		return textBytes(v, typ, dst[:cap(dst)])
	}
	if v.Kind == cdc.Text {
		if at, hasZone, ok := parseTime(v.Data); ok && hasZone {
			return appendTime(dst, at, typ)
		}
		return v.Data
	}
	switch at, edge := (times{}).fromBinaryOrEdge(v.Data, typ); {
	case edge > 0:
		return append(dst, "infinity"...)
	case edge < 0:
		return append(dst, "-infinity"...)
	case !at.IsZero():
		return appendTime(dst, at, typ)
	}
	return v.Data
}

func appendTime(dst []byte, at time.Time, typ uint32) []byte {
	if typ == oidDate {
		return at.AppendFormat(dst, "2006-01-02")
	}
	dst = at.UTC().AppendFormat(dst, "2006-01-02 15:04:05.999999")
	if typ == oidTimestamptz {
		dst = append(dst, "+00"...)
	}
	return dst
}
