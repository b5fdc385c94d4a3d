package projection

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// Whoever publishes a message and does not hear the answer publishes it again, under the
// same key of idempotency. The keys are remembered for as long as the history is kept,
// and belong to no generation of the shadow: a snapshot says nothing of them. Their
// letter is therefore not one of letters.
//
//	# k key        what was published under it: position, digest
//	# o position   the key and its time, to forget the oldest
const keyIdempotency = '#'

// mostKeys bounds how many keys are remembered, give or take what is published between
// two calls of ForgetKeys: some 20 MB on the disk.
const mostKeys = 100_000

// keyRecord is what is known of a key.
type keyRecord struct {
	at     cdc.Position
	digest [sha256.Size]byte
	time   time.Time
}

// digest tells messages apart. How the message was written, white space and the order
// of user, type and data, is no difference.
func digest(m cdc.Message) [sha256.Size]byte {
	text := m.User.AppendKey(nil)
	text = append(append(append(text, m.Type...), 0), m.Fields...)
	return sha256.Sum256(text)
}

// keys are all that are remembered.
type keys struct {
	store *shadow.Store
	n     atomic.Int64
}

func recordKey(key string) []byte { return append([]byte{keyIdempotency, 'k'}, key...) }

func orderKey(at cdc.Position) []byte {
	b := binary.BigEndian.AppendUint64([]byte{keyIdempotency, 'o'}, uint64(at.LSN))
	return binary.BigEndian.AppendUint32(b, at.Index)
}

// load counts them.
func (k *keys) load() error {
	for _, err := range k.store.Scan([]byte{keyIdempotency, 'o'}) {
		if err != nil {
			return fmt.Errorf("keys of idempotency: %w", err)
		}
		k.n.Add(1)
	}
	return nil
}

// keyBatch are the keys of one batch of messages.
type keyBatch struct {
	keys  *keys
	batch *shadow.Batch
	added map[string]keyRecord
}

func (k *keys) begin(batch *shadow.Batch) *keyBatch {
	return &keyBatch{keys: k, batch: batch, added: map[string]keyRecord{}}
}

func (b *keyBatch) find(key string) (keyRecord, bool, error) {
	if record, ok := b.added[key]; ok {
		return record, true, nil
	}
	value, ok, err := b.keys.store.Get(recordKey(key), nil)
	if err != nil || !ok {
		return keyRecord{}, false, err
	}
	r := reader{b: value}
	record := keyRecord{at: cdc.Position{LSN: cdc.LSN(r.uint64()), Index: uint32(r.uvarint())}}
	copy(record.digest[:], r.cut(sha256.Size))
	return record, true, r.end()
}

func (b *keyBatch) add(key string, record keyRecord) {
	b.added[key] = record
	value := binary.BigEndian.AppendUint64(nil, uint64(record.at.LSN))
	value = binary.AppendUvarint(value, uint64(record.at.Index))
	b.batch.Set(recordKey(key), append(value, record.digest[:]...))
	value = binary.BigEndian.AppendUint64(nil, uint64(record.time.UnixMicro()))
	b.batch.Set(orderKey(record.at), append(value, key...))
}

// keep counts what has been stored.
func (b *keyBatch) keep() { b.keys.n.Add(int64(len(b.added))) }

// ForgetKeys forgets the keys of idempotency of messages that were published before
// olderThan, and as many more of the oldest as are too many. Any goroutine may call it,
// one at a time.
func (p *Projection) ForgetKeys(olderThan time.Time) (forgotten int, err error) {
	k := &p.keys
	batch := p.store.NewBatch()
	for pair, err := range p.store.Scan([]byte{keyIdempotency, 'o'}) {
		if err != nil {
			return 0, err
		}
		r := reader{b: pair.Value}
		old := time.UnixMicro(int64(r.uint64())).Before(olderThan)
		if r.err != nil {
			return 0, r.err
		}
		if !old && k.n.Load()-int64(forgotten) <= mostKeys {
			break
		}
		batch.Delete(recordKey(string(r.b)))
		batch.Delete(pair.Key)
		forgotten++
	}
	if forgotten == 0 {
		return 0, nil
	}
	if err := batch.Commit(); err != nil {
		return 0, err
	}
	k.n.Add(int64(-forgotten))
	return forgotten, nil
}
