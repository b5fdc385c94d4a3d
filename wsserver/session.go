package wsserver

import (
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// A session is one socket, or one stream. Its life:
//
//	open ──end()──▶ ending ──disconnect and close frame written──▶ told ──client gone──▶ finished
//	                  └──────────── a write failed ─────────────▶ broken ──┘
//
// One goroutine reads until the client is gone. Another writes to it while there is
// something to write; whichever of the two leaves last finishes the session.
// Thousands of them are idle, so nothing here is allocated before it is needed.
type session struct {
	server  *Server
	sub     *router.Subscription
	person  cdc.ID
	address netip.Addr // that it counts for
	role    string     // as it was at the handshake
	way     string     // by which the person said who they are, at the handshake
	asked   bool       // the client sent `since`
	oneWay  bool       // the client cannot say anything
	listens bool       // it is the gateway's own, see listen.go
	conn    line
	raw     syscall.RawConn // of conn; nil: it cannot be written without waiting
	wire    wire
	behind  *session // guarded by server.writers.mu

	seats    [seatsPerSession]seat // guarded by server.mu
	identity auth.Identity         // guarded by server.mu
	queued   bool                  // waits to be asked about again; guarded by server.mu

	// Of the reading goroutine.
	flood   bucket
	readErr error // what the connection said, as against the library's opinion of its bytes

	mu         sync.Mutex // guards what follows; held for moments, never while writing
	open       bool       // the upgrade is done
	wants      wants
	stopAsking func()   // ends the question about a token that was handed in
	answers    []answer // that wait to be written
	control    []byte   // frames of the library that wait to be written
	unanswered int      // pings written since the last pong
	ended      *ending
	writing    bool // somebody writes to it, or it stands in the queue for that
	pending    bool // something came after who writes last looked
	readDone   bool
	told       bool // the last words are written; nothing follows them
	broken     bool // a write failed; nothing more can be said
	finished   bool
}

// wants are messages to be made when they are written: only then is it known
// which cursor they may carry.
type wants uint8

const (
	wantWelcome wants = 1 << iota
	wantPing
	wantPong
	wantMetrics
)

// An answer is one to what a client said that nothing else of the session has to be
// known for.
type answer struct {
	kind string
	body []byte
}

// reply has an answer written, behind those that wait already.
func (c *session) reply(kind string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.answers = append(c.answers, answer{kind, body})
		c.startWriting()
	}
}

// want asks for a message, and wakes the writer. It never blocks.
func (c *session) want(w wants) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.wants |= w
		c.startWriting()
	}
}

// wake is the subscription's: there is something to take, or it has ended. A
// writer that hangs in a write would not find that out by itself.
func (c *session) wake(ended error) {
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	if ended != nil && open {
		c.end(endingOf(ended))
		return
	}
	c.want(0)
}

// startWriting has the writing goroutine look once more. The caller holds c.mu.
func (c *session) startWriting() {
	c.pending = true
	if c.writing || c.told || c.broken {
		return
	}
	c.writing = true
	c.server.schedule(c, false)
}

// heartbeat asks for a ping, or ends the session when two went unanswered.
func (c *session) heartbeat() {
	c.mu.Lock()
	missed := c.unanswered >= 2
	c.mu.Unlock()
	if missed {
		c.end(heartbeatTimeout())
		return
	}
	c.want(wantPing)
}

// end closes the session for a reason; the first reason counts. It never
// blocks: the last words and the farewell have Linger to get through.
func (c *session) end(e ending) {
	c.mu.Lock()
	if c.ended != nil {
		c.mu.Unlock()
		return
	}
	c.ended = &e
	c.control, c.answers = nil, nil
	if c.stopAsking != nil {
		c.stopAsking()
	}
	c.told = e.code == 0 // to nobody: the client is gone
	now := time.Now()
	_ = c.conn.SetWriteDeadline(now.Add(c.server.cfg.Linger / 2))
	_ = c.conn.SetReadDeadline(now.Add(c.server.cfg.Linger))
	c.startWriting()
	c.mu.Unlock()
	c.sub.Close()
}

// isEnded reports whether end has been called.
func (c *session) isEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended != nil
}

// last reports whether the caller is the last one to leave the session, and has
// to finish it. The caller holds c.mu.
func (c *session) last() bool {
	if !c.readDone || c.writing || c.finished || !(c.told || c.broken) {
		return false
	}
	c.finished = true
	return true
}

// leave is the end of the reading goroutine.
func (c *session) leave() {
	c.mu.Lock()
	c.readDone = true
	last := c.last()
	c.mu.Unlock()
	if last {
		c.finish()
	}
}

// transport is one of TransportNames.
func (c *session) transport() string {
	if c.oneWay {
		return "sse"
	}
	return "websocket"
}

// TransportNames are how sessions are connected.
var TransportNames = [...]string{"websocket", "sse"}

// finish lets go of everything. It is called once, when both goroutines are done.
func (c *session) finish() {
	s := c.server
	_ = c.conn.Close()
	s.remove(c)
	c.wire.forget() // Drain cannot find it any more
	s.vacate(c)
	c.observer().Closed(c.role, c.transport(), c.way, c.ended.reason)
	s.deps.Log.Debug("session closed", "user", c.person, "reason", c.ended.reason)
}
