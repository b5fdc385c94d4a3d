package wsserver

import (
	"io"
	"time"

	"github.com/coder/websocket"

	"github.com/schoolbell/schoolbell/cdc"
)

// A line carries a session's bytes, both ways.
type line interface {
	io.ReadWriteCloser
	SetReadDeadline(at time.Time) error
	SetWriteDeadline(at time.Time) error
}

// A wire is what differs between the transports: how a session's messages are framed, and
// how it ends.
type wire interface {
	// message appends one message. A client that has it has everything up to the mark;
	// zero: it says nothing about that.
	message(dst, body []byte, mark cdc.Position) []byte
	// farewell appends what stands behind the last message.
	farewell(dst []byte, e ending) []byte
	// hangUp is called when the last words are written. It must not block.
	hangUp(on line)
	// forget is called when the session is over, and nothing of it runs any more.
	forget()
}

// A socket is the wire of a WebSocket.
type socket struct{ ws *websocket.Conn }

func (socket) message(dst, body []byte, _ cdc.Position) []byte { return appendText(dst, body) }

func (socket) farewell(dst []byte, e ending) []byte {
	if e.echo {
		return appendClose(dst, e.code, "")
	}
	return appendClose(dst, e.code, e.reason)
}

func (socket) hangUp(line) {} // the client answers the close frame, and goes

func (s socket) forget() { _ = s.ws.CloseNow() } // or its finalizer keeps the session in memory
