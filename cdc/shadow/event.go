package shadow

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// A stored event is
//
//	kind, flags                1 byte each
//	time                       8 bytes, microseconds of Unix time
//	length of the people       uvarint, in bytes
//	people                     cdc.ID keys, one after the other
//	assignment                 cdc.ID key
//	body                       the rest
//
// so that time and audience are read without touching what follows.
const (
	eventFixed = 1 + 1 + 8
	flagAdmins = 1
)

func appendEvent(dst []byte, e *cdc.Event, people []byte) (value, scratch []byte) {
	people = people[:0]
	for _, id := range e.Audience.People {
		people = id.AppendKey(people)
	}
	var flags byte
	if e.Audience.Admins {
		flags |= flagAdmins
	}
	dst = append(dst, byte(e.Kind), flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Time.UnixMicro()))
	dst = binary.AppendUvarint(dst, uint64(len(people)))
	dst = append(dst, people...)
	dst = e.Assignment.AppendKey(dst)
	return append(dst, e.Body...), people
}

// storedEvent is an event's value taken apart; it aliases the value.
type storedEvent struct {
	kind   cdc.Kind
	flags  byte
	time   time.Time
	people []byte
	rest   []byte // assignment and body
}

func cutEvent(v []byte) (storedEvent, error) {
	if len(v) < eventFixed {
		return storedEvent{}, errCutShort
	}
	n, size := binary.Uvarint(v[eventFixed:])
	if size <= 0 || n > uint64(len(v)-eventFixed-size) {
		return storedEvent{}, errCutShort
	}
	people := v[eventFixed+size:]
	return storedEvent{
		kind:   cdc.Kind(v[0]),
		flags:  v[1],
		time:   time.UnixMicro(int64(binary.BigEndian.Uint64(v[2:]))).UTC(),
		people: people[:n],
		rest:   people[n:],
	}, nil
}

// names reports whether the person with that key is in the audience.
func (e storedEvent) names(person []byte) bool {
	for b := e.people; len(b) > 0 && len(person) > 0; {
		if bytes.HasPrefix(b, person) {
			return true
		}
		n := idKeyLen(b)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return false
}

// idKeyLen is the length of the cdc.ID key at the start of b, 0 if there is none.
func idKeyLen(b []byte) int {
	switch b[0] {
	case 0:
		return 1
	case 1:
		return min(9, len(b))
	}
	for i := 1; i+1 < len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 { // a zero of the text itself is followed by 0xff
			return i + 2
		}
	}
	return 0
}

// event makes the cdc.Event. e must not alias memory that will be reused.
func (e storedEvent) event(at cdc.Position) (*cdc.Event, error) {
	ev := &cdc.Event{Position: at, Kind: e.kind, Time: e.time}
	ev.Audience.Admins = e.flags&flagAdmins != 0
	if len(e.people) > 0 {
		ev.Audience.People = make([]cdc.ID, 0, 1+(len(e.people)-1)/9)
	}
	for b := e.people; len(b) > 0; {
		id, rest, err := cdc.CutKey(b)
		if err != nil {
			return nil, err
		}
		ev.Audience.People = append(ev.Audience.People, id)
		b = rest
	}
	var err error
	if ev.Assignment, ev.Body, err = cdc.CutKey(e.rest); err != nil {
		return nil, err
	}
	return ev, nil
}
