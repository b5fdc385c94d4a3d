package replication

import (
	"context"
	"fmt"
)

// slot is one as pg_replication_slots has it.
type slot struct {
	plugin, database string
	here             bool   // in the database we are connected to
	activePID        int64  // 0: nobody reads it
	reader           string // application_name of that one
	confirmed        serverLSN
	held             int64  // bytes of log kept for it
	walStatus        string // reserved, extended, unreserved or lost; "" before 13
	safe             int64  // bytes that may still be written before it is lost; -1: no limit
	why              string // invalidation_reason, from 17
}

// readSlot answers nil when there is none of that name.
func readSlot(ctx context.Context, c *conn, name string) (*slot, error) {
	rows, err := c.query(ctx, `
		SELECT COALESCE(s.plugin, 'none: it is physical'), COALESCE(s.database, ''),
			s.database IS NOT DISTINCT FROM current_database(), s.active_pid,
			(SELECT a.application_name FROM pg_catalog.pg_stat_activity a WHERE a.pid = s.active_pid),
			s.confirmed_flush_lsn,
			CASE WHEN NOT pg_catalog.pg_is_in_recovery()
				THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)::bigint END,
			pg_catalog.to_jsonb(s) ->> 'wal_status', COALESCE(pg_catalog.to_jsonb(s) ->> 'safe_wal_size', '-1'),
			pg_catalog.to_jsonb(s) ->> 'invalidation_reason'
		FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = `+literal(name))
	if err != nil {
		return nil, fmt.Errorf("read the slot: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	r := rows[0]
	return &slot{
		plugin: r.text(0), database: r.text(1), here: r.bool(2), activePID: r.int(3), reader: r.text(4),
		confirmed: r.lsn(5), held: r.int(6), walStatus: r.text(7), safe: r.int(8), why: r.text(9),
	}, nil
}

// check looks at what is wrong with the slot, whoever needs it. A slot in use by
// another is a problem only until that one is gone.
func (s *slot) check(c *conn, name string) []Finding {
	switch {
	case s == nil:
		return nil
	case s.plugin != "pgoutput":
		return []Finding{{Problem, &SetupError{
			Setting: "plugin of replication slot " + name, Got: quoted(s.plugin), Want: `"pgoutput"`,
			Fix: "the slot is somebody else's: choose another slot name in the configuration",
		}}}
	case !s.here:
		return []Finding{{Problem, &SetupError{
			Setting: "database of replication slot " + name, Got: quoted(s.database), Want: "the LMS's",
			Fix: "the slot is somebody else's: choose another slot name in the configuration",
		}}}
	case s.walStatus == "lost":
		return []Finding{{Advice, s.lost(name)}}
	case s.activePID != 0 && s.reader == c.ParameterStatus("application_name"):
		return []Finding{{Advice, s.running(name)}}
	case s.activePID != 0:
		return []Finding{{Advice, s.inUse(name)}}
	}
	return nil
}

// running is a gateway that does what it should, as far as one can see from outside:
// the slot's reader calls itself what we call ourselves.
func (s *slot) running(name string) *SetupError {
	e := s.inUse(name)
	e.Got = fmt.Sprintf("in use by pid %d, a gateway that is running", s.activePID)
	e.Want = "no more than this one"
	e.Fix = "nothing, unless a second gateway is meant to start: give that one a slot of its own"
	return e
}

func (s *slot) inUse(name string) *SetupError {
	e := &SetupError{
		Setting: "replication slot " + name, Got: fmt.Sprintf("in use by pid %d", s.activePID), Want: "free for us",
		Fix:     fmt.Sprintf("stop the other reader, or give this one a slot of its own; if it hangs: SELECT pg_terminate_backend(%d)", s.activePID),
		passing: true, cause: errInUse,
	}
	if s.reader != "" {
		e.Got += " (" + s.reader + ")"
	}
	return e
}

// lost is what check says of a slot that is of no more use. A gateway mends that itself.
func (s *slot) lost(name string) *SetupError {
	return &SetupError{
		Setting: "replication slot " + name, Got: "lost: " + s.givenUp(name), Want: "kept by the server",
		Fix: "start the gateway, if it does not run: it makes a new slot and compares the tables with what it has; if this happens again, raise max_slot_wal_keep_size",
	}
}

// givenUp says what the server did.
func (s *slot) givenUp(name string) string {
	why := "it removed log that was not read yet"
	if s.why != "" {
		why = s.why
	}
	return "the server gave up replication slot " + name + " (" + why + ")"
}

// invalidated is why the server has given the slot up, in one word; "": it has not.
func (s *slot) invalidated() string {
	switch {
	case s.why != "":
		return s.why
	case s.walStatus == "lost": // before PostgreSQL 17, or not marked as such yet
		return "wal_removed"
	}
	return ""
}

// spilledFrom is the first version that says what decoding writes to the disk.
const spilledFrom = 14

func readSpilled(ctx context.Context, c *conn, name string) (Spilled, error) {
	if c.version < spilledFrom {
		return Spilled{}, nil
	}
	rows, err := c.query(ctx, "SELECT spill_txns, spill_bytes FROM pg_catalog.pg_stat_replication_slots WHERE slot_name = "+literal(name))
	if err != nil {
		return Spilled{}, fmt.Errorf("read what the slot's decoding wrote to the disk: %w", err)
	}
	if len(rows) == 0 {
		return Spilled{}, nil
	}
	return Spilled{rows[0].int(0), rows[0].int(1)}, nil
}

// foreign explains a slot of our name at a first start.
func (s *slot) foreign(name string) *SetupError {
	return &SetupError{
		Setting: "replication slot " + name, Got: "there already, and the data directory knows nothing of it", Want: "none before the first start",
		Fix: "if nobody else uses it, SELECT pg_drop_replication_slot(" + literal(name) + "); otherwise choose another slot name in the configuration",
	}
}
