package shadow

import (
	"bytes"
	"errors"
	"iter"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/schoolbell/schoolbell/cdc"
)

// Events yields the events after the position after, up to and with upTo, in
// order, as they are when the iteration starts. After an error it yields nothing
// more.
//
// Whoever must know that none is missing asks Kept once the first event is there,
// or the iteration over: if it is not After(after), none is.
func (s *Store) Events(after, upTo cdc.Position) iter.Seq2[*cdc.Event, error] {
	return func(yield func(*cdc.Event, error) bool) {
		err := s.walkEvents(after, upTo, func(at cdc.Position, value []byte) (bool, error) {
			e, err := ownEvent(at, value)
			if err != nil {
				return false, err
			}
			return yield(e, nil), nil
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// walkEvents calls visit with the events after one position up to and with another, until
// it answers false. What it passes is valid during the call.
func (s *Store) walkEvents(after, upTo cdc.Position, visit func(at cdc.Position, value []byte) (more bool, err error)) error {
	if !upTo.After(after) {
		return nil
	}
	buf := unpackBuffers.Get().(*[]byte)
	defer unpackBuffers.Put(buf)
	return s.walkBlocks(pastHistoryKey(after), func(_ cdc.Position, b block) (bool, error) {
		if b.first.After(upTo) {
			return false, nil
		}
		return b.each(buf, func(at cdc.Position, value []byte) (bool, error) {
			switch {
			case s.gate.closing():
				return false, ErrClosed
			case at.After(upTo):
				return false, nil
			case !at.After(after):
				return true, nil
			}
			return visit(at, value)
		})
	})
}

// walkBlocks calls visit with the blocks from a key on, until it answers false.
func (s *Store) walkBlocks(from []byte, visit func(last cdc.Position, b block) (more bool, err error)) error {
	return s.walk(from, historyEnd(), func(key, value []byte) (bool, error) {
		last, b, err := cutEntry(key, value)
		if err != nil {
			return false, err
		}
		return visit(last, b)
	})
}

func cutEntry(key, value []byte) (last cdc.Position, b block, err error) {
	if last, err = cutHistoryKey(key); err == nil {
		b, err = cutBlock(value)
	}
	return last, b, err
}

// EventsOf gives those events after the position after, up to and with upTo, that
// concerned somebody: a person of the audience, or as an admin, where wasAdmin says
// that they were one then. It looks at no more than most events, stops when give
// answers false, and says up to where it has looked. What is left out costs no
// allocation.
//
// As with Events, Kept asked afterwards tells whether some were missing.
func (s *Store) EventsOf(person cdc.ID, wasAdmin func(at cdc.Position) bool, after, upTo cdc.Position, most int,
	give func(*cdc.Event) (more bool),
) (reached cdc.Position, err error) {
	if !upTo.After(after) {
		return after, nil
	}
	var id []byte
	if !person.IsZero() {
		id = person.AppendKey(nil)
	}
	reached = after
	ended := true // the history came to its end before anything else did
	err = s.walkEvents(after, upTo, func(at cdc.Position, value []byte) (bool, error) {
		stored, err := cutEvent(value)
		if err != nil {
			return false, err
		}
		reached, ended = at, false
		most--
		more := true
		if stored.names(id) || stored.flags&flagAdmins != 0 && wasAdmin(at) {
			e, err := ownEvent(at, value)
			if err != nil {
				return false, err
			}
			more = give(e)
		}
		ended = more && most > 0
		return ended, nil
	})
	if err == nil && ended {
		reached = upTo
	}
	return reached, err
}

// First says where the first event after a position stands, and when it happened; zero
// where there is none. It costs one search, however long the history is.
func (s *Store) First(after cdc.Position) (at cdc.Position, when time.Time, err error) {
	err = s.walkEvents(after, cdc.Position{LSN: math.MaxUint64, Index: math.MaxUint32}, func(first cdc.Position, value []byte) (bool, error) {
		stored, err := cutEvent(value)
		at, when = first, stored.time
		return false, err
	})
	return at, when, err
}

// Back says after which position the last n events up to and with another one stand;
// zero where there are no more than these. It reads backwards, as far as it must.
func (s *Store) Back(upTo cdc.Position, n int) (after cdc.Position, err error) {
	end := historyEnd() // behind the block that holds upTo, if one does
	err = s.walkBlocks(appendHistoryKey(nil, upTo), func(last cdc.Position, _ block) (bool, error) {
		end = pastHistoryKey(last)
		return false, nil
	})
	if err != nil {
		return after, err
	}
	buf := unpackBuffers.Get().(*[]byte)
	defer unpackBuffers.Put(buf)
	err = s.walkBack([]byte{historyPrefix}, end, func(key, value []byte) (bool, error) {
		last, b, err := cutEntry(key, value)
		if err != nil {
			return false, err
		}
		if !last.After(upTo) && b.count <= n {
			n -= b.count
			return true, nil
		}
		var before []cdc.Position // of the block, up to and with upTo
		_, err = b.each(buf, func(at cdc.Position, _ []byte) (bool, error) {
			if !at.After(upTo) {
				before = append(before, at)
			}
			return true, nil
		})
		if n < len(before) {
			after = before[len(before)-1-n]
			return false, err
		}
		n -= len(before)
		return true, err
	})
	return after, err
}

// ownEvent makes an event of an entry that the iterator is about to reuse.
func ownEvent(at cdc.Position, value []byte) (*cdc.Event, error) {
	stored, err := cutEvent(bytes.Clone(value))
	if err != nil {
		return nil, err
	}
	e, err := stored.event(at)
	if err != nil {
		return nil, errCutShort
	}
	return e, nil
}

// Kept is the position after which every event is still there.
func (s *Store) Kept() cdc.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

// Lost is the position up to which what is not there was never removed by Trim:
// this history begins after it. It is not After(Kept()).
func (s *Store) Lost() cdc.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// Trim removes the oldest events: those that happened before olderThan, and as
// many more as bring what the history takes on the disk down to maxBytes; a zero
// of either asks for nothing. It answers how many it removed. Events that are
// still in memory only take no room yet.
//
// Commits go on meanwhile. Call it from one goroutine.
func (s *Store) Trim(olderThan time.Time, maxBytes int64) (removed int, err error) {
	s.mu.Lock()
	from, drops := s.kept, s.drops
	s.mu.Unlock()
	cut, removed, err := s.trimPoint(from, olderThan, maxBytes)
	if err != nil || removed == 0 {
		return 0, err
	}
	// What the log brought again after it had been removed stands before what is kept.
	again, err := s.countEvents([]byte{historyPrefix}, pastHistoryKey(from))
	if err != nil {
		return 0, err
	}
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops != drops {
		return 0, nil // what was to be trimmed is gone, and its positions mean something else now
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := s.cutBlocks(b, cut); err != nil {
		return 0, explain(s.dir, err)
	}
	if err := b.Set(keptKey(), appendPosition(nil, cut), nil); err != nil {
		return 0, explain(s.dir, err)
	}
	s.events = max(s.events-int64(removed)-again, 0)
	if err := setEvents(b, s.events, nil); err != nil {
		return 0, explain(s.dir, err)
	}
	s.kept = cut // both are under mu: who asks for Kept after having read is told of the removal
	if err := b.Commit(pebble.NoSync); err != nil {
		return 0, explain(s.dir, err)
	}
	return removed, s.health()
}

// trimPoint finds the last event to remove, and how many go with it.
func (s *Store) trimPoint(from cdc.Position, olderThan time.Time, maxBytes int64) (cut cdc.Position, n int, err error) {
	excess := int64(0)
	measure := func(after cdc.Position) (err error) {
		if maxBytes <= 0 {
			return nil
		}
		used, err := s.db.EstimateDiskUsage(pastHistoryKey(after), historyEnd())
		excess = int64(used) - maxBytes
		return err
	}
	if err := s.enter(); err != nil {
		return cut, 0, err
	}
	defer s.gate.leave()
	if err := measure(from); err != nil {
		return cut, 0, s.readError(err)
	}
	// Blocks take less on the disk than here. So what the excess amounts to is removed, and the rest measured again, until it fits.
	const step = 64 << 10
	passed := int64(0)
	buf := unpackBuffers.Get().(*[]byte)
	defer unpackBuffers.Put(buf)
	err = s.walk(pastHistoryKey(from), historyEnd(), func(key, value []byte) (bool, error) {
		if excess > 0 && passed >= max(excess, step) {
			if err := measure(cut); err != nil {
				return false, s.readError(err)
			}
			passed = 0
		}
		_, b, err := cutEntry(key, value)
		if err != nil {
			return false, err
		}
		passed += int64(len(key) + len(value))
		return b.each(buf, func(at cdc.Position, value []byte) (bool, error) {
			stored, err := cutEvent(value)
			if err != nil || !stored.time.Before(olderThan) && excess <= 0 {
				return false, err
			}
			if at.After(from) {
				cut = at
				n++
			}
			return true, nil
		})
	})
	return cut, n, err
}

// cutBlocks removes the events up to and with a position, from the block too that others
// share with them.
func (s *Store) cutBlocks(b *pebble.Batch, cut cdc.Position) error {
	if err := b.DeleteRange([]byte{historyPrefix}, pastHistoryKey(cut), nil); err != nil {
		return err
	}
	rest := blockWriter{to: b}
	var buf []byte
	return s.walkBlocks(pastHistoryKey(cut), func(last cdc.Position, old block) (bool, error) {
		if old.first.After(cut) {
			return false, nil
		}
		_, err := old.each(&buf, func(at cdc.Position, value []byte) (bool, error) {
			if at.After(cut) {
				rest.take(stored{at, value})
			}
			return true, nil
		})
		return false, errors.Join(err, rest.end(last))
	})
}
