package projection

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Custom messages are events like the others, with an id and a place in the history, but
// the log brings only some of them.
//
// Those that come from elsewhere stand behind everything that was told or applied, as
// what closes by itself does; nothing brings them again. So they are on the disk, with
// the checkpoint that covers them, before anybody is told, the publisher included. Their
// time is that of our own clock, whatever the log's clock shows: times of the log go
// backwards now and then, too, so that nobody may order by them, and a message that had
// to wait for a wrong clock would bear its mistake for as long as it is kept.

// outbox holds the messages that wait for their turn. Who gets the turn takes all of
// them along, so that one write to the disk does for all who publish at once.
type outbox struct {
	mu      sync.Mutex // guards what follows
	waiting []*posting
}

// A posting is one message on its way.
type posting struct {
	message cdc.Message
	key     string // of idempotency; "": none

	// Written by whoever has the turn, before done is closed.
	done     chan struct{}
	at       cdc.Position
	repeated bool
	err      error
}

func (o *outbox) put(one *posting) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, one)
}

// takeBack takes a message out again, unless somebody has taken it along.
func (o *outbox) takeBack(one *posting) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, other := range o.waiting {
		if other == one {
			o.waiting = append(o.waiting[:i:i], o.waiting[i+1:]...)
			return true
		}
	}
	return false
}

func (o *outbox) takeAll() []*posting {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.waiting
	o.waiting = nil
	return all
}

// Publish tells a message to whom it is for, and answers its position. It is durable
// then. The same message again under the same key of idempotency is the same: repeated,
// it is not told again, and its position is that of the first time.
//
// While something large is applied, Publish waits for as long as ctx allows; then the
// message is not published, and the error is cdc.ErrNotYet.
func (p *Projection) Publish(ctx context.Context, m cdc.Message, key string) (at cdc.Position, repeated bool, err error) {
	one := &posting{message: m, key: key, done: make(chan struct{})}
	p.outbox.put(one)
	if err := p.turn.take(ctx); err != nil {
		if p.outbox.takeBack(one) {
			return cdc.Position{}, false, cdc.ErrNotYet
		}
		<-one.done // within one write to the disk
		return one.at, one.repeated, one.err
	}
	defer p.turn.end()
	p.post(p.outbox.takeAll()) // nothing, when somebody has taken ours along
	return one.at, one.repeated, one.err
}

// post publishes messages, in one batch. It needs the turn.
func (p *Projection) post(all []*posting) {
	err := p.postAll(all)
	for _, one := range all {
		if err != nil {
			one.at, one.repeated, one.err = cdc.Position{}, false, err
		}
		close(one.done)
	}
}

func (p *Projection) postAll(all []*posting) error {
	switch {
	case len(all) == 0:
		return nil
	case !p.checkpoint.Complete:
		return cdc.ErrNotYet
	}
	if err := p.flush(); err != nil {
		return err
	}
	w := p.fold.begin(p.cursor().LSN)
	w.time = time.Now().UTC().Truncate(time.Microsecond)
	batch := p.newBatch()
	keys := p.keys.begin(batch.Batch)
	for _, one := range all {
		if err := p.place(one, w, keys); err != nil {
			return err
		}
	}
	if len(w.events) == 0 {
		return nil
	}
	if err := p.commit(batch, p.checkpoint, w.events); err != nil {
		return err
	}
	if err := p.store.Sync(); err != nil {
		return fmt.Errorf("make a message durable: %w", err)
	}
	keys.keep()
	p.told = w.newest()
	p.count(w)
	p.publish(Result{Cursor: p.cursor(), Events: w.events})
	return nil
}

// place gives a message its position, unless there is a reason not to.
func (p *Projection) place(one *posting, w *eventWriter, keys *keyBatch) error {
	if one.key != "" {
		known, ok, err := keys.find(one.key)
		switch {
		case err != nil:
			return err
		case ok && known.digest != digest(one.message):
			one.err = cdc.ErrKeyReused
			return nil
		case ok:
			one.at, one.repeated = known.at, true
			return nil
		}
	}
	if _, ok := p.people[one.message.User]; !ok && !one.message.User.IsZero() {
		one.err = cdc.ErrNoPerson
		return nil
	}
	w.custom(one.message)
	one.at = w.position()
	if one.key != "" {
		keys.add(one.key, keyRecord{at: one.at, digest: digest(one.message), time: w.time})
	}
	return nil
}

// custom writes a message as the next event.
func (w *eventWriter) custom(m cdc.Message) {
	w.last++
	w.buf = append(append(w.buf[:0], `{"type":"`...), m.Type...)
	w.buf = w.position().Append(append(w.buf, `","id":"`...))
	w.buf = append(append(w.buf, '"'), m.Fields...)
	w.end(cdc.Custom, cdc.ID{}, m.Audience())
}
