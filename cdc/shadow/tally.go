package shadow

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/schoolbell/schoolbell/cdc"
)

// HistoryEvents is how many events the history has, those included that no checkpoint
// covers yet. It reads nothing.
func (s *Store) HistoryEvents() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events
}

// count notes an event of the batch that the history does not have yet. As a rule it is
// behind all others, which costs no question; one that the log brings again is not.
func (b *Batch) count(at cdc.Position) {
	if !b.counting {
		b.s.mu.Lock()
		b.floor, b.counting = b.s.newest, true
		b.s.mu.Unlock()
	}
	if at.After(b.floor) && at.After(b.last) || !b.has(at) {
		b.added++
	}
}

// has reports whether the history has an event already, whatever else is in the batch.
func (b *Batch) has(at cdc.Position) bool {
	if b.dropped {
		return false
	}
	_, ok, err := b.s.meta(appendHistoryKey(nil, at))
	return b.note(err) && ok
}

// number writes how many events there are with the batch, and answers it. The caller
// holds s.mu.
func (b *Batch) number() int64 {
	n := b.s.events
	if b.dropped {
		n = 0
	}
	if n += b.added; b.added > 0 || b.dropped {
		b.note(setEvents(b.b, n, b.buf))
	}
	return n
}

// setEvents writes how many events there are, in the memory of buf as far as that goes.
func setEvents(b *pebble.Batch, n int64, buf []byte) error {
	return b.Set(eventsKey(), binary.BigEndian.AppendUint64(buf[:0], uint64(n)), nil)
}

// loadEvents reads how many events there are; known is false where an earlier version
// wrote the directory, which did not count them.
func (s *Store) loadEvents() (known bool, err error) {
	v, known, err := s.meta(eventsKey())
	if err != nil || !known {
		return false, err
	}
	if len(v) != 8 {
		return false, damaged(s.dir, errCutShort)
	}
	s.events = int64(binary.BigEndian.Uint64(v))
	return true, nil
}

// countEvents counts those from a key up to before another one.
func (s *Store) countEvents(from, to []byte) (n int64, err error) {
	err = s.walk(from, to, func(_, _ []byte) (bool, error) {
		n++
		return true, nil
	})
	return n, err
}
