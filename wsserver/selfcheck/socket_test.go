package selfcheck_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/schoolbell/schoolbell/wsserver/selfcheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers /ws/dashboard/ and gives the address.
func serve(t *testing.T, answer http.HandlerFunc) net.Addr {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/dashboard/", answer)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr()
}

func TestASocketGivesTheEchoesAmongAllThatArrives(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // is for others
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a-token" {
			w.WriteHeader(401)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for _, text := range []string{`{"type":"ping"}`, `no JSON`, `{"type":"grade","text":"x"}`, `{"type":"echo","text":"one"}`, `{"type":"echo","text":"two"}`} {
			_ = conn.Write(r.Context(), websocket.MessageText, []byte(text))
		}
		_ = conn.Close(websocket.StatusGoingAway, "")
	})
	// A listener on all interfaces is reached as one on this machine.
	port := at.(*net.TCPAddr).Port
	for _, at := range []net.Addr{at, &net.TCPAddr{IP: net.IPv6unspecified, Port: port}, &net.TCPAddr{IP: net.IPv4zero, Port: port}} {
		s := selfcheck.Socket{Listener: at, Token: "a-token", Type: "echo"}
		next, hangUp, err := s.Listen(t.Context())
		require.NoError(t, err, at)
		for _, want := range []string{"one", "two"} {
			got, err := next(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		_, err = next(t.Context())
		require.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err))
		hangUp()
	}
}

func TestASocketThatIsRefusedSaysWhy(t *testing.T) {
	own := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = w.Write([]byte(`{"error":"not_ready","detail":"stream: no PostgreSQL; fix: start it"}`))
	})
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for want, at := range map[string]net.Addr{
		"stream: no PostgreSQL; fix: start it":                          own,
		"; fix: see that nobody else listens at the address of listen":  other,
		"connect: connection refused; fix: see whether the process has": l.Addr(),
	} {
		_, _, err := selfcheck.Socket{Listener: at, Token: "a-token"}.Listen(t.Context())
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "a-token")
	}
}

func TestASocketOnWhichNothingArrivesIsLeftInTime(t *testing.T) {
	release := make(chan struct{})
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			<-release
			_ = conn.CloseNow()
		}
	})
	defer close(release)
	next, hangUp, err := selfcheck.Socket{Listener: at}.Listen(t.Context())
	require.NoError(t, err)
	defer hangUp()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = next(ctx)
	require.True(t, errors.Is(err, context.DeadlineExceeded), err)
}
