package wsserver

import (
	"context"
	"sync"
	"time"
)

// spokes is into how many parts an interval is divided: sessions are spread over
// them, so that ten thousand heartbeats do not fall into one moment.
const spokes = 64

// A wheel turns once per interval, and comes by every session once per turn.
type wheel struct {
	seats [spokes][]*session
	next  int // where the next session sits down
	at    int // the spoke that comes next
}

// seat is where a session sits on a wheel.
type seat struct{ spoke, place int }

// The wheels on which a session has a seat.
const (
	pingSeat = iota
	metricsSeat
	proofSeat
	seatsPerSession
)

func (w *wheel) add(c *session, on int) {
	c.seats[on] = seat{w.next, len(w.seats[w.next])}
	w.seats[w.next] = append(w.seats[w.next], c)
	w.next = (w.next + 1) % spokes
}

func (w *wheel) remove(c *session, on int) {
	at := c.seats[on]
	row := w.seats[at.spoke]
	last := len(row) - 1
	row[at.place] = row[last]
	row[at.place].seats[on] = at
	row[last] = nil
	w.seats[at.spoke] = row[:last]
}

// turn moves on by one spoke and returns who sits there.
func (w *wheel) turn(into []*session) []*session {
	into = append(into[:0], w.seats[w.at]...)
	w.at = (w.at + 1) % spokes
	return into
}

// Run sends the heartbeats and the metrics of all sessions, and ends those whose
// credential was taken back, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	// Asking takes as long as the database does; nobody's heartbeat waits for it.
	var asking sync.WaitGroup
	asking.Go(func() { s.recheck(ctx) })
	defer asking.Wait()
	pings := time.NewTicker(max(s.cfg.Heartbeat/spokes, 1))
	defer pings.Stop()
	metrics := time.NewTicker(max(s.cfg.MetricsInterval/spokes, 1))
	defer metrics.Stop()
	var due []*session
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pings.C:
			due = s.turn(&s.pings, due)
			for _, c := range due {
				c.heartbeat()
			}
		case <-metrics.C:
			due = s.turn(&s.metrics, due)
			for _, c := range due {
				c.want(wantMetrics)
			}
		}
		clear(due) // do not keep closed sessions
	}
}

func (s *Server) turn(w *wheel, into []*session) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return w.turn(into)
}
