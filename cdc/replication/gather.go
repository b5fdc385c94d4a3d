package replication

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// gathering is a connection on which the log can be let gather while we are behind.
//
// The server sends every message of the log by itself, and where we wait for each one,
// more than half of its processor goes to sending and to waking us: a reader that is too
// eager slows its server down. So while behind is set, a read first sleeps until enough
// has come, or until a moment is over in which it has not. That sleep is a system call of
// our own, on the thread that we are on. Go's read would take whatever is there before it
// waits, which is one message, and has another thread woken to wake us. A deadline does not
// end that sleep and need not: it is short, and the read that follows it is Go's, which
// knows the deadline.
//
// Otherwise a read is Go's and waits for one byte: who is not behind hears of a commit as
// soon as ever. TLS reads through here, so below it the same holds.
type gathering struct {
	net.Conn
	behind bool // who reads sets it; a sleep in vain takes it back
	bell   *bell
}

// What is let gather, and for how long at most.
const (
	gatherBytes  = 128 << 10
	gatherMillis = 2
)

// gather makes connections that can.
func gather(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &gathering{Conn: c, bell: newBell(c)}, nil
	}
}

// below is the one that a connection reads through.
func below(c net.Conn) *gathering {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return c.(*gathering)
}

func (g *gathering) Read(p []byte) (int, error) {
	if g.behind = g.behind && g.bell.wait(); !g.behind {
		g.bell.off()
	}
	return g.Conn.Read(p)
}
