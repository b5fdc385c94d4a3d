package wsserver_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
)

// raw is a client that writes bytes.
type raw struct {
	net.Conn
	in *bufio.Reader
	t  testing.TB
}

const upgradeHeader = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// raw dials; more is sent in the same packet as the handshake.
func (g *gateway) raw(t testing.TB, who int, more string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.http.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = fmt.Fprintf(conn, "GET /ws/dashboard/?token=t-%d HTTP/1.1\r\nHost: gateway\r\n%s%s", who, upgradeHeader, more)
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, answer.StatusCode)
	return &raw{conn, in, t}
}

// frame reads one frame; io.EOF when the connection is over.
func (r *raw) frame() (op byte, body []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return 0, nil, err
	}
	size := int(head[1])
	if size == 126 {
		long := make([]byte, 2)
		if _, err := io.ReadFull(r.in, long); err != nil {
			return 0, nil, err
		}
		size = int(binary.BigEndian.Uint16(long))
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r.in, body)
	return head[0] & 0xf, body, err
}

// masked is a client's frame with the mask 0.
func masked(head byte, body string) string {
	return string([]byte{head, 0x80 | byte(len(body)), 0, 0, 0, 0}) + body
}

func TestMalformedFramesCloseThatClientOnly(t *testing.T) {
	tests := map[string]string{
		"a frame without a mask":              "\x81\x02hi",
		"reserved bits":                       masked(0xc1, "hi"),
		"an unknown opcode":                   masked(0x83, "hi"),
		"an unknown control opcode":           masked(0x8b, "hi"),
		"a continuation of nothing":           masked(0x80, "hi"),
		"a message within a message":          masked(0x01, "a") + masked(0x81, "b"),
		"a control frame in pieces":           masked(0x09, "a"),
		"a control frame that is too long":    "\x89\xfe\x00\x80\x00\x00\x00\x00" + strings.Repeat("x", 128),
		"a close frame of one byte":           masked(0x88, "x"),
		"a close frame with a forbidden code": masked(0x88, "\x03\xed"),
		"a negative length":                   "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
		"a length of 4 GB":                    "\x81\xff\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("x", 16384),
		"endless empty fragments":             masked(0x01, "") + strings.Repeat(masked(0x00, ""), 40_000),
		"a flood of ping frames":              strings.Repeat(masked(0x89, "x"), 200),
	}
	g := start(t, wsserver.Config{}, nil)
	bystander := g.enter(t, ada, "")
	n := 0
	for name, bytes := range tests {
		t.Run(name, func(t *testing.T) {
			r := g.raw(t, tom, "")
			_, welcome, err := r.frame()
			require.NoError(t, err)
			require.Contains(t, string(welcome), `"type":"welcome"`)
			go func() { _, _ = io.WriteString(r, bytes) }()
			var ops []byte
			var disconnect, last string
			for {
				op, body, err := r.frame()
				if err != nil {
					break
				}
				if op != 0xa { // pongs may come before the flood is noticed
					ops = append(ops, op)
				}
				disconnect, last = last, string(body)
				if op == 8 {
					break
				}
			}
			require.NoError(t, r.Close())
			require.Equal(t, []byte{1, 8}, ops, "disconnect, close")
			require.Contains(t, disconnect, `"reason":"protocol_violation"`)
			require.Equal(t, "\x03\xf0protocol_violation", last, "code 1008")
			n++
			g.tally.await("closed for protocol_violation", n)
			g.commit(1, true)
			bystander.until("grade")
		})
	}
}

func TestAPingFrameIsAnsweredAmongEvents(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	r := g.raw(t, tom, masked(0x89, "early")) // in the packet of the handshake
	op, _, err := r.frame()
	require.NoError(t, err)
	require.EqualValues(t, 1, op)
	op, body, err := r.frame()
	require.NoError(t, err)
	require.EqualValues(t, 0xa, op)
	require.Equal(t, "early", string(body))
}

func TestACloseFrameIsAnsweredWithItsCode(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	for sent, want := range map[string]string{"": "\x03\xe8", "\x0b\xb8bye": "\x0b\xb8"} {
		r := g.raw(t, tom, "")
		_, _, err := r.frame() // welcome: a close that came before it would be answered first
		require.NoError(t, err)
		_, err = io.WriteString(r, masked(0x88, sent))
		require.NoError(t, err)
		op, body, err := r.frame()
		require.NoError(t, err)
		require.EqualValues(t, 8, op)
		require.Equal(t, want, string(body))
		_, _, err = r.frame()
		require.ErrorIs(t, err, io.EOF)
	}
	g.tally.await("closed for client_closed", 2)
}

func TestAConnectionThatBreaksIsForgotten(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	r := g.raw(t, tom, "")
	require.NoError(t, r.Close())
	g.tally.await("closed for connection_lost", 1)
	require.Zero(t, g.Sessions())
	require.Zero(t, g.router.Stats().Subscriptions)
}
