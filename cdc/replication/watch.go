package replication

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Watch looks at the slot and at the health of the publication and its tables, from a
// small connection of its own, until ctx ends; then it answers nil. What it finds is in
// Status. A table that the log describes anew is looked at at once.
func (r *Reader) Watch(ctx context.Context) error {
	var c *conn
	defer func() {
		if c != nil {
			c.close(ctx)
		}
	}()
	slotTick, healthTick := time.NewTicker(r.cfg.WatchSlot), time.NewTicker(r.cfg.WatchHealth)
	defer slotTick.Stop()
	defer healthTick.Stop()
	health := true // the first look is a whole one
	for ctx.Err() == nil {
		var err error
		if c == nil {
			c, err = connect(ctx, r.cfg, forWatching)
		}
		if err == nil {
			err = r.look(ctx, c, health)
		}
		if err != nil && c != nil {
			c.close(ctx)
			c = nil
		}
		if err != nil && ctx.Err() == nil {
			// Without an answer nothing is known to be wrong; that there is none, Run says.
			r.log.Debug("no look at the slot", "reason", err)
		}
		select {
		case <-ctx.Done():
		case <-slotTick.C:
			health = r.Status().Health != nil // what was wrong may have been put right
		case <-healthTick.C:
			health = true
		case <-r.nudge:
			health = true
		}
	}
	return nil
}

// look takes one look.
func (r *Reader) look(ctx context.Context, c *conn, health bool) error {
	slot, err := readSlot(ctx, c, r.cfg.Slot)
	if err != nil {
		return err
	}
	end, err := c.query(ctx, "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_lsn() END")
	if err != nil {
		return fmt.Errorf("ask for the end of the log: %w", err)
	}
	raise(&r.board.serverEnd, end[0].lsn(0))
	held, err := readHeld(ctx, c, r.cfg.Slot, r.Status().Slot.Held)
	if err != nil {
		return err
	}
	held.warn(r)

	r.board.mu.Lock()
	attached := r.tables
	r.board.slot = SlotStatus{Seen: time.Now(), SafeBytes: -1}
	if slot != nil {
		r.board.slot = SlotStatus{time.Now(), slot.held, slot.walStatus, slot.safe, slot.activePID, held}
	}
	r.board.mu.Unlock()
	if attached == nil || !health {
		return nil // before the first start there is nothing to lose
	}
	_, found, err := checkTables(ctx, c, r.cfg)
	if err != nil {
		return err
	}
	now, err := readTables(ctx, c, r.cfg.Tables, "")
	if err != nil {
		return err
	}
	wrong := errors.Join(problems(found), replaced(attached, now))
	r.board.mu.Lock()
	r.board.watched = wrong
	r.board.mu.Unlock()
	return nil
}

// replaced finds tables that were dropped and made again: what we remember of their
// rows belongs to those that are gone.
func replaced(attached, now []*table) error {
	var errs []error
	for i, t := range attached {
		if now[i].oid != 0 && now[i].oid != t.oid {
			errs = append(errs, &SetupError{
				Setting: "table " + t.String(), Got: "another one than at our start: it was dropped and made again", Want: "the same",
				Fix: "stop schoolbell, remove its data directory, drop the slot and start afresh",
			})
		}
	}
	return errors.Join(errs...)
}
