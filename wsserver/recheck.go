package wsserver

import (
	"context"
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

const (
	// askAtOnce is about how many sessions one question is.
	askAtOnce = 1000
	// expiryEvery is how often sessions are looked for whose credential has expired.
	expiryEvery = 500 * time.Millisecond
)

// recheck ends the sessions whose credential was taken back or has expired, until ctx
// ends. Every session is asked about once per turn of the wheel, a thousand at a time:
// of few sessions that is one question per turn.
func (s *Server) recheck(ctx context.Context) {
	spoke := time.NewTicker(max(s.cfg.Recheck/spokes, 1))
	defer spoke.Stop()
	expiry := time.NewTicker(expiryEvery)
	defer expiry.Stop()
	var gathered, due []*session
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			s.endExpired(time.Now())
			continue
		case <-spoke.C:
		}
		due = s.turn(&s.proofs, due)
		gathered = append(gathered, due...)
		clear(due)
		turned := n%spokes == 0
		n++
		for len(gathered) >= askAtOnce || turned && len(gathered) > 0 {
			part := gathered[:min(askAtOnce, len(gathered))]
			s.askAgain(ctx, part)
			rest := copy(gathered, gathered[len(part):])
			clear(gathered[rest:]) // do not keep closed sessions
			gathered = gathered[:rest]
		}
	}
}

// askAgain ends those of the sessions whose credential was taken back. What cannot be
// asked at the moment was not taken back: whoever asks says so on /readyz.
func (s *Server) askAgain(ctx context.Context, open []*session) {
	before := make([]auth.Identity, len(open))
	s.mu.Lock()
	for i, c := range open {
		before[i] = c.identity
	}
	s.mu.Unlock()
	now := slices.Clone(before)
	revoked, err := s.deps.Auth.Recheck(ctx, now)
	if err != nil && ctx.Err() == nil {
		s.deps.Log.Warn("cannot ask whether credentials still hold; nobody is sent away for that", "err", err)
	}
	var ends []*session
	s.mu.Lock()
	for i, c := range open {
		if c.identity != before[i] {
			open[i] = nil // they have shown a newer one meanwhile
			continue
		}
		c.identity = now[i]
	}
	for _, i := range revoked {
		if open[i] != nil {
			ends = append(ends, open[i])
		}
	}
	s.mu.Unlock()
	s.revoke(ends)
}

// endExpired ends the sessions whose credential has ended by itself.
func (s *Server) endExpired(now time.Time) {
	var ends []*session
	s.mu.Lock()
	for c := range s.sessions {
		if at := c.identity.Expires; !at.IsZero() && !at.After(now) {
			ends = append(ends, c)
		}
	}
	s.mu.Unlock()
	s.revoke(ends)
}

func (s *Server) revoke(ends []*session) {
	for _, c := range ends {
		if !c.isEnded() {
			s.deps.Observer.Revoked(c.way)
			c.end(credentialsRevoked())
		}
	}
}
