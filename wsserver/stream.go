package wsserver

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Server-Sent Events, for networks that break WebSockets: the same sessions with another
// frame around the same messages. A client says nothing here, so a dead line is found by
// the time that a write takes.

// retryFirst is what a client that knows no better waits before it comes back: what a
// browser does by itself. What is asked of it stands in the disconnect message.
const retryFirst = "retry: 2000\n\n"

// A stream is the wire of Server-Sent Events.
type stream struct{ over chan struct{} } // closed when the session is over; nil: nobody waits

// message writes one event. The body has no line breaks: JSON escapes them in strings, and
// what is published is written without any between its values.
func (stream) message(dst, body []byte, mark cdc.Position) []byte {
	if !mark.IsZero() {
		dst = append(mark.Append(append(dst, "id: "...)), '\n')
	}
	dst = append(dst, "data: "...)
	return append(append(dst, body...), "\n\n"...)
}

func (stream) farewell(dst []byte, _ ending) []byte { return dst }

// hangUp ends the stream, and leaves it to the client to close the connection: what it has
// sent meanwhile would reset it, and take our last words with it.
func (stream) hangUp(on line) {
	if half, ok := on.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	_ = on.Close()
}

func (s stream) forget() {
	if s.over != nil {
		close(s.over)
	}
}

// serveStream answers a request with a session. Over HTTP/1.1 the session takes the
// connection and lives on without the HTTP server; over HTTP/2 it is a part of one, and the
// handler waits.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	s.share(w, r)
	if r.Method != http.MethodGet { // HEAD, that is
		w.Header().Set("Allow", http.MethodGet)
		s.refuse(w, r, &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", detail: "use GET"})
		return
	}
	var over chan struct{}
	s.serveSessions(w, r, func(c *session) *refusal {
		c.oneWay = true
		if r.ProtoMajor > 1 {
			over = make(chan struct{})
		}
		c.wire = stream{over}
		return c.respond(w, r)
	})
	if over != nil {
		<-over
	}
}

// respond sends the head of the answer, and starts the session behind it.
func (c *session) respond(w http.ResponseWriter, r *http.Request) *refusal {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would gather it
	if r.ProtoMajor > 1 {
		c.conn = newExchange(w, r)
		_, _ = io.WriteString(c.conn, retryFirst) // who is gone is noticed by whoever reads
		c.begin(c.listen)
		return nil
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		c.sub.Close()
		for _, name := range []string{"Content-Type", "X-Accel-Buffering"} {
			h.Del(name)
		}
		c.server.deps.Log.Error("a stream cannot be sent", "err", err)
		return notReady("this server cannot send a stream; use the WebSocket")
	}
	c.conn = conn
	h.Set("Connection", "close") // the end of the connection is the end of the answer
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&head)
	head.WriteString("\r\n" + retryFirst)
	_ = conn.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
	_, _ = conn.Write(head.Bytes()) // who is gone is noticed by whoever reads
	_ = conn.SetWriteDeadline(time.Time{})
	c.begin(c.listen)
	return nil
}

// listen is the reading goroutine of a session that is told nothing: it notices that the
// client is gone.
func (c *session) listen() {
	defer c.server.running.Done()
	buf := make([]byte, 64)
	var n int
	var err error
	for err == nil {
		if n, err = c.conn.Read(buf); !c.flood.take(float64(n)/1024, time.Now()) {
			c.end(protocolViolation())
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		c.end(clientGone())
	case errors.Is(err, os.ErrDeadlineExceeded): // an exchange that was cut for its slowness; the others are at their end
		c.end(slowConsumer())
	default:
		c.end(connectionLost())
	}
	c.leave()
}

// An exchange is the line of a stream over HTTP/2, which has no connection of its own.
type exchange struct {
	w       http.ResponseWriter
	control *http.ResponseController
	gone    <-chan struct{} // the client is
	close   func()
	closed  chan struct{}
	mu      sync.Mutex // guards what follows
	until   time.Time  // by when a write has to be done
	hungUp  bool
}

func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	e := &exchange{w: w, control: http.NewResponseController(w), gone: r.Context().Done(), closed: make(chan struct{})}
	e.close = sync.OnceFunc(func() { close(e.closed) })
	return e
}

// Read waits until the client is gone: it sends nothing.
func (e *exchange) Read([]byte) (int, error) {
	select {
	case <-e.gone:
		return 0, e.lost(io.EOF)
	case <-e.closed:
		return 0, io.ErrClosedPipe
	}
}

// Write sends p at once. Afterwards there is no deadline: it would end the stream also
// while nobody writes.
func (e *exchange) Write(p []byte) (int, error) {
	n, err := e.w.Write(p)
	if err == nil {
		err = e.control.Flush()
	}
	if err != nil {
		return n, e.lost(err)
	}
	return n, e.SetWriteDeadline(time.Time{})
}

// lost says whether the stream was lost because a write took too long: then the HTTP
// server cuts it.
func (e *exchange) lost(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.until.IsZero() && !time.Now().Before(e.until) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// SetWriteDeadline bounds the write under way, and the next one.
func (e *exchange) SetWriteDeadline(at time.Time) error {
	e.mu.Lock()
	e.until = at
	e.mu.Unlock()
	return e.control.SetWriteDeadline(at)
}

// SetReadDeadline does nothing: a session that ends hangs up, or is closed.
func (e *exchange) SetReadDeadline(time.Time) error { return nil }

// CloseWrite ends the session's reading, so that the handler ends, and the stream with it.
func (e *exchange) CloseWrite() error {
	e.mu.Lock()
	e.hungUp = true
	e.mu.Unlock()
	e.close()
	return nil
}

// Close does the same, and ends a write that hangs.
func (e *exchange) Close() error {
	e.close()
	e.mu.Lock()
	hungUp := e.hungUp
	e.mu.Unlock()
	if hungUp {
		return nil // all is written, and a deadline would cut the stream
	}
	return e.SetWriteDeadline(time.Unix(1, 0))
}
