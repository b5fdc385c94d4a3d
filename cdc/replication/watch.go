package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
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
		var again <-chan time.Time
		if err != nil && ctx.Err() == nil {
			// Without an answer nothing is known to be wrong; that there is none, Run says.
			r.log.Debug("no look at the slot", "reason", err)
			again = time.After(min(time.Second, r.cfg.WatchSlot))
		}
		select {
		case <-ctx.Done():
		case <-again: // the same look
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
	r.board.mu.Lock()
	attached, offset := r.lineage, r.board.offset
	r.board.mu.Unlock()
	slot, err := readSlot(ctx, c, r.cfg.Slot)
	if err != nil {
		return err
	}
	end, err := c.query(ctx, "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_lsn() END")
	if err != nil {
		return fmt.Errorf("ask for the end of the log: %w", err)
	}
	is, err := readLineage(ctx, c, r.cfg)
	if err != nil {
		return err
	}
	held, err := readHeld(ctx, c, r.cfg.Slot, r.Status().Slot.Held)
	if err != nil {
		return err
	}
	held.warn(r)
	spilled, err := readSpilled(ctx, c, r.cfg.Slot)
	if err != nil {
		return err
	}
	r.saw(slot, held, spilled, cdc.LSN(end[0].lsn(0)), offset)
	if !health && (attached == "" || is.String() == attached) {
		return nil
	}
	_, found, sound, err := checkTables(ctx, c, r.cfg)
	if err != nil {
		return err
	}
	upgrade := upgrading(found)
	r.looked(found, sound)
	was, known := parseLineage(attached, r.cfg.Tables)
	replaced := attached != "" && (!known || is.differs(was, r.cfg.Tables, upgrade != nil) != nil)
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	switch {
	case attached == "" || r.lineage != attached:
	case worst(found) == blind:
		// Rather nothing is told than what the log makes of it.
		r.interrupt(errors.New("the log does not tell what it should"))
	case replaced && worst(found) == bearable:
		// While something else is wrong the stream may go on. When all is there again,
		// changes have been missed meanwhile, or are of other tables.
		r.interrupt(errors.New("the publication or a table was made anew"))
	}
	return nil
}

// saw notes what the slot costs, and how far the log reaches as it was counted then.
func (r *Reader) saw(slot *slot, held Held, spilled Spilled, end, offset cdc.LSN) {
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	if r.board.offset == offset {
		r.board.reaches(end+offset, time.Now())
	}
	r.board.slot = SlotStatus{Seen: time.Now(), SafeBytes: -1}
	if slot != nil {
		r.board.slot = SlotStatus{time.Now(), slot.held, slot.walStatus, slot.safe, slot.activePID, held, slot.invalidated(), spilled}
	}
}

// watched says which lineage the stream has that begins now, and how to end it.
func (r *Reader) watched(lineage string, interrupt context.CancelCauseFunc) {
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	r.lineage, r.interrupt = lineage, interrupt
}
