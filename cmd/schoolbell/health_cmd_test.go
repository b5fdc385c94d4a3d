package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// runHealth runs the command in this process, with what a gateway is configured by.
func runHealth(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	cmd := newRootCmd()
	cmd.SetArgs(append([]string{"health"}, args...))
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// answers is a gateway that lives, and says this to whoever asks whether it is ready.
func answers(t *testing.T, sealed bool, status int, body string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"ok"}`)) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	server := httptest.NewUnstartedServer(mux)
	if sealed {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestHealthSaysInOneSentenceHowAGatewayIs(t *testing.T) {
	well := answers(t, false, 200, `{"ready":true,"checks":{"stream":{"ok":true}}}`)
	away := answers(t, false, 503, `{"ready":false,"checks":{"stream":{"ok":false,"detail":"the server is away"},"accepting":{"ok":true},"sign_in":{"ok":false,"detail":"no keys"}}}`)
	other := answers(t, false, 502, `<html>Bad Gateway</html>`)
	sealed := answers(t, true, 200, `{"ready":true,"checks":{}}`)
	_, port, err := net.SplitHostPort(well)
	require.NoError(t, err)
	nobody := freePort(t)
	file := filepath.Join(t.TempDir(), "schoolbell.yaml")
	require.NoError(t, os.WriteFile(file, []byte("listen: "+away+"\n"), 0o600))

	for _, tt := range []struct {
		name string
		args []string
		says string
		code int
	}{
		{"lives", []string{"--listen", well}, "alive\n", 0},
		{"serves", []string{"--listen", well, "--ready"}, "ready\n", 0},
		{"every interface", []string{"--listen", ":" + port}, "alive\n", 0},
		{"every interface, in numbers", []string{"--listen", "0.0.0.0:" + port}, "alive\n", 0},
		{"every interface, in IPv6", []string{"--listen", "[::]:" + port}, "alive\n", 0},
		{"lives, and does not serve", []string{"--listen", away}, "alive\n", 0},
		{"does not serve", []string{"--listen", away, "--ready"}, "not ready: sign_in: no keys. stream: the server is away", 1},
		{"does not serve, by the file", []string{"--config", file, "--ready"}, "not ready: sign_in: no keys. stream: the server is away", 1},
		{"a certificate", []string{"--listen", sealed, "--tls-certificate", "any", "--ready"}, "ready\n", 0},
		{"another machine", []string{"--url", "http://" + well, "--ready"}, "ready\n", 0},
		{"another machine, below a folder", []string{"--url", "http://" + well + "/"}, "alive\n", 0},
		{"no gateway behind a proxy", []string{"--url", "http://" + other, "--ready"}, "not ready: http://" + other + "/readyz answers 502 Bad Gateway", 1},
		{"another machine's certificate", []string{"--url", "https://" + sealed}, "tls: failed to verify certificate", 1},
		{
			"nobody", []string{"--listen", nobody},
			"no gateway answers at http://" + nobody + "/healthz: dial tcp " + nobody + ": connect: connection refused; fix: start schoolbell serve, or name its address by --url", 1,
		},
		{"no address", []string{"--url", "live.example.org"}, `--url is "live.example.org", want an address like https://live.example.org`, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := runHealth(t, tt.args...)
			require.Equal(t, tt.code, exitCode(err), "%v", err)
			if tt.code == 0 {
				require.Equal(t, tt.says, out)
				return
			}
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "\n")
			require.Empty(t, out)
		})
	}
}

// What does not move any more says so itself.
func TestHealthSaysWhatIsStuck(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":"stuck","detail":"a part of the gateway has not moved for 31s"}`))
	}))
	t.Cleanup(server.Close)
	_, err := runHealth(t, "--url", server.URL)
	require.EqualError(t, err, "not alive: a part of the gateway has not moved for 31s")
	require.Equal(t, 1, exitCode(err))
}

// A gateway that hangs is not alive.
func TestHealthWaitsNoLongerThanItIsTold(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	_, err := runHealth(t, "--url", server.URL, "--timeout", "100ms")
	require.Equal(t, 1, exitCode(err))
	require.ErrorContains(t, err, "no answer in time")
	require.NotErrorIs(t, err, context.Canceled)
	<-asked
}
