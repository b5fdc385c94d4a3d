package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/lacking"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// A front is a real reverse proxy with TLS before the gateway, with the configuration
// that we give away as an example.
type front struct {
	*site
	address string
	trust   *tls.Config
	log     string // its file
}

// example is a file of deploy/ with other values in place of its own, each of which it has.
func example(t *testing.T, path string, pairs ...string) string {
	t.Helper()
	text := read(t, path)
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, text, pairs[i])
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// silence is what the proxies wait for at most in the tests, and beat what passes by then
// if somebody lives: a third of it or less, as with the defaults.
const (
	silence = "6s"
	beat    = "1s"
	beats   = 8 // longer than the silence
)

// nginx starts one of its own, in a folder of its own.
func (s *site) nginx(t *testing.T, dir string, cert Config) front {
	t.Helper()
	program := lacking.Program(t, "nginx", "nginx")
	f := front{site: s, address: freePort(t), log: filepath.Join(dir, "access.log")}
	conf := example(t, "deploy/nginx/schoolbell.conf",
		"listen 443 ssl http2;", "listen "+f.address+" ssl http2;", "\tlisten [::]:443 ssl http2;\n", "",
		"server 127.0.0.1:8080;", "server "+s.address+";",
		"/etc/ssl/certs/live.example.org.pem", cert.TLSCertificate, "/etc/ssl/private/live.example.org.key", cert.TLSKey,
		"/var/log/nginx/schoolbell.log", f.log, "timeout 90s;", "timeout "+silence+";")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "schoolbell.conf"), []byte(conf), 0o600))
	// One process, and no folder of the system's.
	main := "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr info;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += kind + "_temp_path " + kind + ";\n"
	}
	path := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(main+"include schoolbell.conf;\n}\n"), 0o600))
	startPrepared(t, &process{t: t, program: program, args: []string{"-e", "stderr", "-p", dir, "-c", path}})
	return f
}

// caddy starts one of its own, with a certificate that is there instead of one to be got.
func (s *site) caddy(t *testing.T, dir string, cert Config) front {
	t.Helper()
	program := lacking.Program(t, "caddy", "caddy")
	f := front{site: s, address: freePort(t), log: filepath.Join(dir, "access.log")}
	conf := "{\n\tadmin off\n\tauto_https off\n}\n" + example(t, "deploy/caddy/Caddyfile",
		"\nlive.example.org {", "\nhttps://"+f.address+" {\n\ttls "+cert.TLSCertificate+" "+cert.TLSKey,
		"reverse_proxy 127.0.0.1:8080", "reverse_proxy "+s.address, "/var/log/caddy/schoolbell.log", f.log)
	path := filepath.Join(dir, "Caddyfile")
	require.NoError(t, os.WriteFile(path, []byte(conf), 0o600))
	startPrepared(t, &process{
		t: t, program: program, args: []string{"run", "--config", path},
		env: []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir},
	})
	return f
}

// from is a browser at an address, which speaks HTTP/2 or only what WebSockets can.
func (f front) from(t *testing.T, address string, http2 bool) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: f.trust.Clone(), ForceAttemptHTTP2: http2}
	if !http2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends one request of a person's.
func (f front) ask(t *testing.T, client *http.Client, path string, p school.Person, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+f.address+path, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Token "+p.Token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// socket opens a WebSocket of the page that the proxy shows.
func (f front) socket(t *testing.T, address string, p school.Person, headers ...string) (*websocket.Conn, int) {
	t.Helper()
	header := http.Header{"Origin": {"https://" + f.address}}
	for i := 0; i < len(headers); i += 2 {
		header.Add(headers[i], headers[i+1])
	}
	conn, resp, err := websocket.Dial(t.Context(), "wss://"+f.address+"/ws/dashboard/?token="+p.Token,
		&websocket.DialOptions{HTTPClient: f.from(t, address, false), HTTPHeader: header})
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	require.NotNil(t, resp, "%v", err)
	return conn, resp.StatusCode
}

// typed is a message as far as these tests read it.
type typed struct {
	Type  string
	Grade int
}

// next reads up to the next message of a kind from a socket, and answers pings.
func next(t *testing.T, conn *websocket.Conn, kind string) typed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, body, err := conn.Read(ctx)
		require.NoError(t, err, "until %s", kind)
		var m typed
		require.NoError(t, json.Unmarshal(body, &m))
		if m.Type == "ping" {
			require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`)))
		}
		if m.Type == kind {
			return m
		}
	}
}

// nextLine reads up to the next message of a kind from a stream.
func nextLine(t *testing.T, stream *bufio.Scanner, kind string) typed {
	t.Helper()
	for stream.Scan() {
		if body, ok := bytes.CutPrefix(stream.Bytes(), []byte("data: ")); ok {
			var m typed
			require.NoError(t, json.Unmarshal(body, &m))
			if m.Type == kind {
				return m
			}
		}
	}
	require.NoError(t, stream.Err())
	t.Fatalf("the stream ended before the next %s", kind)
	return typed{}
}

func TestTheExamplesOfReverseProxiesPassEverythingOnAtOnce(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*site, *testing.T, string, Config) front{"nginx": (*site).nginx, "caddy": (*site).caddy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.serve("--heartbeat", beat, "--metrics-interval", "10m", "--trusted-proxies", "127.0.0.1", "--max-sessions-per-address", "3")
			s.ready()
			dir := t.TempDir()
			p := newPair(t, time.Now().Add(time.Hour))
			f := start(s, t, dir, p.in(t, dir))
			f.trust = p.client(true).Transport.(*http.Transport).TLSClientConfig
			require.Eventually(t, func() bool {
				conn, err := net.Dial("tcp", f.address)
				if err == nil {
					_ = conn.Close()
				}
				return err == nil
			}, time.Minute, 10*time.Millisecond)
			f.passes(t)
		})
	}
}

func (f front) passes(t *testing.T) {
	const here, there = "127.0.0.9", "127.0.0.10"
	ada := f.school.Admins[0]
	browser := f.from(t, here, true)

	answer := f.ask(t, browser, "/api/session", ada, "Cookie", "lms="+strings.Repeat("x", 12<<10))
	require.Equal(t, http.StatusOK, answer.StatusCode, "with the cookies of a large LMS")
	require.Equal(t, 2, answer.ProtoMajor)
	for _, inside := range []string{"/healthz", "/readyz"} {
		require.Equal(t, http.StatusNotFound, f.ask(t, browser, inside, ada).StatusCode, inside)
	}

	// Events come while the next one is not there yet: nothing is gathered.
	answer = f.ask(t, browser, "/sse/dashboard/", ada)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, 2, answer.ProtoMajor)
	stream := bufio.NewScanner(answer.Body)
	cut := time.AfterFunc(2*time.Minute, func() { _ = answer.Body.Close() }) // a proxy that gathers would keep us waiting
	defer cut.Stop()
	nextLine(t, stream, "welcome")
	conn, status := f.socket(t, here, ada)
	require.Equal(t, http.StatusSwitchingProtocols, status)
	next(t, conn, "welcome")
	for mark := 71; mark < 74; mark++ {
		f.grade(mark)
		require.Equal(t, typed{"grade", mark}, next(t, conn, "grade"))
		require.Equal(t, typed{"grade", mark}, nextLine(t, stream, "grade"))
	}

	// They count for the address that they come from, whatever they say themselves.
	_, status = f.socket(t, here, ada)
	require.Equal(t, http.StatusSwitchingProtocols, status)
	_, status = f.socket(t, here, ada)
	require.Equal(t, http.StatusTooManyRequests, status)
	_, status = f.socket(t, here, ada, "X-Forwarded-For", there)
	require.Equal(t, http.StatusTooManyRequests, status)
	_, status = f.socket(t, there, ada)
	require.Equal(t, http.StatusSwitchingProtocols, status)

	// With nothing but heartbeats for longer than the proxy waits, they stay.
	for range beats {
		next(t, conn, "ping")
		nextLine(t, stream, "ping")
	}
	f.grade(74)
	require.Equal(t, typed{"grade", 74}, next(t, conn, "grade"))
	require.Equal(t, typed{"grade", 74}, nextLine(t, stream, "grade"))

	// The proxy's log says who came, and no credential.
	_ = conn.Close(websocket.StatusNormalClosure, "")
	require.Eventually(t, func() bool {
		log, err := os.ReadFile(f.log)
		return err == nil && bytes.Contains(log, []byte("/ws/dashboard/")) && bytes.Contains(log, []byte(here))
	}, time.Minute, 10*time.Millisecond)
	log, err := os.ReadFile(f.log)
	require.NoError(t, err)
	require.NotContains(t, string(log), ada.Token, fmt.Sprintf("the log of %s", f.log))
}
