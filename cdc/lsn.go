package cdc

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// LSN is a byte position in PostgreSQL's write-ahead log.
type LSN uint64

// ParseLSN reads PostgreSQL's notation, "16/B374D848".
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	if !ok {
		return 0, fmt.Errorf("log position %q, want two hexadecimal numbers like 0/1A2B3C4D", s)
	}
	h, err1 := strconv.ParseUint(hi, 16, 32)
	l, err2 := strconv.ParseUint(lo, 16, 32)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("log position %q, want two hexadecimal numbers like 0/1A2B3C4D", s)
	}
	return LSN(h<<32 | l), nil
}

// String writes PostgreSQL's notation.
func (l LSN) String() string { return string(l.Append(nil)) }

// Append writes PostgreSQL's notation to dst.
func (l LSN) Append(dst []byte) []byte {
	dst = appendHex(dst, uint32(l>>32))
	dst = append(dst, '/')
	return appendHex(dst, uint32(l))
}

// MarshalText is String for encoders.
func (l LSN) MarshalText() ([]byte, error) { return l.Append(nil), nil }

func appendHex(dst []byte, n uint32) []byte {
	const digits = "0123456789ABCDEF"
	shift := 28
	for shift > 0 && n>>shift == 0 {
		shift -= 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	return dst
}

// Position is the place of an event and, written out, its id: the LSN of the
// commit and the number of the event within that transaction, counted from 1.
// Index 0 is the place of the transaction itself, before its first event.
//
// An LSN alone would not do: all rows of one COPY share one.
type Position struct {
	LSN   LSN
	Index uint32
}

// ParsePosition reads the protocol's notation, "0/1A2B3C4D.2".
func ParsePosition(s string) (Position, error) {
	at, index, ok := strings.Cut(s, ".")
	if !ok {
		return Position{}, fmt.Errorf("event id %q, want a log position and a number like 0/1A2B3C4D.2", s)
	}
	lsn, err := ParseLSN(at)
	if err != nil {
		return Position{}, fmt.Errorf("event id: %w", err)
	}
	n, err := strconv.ParseUint(index, 10, 32)
	if err != nil {
		return Position{}, fmt.Errorf("event id %q, want a log position and a number like 0/1A2B3C4D.2", s)
	}
	return Position{LSN: lsn, Index: uint32(n)}, nil
}

// String writes the protocol's notation.
func (p Position) String() string { return string(p.Append(nil)) }

// Append writes the protocol's notation to dst.
func (p Position) Append(dst []byte) []byte {
	dst = append(p.LSN.Append(dst), '.')
	return strconv.AppendUint(dst, uint64(p.Index), 10)
}

// MarshalText is String for encoders.
func (p Position) MarshalText() ([]byte, error) { return p.Append(nil), nil }

// Compare orders positions as the log does: -1, 0 or +1.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.LSN, q.LSN), cmp.Compare(p.Index, q.Index))
}

// After reports whether p comes after q.
func (p Position) After(q Position) bool { return p.Compare(q) > 0 }

// IsZero reports whether p is the beginning of everything.
func (p Position) IsZero() bool { return p == Position{} }
