package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
)

// fill makes the slot and gives the sink the database as it was at that moment: at a
// first start, and when the log does not continue. c must not be used between the two:
// its next command ends the snapshot.
func (r *Reader) fill(ctx context.Context, c *conn, now cdc.Source, old *slot, lost *loss, sink Sink) error {
	if err := r.clear(ctx, c, now, old); err != nil {
		return err
	}
	if lost != nil {
		r.lost, r.staying = lost, true // the slot is gone: there is no way back
	}
	if err := r.claim(time.Now(), lost); err != nil {
		return err
	}
	why, doing := "", "reading the tables for the first time"
	if lost != nil {
		why, doing = string(lost.reason), "reading the tables again: "+lost.why
		r.log.Warn("the log does not continue: reading the tables again", "reason", lost.why)
	}
	if lost == nil {
		r.log.Info("making the slot, which waits for the transactions that run now", "slot", r.cfg.Slot)
	}
	r.board.set(MakingSlot, doing+"; making the slot waits for the transactions that run now")
	at, name, err := r.makeSlot(ctx, c)
	if err != nil {
		return err
	}
	r.ours, r.claimed = true, false
	r.log.Info("made the slot", "lsn", at)
	r.board.set(Snapshotting, doing)
	now.Offset = offsetFor(at, r.at.offset, r.at.handed)
	snap := &cdc.Snapshot{Source: now, At: cdc.LSN(at) + now.Offset, Reason: why}
	if err := r.snapshot(ctx, name, snap, sink); err != nil {
		// The snapshot is gone, and with it the use of the slot.
		return errors.Join(err, r.dropSlot(ctx, c))
	}
	r.filled(snap)
	if _, err := c.query(ctx, "SET lock_timeout = 0"); err != nil {
		return fmt.Errorf("prepare the connection: %w", err)
	}
	return nil
}

// filled notes that the sink has the snapshot.
func (r *Reader) filled(snap *cdc.Snapshot) {
	is, _ := parseLineage(snap.Source.Lineage, r.cfg.Tables)
	r.source, r.tables, r.lost, r.stale = snap.Source, knownTables(is, r.cfg.Tables), nil, nil
	r.at = positions{offset: snap.Source.Offset, handed: snap.At, durable: snap.At}
	r.board.renumber(snap.Source.Offset, snap.At)
	r.board.finish(true)
}

// clear makes room for the slot. The one that the sink's positions are of is of no more
// use, and one that an interrupted start left behind never was: they are dropped, so
// that they hold no log while we may have to wait. Any other is not ours to touch.
func (r *Reader) clear(ctx context.Context, c *conn, now cdc.Source, old *slot) error {
	if old == nil {
		return nil
	}
	if old.activePID != 0 {
		return old.inUse(r.cfg.Slot)
	}
	// Where the database was replaced by another of the same server, ours is in the old one.
	left := now.System == r.source.System && old.database == r.source.Database
	if old.plugin != "pgoutput" || !old.here && !left {
		return problems(old.check(c, r.cfg.Slot))
	}
	if !r.ours && r.source.Slot != r.cfg.Slot {
		return old.foreign(r.cfg.Slot)
	}
	r.log.Info("dropping a slot that is of no more use", "lsn", old.confirmed)
	return r.dropSlot(ctx, c)
}

// makeSlot answers the position at which the log begins for us and the name of the
// snapshot that shows the database as it was there.
func (r *Reader) makeSlot(ctx context.Context, c *conn) (serverLSN, string, error) {
	// It waits for every transaction that runs; statement_timeout does not end that.
	if _, err := c.query(ctx, "SET lock_timeout = "+millis(r.cfg.LockTimeout)); err != nil {
		return 0, "", fmt.Errorf("prepare to make the slot: %w", err)
	}
	action := "EXPORT_SNAPSHOT"
	if c.version >= 15 {
		action = "(SNAPSHOT 'export')"
	}
	made, err := pglogrepl.CreateReplicationSlot(ctx, c.PgConn, r.cfg.Slot, "pgoutput",
		pglogrepl.CreateReplicationSlotOptions{Mode: pglogrepl.LogicalReplication, SnapshotAction: action})
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch server.Code {
		case "55P03":
			return 0, "", (&SetupError{
				Setting: "replication slot " + r.cfg.Slot, Got: "not made: a transaction has been running for more than " + r.cfg.LockTimeout.String(), Want: "made, for which all transactions that run must end once",
				Fix:     "wait, or end what is stuck: SELECT pid, xact_start, state, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start",
				passing: true,
			}).because(server)
		case "53400":
			return 0, "", (&SetupError{
				Setting: "max_replication_slots", Got: "used up", Want: "room for one more slot",
				Fix: "drop slots that nobody reads (SELECT slot_name, active FROM pg_replication_slots), or raise it: ALTER SYSTEM SET max_replication_slots = 20, then restart PostgreSQL",
			}).because(server)
		}
	}
	if err != nil {
		return 0, "", fmt.Errorf("make the slot: %w", err)
	}
	at, err := cdc.ParseLSN(made.ConsistentPoint)
	return serverLSN(at), made.SnapshotName, err
}

func millis(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// dropSlot also works when ctx has ended.
func (r *Reader) dropSlot(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := pglogrepl.DropReplicationSlot(ctx, c.PgConn, r.cfg.Slot, pglogrepl.DropReplicationSlotOptions{}); err != nil {
		return fmt.Errorf("drop the slot: %w", err)
	}
	return nil
}
