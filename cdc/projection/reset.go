package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// snapshotBatch is how many rows of a snapshot make one batch, at most. It bounds the
// memory; the snapshot as a whole becomes valid with the last batch. With 4,096 it took
// two fifths more of the processor.
const snapshotBatch = 10_000

// batchRows is how many they are where few are to be kept in memory: more than of a
// transaction, as nothing of it is looked up or moved.
func (p *Projection) batchRows() int { return min(snapshotBatch, 3*p.cfg.Rows) }

// meaning is what a checkpoint says of the profile: its hash, whom it is read for, and
// what makes up each mark.
func (p *Projection) meaning() string {
	submitted, graded := p.profile.Marks()
	hash := p.profile.Hash()
	if p.cfg.Students {
		hash += "+students"
	}
	return hash + " " + submitted + " " + graded
}

// Claim makes durable that a snapshot was begun, before there is one: the slot that
// is about to be made is ours.
func (p *Projection) Claim(began time.Time) error {
	p.turn.wait()
	defer p.turn.end()
	p.checkpoint.Begun = append(slices.Clip(lastOf(p.checkpoint.Begun)), began)
	p.dirty = true
	if !p.checkpoint.Complete {
		p.checkpoint = shadow.Checkpoint{Profile: p.meaning(), Begun: p.checkpoint.Begun}
	}
	return p.sync()
}

// lastOf keeps as many moments as anybody could ask for.
func lastOf(begun []time.Time) []time.Time { return begun[max(0, len(begun)-99):] }

// Moved makes durable that positions are now of this source: the same server's, on
// another timeline.
func (p *Projection) Moved(source cdc.Source) error {
	p.turn.wait()
	defer p.turn.end()
	p.checkpoint.Source, p.dirty = source, true
	return p.sync()
}

// Reset takes a snapshot in place of everything that the shadow has, and answers how
// many events it brought. It is durable when Reset returns; until then the shadow is
// what it was.
//
// An empty shadow is filled without events: what was there before us is not news. A
// filled one is compared with the snapshot: what differs happened while nobody told
// us, and is told now, as its net effect.
func (p *Projection) Reset(ctx context.Context, snap *cdc.Snapshot) (events uint64, err error) {
	if err := p.turn.take(ctx); err != nil {
		return 0, err
	}
	defer p.turn.end()
	if err := p.flush(); err != nil {
		return 0, err
	}
	// What went into the history ahead of something that did not become true.
	if err := p.store.DropUncovered(); err != nil {
		return 0, err
	}
	if p.checkpoint.Complete {
		return p.compare(ctx, snap)
	}
	return 0, p.first(ctx, snap)
}

// first fills the empty shadow. Until it is complete the shadow says that a snapshot
// is under way, and whoever opens it must begin again.
func (p *Projection) first(ctx context.Context, snap *cdc.Snapshot) error {
	at := shadow.Checkpoint{Profile: p.meaning(), Begun: p.checkpoint.Begun}
	at.Source, at.Applied = snap.Source, snap.At
	if err := p.empty(at); err != nil {
		return fmt.Errorf("empty the shadow: %w", err)
	}
	err := p.fill(ctx, snap, func(b *batch) error { return p.commit(b, at, nil) })
	if err != nil {
		return err
	}
	at.Complete = true
	if err := p.commit(p.newBatch(), at, nil); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	err = p.sync()
	return err
}

// empty forgets everything, and says in the store that a snapshot is under way.
func (p *Projection) empty(at shadow.Checkpoint) error {
	batch := p.newBatch()
	batch.Batch.DeletePrefix(nil) // of both generations
	batch.DropHistory(cdc.Position{LSN: at.Applied})
	batch.SetCheckpoint(at)
	if err := batch.Commit(); err != nil {
		return err
	}
	p.group.reset()
	p.told = cdc.Position{}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.fold.lookups = nil
	return nil
}

// fill puts the rows of a snapshot into an empty generation, in many batches.
func (p *Projection) fill(ctx context.Context, snap *cdc.Snapshot, commit func(*batch) error) error {
	p.fold.reset()
	p.fold.fresh, p.fold.time = true, snap.Time
	defer func() {
		p.fold.fresh = false
		clear(p.fold.postponed)
	}()
	rows := 0
	late := newLatecomers(p, commit)
	for row, err := range snap.Rows {
		if err != nil {
			return fmt.Errorf("read the snapshot: %w", err)
		}
		if err := late.before(row.Table); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		change := cdc.Change{Op: cdc.Insert, Table: row.Table, New: row.Values}
		if err := p.fold.change(&change); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		if rows++; rows%p.batchRows() == 0 {
			if err := errors.Join(ctx.Err(), p.storeRows(commit)); err != nil {
				return err
			}
		}
	}
	if err := p.storeRows(commit); err != nil {
		return err
	}
	return late.all()
}

// storeRows settles and stores the rows of the snapshot that have been read.
func (p *Projection) storeRows(commit func(*batch) error) error {
	if err := p.fold.settle(nil); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	batch := p.newBatch()
	p.fold.store(batch)
	if err := commit(batch); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	p.reveal()
	p.fold.reset()
	return nil
}
