package replication_test

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
)

func TestNoInputFromTheServerPanicsOrLosesAnything(t *testing.T) {
	s := newSchool(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	spoiler := &spoiler{random: rand.New(rand.NewPCG(seed, 0))}
	direct := s.cfg.URL
	s.cfg.URL, s.cfg.RetryAtFirst, s.cfg.RetryAtMost = spoiler.listen(t, direct), time.Millisecond, 10*time.Millisecond
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))

	spoiler.on.Store(true)
	s.cfg.URL = direct // for the writers
	stopWriters := s.writers(t, 0)
	until(t, "refused messages and cut connections", func() bool {
		all := r.Status().Reconnects
		return all[replication.Protocol] > 10 && all[replication.ServerGone] > 3
	})
	spoiler.on.Store(false)
	stopWriters()
	s.agree(t, k)
	require.Equal(t, 1, k.resets)
}

// spoiler stands between a reader and the server. While it is on it spoils one message
// of the log in each connection in a way that cannot pass for another message.
type spoiler struct {
	on     atomic.Bool
	mu     sync.Mutex
	random *rand.Rand // guarded by mu
}

func (p *spoiler) n(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.IntN(n)
}

func (p *spoiler) listen(t *testing.T, direct string) string {
	t.Helper()
	u, err := url.Parse(direct)
	require.NoError(t, err)
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.pass(client, server) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		all.Wait()
	})
	u.Host = l.Addr().String()
	return u.String()
}

func (p *spoiler) pass(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	following, left := false, p.n(30)
	for {
		header := make([]byte, 5)
		if _, err := io.ReadFull(server, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		following = following || header[0] == 'W'
		if following && p.on.Load() {
			if left--; left < 0 {
				_, _ = client.Write(p.spoil(header, body))
				if header[0] == 'd' { // let the reader find out by itself
					_, _ = io.Copy(io.Discard, server)
				}
				return
			}
		}
		if _, err := client.Write(append(header, body...)); err != nil {
			return
		}
	}
}

// spoil cuts a message in the middle of its frame, or leaves the frame whole and spoils
// what is in it.
func (p *spoiler) spoil(header, body []byte) []byte {
	switch p.n(5) {
	case 0: // the connection ends here
		cut := append(header, body...)[:p.n(len(header)+len(body))]
		header[0] = 0
		return cut[:len(cut):len(cut)]
	case 1:
		header[0] = '?' // no such message
	case 2:
		body = body[:0]
	case 3:
		body[0] = 'x' // neither data nor a keepalive
	case 4:
		body = body[:1+p.n(len(body)-1)]
	}
	binary.BigEndian.PutUint32(header[1:], uint32(len(body)+4))
	return append(header, body...)
}
