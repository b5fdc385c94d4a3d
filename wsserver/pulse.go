package wsserver

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// What /healthz can know. A restart costs everybody their connection, so it is asked for
// where nothing else is left: a lock that is held for moments only has not been let go for
// long, and never will be. Whatever else fails ends the process by itself (the reader of
// the log, the disk), or is over when its cause is (PostgreSQL, the network, a transaction
// that takes long), and /readyz tells of it.

// glance is how long an answer waits for the locks at most.
const glance = 100 * time.Millisecond

// pulse is one look at the locks, which several who ask share: one that hangs must not
// leave a goroutine for each of them.
type pulse struct {
	mu    sync.Mutex
	done  chan struct{} // nil: nobody looks
	since time.Time     // when the look under way began
}

// feel looks, and answers for how long the look has hung; 0: it does not.
func (p *pulse) feel(look func()) time.Duration {
	p.mu.Lock()
	if p.done == nil {
		p.done, p.since = make(chan struct{}), time.Now()
		go func() {
			look()
			p.mu.Lock()
			defer p.mu.Unlock()
			close(p.done)
			p.done = nil
		}()
	}
	done, since := p.done, p.since
	p.mu.Unlock()
	t := time.NewTimer(glance)
	defer t.Stop()
	select {
	case <-done:
		return 0
	case <-t.C:
		return time.Since(since)
	}
}

// serveHealth says whether the process lives and can go on.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	hung := s.pulse.feel(func() {
		s.Sessions()
		if s.deps.Pulse != nil {
			s.deps.Pulse()
		}
	})
	if hung < s.cfg.StuckAfter {
		sendJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
		return
	}
	detail := fmt.Sprintf("a part of the gateway has not moved for %v and will not by itself; "+
		"fix: keep /debug/pprof/goroutine?debug=2 of admin_listen, and restart the gateway", hung.Round(time.Second))
	sendJSON(w, http.StatusServiceUnavailable, append(cdc.AppendJSONString([]byte(`{"status":"stuck","detail":`), detail), '}'))
}
