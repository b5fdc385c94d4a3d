package wsserver_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
)

// crowd connects n raw clients that never send; what they hold is a socket each.
func (g *gateway) crowd(b *testing.B, n int, read bool) {
	for range n {
		r := g.raw(b, tom, "")
		if read {
			go func() { _, _ = io.Copy(io.Discard, r.in) }()
		}
	}
	g.tally.await("sent welcome", n)
}

// BenchmarkIdleMemoryPerSocket holds 5,000 sockets whose clients live in a child
// process, and reports what the server's process holds for each: heap, stacks
// and the runtime's own, after a collection.
func BenchmarkIdleMemoryPerSocket(b *testing.B) {
	benchmarkIdleMemory(b, "/ws/dashboard/", upgradeHeader)
}

// BenchmarkIdleMemoryPerStream is the same with Server-Sent Events.
func BenchmarkIdleMemoryPerStream(b *testing.B) {
	benchmarkIdleMemory(b, "/sse/dashboard/", "\r\n")
}

func benchmarkIdleMemory(b *testing.B, path, header string) {
	const sockets = 5000
	if address := os.Getenv("SCHOOLBELL_BENCH_CLIENT"); address != "" {
		holdSockets(b, address, sockets, path, header)
		return
	}
	g := start(b, wsserver.Config{MaxPerPerson: sockets, MaxPerAddress: sockets, HandshakeRate: sockets}, nil)
	before := held()
	child := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^"+b.Name()+"$", "-test.benchtime=1x")
	child.Env = append(os.Environ(), "SCHOOLBELL_BENCH_CLIENT="+g.http.Listener.Addr().String())
	stdin, err := child.StdinPipe()
	require.NoError(b, err)
	require.NoError(b, child.Start())
	g.tally.await("sent welcome", sockets)
	g.commit(1, false, tom)
	g.tally.await("sent grade", sockets)
	require.Equal(b, sockets, g.Sessions())
	b.ReportMetric(float64(held()-before)/sockets/1024, "KB/socket")
	b.ReportMetric(0, "ns/op")
	require.NoError(b, stdin.Close())
	require.NoError(b, child.Wait())
}

// held is the memory that the process uses now, in bytes.
func held() uint64 {
	for range 3 { // stacks shrink by half in each
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse + m.MSpanInuse + m.MCacheInuse + m.GCSys + m.OtherSys
}

func holdSockets(b *testing.B, address string, n int, path, header string) {
	for range n {
		conn, err := net.Dial("tcp", address)
		require.NoError(b, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "GET %s?token=t-%d HTTP/1.1\r\nHost: gateway\r\n%s", path, tom, header)
		require.NoError(b, err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// BenchmarkOneEventTo1000Sockets is the time from publishing one event until it
// has been written to the last of 1,000 sockets.
func BenchmarkOneEventTo1000Sockets(b *testing.B) {
	const sockets = 1000
	g := start(b, wsserver.Config{MaxPerPerson: sockets}, nil)
	g.crowd(b, sockets, true)
	sent := 0
	for b.Loop() {
		sent += sockets
		g.commit(1, false, tom)
		g.tally.await("sent grade", sent)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(sent), "µs/delivery")
}
