package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// transactions is how many have ended in the school's database: each question about
// credentials is one. Those who asked are sent away first, for then they tell.
func (s *site) transactions() int {
	s.t.Helper()
	const asking = `FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'schoolbell-auth'`
	s.exec(`SELECT pg_terminate_backend(pid) ` + asking)
	require.Eventually(s.t, func() bool { return s.ask(`SELECT count(*)::text `+asking) == "0" }, time.Minute, 10*time.Millisecond)
	n, err := strconv.Atoi(s.ask(`SELECT (xact_commit + xact_rollback)::text FROM pg_stat_database WHERE datname = current_database()`))
	require.NoError(s.t, err)
	return n
}

// The address is that of a school: one of its machines shows one bad token after the
// other, meanwhile two hundred people sign in for the first time. Nothing but the limits
// on bad credentials is in force: the rate of the address, which 10,000 a minute would
// stay below, is lifted, as they come in seconds.
func TestTenThousandBadTokensCostTheDatabaseFewQuestionsAndTheirNeighboursNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`INSERT INTO accounts_user (id, email, is_superuser, is_staff, date_joined, first_name, last_name, role, is_active)
		SELECT 10000 + i, 'n' || i || '@school.example', false, false, now(), 'N', 'N', 'teacher', true FROM generate_series(1, 200) i`)
	s.exec(`INSERT INTO authtoken_token (key, user_id, created) SELECT 'neighbour-' || i, 10000 + i, now() FROM generate_series(1, 200) i`)
	s.serve("--handshakes-per-address", "1000000")
	s.ready()
	other := s.watch(s.school.Admins[0])
	before, began := s.transactions(), time.Now()

	const bad = 10_000
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 300}}
	t.Cleanup(client.CloseIdleConnections)
	next := make(chan int)
	outcomes := make(chan int, bad)
	var hammering sync.WaitGroup
	for range 300 {
		hammering.Go(func() {
			for range next {
				resp, err := client.Get(s.base() + "/api/session?token=" + hex.EncodeToString(noise(20)))
				if err != nil {
					outcomes <- 0
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				outcomes <- resp.StatusCode
			}
		})
	}
	type entry struct {
		took time.Duration
		err  error
	}
	entries := make(chan entry, 200)
	var entering sync.WaitGroup
	for i := range bad {
		next <- i
		if n := i - bad/4; n >= 0 && n%25 == 0 && n/25 < 200 {
			entering.Go(func() {
				asked := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				conn, _, err := websocket.Dial(ctx, s.base()+fmt.Sprintf("/ws/dashboard/?token=neighbour-%d", n/25+1), nil)
				entries <- entry{time.Since(asked), err}
				if err == nil {
					_ = conn.CloseNow()
				}
			})
		}
	}
	close(next)
	hammering.Wait()
	entering.Wait()
	close(entries)
	var slowest time.Duration
	for e := range entries {
		require.NoError(t, e.err)
		slowest = max(slowest, e.took)
	}
	took := time.Since(began)
	close(outcomes)
	for status := range outcomes {
		require.Equal(t, http.StatusUnauthorized, status)
	}
	s.grade(71)
	s.sees(other, 1)
	require.Equal(t, 1, other.welcomes)

	// 100 at once, 100 a minute, and ten together a second; 50 are the gateway's own, ours,
	// and the server's.
	most := 100 + int(math.Ceil(took.Minutes()*100)) + int(took/auth.GatherFor) + 50
	var asked int
	require.Eventually(t, func() bool { // before PostgreSQL 15 what they tell takes a moment
		asked = s.transactions() - before
		return asked > 100
	}, time.Minute, time.Second)
	t.Logf("%d bad tokens within %v, and 200 people who signed in, the slowest in %v: %d transactions of the database, %d allowed",
		bad, took.Round(time.Millisecond), slowest.Round(time.Millisecond), asked, most)
	require.LessOrEqual(t, asked, most)
	require.Less(t, asked, bad/10)
	page := get(t, "http://"+s.admin+"/metrics", ready)
	gathered, err := strconv.Atoi(metric(page, "schoolbell_gathered_sign_ins_total"))
	require.NoError(t, err)
	require.Greater(t, gathered, bad/2)
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Who is slow or large before being let in costs a connection for a few seconds, and is
// not waited for.
func TestASlowOrLargeHandshakeIsCutShort(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := newPair(t, time.Now().Add(time.Hour))
	cfg := p.in(t, t.TempDir())
	s.serve()
	s.ready()
	sealed := newSite(t)
	sealed.serve("--tls-certificate", cfg.TLSCertificate, "--tls-key", cfg.TLSKey)
	get(t, "http://"+sealed.admin+"/metrics", func(_ int, page string) bool { return metric(page, "schoolbell_ready") == "1" })

	const head = "GET /ws/dashboard/ HTTP/1.1\r\nHost: x\r\n"
	for _, tt := range []struct {
		name, address, send, drip string
		status                    int
		atLeast, atMost           time.Duration
	}{
		{"nothing", s.address, "", "", 0, 4 * time.Second, 9 * time.Second},
		{"half a header", s.address, head, "", 0, 4 * time.Second, 9 * time.Second},
		{"a header by drops", s.address, head + "X: ", "x", 0, 4 * time.Second, 9 * time.Second},
		{"no TLS handshake", sealed.address, "", "", 0, 4 * time.Second, 9 * time.Second},
		{"half a TLS handshake", sealed.address, "\x16\x03\x01\x02\x00", "\x00", 0, 4 * time.Second, 9 * time.Second},
		{"a header of a megabyte", s.address, head + "X: " + strings.Repeat("x", 1<<20), "", 431, 0, 4 * time.Second},
		{"a line of a megabyte", s.address, "GET /" + strings.Repeat("x", 1<<20), "", 431, 0, 4 * time.Second},
		{"ten thousand headers", s.address, head + strings.Repeat("X: x\r\n", 10_000), "", 431, 0, 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			conn, err := net.Dial("tcp", tt.address)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(began.Add(30*time.Second)))
			var writing sync.WaitGroup
			defer writing.Wait()
			over := make(chan struct{})
			defer close(over)
			writing.Go(func() {
				_, err := io.WriteString(conn, tt.send) // the server need not read it all
				drop := time.NewTicker(200 * time.Millisecond)
				defer drop.Stop()
				for err == nil && tt.drip != "" {
					select {
					case <-over:
						return
					case <-drop.C:
						_, err = io.WriteString(conn, tt.drip)
					}
				}
			})
			if tt.status != 0 {
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Equal(t, tt.status, resp.StatusCode)
				_ = resp.Body.Close()
				_ = conn.Close()
			} else {
				_, err := io.Copy(io.Discard, conn)
				timeout, isNet := err.(net.Error)
				require.False(t, isNet && timeout.Timeout(), "it is still open")
			}
			require.GreaterOrEqual(t, time.Since(began), tt.atLeast)
			require.Less(t, time.Since(began), tt.atMost)
		})
	}
}

// Whatever is logged, shown or served, at the level that says most: no token, no
// password, no key.
func TestNoSecretIsInWhatTheGatewaySaysOfItself(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	role := s.role(`LOGIN REPLICATION SUPERUSER PASSWORD 'p4ssw0rd-of-the-role'`)
	database := strings.Replace(s.as(role), role+"@", role+":p4ssw0rd-of-the-role@", 1)
	require.Contains(t, database, ":p4ssw0rd-of-the-role@")
	gateway := s.serve("--database", database, "--log-level", "debug")
	s.ready()
	teacher := s.school.Teachers[0]
	s.dial(teacher)
	const bad = "b4d-t0ken"
	for _, path := range []string{
		"/ws/dashboard/?token=" + bad, "/api/session?token=" + bad, "/api/events?since=x&token=" + bad, "/nothing?token=" + bad,
		"/ws/dashboard?token=" + teacher.Token, "/api/events?token=" + teacher.Token, "/%zz?token=" + bad,
	} {
		conn, err := net.Dial("tcp", s.address)
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Token %s\r\nCookie: sessionid=%s\r\nConnection: close\r\n\r\n", path, bad, bad)
		require.NoError(t, err)
		answer, _ := io.ReadAll(conn)
		require.NotContains(t, string(answer), bad)
		_ = conn.Close()
	}
	conn, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "GET /?token=%s HTTP/1.1\r\nHost: %s %s\r\n\r\n\r\n%[1]s", bad, bad, bad) // which the HTTP server complains of
	require.NoError(t, err)
	_, _ = io.ReadAll(conn)
	_ = conn.Close()
	var pages strings.Builder
	for _, path := range []string{
		"/metrics", "/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1",
		"/debug/pprof/symbol", "/debug/pprof/cmdline", "/readyz", "/config", "/log", "/log-level",
	} {
		resp, err := http.Get("http://" + s.admin + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		_ = resp.Body.Close()
		pages.Write(body)
	}
	require.Equal(t, http.StatusNotFound, statusOf(t, "http://"+s.admin+"/debug/pprof/cmdline"), "the command line holds the password")
	s.grade(72)
	require.Zero(t, gateway.stop(5*time.Second))
	require.Contains(t, gateway.text(), `"level":"DEBUG"`)
	require.Contains(t, gateway.text(), `"path":"/ws/dashboard/"`)
	for _, secret := range []string{bad, teacher.Token, "p4ssw0rd"} {
		require.NotContains(t, gateway.text(), secret)
		require.NotContains(t, pages.String(), secret)
	}
}

func TestOnlyTheConfiguredPagesMayFrameTheDashboardAndNothingFramesTheRest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve("--frame-ancestors", "self,https://lms.example.org")
	s.ready()
	for path, want := range map[string]string{
		"/": "frame-ancestors 'self' https://lms.example.org", "/app.js": "frame-ancestors 'self' https://lms.example.org",
		"/api/session": "frame-ancestors 'none'", "/api/events": "frame-ancestors 'none'", "/healthz": "frame-ancestors 'none'",
		"/nothing": "frame-ancestors 'none'", "/ws/dashboard/": "frame-ancestors 'none'",
	} {
		resp, err := http.Get(s.base() + path)
		require.NoError(t, err)
		_ = resp.Body.Close()
		csp := resp.Header.Get("Content-Security-Policy")
		require.True(t, strings.HasPrefix(csp, "default-src 'none'; "), "%s: %s", path, csp)
		require.True(t, strings.HasSuffix(csp, "; "+want), "%s: %s", path, csp)
		require.NotContains(t, csp, "unsafe")
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-referrer", resp.Header.Get("Referrer-Policy"), path)
		policy := "same-origin"
		if path == "/app.js" { // it is public, as the client is, which a page of the LMS may import
			policy = "cross-origin"
		}
		require.Equal(t, policy, resp.Header.Get("Cross-Origin-Resource-Policy"), path)
	}
}
