package projection

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// snapshotBatch is how many rows of a snapshot make one batch. It bounds the
// memory; the snapshot as a whole becomes valid with the last batch.
const snapshotBatch = 10_000

// Claim makes durable that a snapshot was begun, before there is one: the slot that
// is about to be made is ours.
func (p *Projection) Claim(began time.Time) error {
	p.checkpoint.Begun = append(slices.Clip(lastOf(p.checkpoint.Begun)), began)
	p.dirty = true
	if !p.checkpoint.Complete {
		p.checkpoint = shadow.Checkpoint{Profile: p.profile.Hash(), Begun: p.checkpoint.Begun}
	}
	_, err := p.Sync(context.Background())
	return err
}

// lastOf keeps as many moments as anybody could ask for.
func lastOf(begun []time.Time) []time.Time { return begun[max(0, len(begun)-99):] }

// Reset fills an empty shadow from a snapshot, without events: what was there
// before us is not news. It is durable when it returns. Until then the shadow says
// that a snapshot is under way, and whoever opens it must begin again.
func (p *Projection) Reset(ctx context.Context, snap *cdc.Snapshot) error {
	if err := p.flush(); err != nil {
		return err
	}
	at := shadow.Checkpoint{Profile: p.profile.Hash(), Begun: p.checkpoint.Begun}
	at.Source, at.Applied = snap.Source, snap.At
	if err := p.empty(at); err != nil {
		return fmt.Errorf("empty the shadow: %w", err)
	}
	p.fold.reset()
	p.fold.fresh = true
	defer func() { p.fold.fresh = false }()
	rows := 0
	for row, err := range snap.Rows {
		if err != nil {
			return fmt.Errorf("read the snapshot: %w", err)
		}
		change := cdc.Change{Op: cdc.Insert, Table: row.Table, New: row.Values}
		if err := p.fold.change(&change); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		if rows++; rows%snapshotBatch == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := p.storeRows(at); err != nil {
				return err
			}
		}
	}
	at.Complete = true
	if err := p.storeRows(at); err != nil {
		return err
	}
	_, err := p.Sync(ctx)
	return err
}

// empty forgets everything, and says in the store that a snapshot is under way.
func (p *Projection) empty(at shadow.Checkpoint) error {
	batch := p.newBatch()
	batch.DeletePrefix(nil)
	batch.DropHistory(cdc.Position{LSN: at.Applied})
	batch.SetCheckpoint(at)
	if err := batch.Commit(); err != nil {
		return err
	}
	p.group.reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.fold.lookups = nil
	p.checkpoint, p.dirty = at, false
	return nil
}

// storeRows stores the rows folded so far and begins anew.
func (p *Projection) storeRows(at shadow.Checkpoint) error {
	if err := p.fold.settle(nil); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	batch := p.newBatch()
	p.fold.store(batch)
	if err := p.commit(batch, at, nil); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	p.reveal()
	p.fold.reset()
	return nil
}
