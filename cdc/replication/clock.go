package replication

import "time"

// clock knows when the sink wants to hear of the server's clock, which on an idle server
// nobody tells unless asked.
type clock struct {
	ahead time.Duration // what the server's clock is ahead of ours, as of its last message
	wake  time.Time     // by the server's clock; zero: the sink does not wait for anything
	asked time.Time     // when the server was asked, by our clock
}

// askEvery is how often the server is asked at most. By then its clock should have
// passed what the sink waits for; where it has not, both clocks are being moved.
const askEvery = time.Second

// hear notes what the server's clock showed in a message that arrived now.
func (c *clock) hear(server, now time.Time) { c.ahead = server.Sub(now) }

// wakeAt is when the server is to be asked, by our clock; zero: never.
func (c *clock) wakeAt() time.Time {
	if c.wake.IsZero() {
		return c.wake
	}
	at := c.wake.Add(-c.ahead)
	if soonest := c.asked.Add(askEvery); at.Before(soonest) {
		at = soonest
	}
	return at
}
