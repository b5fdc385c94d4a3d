package projection

import (
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// keep stores the settled fold, or adds it to the group, and makes it visible in
// memory.
//
// A transaction that changes rights stands alone: whoever finds new rights in
// memory must find everything before them published.
func (p *Projection) keep(at shadow.Checkpoint, meant Result, more bool) error {
	if p.fold.empty() && len(meant.Events) == 0 { // nothing to keep but the position
		p.checkpoint, p.dirty = at, true
		if p.group.isEmpty() {
			p.publish(meant)
			return nil
		}
		p.group.add(meant)
		return p.flushUnless(more)
	}
	alone := len(meant.People) > 0
	if alone {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if p.group.isEmpty() && (alone || !more) {
		batch := p.newBatch()
		p.fold.store(batch)
		if err := p.commit(batch, at, meant.Events); err != nil {
			return err
		}
		p.reveal()
		p.publish(meant)
		return nil
	}
	p.fold.store(&p.group)
	p.group.add(meant)
	p.checkpoint, p.dirty = at, true
	p.reveal()
	return p.flushUnless(more)
}

// keepByClock stores what came of a moment, durably, and publishes it.
func (p *Projection) keepByClock(w *eventWriter) error {
	meant := Result{People: p.fold.changedRights(), Events: w.events}
	told := p.told
	p.told = w.newest()
	meant.Cursor = p.cursor()
	if err := p.storeByClock(meant, w); err != nil {
		p.told = told
		return err
	}
	p.count(w)
	return nil
}

func (p *Projection) storeByClock(meant Result, w *eventWriter) error {
	if p.fold.large() {
		if err := p.keepLarge(p.checkpoint, meant, w); err != nil {
			return err
		}
		return p.store.Sync()
	}
	batch := p.newBatch()
	p.fold.store(batch)
	if err := p.commit(batch, p.checkpoint, w.events); err != nil {
		return err
	}
	if err := p.store.Sync(); err != nil {
		return err
	}
	p.reveal()
	if len(meant.Events) > 0 || len(meant.People) > 0 {
		p.publish(meant)
	}
	return nil
}

// keepLarge makes a large transaction true, publishes its events part by part from the
// history, where they are already, and moves its rows to where they belong. Nobody but
// the next transaction asks for them there.
func (p *Projection) keepLarge(at shadow.Checkpoint, meant Result, w *eventWriter) error {
	if err := p.makeTrue(at); err != nil {
		return err
	}
	p.reveal()
	if err := p.publishStored(meant, w); err != nil {
		return fmt.Errorf("read the events of a large transaction: %w", err)
	}
	if err := p.fold.moveAside(); err != nil {
		return fmt.Errorf("move the rows of a large transaction: %w", err)
	}
	return nil
}

// publishStored publishes what was meant with the events of a writer that went ahead,
// part by part.
func (p *Projection) publishStored(meant Result, w *eventWriter) error {
	part := Result{People: meant.People, More: true}
	for e, err := range p.store.Events(cdc.Position{LSN: w.commit, Index: w.first}, w.position()) {
		if err != nil {
			return err
		}
		if part.Events = append(part.Events, e); len(part.Events) == partEvents {
			p.publish(part)
			part = Result{More: true}
		}
	}
	part.Cursor, part.Echoes, part.More = meant.Cursor, meant.Echoes, false
	p.publish(part)
	return nil
}

// makeTrue stores, in one batch, all of a large transaction that is not aside, and
// the mark that what is aside is true.
func (p *Projection) makeTrue(at shadow.Checkpoint) error {
	if err := p.flush(); err != nil {
		return err
	}
	batch := p.newBatch()
	p.fold.store(batch)
	batch.Set(asideMark(), []byte{1})
	return p.commit(batch, at, nil)
}

// partEvents is how many events of a large transaction are published at once.
const partEvents = 1000

// reveal makes the fold visible in memory.
func (p *Projection) reveal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fold.publish()
}

// flushUnless stores the group when nothing has arrived behind it, or it is large.
func (p *Projection) flushUnless(more bool) error {
	if more && !p.group.isLarge() {
		return nil
	}
	return p.flush()
}

// flush stores the group, in one batch, and publishes what it meant.
func (p *Projection) flush() error {
	if p.group.isEmpty() {
		return nil
	}
	batch := p.newBatch()
	p.group.store(batch)
	for _, m := range p.group.meant {
		batch.append(m.Events)
	}
	if err := p.commit(batch, p.checkpoint, nil); err != nil {
		return err
	}
	for _, m := range p.group.meant {
		p.publish(m)
	}
	p.group.reset()
	return nil
}

// commit stores a batch with the events and the position that belong to it.
func (p *Projection) commit(batch *batch, at shadow.Checkpoint, events []*cdc.Event) error {
	batch.append(events)
	batch.SetCheckpoint(at)
	if err := batch.Commit(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	p.checkpoint, p.dirty = at, false
	return nil
}

// largeBatch is how many bytes of a batch are kept for the next one.
const largeBatch = 4 << 20

// newBatch answers the one batch, empty.
func (p *Projection) newBatch() *batch {
	if p.batch.Len() > largeBatch {
		p.batch = p.shadow.NewBatch()
	}
	p.batch.Reset()
	return p.batch
}
