package shadow

import (
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
	s    *Store
	b    *pebble.Batch
	buf  []byte // scratch
	ids  []byte // scratch
	err  error
	last cdc.Position // the newest event of this batch

	checkpoint    Checkpoint
	hasCheckpoint bool
	kept          cdc.Position
	dropped       bool

	counting bool         // floor is known
	floor    cdc.Position // of the events: the history's newest one
	added    int64        // events that the history did not have
}

// NewBatch returns an empty batch. Its memory is used again after Reset.
func (s *Store) NewBatch() *Batch {
	return &Batch{s: s, b: s.db.NewBatch()}
}

// Reset empties the batch.
func (b *Batch) Reset() {
	b.b.Reset()
	*b = Batch{s: b.s, b: b.b, buf: b.buf, ids: b.ids}
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
	b.buf = appendHistoryKey(b.buf[:0], e.Position)
	b.buf, b.ids = appendEvent(b.buf, e, b.ids)
	b.note(b.b.Set(b.buf[:historyKeyLen], b.buf[historyKeyLen:], nil))
	b.count(e.Position)
	if e.Position.After(b.last) {
		b.last = e.Position
	}
}

// DropHistory removes all events, those of this batch so far too, and declares
// that from kept on nothing will be missing, and that what lies before is lost: for
// the first snapshot, and for one whose positions cannot be compared with those
// before it.
func (b *Batch) DropHistory(kept cdc.Position) {
	b.note(b.b.DeleteRange([]byte{historyPrefix}, []byte{historyPrefix + 1}, nil))
	b.buf = appendPosition(b.buf[:0], kept)
	b.note(b.b.Set(keptKey(), b.buf, nil))
	b.note(b.b.Set(lostKey(), b.buf, nil))
	b.kept, b.dropped, b.last = kept, true, cdc.Position{}
	b.counting, b.floor, b.added = true, cdc.Position{}, 0
}

// SetCheckpoint says how far the store has come with this batch. It covers the
// events of this batch and of those before it.
func (b *Batch) SetCheckpoint(c Checkpoint) { b.checkpoint, b.hasCheckpoint = c, true }

// Len is how many bytes the batch holds.
func (b *Batch) Len() int { return b.b.Len() }

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
	newest := b.last
	if !b.dropped && s.newest.After(newest) {
		newest = s.newest
	}
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

// note keeps the first mistake and reports whether there is none.
func (b *Batch) note(err error) bool {
	if b.err == nil {
		b.err = err
	}
	return err == nil
}
