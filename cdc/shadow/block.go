package shadow

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/s2"

	"github.com/schoolbell/schoolbell/cdc"
)

// The history's events lie in blocks, one entry of the key-value store each, whose key is
// the position of the block's last event. One batch's events share blocks, so that a
// backlog of small transactions costs the store one short entry instead of hundreds of long
// ones, which it would write again at every level: events of one kind are much alike, and
// lie compressed to a tenth. The blocks of two batches do not overlap, but for what comes
// again (merge).
//
//	packed    1 byte: 1 if the events are compressed
//	first     position of the first event, 12 bytes
//	count     uvarint
//	events    of each: position, length as uvarint, value (event.go)

// blockBytes is how much of events goes into one block: whoever wants one event of it
// unpacks them all.
const blockBytes = 64 << 10

// block is one that was read, taken apart; it aliases the entry.
type block struct {
	packed bool
	first  cdc.Position
	count  int
	events []byte
}

func cutBlock(v []byte) (b block, err error) {
	if len(v) < 1+12 {
		return b, errCutShort
	}
	b.packed = v[0] == 1
	b.first, v, _ = cutPosition(v[1:])
	n, size := binary.Uvarint(v)
	if size <= 0 {
		return b, errCutShort
	}
	b.count, b.events = int(n), v[size:]
	return b, nil
}

// unpacked answers the events, in the memory of buf where they were compressed.
func (b block) unpacked(buf *[]byte) ([]byte, error) {
	if !b.packed {
		return b.events, nil
	}
	n, err := s2.DecodedLen(b.events)
	if err != nil || n > 1<<30 {
		return nil, errCutShort
	}
	*buf = slices.Grow((*buf)[:0], n)
	events, err := s2.Decode((*buf)[:n], b.events)
	if err != nil {
		return nil, errCutShort
	}
	return events, nil
}

// unpackBuffers hold the events of a block while it is read: after a restart a thousand
// people ask for theirs at once.
var unpackBuffers = sync.Pool{New: func() any { return new([]byte) }}

// each calls visit with the block's events, in order, until it answers false.
func (b block) each(buf *[]byte, visit func(at cdc.Position, value []byte) (more bool, err error)) (more bool, err error) {
	events, err := b.unpacked(buf)
	for err == nil && len(events) > 0 {
		var at cdc.Position
		var value []byte
		if at, value, events, err = cutStored(events); err != nil {
			break
		}
		if more, err := visit(at, value); err != nil || !more {
			return false, err
		}
	}
	return err == nil, err
}

// stored is an event as a block holds it.
type stored struct {
	at    cdc.Position
	value []byte
}

func cutStored(b []byte) (at cdc.Position, value, rest []byte, err error) {
	at, b, err = cutPosition(b)
	n, size := binary.Uvarint(b)
	if err != nil || size <= 0 || n > uint64(len(b)-size) {
		return at, nil, nil, errCutShort
	}
	b = b[size:]
	return at, b[:n:n], b[n:], nil
}

func (e stored) append(dst []byte) []byte {
	dst = appendPosition(dst, e.at)
	dst = binary.AppendUvarint(dst, uint64(len(e.value)))
	return append(dst, e.value...)
}

// blockWriter makes blocks of events that come in order.
type blockWriter struct {
	to     *pebble.Batch
	first  cdc.Position
	last   cdc.Position
	count  int
	events []byte
	key    []byte // scratch
	value  []byte // scratch
}

// take puts an event into the block at hand, however full that is.
func (w *blockWriter) take(e stored) {
	if w.count == 0 {
		w.first = e.at
	}
	w.last = e.at
	w.count++
	w.events = e.append(w.events)
}

// add is take, and ends the block when it is full.
func (w *blockWriter) add(e stored) error {
	w.take(e)
	if len(w.events) < blockBytes {
		return nil
	}
	return w.end(w.last)
}

// end writes the block at hand, if anything is in it, under the position of an event that
// it ends with.
func (w *blockWriter) end(last cdc.Position) error {
	if w.count == 0 {
		return nil
	}
	w.key = appendHistoryKey(w.key[:0], last)
	w.value = w.append(w.value[:0])
	w.reset()
	return w.to.Set(w.key, w.value, nil)
}

func (w *blockWriter) reset() { w.count, w.events = 0, w.events[:0] }

func (w *blockWriter) append(dst []byte) []byte {
	packed := byte(0)
	if w.count > 1 { // a single event has little to share with itself
		packed = 1
	}
	dst = appendPosition(append(dst, packed), w.first)
	dst = binary.AppendUvarint(dst, uint64(w.count))
	if packed == 0 {
		return append(dst, w.events...)
	}
	dst = slices.Grow(dst, s2.MaxEncodedLen(len(w.events)))
	return dst[:len(dst)+len(s2.Encode(dst[len(dst):cap(dst)], w.events))]
}
