package wsserver_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
)

// The library has close frames of its own: for a malformed frame one with a code that our
// protocol does not know, for a client's close one more. None of them gets out, and a
// client that has done wrong is told why before ours.
func TestThereIsOneCloseFrameAndItIsOurs(t *testing.T) {
	tests := []struct {
		name, send string
		want       []string // all that comes after the welcome, by opcode and beginning
	}{
		{"after a malformed frame", masked(0xf1, "hi"), []string{`1 {"type":"disconnect","code":1008,`, "8 \x03\xf0protocol_violation"}},
		{"after the client's own close", masked(0x88, "\x0f\xa0so long"), []string{"8 \x0f\xa0"}},
	}
	g := start(t, wsserver.Config{MaxPerPerson: 100}, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 100 { // whether another one gets out is a race
				got := g.welcomed(t, tt.send).rest()
				require.Len(t, got, len(tt.want), "%q", got)
				for i, want := range tt.want {
					require.Equal(t, want, got[i][:len(want)])
				}
				require.Len(t, got[len(got)-1], len(tt.want[len(tt.want)-1]), "%q", got)
			}
		})
	}
}

// welcomed has read the welcome before it sends.
func (g *gateway) welcomed(t testing.TB, send string) *raw {
	t.Helper()
	r := g.raw(t, tom, "")
	_, welcome, err := r.frame()
	require.NoError(t, err)
	require.Contains(t, string(welcome), `"type":"welcome"`)
	_, err = io.WriteString(r, send)
	require.NoError(t, err)
	return r
}

// rest reads all frames until the server has closed the connection properly. Like a
// good client it ends its own side when it has read a close frame.
func (r *raw) rest() (frames []string) {
	r.t.Helper()
	for {
		op, body, err := r.frame()
		if err != nil {
			require.ErrorIs(r.t, err, io.EOF)
			return frames
		}
		if op == 8 {
			_ = r.Conn.(*net.TCPConn).CloseWrite()
		}
		frames = append(frames, string('0'+rune(op))+" "+string(body))
	}
}

// Closing over bytes that were not read resets the connection, and with it goes what the
// client's system has received and the client has not: its last words.
func TestAClientThatGoesOnSendingNonsenseIsNotResetBeforeItHasReadWhy(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	r := g.welcomed(t, masked(0xf1, "hi"))
	g.tally.await("sent disconnect", 1) // the server has said everything
	nonsense := strings.Repeat("x", 1<<20)
	for range 8 { // more than the two systems hold
		_, err := io.WriteString(r, nonsense)
		require.NoError(t, err)
	}
	got := r.rest()
	require.Len(t, got, 2)
	require.Contains(t, got[0], `"disconnect"`)
	require.Equal(t, "8 \x03\xf0protocol_violation", got[1])
}
