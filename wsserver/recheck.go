package wsserver

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/schoolbell/schoolbell/router"
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
//
// Who is asked depends on the way in which people said who they are. One that takes its
// time keeps nobody waiting but those of its own.
func (s *Server) recheck(ctx context.Context) {
	spoke := time.NewTicker(max(s.cfg.Recheck/spokes, 1))
	defer spoke.Stop()
	expiry := time.NewTicker(expiryEvery)
	defer expiry.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	answered := make(chan string)
	ways := map[string]*queue{}
	var due []*session
	for n := 1; ; {
		turned := false
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			s.endExpired(time.Now())
			continue
		case way := <-answered:
			ways[way].asked = nil
		case <-spoke.C:
			due = s.turn(&s.proofs, due)
			s.queue(ways, due)
			clear(due)
			turned = n%spokes == 0
			n++
		}
		for way, q := range ways {
			q.turned = q.turned || turned
			if part := q.next(); part != nil {
				asking.Go(func() {
					s.askAgain(ctx, part)
					select {
					case answered <- way:
					case <-ctx.Done():
					}
				})
			}
		}
	}
}

// A queue holds the sessions of one way that wait to be asked about.
type queue struct {
	waiting []*session
	turned  bool       // the wheel came round: whoever waits is asked about now
	asked   []*session // those of the question that is under way; nil: none is
}

// next are those whom the next question is about, if there is one now.
func (q *queue) next() []*session {
	q.turned = q.turned && len(q.waiting) > 0
	if q.asked != nil || len(q.waiting) < askAtOnce && !q.turned {
		return nil
	}
	n := min(askAtOnce, len(q.waiting))
	q.asked = slices.Clone(q.waiting[:n])
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:]) // do not keep closed sessions
	q.waiting = q.waiting[:rest]
	q.turned = q.turned && rest > 0
	return q.asked
}

// queue puts sessions at the end of the queue of their way, but for those that still
// stand in it, as its questions take longer than the wheel.
func (s *Server) queue(ways map[string]*queue, due []*session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range due {
		if c.queued {
			continue
		}
		c.queued = true
		q := ways[c.identity.Way]
		if q == nil {
			q = &queue{}
			ways[c.identity.Way] = q
		}
		q.waiting = append(q.waiting, c)
	}
}

// askAgain ends those of the sessions whose credential was taken back. What cannot be
// asked at the moment was not taken back: whoever asks says so on /readyz.
func (s *Server) askAgain(ctx context.Context, open []*session) {
	before := make([]auth.Identity, len(open))
	s.mu.Lock()
	for i, c := range open {
		before[i] = c.identity
		c.queued = false
	}
	s.mu.Unlock()
	now := slices.Clone(before)
	revoked, err := s.deps.Auth.Recheck(ctx, now)
	if err != nil && ctx.Err() == nil {
		s.deps.Log.Warn("cannot ask whether credentials still hold; nobody is sent away for that", "err", err)
	}
	var ends, narrow []*session
	s.mu.Lock()
	for i, c := range open {
		if c.identity != before[i] {
			open[i] = nil // they have shown a newer one meanwhile
			continue
		}
		c.identity = now[i]
		if now[i].Role != "" {
			narrow = append(narrow, c)
		}
	}
	for _, i := range revoked {
		if open[i] != nil {
			ends = append(ends, open[i])
		}
	}
	s.mu.Unlock()
	s.revoke(ends)
	for _, c := range narrow { // whose proof is for one role, which they may have no more
		if p, ok := s.deps.People.Person(c.person); ok && !isFor(c.proof(), p) {
			c.end(endingOf(router.ErrRole))
		}
	}
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
