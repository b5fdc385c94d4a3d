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

// hear takes the moment of the next commit.
func (d *density) hear(commit time.Time) {
	gap := time.Second // before the first one, and more than that says no more
	if !d.last.IsZero() {
		gap = min(max(commit.Sub(d.last), 0), time.Second) // commits are not always in the order of their moments
	}
	d.last = commit
	if d.gap == 0 {
		d.gap = gap
	}
	d.gap += (gap - d.gap) / 16
}

func (d *density) dense() bool { return d.gap > 0 && d.gap < denseGap }
