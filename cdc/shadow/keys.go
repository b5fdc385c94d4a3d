package shadow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// Reserved is the first byte of the keys that belong to the store. The
// projection's keys are not empty and start below it.
const Reserved = 0xf0

const historyPrefix = 0xfe

// format is the version of everything in this package that is written to the
// disk. The store below has a version of its own.
const format = 5

func formatKey() []byte     { return []byte("\xffformat") }
func checkpointKey() []byte { return []byte("\xffcheckpoint") }
func keptKey() []byte       { return []byte("\xffkept") }
func lostKey() []byte       { return []byte("\xfflost") }
func eventsKey() []byte     { return []byte("\xffevents") }

func checkKey(key []byte) error {
	if len(key) == 0 {
		return errors.New("shadow: empty key; a key of the projection has at least one byte")
	}
	if key[0] >= Reserved {
		return fmt.Errorf("shadow: key %x belongs to the store; the projection's keys start below %#x", key, Reserved)
	}
	return nil
}

// span returns the bounds of the projection's keys that start with prefix.
func span(prefix []byte) (lower, upper []byte, err error) {
	if len(prefix) == 0 {
		return []byte{0}, []byte{Reserved}, nil
	}
	if err := checkKey(prefix); err != nil {
		return nil, nil, err
	}
	upper = slices.Clone(prefix)
	for upper[len(upper)-1] == 0xff { // ends at the first byte at the latest: it is below Reserved
		upper = upper[:len(upper)-1]
	}
	upper[len(upper)-1]++
	return prefix, upper, nil
}

const historyKeyLen = 1 + 8 + 4

func appendHistoryKey(dst []byte, p cdc.Position) []byte {
	dst = append(dst, historyPrefix)
	return appendPosition(dst, p)
}

// historyEnd is behind the keys of all events.
func historyEnd() []byte { return []byte{historyPrefix + 1} }

// pastHistoryKey is the smallest key after the one of p.
func pastHistoryKey(p cdc.Position) []byte {
	return append(appendHistoryKey(make([]byte, 0, historyKeyLen+1), p), 0)
}

func cutHistoryKey(key []byte) (cdc.Position, error) {
	if len(key) != historyKeyLen || key[0] != historyPrefix {
		return cdc.Position{}, errCutShort
	}
	p, _, err := cutPosition(key[1:])
	return p, err
}

func appendPosition(dst []byte, p cdc.Position) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.LSN))
	return binary.BigEndian.AppendUint32(dst, p.Index)
}

func cutPosition(b []byte) (cdc.Position, []byte, error) {
	if len(b) < 12 {
		return cdc.Position{}, nil, errCutShort
	}
	return cdc.Position{
		LSN:   cdc.LSN(binary.BigEndian.Uint64(b)),
		Index: binary.BigEndian.Uint32(b[8:]),
	}, b[12:], nil
}
