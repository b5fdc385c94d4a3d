package wsserver

import (
	"context"
	"fmt"
	"time"
)

// Drain refuses new sessions, asks everybody to come back later, and waits until
// all are gone. The goodbyes are spread over DrainSpread and the returns over
// ReturnSpread, so that neither we nor our successor gets them in one moment.
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
	begin := time.Now()
	for i, c := range open {
		pause(ctx, time.Until(begin.Add(share(s.cfg.DrainSpread, i))))
		c.end(goingAway(share(s.cfg.ReturnSpread, i)))
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
