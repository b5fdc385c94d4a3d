package projection

import (
	"iter"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// A generation is one whole shadow of the database. There is one, but while a new
// snapshot is read: then the next one grows beside it, and the checkpoint that makes
// that one true makes the old one rubbish. The letters of every second generation
// have another case, so that neither sees the other's rows.
type generation struct {
	store *shadow.Store
	flip  byte // what is changed in a key's letter: 0, or flipCase
}

const flipCase = 0x20

func (g generation) next() generation { return generation{g.store, g.flip ^ flipCase} }

// Get reads a value. The key has to be the caller's: it is changed, and changed back.
func (g generation) Get(key, dst []byte) (value []byte, ok bool, err error) {
	key[0] ^= g.flip
	value, ok, err = g.store.Get(key, dst)
	key[0] ^= g.flip
	return value, ok, err
}

// Scan yields what is below a prefix, whose letter the keys that it yields do not
// show as it was asked for: cut it off.
func (g generation) Scan(prefix []byte) iter.Seq2[shadow.Pair, error] {
	flipped := append([]byte{prefix[0] ^ g.flip}, prefix[1:]...)
	return g.store.Scan(flipped)
}

func (g generation) NewBatch() *batch { return &batch{Batch: g.store.NewBatch(), flip: g.flip} }

// remove removes the generation, whole.
func (g generation) remove() error {
	b := g.NewBatch()
	for _, letter := range letters {
		b.DeletePrefix([]byte{byte(letter)})
	}
	return b.Commit()
}

// batch writes into one generation.
type batch struct {
	*shadow.Batch
	flip byte
	buf  []byte
}

// key answers the key as it stands in the store. One that comes from an iterator must
// not be changed in place: the memory is not ours.
func (b *batch) key(key []byte) []byte {
	b.buf = append(b.buf[:0], key...)
	b.buf[0] ^= b.flip
	return b.buf
}

// append puts events into the history.
func (b *batch) append(events []*cdc.Event) {
	for _, e := range events {
		b.Append(e)
	}
}

// Set keeps a copy of the value.
func (b *batch) Set(key, value []byte) { b.Batch.Set(b.key(key), value) }

// Delete removes a key; it need not be there.
func (b *batch) Delete(key []byte) { b.Batch.Delete(b.key(key)) }

// DeletePrefix removes the keys that begin so.
func (b *batch) DeletePrefix(prefix []byte) { b.Batch.DeletePrefix(b.key(prefix)) }
