package wsserver_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// counted counts the questions about credentials.
type counted struct {
	wsserver.Authenticator
	asked atomic.Int64
	good  atomic.Bool // the token "fresh" is the teacher's now
}

func (c *counted) Authenticate(ctx context.Context, r *http.Request) (auth.Identity, error) {
	c.asked.Add(1)
	if c.good.Load() && r.URL.Query().Get("token") == "fresh" {
		return auth.Identity{User: strconv.Itoa(tom), Way: "token"}, nil
	}
	return c.Authenticator.Authenticate(ctx, r)
}

// limited is a gateway that is asked without a network, and its count of questions.
func limited(cfg wsserver.Config) (*gateway, *counted) {
	c := &counted{}
	cfg.TrustedProxies = append(cfg.TrustedProxies, netip.MustParsePrefix("192.0.2.1/32")) // httptest's
	g := build(cfg, func(d *wsserver.Deps) {
		c.Authenticator = d.Auth
		d.Auth = c
	})
	return g, c
}

// ask asks as somebody of an address, and answers the status and for how many seconds
// to wait.
func (g *gateway) ask(t *testing.T, path, token, address string) (status, wait int) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path+"?token="+token, nil)
	r.Header.Set("X-Forwarded-For", address)
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, r)
	if text := w.Header().Get("Retry-After"); text != "" {
		var err error
		wait, err = strconv.Atoi(text)
		require.NoError(t, err)
		require.Contains(t, w.Body.String(), "too_many_connections")
	}
	return w.Code, wait
}

func TestABadCredentialThatIsShownAgainAndAgainWaitsLongerAndLongerAndNobodyElseDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, asked := limited(wsserver.Config{})
		for range 5 {
			status, _ := g.ask(t, "/api/session", "stale", "198.51.100.1")
			require.Equal(t, 401, status)
		}
		for _, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
			status, _ := g.ask(t, "/api/session", "stale", "198.51.100.1")
			require.Equal(t, 401, status, "asked once more")
			before := asked.asked.Load()
			for range 500 {
				status, wait := g.ask(t, "/api/session", "stale", "198.51.100.1")
				require.Equal(t, 429, status)
				require.GreaterOrEqual(t, wait, want)
				require.LessOrEqual(t, wait, 2*want)
			}
			require.Equal(t, before, asked.asked.Load(), "this costs no question")
			status, _ = g.ask(t, "/api/session", token(tom), "198.51.100.1")
			require.Equal(t, 200, status, "somebody else at the same address")
			time.Sleep(time.Duration(want) * time.Second)
		}
		require.Equal(t, uint64(8*500), g.Limits().Limited["bad_credential"])
	})
}

func TestABadCredentialThatBecameGoodOrIsLongAgoIsForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, asked := limited(wsserver.Config{})
		bad := func(n int) {
			t.Helper()
			for range n {
				status, _ := g.ask(t, "/api/session", "fresh", "198.51.100.1")
				require.Equal(t, 401, status)
			}
		}
		bad(5)
		time.Sleep(5*time.Minute + time.Second)
		bad(5)
		asked.good.Store(true)
		status, _ := g.ask(t, "/api/session", "fresh", "198.51.100.1")
		require.Equal(t, 200, status)
		asked.good.Store(false)
		bad(6)
		status, _ = g.ask(t, "/api/session", "fresh", "198.51.100.1")
		require.Equal(t, 429, status)
	})
}

func TestADatabaseThatIsDownMakesNoCredentialABadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := limited(wsserver.Config{MaxFailures: 3})
		for range 50 {
			w := httptest.NewRecorder()
			g.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/session?token=down", nil))
			require.Equal(t, 503, w.Code)
		}
		require.Zero(t, g.Limits().Gathered)
		require.Empty(t, g.Limits().Limited)
	})
}

// The client that comes back in a loop uses up what its own credential is allowed, not
// what the address is.
func TestAClientThatConnectsInALoopIsRefusedAloneAtItsAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, asked := limited(wsserver.Config{HandshakeRate: 20, MaxPerPerson: 20})
		refused := 0
		for range 10_000 {
			status, _ := g.ask(t, "/api/session", token(tom), "198.51.100.1")
			if status == 429 {
				refused++
			}
		}
		require.Equal(t, 9_900, refused)
		require.EqualValues(t, 100, asked.asked.Load())
		status, _ := g.ask(t, "/api/session", token(ada), "198.51.100.1")
		require.Equal(t, 200, status)
		time.Sleep(time.Second)
		status, _ = g.ask(t, "/api/session", token(tom), "198.51.100.1")
		require.Equal(t, 200, status, "it gets on with time")
	})
}

func TestAnAddressMayAskSoOftenAndTheOthersDoNotNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := limited(wsserver.Config{HandshakeRate: 2})
		flood := func(address string) (let, most int) {
			for i := range 100 {
				status, wait := g.ask(t, "/api/session", fmt.Sprintf("bad-%s-%d", address, i), address)
				if status == 401 {
					let++
				}
				most = max(most, wait)
			}
			return let, most
		}
		let, wait := flood("2001:db8::1")
		require.Equal(t, 20, let)
		require.LessOrEqual(t, wait, 2)
		let, _ = flood("2001:db8::2:1")
		require.Zero(t, let, "it is the same /64")
		let, _ = flood("2001:db8:0:1::1")
		require.Equal(t, 20, let, "another one")
		status, _ := g.ask(t, "/api/session", token(tom), "198.51.100.1")
		require.Equal(t, 200, status)
		require.Equal(t, uint64(260), g.Limits().Limited["address_rate"])
	})
}

// Who has no credential is refused without a question, and uses up nothing.
func TestWhoHasNoCredentialUsesUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := limited(wsserver.Config{HandshakeRate: 2})
		for i := range 1000 {
			r := httptest.NewRequest(http.MethodGet, "/api/session", nil)
			r.Header.Set("X-Forwarded-For", "198.51.100.1")
			if i%2 == 0 {
				r.Header.Set("Cookie", "language=en") // which many have, and which signs nobody in
			}
			w := httptest.NewRecorder()
			g.Handler().ServeHTTP(w, r)
			require.Equal(t, 401, w.Code)
		}
		status, _ := g.ask(t, "/api/session", token(tom), "198.51.100.1")
		require.Equal(t, 200, status)
	})
}

func TestReadingALongHistoryIsNoHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := limited(wsserver.Config{HandshakeRate: 2, MaxPerPerson: 2})
		for range 1000 {
			status, _ := g.ask(t, "/api/events", token(tom), "198.51.100.1")
			require.Equal(t, 200, status)
		}
	})
}

func TestAnAddressHasSoManyPlacesAndOthersHaveTheirs(t *testing.T) {
	g := start(t, wsserver.Config{MaxPerAddress: 3, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, nil)
	from := func(who int, address string) (*websocket.Conn, int) {
		ws, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(who), ""), &websocket.DialOptions{
			HTTPHeader: http.Header{"X-Forwarded-For": {address}},
		})
		if err != nil {
			return nil, answer.StatusCode
		}
		t.Cleanup(func() { _ = ws.CloseNow() })
		return ws, 200
	}
	first, _ := from(tom, "198.51.100.1")
	for _, who := range []int{ada, tina} {
		_, status := from(who, "198.51.100.1")
		require.Equal(t, 200, status)
	}
	_, status := from(tom, "198.51.100.1")
	require.Equal(t, 429, status)
	require.Equal(t, uint64(1), g.Limits().Limited["address"])
	_, status = from(tom, "198.51.100.2")
	require.Equal(t, 200, status)
	require.NoError(t, first.Close(websocket.StatusNormalClosure, ""))
	g.tally.await("closed for client_closed", 1)
	_, status = from(tom, "198.51.100.1")
	require.Equal(t, 200, status, "the place is free again")
}

// Connections that say nothing are few per address. Sessions are not among them, and
// proxies that are trusted have as many as they like.
func TestConnectionsThatAreNoSessionsAreFewPerAddress(t *testing.T) {
	for _, tt := range []struct {
		name    string
		proxies []netip.Prefix
		open    int
	}{
		{"anybody", nil, 3},
		{"a proxy", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := build(wsserver.Config{MaxPerAddress: 3, TrustedProxies: tt.proxies}, nil)
			g.http = httptest.NewUnstartedServer(g.Handler())
			g.http.Config.ConnState = g.ConnState
			g.http.Start()
			t.Cleanup(g.http.Close)
			g.run(t)
			g.enter(t, tom, "")
			var conns []net.Conn
			for range 10 {
				conn, err := net.Dial("tcp", g.http.Listener.Addr().String())
				require.NoError(t, err)
				t.Cleanup(func() { _ = conn.Close() })
				conns = append(conns, conn)
			}
			open := 0
			for _, conn := range conns {
				_, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
				if err == nil {
					_, err = conn.Read(make([]byte, 1))
				}
				if err == nil {
					open++
				}
			}
			require.Equal(t, tt.open, open)
			if tt.proxies == nil {
				require.Equal(t, uint64(7), g.Limits().Limited["connections"])
			}
			require.NoError(t, conns[0].Close())
			require.Eventually(t, func() bool {
				resp, err := http.Get(g.http.URL + "/healthz")
				if err == nil {
					resp.Body.Close()
				}
				return err == nil
			}, 10*time.Second, 10*time.Millisecond, "the place is free again")
		})
	}
}
