package replication

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestWhileBehindOneByteDoesNotWakeUsAndEnoughDoes(t *testing.T) {
	g, server := gatheringPair(t)
	sent(t, server, 1)
	require.Equal(t, 1, g.ready(t, -1), "it is there")
	g.behind = true
	require.False(t, g.bell.wait())

	go func() { _, _ = server.Write(make([]byte, 2*gatherBytes)) }()
	for slept := 0; !g.bell.wait(); slept++ {
		require.Less(t, slept, 10_000)
	}
	n, err := g.Read(make([]byte, 2*gatherBytes))
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, gatherBytes)
}

func TestASleepInVainLeavesTheSocketAsItWas(t *testing.T) {
	g, server := gatheringPair(t)
	sent(t, server, 1)
	require.Equal(t, 1, g.lowWater(t))
	g.behind = true
	n, err := g.Read(make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 1, n, "what has come is read, also if it is not enough")
	require.False(t, g.behind)
	require.Equal(t, 1, g.lowWater(t), "the next byte wakes us")

	g.behind = true
	require.False(t, g.bell.wait())
	require.Equal(t, gatherBytes, g.lowWater(t))
	g.behind = false
	sent(t, server, 1)
	_, err = g.Read(make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 1, g.lowWater(t), "nor is it let gather when we are no longer behind")
}

func TestDeadlinesHoldWhileBehind(t *testing.T) {
	g, _ := gatheringPair(t)
	for _, when := range []string{"before the read", "while it waits"} {
		require.NoError(t, g.SetReadDeadline(time.Time{}))
		g.behind = true
		set := func() { _ = g.SetReadDeadline(time.Unix(1, 0)) }
		if when == "before the read" {
			set()
		} else {
			sleep := g.bell.sleep
			g.bell.sleep = func(fd uintptr) {
				sleep(fd)
				go set()
			}
		}
		_, err := g.Read(make([]byte, 10))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, when)
	}
}

func TestBelowTLSItGathersAsWell(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	g, plain := gatheringPair(t)
	server, client := tls.Server(plain, web.TLS), tls.Client(g, &tls.Config{InsecureSkipVerify: true})
	require.Same(t, g, below(client))
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	go func() {
		for rest := want; len(rest) > 0; rest = rest[1000:] {
			_, _ = server.Write(rest[:1000])
		}
		_ = server.CloseWrite()
	}()
	require.NoError(t, client.Handshake())
	got := make([]byte, 0, len(want)+1)
	for {
		// A deadline passes before each read, and TLS survives it.
		g.behind = true
		require.NoError(t, client.SetReadDeadline(time.Unix(1, 0)))
		if n, err := client.Read(got[len(got):cap(got)]); err == nil {
			got = got[:len(got)+n] // it had been read with what came before it
			continue
		} else if err == io.EOF {
			break
		} else {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		}
		g.behind = true
		require.NoError(t, client.SetReadDeadline(time.Time{}))
		n, err := client.Read(got[len(got):cap(got)])
		got = got[:len(got)+n]
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	require.True(t, bytes.Equal(want, got))
}

func TestAUnixSocketIsReadAsEver(t *testing.T) {
	g, server := gatheringPairOf(t, "unix", t.TempDir()+"/socket")
	sent(t, server, 1)
	g.behind = true
	n, err := g.Read(make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.False(t, g.behind)
}

func gatheringPair(t *testing.T) (*gathering, net.Conn) {
	t.Helper()
	return gatheringPairOf(t, "tcp", "127.0.0.1:0")
}

func gatheringPairOf(t *testing.T, network, address string) (*gathering, net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	defer l.Close()
	c, err := gather(new(net.Dialer).DialContext)(t.Context(), network, l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	context.AfterFunc(t.Context(), func() {
		_ = c.Close()
		_ = server.Close()
	})
	return c.(*gathering), server
}

func sent(t *testing.T, c net.Conn, n int) {
	t.Helper()
	_, err := c.Write(make([]byte, n))
	require.NoError(t, err)
}

// ready is how many events the socket has, waiting for one.
func (g *gathering) ready(t *testing.T, millis int) (n int) {
	t.Helper()
	require.NoError(t, g.bell.socket.Control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, millis)
	}))
	return n
}

func (g *gathering) lowWater(t *testing.T) (bytes int) {
	t.Helper()
	require.NoError(t, g.bell.socket.Control(func(fd uintptr) {
		bytes, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT)
	}))
	return bytes
}
