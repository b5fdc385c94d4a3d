package replication

import (
	"fmt"
	"slices"
	"time"
)

// nextSnapshot is when a snapshot may be begun, given when the last ones were: at most
// perHour within an hour. A moment in the future was noted by a clock that has been put
// right since.
func nextSnapshot(begun []time.Time, now time.Time, perHour int) time.Time {
	var recent []time.Time
	for _, t := range begun {
		if !t.After(now) && now.Sub(t) < time.Hour {
			recent = append(recent, t)
		}
	}
	if len(recent) < perHour {
		return now
	}
	slices.SortFunc(recent, time.Time.Compare)
	return recent[len(recent)-perHour].Add(time.Hour)
}

// rationed is the cause of a SetupError that says that enough snapshots were taken.
type rationed struct{ until time.Time }

func (e *rationed) Error() string { return "no snapshot before " + e.until.Format(time.RFC3339) }

// claim notes that a snapshot begins, unless too many were begun: what makes the log
// break off so often is not mended by reading all tables over and over, and the server
// has to do that work. An attempt that did not get as far as its slot is gone on with.
func (r *Reader) claim(now time.Time, lost *loss) error {
	if r.claimed {
		return nil
	}
	if next := nextSnapshot(r.begun, now, r.cfg.SnapshotsPerHour); next.After(now) {
		r.board.wait(next)
		why := "the first snapshot did not succeed"
		if lost != nil {
			why = lost.why
		}
		return (&SetupError{
			Setting: "number of snapshots within an hour", Got: fmt.Sprintf("%d, and another is needed: %s", r.cfg.SnapshotsPerHour, why),
			Want: fmt.Sprintf("at most %d", r.cfg.SnapshotsPerHour),
			Fix: "look in the logs of schoolbell and PostgreSQL for what broke the log off each time (max_slot_wal_keep_size, another reader of the slot, a restore, a script that makes the publication anew); " +
				"the next one is taken at " + next.UTC().Format(time.RFC3339) + " by itself, or after a restart with a larger snapshots_per_hour",
			passing: true,
		}).because(&rationed{next})
	}
	r.board.wait(time.Time{})
	if r.cfg.Claim != nil {
		if err := r.cfg.Claim(now); err != nil {
			return &sinkError{fmt.Errorf("begin a snapshot: %w", err)}
		}
	}
	r.begun, r.claimed = append(r.begun, now), true
	if lost != nil {
		r.board.resnapshot(lost.reason)
	}
	return nil
}
