package wsserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/coder/websocket"
)

// A session waits in wait, which needs next to no stack, and reads in read, which needs a
// lot, and whose goroutine is gone when there is nothing more. Go never makes the stack of
// a goroutine as small as it was again: thousands that wait where they read would hold
// twice the memory. Each of the two starts the other as the last thing that it does, so
// that they are one goroutine to everybody else, the session's reading goroutine.

// wait waits until the client says something, or is gone.
func (c *session) wait(l *link, ws *websocket.Conn) {
	n, err := c.conn.Read(l.first[:])
	l.residue = l.first[:n]
	if err != nil && n == 0 {
		c.readErr = err
		c.stopReading(err)
		return
	}
	go c.read(l, ws)
}

// read reads what the client has said. It goes on after end: the client may still be
// sending, and closing over unread bytes would reset the connection and take our last
// words with it.
func (c *session) read(l *link, ws *websocket.Conn) {
	ctx := context.Background() // a context that can end would cost the library a timer per frame
	var err error
	for err == nil && l.unread() {
		var r io.Reader
		var kind websocket.MessageType
		if kind, r, err = ws.Reader(ctx); err == nil {
			err = c.receive(kind, r)
		}
	}
	if err == nil {
		go c.wait(l, ws)
		return
	}
	c.stopReading(err)
}

// stopReading is the end of the reading goroutine.
func (c *session) stopReading(err error) {
	defer c.server.running.Done()
	c.end(c.endingOfRead(err))
	if c.readErr == nil && websocket.CloseStatus(err) == -1 {
		c.discard()
	}
	c.leave()
}

// endingOfRead says why reading stopped: the client closed, the network broke,
// or what came was not the WebSocket protocol.
func (c *session) endingOfRead(err error) ending {
	switch status := websocket.CloseStatus(err); {
	case status == websocket.StatusNoStatusRcvd:
		return clientClosed(int(websocket.StatusNormalClosure))
	case status != -1:
		return clientClosed(int(status))
	case c.readErr != nil:
		return connectionLost()
	}
	return protocolViolation()
}

// discard reads what a client sends that the library has given up on, until it
// goes or its time is over.
func (c *session) discard() {
	buf := c.server.incoming.Get().(*[]byte)
	defer c.server.incoming.Put(buf)
	for {
		if _, err := c.conn.Read(*buf); err != nil {
			return
		}
	}
}

// receive reads one message of the client and acts on it.
func (c *session) receive(kind websocket.MessageType, r io.Reader) error {
	buf := c.server.incoming.Get().(*[]byte)
	defer c.server.incoming.Put(buf)
	n, err := io.ReadFull(r, *buf)
	switch {
	case err == nil: // it is longer than the buffer, which is one byte longer than the limit
		c.end(protocolViolation())
		for err == nil {
			_, err = r.Read(*buf)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case c.readErr != nil:
		return c.readErr // the connection ended, not the message
	case c.isEnded():
		return nil
	case !c.flood.take(1, time.Now()):
		c.end(protocolViolation())
		return nil
	}
	word := "other"
	if kind == websocket.MessageText {
		word = messageType((*buf)[:n])
	}
	c.observer().Received(word)
	if c.listens {
		return nil // it has nothing to say
	}
	switch word {
	case "ping":
		c.want(wantPong)
	case "pong":
		c.mu.Lock()
		c.unanswered = 0
		c.mu.Unlock()
	case "auth":
		c.renew(newToken((*buf)[:n]))
	case "subscribe":
		c.refilter((*buf)[:n])
	}
	return nil
}

// messageType is ping, pong, auth, subscribe or other. What clients send all day is recognised
// without a parser: its stack would stay with every idle session.
func messageType(text []byte) string {
	switch string(text) {
	case `{"type":"pong"}`, `{"type": "pong"}`:
		return "pong"
	case `{"type":"ping"}`, `{"type": "ping"}`:
		return "ping"
	}
	return parseType(text)
}

//go:noinline
func parseType(text []byte) string {
	var m struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(text, &m) == nil {
		switch m.Type {
		case "ping", "pong", "auth", "subscribe":
			return m.Type
		}
	}
	return "other"
}

// A bucket of tokens: one per message, one per KB.
type bucket struct {
	rate, burst float64
	spent       float64
	at          time.Time
}

func (b *bucket) take(n float64, now time.Time) bool {
	b.spent = max(0, b.spent-now.Sub(b.at).Seconds()*b.rate) + n
	b.at = now
	return b.spent <= b.burst
}
