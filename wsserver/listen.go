package wsserver

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// The gateway's own client, for its self-check: a WebSocket like any other, by the same
// handshake, reader, writer and frames, which is nobody's. It has no account, so that it
// is in no group of a person or of the admins: no event, no count and no history can come
// to it, only what the gateway itself emitted. It takes no place of those that are
// limited, and nobody counts it.

// mayListen reports whether a request comes from ourselves.
func (s *Server) mayListen(r *http.Request) bool {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && s.cfg.SelfCheckToken != "" && subtle.ConstantTimeCompare([]byte(key), []byte(s.cfg.SelfCheckToken)) == 1
}

// serveListener opens the session, or refuses it as everybody is refused now.
func (s *Server) serveListener(w http.ResponseWriter, r *http.Request) {
	no := s.closed()
	if no == nil {
		no = s.listen(w, r)
	}
	if no != nil {
		s.refuse(w, r, no)
	}
}

func (s *Server) listen(w http.ResponseWriter, r *http.Request) *refusal {
	c := &session{
		server:  s,
		listens: true,
		way:     "self_check", // for the log
		flood:   bucket{rate: s.cfg.MessageRate, burst: s.cfg.MessageBurst, at: time.Now()},
		writing: true, // as in subscribe
		pending: true,
	}
	var err error
	if c.sub, err = s.deps.Router.Listen(c.wake); err != nil {
		return s.refusalOf(err)
	}
	return c.upgrade(w, r)
}

// observer is who counts what happens to the session.
func (c *session) observer() Observer {
	if c.listens {
		return nobody{}
	}
	return c.server.deps.Observer
}
