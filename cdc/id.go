package cdc

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
)

// ID is a key of the LMS: of a person, an assignment, a submission. It is
// comparable, and integers need no allocation. The zero ID is "none".
type ID struct {
	num  int64
	text string
	kind idKind
}

type idKind byte

const (
	idNone idKind = iota
	idInt
	idText
)

// IntID is the ID of an integer key.
func IntID(n int64) ID { return ID{num: n, kind: idInt} }

// TextID is the ID of any other key: a uuid, a code, several columns joined.
func TextID(s string) ID { return ID{text: s, kind: idText} }

// ParseID reads an ID as a person would write it: an integer where it looks like
// one as PostgreSQL prints it, otherwise text. "" is none.
func ParseID(s string) ID {
	if s == "" {
		return ID{}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return IntID(n)
	}
	return TextID(s)
}

// AsWritten is the ID that ParseID makes of what the LMS writes: it cannot tell an
// integer from a text that looks like one.
func (id ID) AsWritten() ID {
	if id.kind != idText {
		return id
	}
	return ParseID(id.text)
}

// Type oids of the integers (pg_type.dat).
const (
	oidInt8 = 20
	oidInt2 = 21
	oidInt4 = 23
)

// IDOf reads the ID in a column of the given type. NULL is none.
func IDOf(v Value, typ uint32) ID {
	switch v.Kind {
	case Text:
		switch typ {
		case oidInt2, oidInt4, oidInt8:
			if n, ok := atoi(v.Data); ok {
				return IntID(n)
			}
		}
		return TextID(string(v.Data))
	case Binary:
		switch {
		case typ == oidInt8 && len(v.Data) == 8:
			return IntID(int64(binary.BigEndian.Uint64(v.Data)))
		case typ == oidInt4 && len(v.Data) == 4:
			return IntID(int64(int32(binary.BigEndian.Uint32(v.Data))))
		case typ == oidInt2 && len(v.Data) == 2:
			return IntID(int64(int16(binary.BigEndian.Uint16(v.Data))))
		}
		return TextID(string(v.Data))
	}
	return ID{}
}

// atoi reads a decimal int64 without allocating.
func atoi(b []byte) (int64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	switch {
	case neg && n <= 1<<63:
		return -int64(n), true
	case !neg && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

// IsZero reports whether id is none.
func (id ID) IsZero() bool { return id.kind == idNone }

// String writes the key as the LMS does.
func (id ID) String() string {
	if id.kind == idInt {
		return strconv.FormatInt(id.num, 10)
	}
	return id.text
}

// Compare orders IDs: none, then integers, then texts.
func (id ID) Compare(other ID) int {
	if id.kind != other.kind {
		return int(id.kind) - int(other.kind)
	}
	switch {
	case id.num < other.num:
		return -1
	case id.num > other.num:
		return 1
	}
	return strings.Compare(id.text, other.text)
}

// maxSafe is the largest integer that JavaScript's numbers hold exactly.
const maxSafe = 1<<53 - 1

// AppendJSON writes the ID as protocol.md asks: a number where the key is an
// integer of at most 53 bits, otherwise a string; null for none.
func (id ID) AppendJSON(dst []byte) []byte {
	switch {
	case id.kind == idNone:
		return append(dst, "null"...)
	case id.kind == idInt && id.num >= -maxSafe && id.num <= maxSafe:
		return strconv.AppendInt(dst, id.num, 10)
	case id.kind == idInt:
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, id.num, 10)
		return append(dst, '"')
	}
	return AppendJSONString(dst, id.text)
}

// MarshalJSON is AppendJSON for encoding/json.
func (id ID) MarshalJSON() ([]byte, error) { return id.AppendJSON(nil), nil }

// AppendKey writes the ID so that several of them can stand in one key: the
// bytes of different IDs differ, none is the prefix of another, and integers
// sort by value.
func (id ID) AppendKey(dst []byte) []byte {
	switch id.kind {
	case idNone:
		return append(dst, 0)
	case idInt:
		dst = append(dst, 1)
		return binary.BigEndian.AppendUint64(dst, uint64(id.num)^1<<63)
	}
	dst = append(dst, 2)
	for i := range len(id.text) {
		if c := id.text[i]; c == 0 {
			dst = append(dst, 0, 0xff) // an escaped zero sorts after the terminator
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, 0, 0)
}

var errKey = errors.New("a stored key is cut short")

// CutKey reads an ID that AppendKey wrote and returns what follows it.
func CutKey(b []byte) (ID, []byte, error) {
	if len(b) == 0 {
		return ID{}, nil, errKey
	}
	kind, b := b[0], b[1:]
	switch kind {
	case 0:
		return ID{}, b, nil
	case 1:
		if len(b) < 8 {
			return ID{}, nil, errKey
		}
		return IntID(int64(binary.BigEndian.Uint64(b) ^ 1<<63)), b[8:], nil
	case 2:
		var text []byte
		for len(b) >= 2 {
			switch {
			case b[0] != 0:
				text = append(text, b[0])
				b = b[1:]
			case b[1] == 0xff:
				text = append(text, 0)
				b = b[2:]
			case b[1] == 0:
				return TextID(string(text)), b[2:], nil
			default:
				return ID{}, nil, errKey
			}
		}
	}
	return ID{}, nil, errKey
}
