//go:build unix

package wsserver

import (
	"errors"
	"net"
	"syscall"
)

// rawOf is a connection's file descriptor, on which can be written without waiting; nil:
// it has none, or something stands between.
func rawOf(l line) syscall.RawConn {
	tcp, ok := l.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// writeNow writes as much of the rest as the connection takes at once.
func (b *batch) writeNow(raw syscall.RawConn) {
	b.failure = nil
	if len(b.rest) == 0 {
		return
	}
	if err := raw.Write(b.attempt); b.failure == nil {
		b.failure = err
	}
}

// write is the system call. It answers true, that nothing more is to be waited for.
func (b *batch) write(fd uintptr) bool {
	n, err := syscall.Write(int(fd), b.rest)
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Write(int(fd), b.rest)
	}
	switch {
	case err == nil:
		b.rest = b.rest[n:]
	case !errors.Is(err, syscall.EAGAIN):
		b.failure = err
	}
	return true
}
