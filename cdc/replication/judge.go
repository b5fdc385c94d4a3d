package replication

import (
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
)

// standing is what decides whether the log continues where the sink stands.
type standing struct {
	name  string     // of the slot that is configured
	now   cdc.Source // the server
	was   cdc.Source // that the sink's positions are of
	end   serverLSN  // of the server's log
	at    serverLSN  // where the sink stands
	slot  *slot      // nil: there is none of that name
	old   *slot      // the one that the sink's positions are of, where another is configured now
	forks []fork     // where the server's timeline left its ancestors
	adopt bool
}

// judge answers nil, nil when the log continues. A loss is mended by reading the tables
// again; an error is for somebody to put right, or to wait for.
func (s *standing) judge() (*loss, error) {
	if err := s.refusal(); err != nil {
		return nil, err
	}
	switch {
	case s.now.System != s.was.System:
		return &loss{OtherServer, "the server is another one (system identifier " + s.now.System + ") than before (" + s.was.System + ")"}, nil
	case s.now.Database != s.was.Database:
		return &loss{OtherServer, "the database is " + quoted(s.now.Database) + ", and was " + quoted(s.was.Database)}, nil
	case !continues(s.forks, s.was.Timeline, s.now.Timeline, s.at):
		return &loss{ServerRestored, fmt.Sprintf("the server is on timeline %d, which left timeline %d before %v, up to which we have read: it was restored from a backup, or a standby took over that lacked the end", s.now.Timeline, s.was.Timeline, s.at)}, nil
	case s.at > s.end:
		return &loss{ServerRestored, fmt.Sprintf("the server's log ends at %v, and we have read up to %v: it was restored from a backup", s.end, s.at)}, nil
	case s.was.Slot != s.name, s.slot == nil:
		return &loss{SlotMissing, "replication slot " + s.was.Slot + " is missing"}, nil
	case s.slot.walStatus == "lost":
		return &loss{SlotInvalidated, s.slot.givenUp(s.name)}, nil
	case s.slot.confirmed > s.at:
		return &loss{SlotAhead, fmt.Sprintf("replication slot %s is confirmed up to %v, and we stand at %v: somebody else read it, or our data directory was restored from a backup", s.name, s.slot.confirmed, s.at)}, nil
	}
	return nil, nil
}

// refusal is what we do not decide by ourselves, or what passes.
func (s *standing) refusal() error {
	const compared = "the tables are then compared with what we have, and what happened in between is delivered"
	switch {
	case s.now.System != s.was.System && !s.adopt:
		return &SetupError{
			Setting: "server", Got: "another one (system identifier " + s.now.System + ")", Want: "the one our data directory belongs to (" + s.was.System + ")",
			Fix: "correct the database URL, or, if the server was replaced, start once with --adopt: " + compared,
		}
	case s.now.Database != s.was.Database && !s.adopt:
		return &SetupError{
			Setting: "database", Got: quoted(s.now.Database), Want: quoted(s.was.Database) + ", which our data directory belongs to",
			Fix: "correct the database URL, or, if the database was replaced, start once with --adopt: " + compared,
		}
	case s.old != nil:
		return &SetupError{
			Setting: "slot name", Got: quoted(s.name), Want: quoted(s.was.Slot) + ", which our data directory belongs to and which would keep log that nobody reads",
			Fix: "configure slot " + s.was.Slot + ", or SELECT pg_drop_replication_slot(" + literal(s.was.Slot) + "): " + compared,
		}
	case s.slot != nil && s.slot.activePID != 0:
		return s.slot.inUse(s.name) // and what it confirms may still change
	}
	return nil
}
