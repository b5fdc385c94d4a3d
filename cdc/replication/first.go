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

// firstStart makes the slot and gives the sink the database as it was at that moment.
// c must not be used between the two: its next command ends the snapshot.
func (r *Reader) firstStart(ctx context.Context, c *conn, source cdc.Source, old *slot, sink Sink) error {
	if err := r.clear(ctx, c, old); err != nil {
		return err
	}
	if r.cfg.Claim != nil {
		if err := r.cfg.Claim(time.Now()); err != nil {
			return &sinkError{fmt.Errorf("begin a first start: %w", err)}
		}
	}
	r.board.set(MakingSlot, "making the slot, which waits for the transactions that run now")
	at, snapshot, err := r.makeSlot(ctx, c)
	if err != nil {
		return err
	}
	r.ours = true
	r.log.Info("made the slot", "lsn", at)
	r.board.set(Snapshotting, "reading the tables for the first time")
	if err := r.snapshot(ctx, snapshot, source, at, sink); err != nil {
		// The snapshot is gone, and with it the use of the slot.
		return errors.Join(err, r.dropSlot(ctx, c))
	}
	r.source, r.at = source, positions{handed: at, durable: at}
	raise(&r.board.applied, at)
	raise(&r.board.confirmed, at)
	r.board.finish(true)
	if _, err := c.query(ctx, "SET lock_timeout = 0"); err != nil {
		return fmt.Errorf("prepare the connection: %w", err)
	}
	return nil
}

// clear makes room for the slot: one that an interrupted first start left behind is
// dropped, any other is not ours to touch.
func (r *Reader) clear(ctx context.Context, c *conn, old *slot) error {
	if old == nil {
		return nil
	}
	if old.activePID != 0 {
		return old.inUse(r.cfg.Slot)
	}
	if old.plugin != "pgoutput" || !old.here {
		return problems(old.check(c, r.cfg.Slot))
	}
	if !r.ours {
		return old.foreign(r.cfg.Slot)
	}
	r.log.Info("dropping the slot of a first start that was interrupted")
	return r.dropSlot(ctx, c)
}

// makeSlot answers the position at which the log begins for us and the name of the
// snapshot that shows the database as it was there.
func (r *Reader) makeSlot(ctx context.Context, c *conn) (cdc.LSN, string, error) {
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
	return at, made.SnapshotName, err
}

func millis(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// dropSlot also works when ctx has ended.
func (r *Reader) dropSlot(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := pglogrepl.DropReplicationSlot(ctx, c.PgConn, r.cfg.Slot, pglogrepl.DropReplicationSlotOptions{}); err != nil {
		return fmt.Errorf("drop the slot of the first start that failed: %w", err)
	}
	return nil
}
