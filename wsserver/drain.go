package wsserver

import (
	"context"
	"fmt"
	"time"
)

const (
	// returnsPerSecond is what a gateway takes without haste, on one core and with a
	// database that has its own work.
	returnsPerSecond = 500
	// goodbyesPerSecond is how fast we say goodbye at most. Whoever is told early has more
	// of the time that is left to read it.
	goodbyesPerSecond = 1000
	// startTime is what a successor needs, where nothing is wrong.
	startTime = time.Second
)

// Drain refuses new sessions, asks everybody to come back later, and waits until
// all are gone. The goodbyes and the returns are spread over as long as their number asks
// for, at most over DrainSpread and ReturnSpread, so that neither we nor our successor gets
// them in one moment. Nobody is asked to return before the last goodbye and a moment for the
// successor to start: they would only be refused.
//
// When ctx ends first, what is still open is cut, and an error says how many.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	open := make([]*session, 0, len(s.sessions))
	for c := range s.sessions {
		open = append(open, c)
	}
	s.mu.Unlock()

	gone := make(chan struct{})
	share := func(whole time.Duration, i int) time.Duration {
		return whole * time.Duration(i) / time.Duration(len(open))
	}
	goodbyes := min(s.cfg.DrainSpread, time.Second/goodbyesPerSecond*time.Duration(len(open)))
	returns := min(s.cfg.ReturnSpread, time.Second/returnsPerSecond*time.Duration(len(open)))
	begin := time.Now()
	for i, c := range open {
		pause(ctx, time.Until(begin.Add(share(goodbyes, i))))
		left := share(goodbyes, len(open)-1-i)
		c.end(goingAway(left + startTime + share(returns, i)))
	}
	go func() {
		s.running.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	cut := len(s.sessions)
	for c := range s.sessions {
		_ = c.conn.Close()
	}
	s.mu.Unlock()
	<-gone
	if cut == 0 {
		return nil
	}
	return fmt.Errorf("drain: %d sessions did not close in time and were cut: %w", cut, context.Cause(ctx))
}

// pause waits, but not for less than a millisecond: timers are coarser than that.
func pause(ctx context.Context, d time.Duration) {
	if d < time.Millisecond {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
