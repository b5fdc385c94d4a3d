package wsserver

import (
	"bufio"
	"net"
	"time"
)

// A link is the connection as the WebSocket library sees it. Reads pass through.
// What the library writes joins the session's own frames in one queue, and
// closing is left to the session, which has last words.
type link struct {
	net.Conn
	session *session
	in      *bufio.Reader // the library's
	residue []byte        // read before the library asked: by the HTTP server, or by wait
	first   [64]byte      // of what the client says next: the whole of a pong
}

// unread reports whether something of the client's has been read and is not used yet.
func (l *link) unread() bool { return len(l.residue) > 0 || l.in.Buffered() > 0 }

// maxControl bounds what waits for a client that sends pings and does not read.
// A pong that finds no room is dropped; the client gets the one before.
const maxControl = 512

func (l *link) Read(p []byte) (int, error) {
	if len(l.residue) > 0 {
		n := copy(p, l.residue)
		l.residue = l.residue[n:]
		l.session.charge(n)
		return n, nil
	}
	n, err := l.Conn.Read(p)
	if err != nil {
		l.session.readErr = err
	}
	l.session.charge(n)
	return n, err
}

// charge counts bytes of the client, and ends the session of one that sends too many.
func (c *session) charge(bytes int) {
	if !c.flood.take(float64(bytes)/1024, time.Now()) {
		c.end(protocolViolation())
	}
}

// Write takes one whole control frame: the library's buffer holds any.
func (l *link) Write(p []byte) (int, error) {
	if p[0]&0xf == opClose {
		return len(p), nil // the session's ending says it, with the code of our protocol
	}
	c := l.session
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil && len(c.control)+len(p) <= maxControl {
		c.control = append(c.control, p...)
		c.startWriting()
	}
	return len(p), nil
}

// Close ends the reading only.
func (l *link) Close() error {
	return l.SetReadDeadline(time.Unix(1, 0))
}
