package replication

import "time"

// density is how close transactions follow one another, by the server's clock. Where they
// are dense the log is let gather although we are not behind: to send each by itself, and
// to wake us for it, would take the processor from the LMS that makes them. Thousands a
// second for longer than a moment are a bulk job, and nobody sees two milliseconds of it.
type density struct {
	last time.Time     // commit
	gap  time.Duration // between two commits, the last ones counting most
}

// denseGap is the gap of 4,000 transactions a second.
const denseGap = 250 * time.Microsecond

// hear takes the moment of the next commit. Commits are often not in the order of their
// moments, so a gap may be below zero; the next one makes up for it.
func (d *density) hear(commit time.Time) {
	if d.last.IsZero() {
		d.gap = time.Second
	} else {
		gap := min(max(commit.Sub(d.last), -time.Second), time.Second) // more than that says no more
		d.gap += (gap - d.gap) / 16
	}
	d.last = commit
}

func (d *density) dense() bool { return !d.last.IsZero() && d.gap < denseGap }
