package replication

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bell rings when enough has gathered in a socket.
type bell struct {
	socket syscall.RawConn // nil: of a kind that lets nothing gather
	set    bool            // the socket says nothing before gatherBytes have come
	rang   bool            // how the last sleep ended
	sleep  func(fd uintptr)
}

// newBell hangs one on a connection. Only TCP has a use for it: a Unix socket wakes who
// waits with every message, however much was asked for.
func newBell(c net.Conn) *bell {
	b := &bell{}
	if tcp, ok := c.(*net.TCPConn); ok {
		b.socket, _ = tcp.SyscallConn() // fails only once it is closed
	}
	b.sleep = func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, gatherMillis)
		b.rang = err == nil && n > 0
	}
	return b
}

// wait sleeps until enough has come, or the connection has ended, and reports whether
// that was so before the moment was over.
func (b *bell) wait() bool {
	if !b.set {
		// A socket makes room for as much as it is asked to gather. With no more room than
		// that the server would have to stop just when it wakes us. (SO_RCVBUF would not do:
		// by default it is cut to less.)
		b.set = b.lowWater(4*gatherBytes) && b.lowWater(gatherBytes)
	}
	return b.set && b.socket.Control(b.sleep) == nil && b.rang
}

// off makes the socket speak of every byte again, and at once of those that have come.
func (b *bell) off() {
	if b.set {
		b.set = !b.lowWater(1)
	}
}

func (b *bell) lowWater(bytes int) bool {
	if b.socket == nil {
		return false
	}
	var refused error
	err := b.socket.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes)
	})
	return err == nil && refused == nil
}
