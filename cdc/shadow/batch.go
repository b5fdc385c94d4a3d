package shadow

import (
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/schoolbell/schoolbell/cdc"
)

// Batch gathers what becomes true together. Later calls win over earlier ones.
// Keys, values and events are copied. A mistake in a call is returned by Commit,
// which then writes nothing.
//
// One transaction of the log belongs in one batch. If its events are too many for
// the memory, batches with events alone may go ahead; everything else goes into
// the last one, with the checkpoint.
type Batch struct {
	s   *Store
	b   *pebble.Batch
	buf []byte // scratch
	ids []byte // scratch
	err error

	events []stored // in the order of Append
	values []byte   // of events
	blocks blockWriter

	checkpoint    Checkpoint
	hasCheckpoint bool
	kept          cdc.Position
	dropped       bool

	added int64 // events that the history did not have
}

// NewBatch returns an empty batch. Its memory is used again after Reset.
func (s *Store) NewBatch() *Batch {
	b := s.db.NewBatch()
	return &Batch{s: s, b: b, blocks: blockWriter{to: b}}
}

// Reset empties the batch.
func (b *Batch) Reset() {
	b.b.Reset()
	*b = Batch{s: b.s, b: b.b, buf: b.buf, ids: b.ids, events: b.events[:0], values: b.values[:0], blocks: b.blocks}
	b.blocks.reset()
}

// Set puts a value under one of the projection's keys.
func (b *Batch) Set(key, value []byte) {
	if b.note(checkKey(key)) {
		b.note(b.b.Set(key, value, nil))
	}
}

// Delete removes one of the projection's keys; it need not be there.
func (b *Batch) Delete(key []byte) {
	if b.note(checkKey(key)) {
		b.note(b.b.Delete(key, nil))
	}
}

// DeletePrefix removes the projection's keys that start with prefix, all of them
// if it is empty.
func (b *Batch) DeletePrefix(prefix []byte) {
	lower, upper, err := span(prefix)
	if b.note(err) {
		b.note(b.b.DeleteRange(lower, upper, nil))
	}
}

// Append puts an event into the history, at its position. An event that is there
// already is replaced: a transaction that the log brings again brings the same.
func (b *Batch) Append(e *cdc.Event) {
	from := len(b.values)
	b.values, b.ids = appendEvent(b.values, e, b.ids)
	b.events = append(b.events, stored{e.Position, b.values[from:]}) // as it is, also when values moves on
}

// DropHistory removes all events, those of this batch so far too, and declares
// that from kept on nothing will be missing, and that what lies before is lost: for
// the first snapshot, and for one whose positions cannot be compared with those
// before it.
func (b *Batch) DropHistory(kept cdc.Position) {
	b.note(b.b.DeleteRange([]byte{historyPrefix}, historyEnd(), nil))
	b.buf = appendPosition(b.buf[:0], kept)
	b.note(b.b.Set(keptKey(), b.buf, nil))
	b.note(b.b.Set(lostKey(), b.buf, nil))
	b.kept, b.dropped = kept, true
	b.events, b.values = b.events[:0], b.values[:0]
}

// SetCheckpoint says how far the store has come with this batch. It covers the
// events of this batch and of those before it.
func (b *Batch) SetCheckpoint(c Checkpoint) { b.checkpoint, b.hasCheckpoint = c, true }

// Len is how many bytes the batch holds.
func (b *Batch) Len() int { return b.b.Len() + len(b.values) }

// Commit makes the batch true: all of it, for every reader at once. From then on a
// process that is killed does not lose it; it is durable after the next Sync. The batch must be Reset before it is used again. After an
// error the store is of no more use: Close it.
func (b *Batch) Commit() error {
	if b.err != nil {
		return b.err
	}
	s := b.s
	if err := s.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := b.writeEvents()
	if b.hasCheckpoint {
		b.buf = appendCheckpoint(b.buf[:0], b.checkpoint, newest)
		if !b.note(b.b.Set(checkpointKey(), b.buf, nil)) {
			return b.err
		}
	}
	events := b.number()
	if b.err != nil {
		return b.err
	}
	if err := b.b.Commit(pebble.Sync); err != nil {
		return explain(s.dir, err)
	}
	s.committed(b.b.Len())
	s.newest, s.events = newest, events
	if b.hasCheckpoint {
		s.checkpoint, s.has, s.covered = b.checkpoint, true, newest
	}
	if b.dropped {
		s.kept, s.lost = b.kept, b.kept
		s.drops++
	}
	return s.health()
}

// writeEvents writes the events in blocks, and answers the position of the history's
// newest one with them. The caller holds s.mu.
func (b *Batch) writeEvents() (newest cdc.Position) {
	if !b.dropped {
		newest = b.s.newest
	}
	if len(b.events) == 0 {
		return newest
	}
	b.sortEvents()
	rest := b.events
	b.added = int64(len(rest))
	if !rest[0].at.After(newest) {
		rest = b.merge(rest)
	}
	for _, e := range rest {
		b.place(e)
	}
	b.note(b.blocks.end(b.blocks.last))
	if last := b.events[len(b.events)-1].at; last.After(newest) {
		newest = last
	}
	return newest
}

// sortEvents orders the events, of which a later one wins over an earlier one at the same
// position. As a rule that is how they come.
func (b *Batch) sortEvents() {
	for i := 1; i < len(b.events); i++ {
		if !b.events[i].at.After(b.events[i-1].at) {
			slices.Reverse(b.events)
			slices.SortStableFunc(b.events, func(x, y stored) int { return x.at.Compare(y.at) })
			b.events = slices.CompactFunc(b.events, func(x, y stored) bool { return x.at == y.at })
			return
		}
	}
}

// place puts an event behind those before it, in a block that Trim takes whole or not at
// all.
func (b *Batch) place(e stored) {
	w := &b.blocks
	if kept := b.s.kept; w.count > 0 && !w.first.After(kept) && e.at.After(kept) {
		b.note(w.end(w.last))
	}
	b.note(w.add(e))
}

// merge writes events of which some are there already, or stand before others that are: a
// transaction that the log brings again. It answers those that come behind all blocks.
func (b *Batch) merge(events []stored) (rest []stored) {
	w := &b.blocks
	var buf []byte
	err := b.s.walkBlocks(appendHistoryKey(nil, events[0].at), func(last cdc.Position, old block) (bool, error) {
		for ; len(events) > 0 && old.first.After(events[0].at); events = events[1:] {
			b.place(events[0])
		}
		b.note(w.end(w.last))
		if len(events) == 0 || events[0].at.After(last) {
			return len(events) > 0, nil
		}
		takeUpTo := func(at cdc.Position) {
			for ; len(events) > 0 && !events[0].at.After(at); events = events[1:] {
				w.take(events[0])
			}
		}
		_, err := old.each(&buf, func(at cdc.Position, value []byte) (bool, error) {
			takeUpTo(at)
			if w.count > 0 && w.last == at { // the new one comes in its place
				b.added--
			} else {
				w.take(stored{at, value})
			}
			return true, nil
		})
		return len(events) > 0, errors.Join(err, w.end(last))
	})
	b.note(err)
	return events
}

// note keeps the first mistake and reports whether there is none.
func (b *Batch) note(err error) bool {
	if b.err == nil {
		b.err = err
	}
	return err == nil
}
