package shadow

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// HistoryEvents is how many events the history has, those included that no checkpoint
// covers yet. It reads nothing.
func (s *Store) HistoryEvents() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events
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

// loadEvents reads how many events there are.
func (s *Store) loadEvents() error {
	v, ok, err := s.meta(eventsKey())
	if err != nil || !ok {
		return err
	}
	if len(v) != 8 {
		return damaged(s.dir, errCutShort)
	}
	s.events = int64(binary.BigEndian.Uint64(v))
	return nil
}

// countEvents counts those of the blocks whose keys lie from a key up to before another one.
func (s *Store) countEvents(from, to []byte) (n int64, err error) {
	err = s.walk(from, to, func(_, value []byte) (bool, error) {
		b, err := cutBlock(value)
		n += int64(b.count)
		return true, err
	})
	return n, err
}
