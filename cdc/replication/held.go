package replication

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Held is why the server keeps log for the slot. What comes after the position that we
// confirmed waits for us. What comes before it waits for transactions, of any database
// of the server, that had written something and were still open at that position: the
// slot has to read them from their beginning when they commit.
type Held struct {
	ForUs   int64 // bytes
	ForOpen int64 // bytes; some are normal, as the server looks only every 15 seconds
	Oldest  OpenTransaction
}

// OpenTransaction is the oldest that has written something and is still open.
type OpenTransaction struct {
	XID int64 // 0: there is none
	// Began is when it began. Where Exact is false it is when it was prepared or when we
	// saw it first: without pg_monitor our role does not see when others began.
	Began    time.Time
	Exact    bool
	PID      int64  // 0: it is prepared
	Prepared string // the name of a prepared one

	told bool // in the log
}

// Age is how long it has been open, as far as we know; 0 when there is none.
func (o OpenTransaction) Age(now time.Time) time.Duration {
	if o.XID == 0 {
		return 0
	}
	return max(now.Sub(o.Began), 0)
}

// readHeld looks why log is held, given what the look before found.
func readHeld(ctx context.Context, c *conn, name string, was Held) (Held, error) {
	rows, err := c.query(ctx, `
		SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.confirmed_flush_lsn)::bigint,
			pg_catalog.pg_wal_lsn_diff(s.confirmed_flush_lsn, s.restart_lsn)::bigint,
			o.xid, o.pid, o.gid, (extract(epoch FROM clock_timestamp() - o.began) * 1000000)::bigint
		FROM pg_catalog.pg_replication_slots s LEFT JOIN (
			SELECT backend_xid AS xid, pid, NULL AS gid, xact_start AS began
			FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL
			UNION ALL SELECT transaction, NULL, gid, prepared FROM pg_catalog.pg_prepared_xacts
		) o ON true
		WHERE s.slot_name = `+literal(name)+` AND NOT pg_catalog.pg_is_in_recovery()
		ORDER BY pg_catalog.age(o.xid) DESC NULLS LAST LIMIT 1`)
	if err != nil {
		return Held{}, fmt.Errorf("ask what the slot holds the log for: %w", err)
	}
	if len(rows) == 0 {
		return Held{}, nil
	}
	r := rows[0]
	held := Held{ForUs: max(r.int(0), 0), ForOpen: max(r.int(1), 0)}
	if r.null(2) {
		return held, nil
	}
	held.Oldest = OpenTransaction{XID: r.int(2), PID: r.int(3), Prepared: r.text(4), Exact: r.null(4) && !r.null(5)}
	held.Oldest.Began = time.Now().Add(-time.Duration(r.int(5)) * time.Microsecond)
	if was.Oldest.XID == held.Oldest.XID {
		held.Oldest.told = was.Oldest.told
		if !held.Oldest.Exact { // what we knew before is earlier
			held.Oldest.Began, held.Oldest.Exact = was.Oldest.Began, was.Oldest.Exact
		}
	}
	return held, nil
}

// warn says in the log, once for each transaction, that it keeps much of the server's
// log from being removed.
func (h *Held) warn(r *Reader) {
	if h.Oldest.told || h.Oldest.Age(time.Now()) < r.cfg.HeldFor {
		return
	}
	if e := h.explain(r.cfg); e != nil {
		h.Oldest.told = true
		r.log.Warn("an open transaction makes the server keep its log", "bytes", h.ForOpen, "reason", e)
	}
}

// explain answers nil while what is held for open transactions is not much.
func (h Held) explain(cfg Config) *SetupError {
	if h.ForOpen < cfg.HeldBytes || h.Oldest.XID == 0 {
		return nil
	}
	o := h.Oldest
	since, who := "is open", "pid "+strconv.FormatInt(o.PID, 10)
	fix := fmt.Sprintf("let its program end it; if it hangs: SELECT pg_terminate_backend(%d)", o.PID)
	if age := o.Age(time.Now()); age >= time.Second {
		since = "has been open for " + age.Round(time.Second).String()
		if !o.Exact {
			since = "has been open for at least " + age.Round(time.Second).String()
		}
	}
	if o.Prepared != "" {
		who = "prepared as " + quoted(o.Prepared)
		fix = "COMMIT PREPARED " + literal(o.Prepared) + ", or ROLLBACK PREPARED " + literal(o.Prepared)
	}
	return &SetupError{
		Setting: "log kept for slot " + cfg.Slot,
		Got:     fmt.Sprintf("%d MB because a transaction %s (%s), and %d MB because schoolbell has yet to read them", h.ForOpen>>20, since, who, h.ForUs>>20),
		Want:    fmt.Sprintf("less than %d MB for open transactions", cfg.HeldBytes>>20), Fix: fix,
	}
}
