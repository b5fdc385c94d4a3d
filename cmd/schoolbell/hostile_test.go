package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// Each way to misbehave costs only the one who does. Somebody else, and another page
// of the same person, stay connected and receive everything.
func TestAClientThatMisbehavesIsClosedAloneAndNobodyElseNotices(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve()
	s.ready()
	teacher, admin := s.school.Teachers[0], s.school.Admins[0]
	bystander, samePerson := s.watch(teacher), s.watch(admin)
	masked := func(head ...byte) []byte { return append(head, 0, 0, 0, 0) }
	huge := binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 1<<62)
	attacks := []struct {
		name string
		send []byte
	}{
		{"reserved bits", masked(0xf1, 0x80)},
		{"unknown opcode", masked(0x83, 0x80)},
		{"not masked", []byte{0x81, 0x02, '{', '}'}},
		{"a control frame in parts", masked(0x09, 0x80)},
		{"a control frame that is too long", append(masked(0x89, 0xfe, 0x00, 0xff), make([]byte, 255)...)},
		{"a continuation of nothing", masked(0x80, 0x80)},
		{"a frame that claims 2^62 bytes", append(masked(huge...), make([]byte, 16<<10)...)},
		{"a megabyte", append(masked(0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0), make([]byte, 1<<20)...)},
		{"a megabyte in small parts", append(masked(0x01, 0x80), bytes.Repeat(append(masked(0x00, 0xfe, 0x04, 0x00), make([]byte, 1024)...), 1024)...)},
		{"a flood of pings", bytes.Repeat(append(masked(0x81, 0x8f), `{"type":"ping"}`...), 10_000)},
		{"a flood of nothing", bytes.Repeat(masked(0x81, 0x80), 10_000)},
		{"a flood of control frames", bytes.Repeat(masked(0x89, 0x80), 10_000)},
		{"noise", bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 4096)},
	}
	for i, a := range attacks {
		code, frames := s.attack(admin.Token, a.send)
		require.Contains(t, []int{1002, 1008}, code, "%s: %q", a.name, frames)
		s.grade(i)
		s.sees(samePerson, i+1)
	}
	for _, d := range []*dashboard{bystander, samePerson} {
		d.mu.Lock()
		require.Equal(t, 1, d.welcomes, "nobody else was closed")
		d.mu.Unlock()
	}
	get(t, "http://"+s.admin+"/metrics", func(_ int, page string) bool {
		return metric(page, `schoolbell_sessions_closed_total{reason="protocol_violation"}`) == fmt.Sprint(len(attacks))
	})
	require.Zero(t, gateway.stop(5*time.Second))
}

// attack upgrades by hand, reads the welcome, sends bytes, and answers the close code
// and all that came before it. The server has to end the connection.
func (s *site) attack(token string, send []byte) (code int, frames []byte) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	require.NoError(s.t, err)
	defer conn.Close()
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(15*time.Second)))
	_, err = fmt.Fprintf(conn, "GET /ws/dashboard/?token=%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", token, s.address)
	require.NoError(s.t, err)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusSwitchingProtocols, resp.StatusCode)
	_, welcome, err := nextFrame(r)
	require.NoError(s.t, err)
	require.Contains(s.t, string(welcome), `"welcome"`)

	go func() { _, _ = conn.Write(send) }() // the server need not read it all
	for {
		opcode, payload, err := nextFrame(r)
		if err != nil {
			return code, frames
		}
		if opcode == 8 && len(payload) >= 2 {
			return int(binary.BigEndian.Uint16(payload)), frames
		}
		frames = append(append(frames, payload...), '\n')
	}
}

// nextFrame reads one of the server's frames.
func nextFrame(r io.Reader) (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	switch n {
	case 126:
		var long uint16
		err = binary.Read(r, binary.BigEndian, &long)
		n = uint64(long)
	case 127:
		err = binary.Read(r, binary.BigEndian, &n)
	}
	if err != nil || n > 1<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes: %w", n, err)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0] & 0x0f, payload, err
}

// A client that talks nonsense, but politely, is let be.
func TestWordsThatMeanNothingAreIgnored(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve()
	s.ready()
	conn := s.dial(s.school.Teachers[0])
	for _, words := range []string{"", "hello", "{", "null", "[]", `{"type":7}`, `{"type":"subscribe","group":"dashboard_metrics"}`, "\xff\xfe"} {
		require.NoError(t, conn.Write(t.Context(), websocket.MessageBinary, []byte(words)))
	}
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
	for {
		_, data, err := conn.Read(t.Context())
		require.NoError(t, err)
		if bytes.Contains(data, []byte(`"type":"pong"`)) {
			return
		}
	}
}
