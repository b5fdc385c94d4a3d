package wsserver

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/schoolbell/schoolbell/router"
)

// serveSocket upgrades a request to a session and returns: the session lives on
// without the HTTP server.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if s.mayListen(r) {
		s.serveListener(w, r)
		return
	}
	s.serveSessions(w, r, func(c *session) *refusal { return c.upgrade(w, r) })
}

// serveSessions opens a session, which connect gets a line and a wire for and begins, or
// refuses it.
func (s *Server) serveSessions(w http.ResponseWriter, r *http.Request, connect func(*session) *refusal) {
	no := s.open(r, connect)
	if no == nil {
		s.deps.Observer.Handshake("accepted")
		return
	}
	s.deps.Observer.Handshake(no.code)
	s.refuse(w, r, no)
}

func (s *Server) open(r *http.Request, connect func(*session) *refusal) *refusal {
	v, no := s.admit(r)
	if no != nil {
		return no
	}
	if no = s.reserve(v.person.ID, v.address); no != nil {
		return no
	}
	c, no := s.subscribe(v)
	if no == nil {
		no = connect(c)
	}
	if no != nil {
		s.release(v.person.ID, v.address)
	}
	return no
}

// subscribe makes a session that is not connected yet.
func (s *Server) subscribe(v visitor) (*session, *refusal) {
	c := &session{
		server:   s,
		person:   v.person.ID,
		address:  v.address,
		asked:    v.since != nil,
		flood:    bucket{rate: s.cfg.MessageRate, burst: s.cfg.MessageBurst, at: time.Now()},
		wants:    wantWelcome,
		way:      v.identity.Way,
		identity: v.identity,
		// As if the writer ran: nobody starts it before the upgrade.
		writing: true,
		pending: true,
	}
	for {
		sub, err := s.deps.Router.Subscribe(router.Request{Person: v.person, Since: v.since, Filter: v.filter, Wake: c.wake})
		if err != nil {
			return nil, s.refusalOf(err)
		}
		// Rights that changed between the question and the subscription would
		// be missed by both; so ask again.
		again, ok := s.deps.People.Person(v.person.ID)
		if ok && again.Role == v.person.Role && again.Active == v.person.Active {
			c.sub, c.role = sub, v.person.Role.String()
			return c, nil
		}
		sub.Close()
		if !ok {
			return nil, s.refusalOf(router.ErrInactive)
		}
		if v.person = again; !isFor(v.identity, again) {
			return nil, forAnotherRole()
		}
	}
}

// upgrade makes the request a WebSocket, and begins the session on it.
func (c *session) upgrade(w http.ResponseWriter, r *http.Request) *refusal {
	up := &upgrade{ResponseWriter: w, session: c}
	ws, err := websocket.Accept(up, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // admit has looked at the origin
		OnPingReceived:     c.pinged,
	})
	if err != nil {
		c.sub.Close()
		if c.conn != nil {
			_ = c.conn.Close()
		}
		return badRequest(cmp.Or(strings.TrimSpace(up.text.String()), "this address speaks WebSocket"))
	}
	ws.SetReadLimit(-1) // receive has its own, and its own way to say it
	c.wire = socket{ws}
	l := up.link
	c.begin(func() {
		if l.unread() {
			c.read(l, ws)
			return
		}
		c.wait(l, ws)
	})
	return nil
}

// begin lets a session that is connected take part; read is its reading goroutine.
func (c *session) begin(read func()) {
	s := c.server
	bottom := c.conn
	if sealed, ok := bottom.(*tls.Conn); ok {
		bottom = sealed.NetConn()
	}
	if tcp, ok := bottom.(interface{ SetWriteBuffer(int) error }); ok {
		_ = tcp.SetWriteBuffer(socketBuffer)
	}
	c.raw = rawOf(c.conn)
	c.observer().Opened(c.role, c.transport(), c.way)
	if !s.add(c) {
		c.turnAway()
		return
	}
	c.mu.Lock()
	c.open = true // a subscription that ended before is found by the first Take
	c.mu.Unlock()
	c.observer().SignedIn(c.way)
	s.deps.Log.Debug("session opened", "user", c.person, "way", c.way, "remote", c.address)
	s.schedule(c, c.asked) // what was missed is read, which takes its time
	go read()              // add has counted it
}

// socketBuffer is what the kernel may hold for one client: enough for a burst,
// little enough that a client that does not read is noticed.
const socketBuffer = 32 << 10

// turnAway closes a session that was connected while the drain began.
func (c *session) turnAway() {
	e := goingAway(startTime + soon())
	b := batch{wire: c.wire}
	b.appendEnding(e)
	_ = c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.conn.Write(b.out)
	_ = c.conn.Close()
	c.wire.forget()
	c.sub.Close()
	c.server.vacate(c)
	c.observer().Closed(c.role, c.transport(), c.way, e.reason)
}

// pinged decides whether a ping frame is answered.
func (c *session) pinged(_ context.Context, _ []byte) bool {
	if c.flood.take(1, time.Now()) {
		return true
	}
	c.end(protocolViolation())
	return false
}

// An upgrade is the response to the handshake. It takes the connection from the
// HTTP server with buffers as small as frame headers, and keeps the library's
// complaints about a malformed handshake for our own refusal.
type upgrade struct {
	http.ResponseWriter
	session *session
	link    *link // once it is hijacked
	failed  bool
	text    strings.Builder
}

func (u *upgrade) WriteHeader(status int) {
	if u.failed = status != http.StatusSwitchingProtocols; !u.failed {
		u.ResponseWriter.WriteHeader(status)
	}
}

func (u *upgrade) Write(p []byte) (int, error) {
	if u.failed {
		return u.text.Write(p)
	}
	return u.ResponseWriter.Write(p)
}

const (
	readBuffer  = 16  // frame headers; payloads are read past it
	writeBuffer = 256 // any control frame, so that each is one Write
)

func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	residue, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c := u.session
	c.conn = conn
	u.link = &link{Conn: conn, session: c, residue: append([]byte(nil), residue...)}
	u.link.in = bufio.NewReaderSize(u.link, readBuffer)
	return u.link, bufio.NewReadWriter(u.link.in, bufio.NewWriterSize(u.link, writeBuffer)), nil
}
