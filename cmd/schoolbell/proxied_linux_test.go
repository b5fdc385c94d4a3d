package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// A proxyThatSignsIn is a reverse proxy before the gateway, with a single sign-on whose
// cookie is just somebody's name. It has an address of its own, as it would have in a
// network; every other address of the loopback is a stranger.
type proxyThatSignsIn struct{ *httptest.Server }

const proxyAddress = "127.0.0.2"

func (s *site) proxyThatSignsIn() proxyThatSignsIn {
	s.t.Helper()
	gateway, err := url.Parse(s.base())
	require.NoError(s.t, err)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(proxyAddress)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	p := proxyThatSignsIn{httptest.NewServer(&httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(gateway)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			r.Out.Header.Del("Remote-User")
			if c, err := r.In.Cookie("sso"); err == nil {
				r.Out.Header.Set("Remote-User", c.Value)
			}
		},
	})}
	s.t.Cleanup(p.Close)
	s.t.Cleanup(transport.CloseIdleConnections)
	return p
}

// Promise: whom a listed proxy names is in, and nobody else can name anybody.
func TestOnlyAListedProxyCanNameWhoIsAsking(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve("--proxy-user-header", "Remote-User", "--proxy-user-networks", proxyAddress, "--trusted-proxies", proxyAddress,
		"--session-secret", lmsSecret)
	s.ready()
	proxy := s.proxyThatSignsIn()
	ada, tom, student := s.school.Admins[0], s.school.Teachers[0], s.school.Students[0]
	sso := func(p school.Person) string { return fmt.Sprintf("sso=%d", p.ID) }
	named := func(p school.Person) string { return fmt.Sprint(p.ID) }

	s.requireStatus(200, isUser(ada), proxy.URL, "Cookie", sso(ada))
	s.requireStatus(200, isUser(tom), proxy.URL, "Cookie", sso(tom), "Remote-User", named(ada))
	s.requireStatus(401, "unauthenticated", proxy.URL, "Remote-User", named(ada))
	s.requireStatus(401, "unauthenticated", proxy.URL, "Cookie", "sso=999999")
	s.requireStatus(401, "unauthenticated", proxy.URL, "Cookie", "sso=")
	s.requireStatus(403, "role_not_allowed", proxy.URL, "Cookie", sso(student))
	s.requireStatus(200, isUser(tom), proxy.URL, "Cookie", sso(ada), "Authorization", "Token "+tom.Token)
	s.requireStatus(401, "unauthenticated", proxy.URL, "Cookie", sso(ada), "Authorization", "Token wrong")
	s.requireStatus(200, isUser(ada), proxy.URL, "Cookie", sso(ada)+"; sessionid=ended")

	for _, forged := range [][]string{
		{"Remote-User", named(ada)},
		{"Remote-User", named(ada), "X-Forwarded-For", proxyAddress},
		{"Remote-User", named(ada), "Forwarded", "for=" + proxyAddress, "X-Real-IP", proxyAddress, "Via", "1.1 " + proxyAddress},
		{"Remote-User", named(ada), "Remote-User", named(ada)},
	} {
		s.requireStatus(401, "unauthenticated", s.base(), forged...)
		s.requireStatus(200, isUser(tom), s.base(), append(forged, "Authorization", "Token "+tom.Token)...)
		s.requireStatus(200, isUser(tom), s.base(), append(forged, "Cookie", "sessionid="+s.login(tom, time.Hour))...)
	}

	// The browser sends the cookie of the single sign-on along, whichever page asks.
	for origin, allowed := range map[string]bool{proxy.URL: true, "https://evil.example": false, "null": false} {
		conn, answer, err := websocket.Dial(t.Context(), proxy.URL+"/ws/dashboard/", &websocket.DialOptions{
			HTTPHeader: http.Header{"Cookie": {sso(ada)}, "Origin": {origin}},
		})
		if !allowed {
			require.Error(t, err)
			require.Equal(t, 403, answer.StatusCode, origin)
			s.requireStatus(403, "origin_not_allowed", proxy.URL, "Cookie", sso(ada), "Origin", origin)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, conn.CloseNow())
	}
	s.requireStatus(200, isUser(ada), s.base(), "Authorization", "Token "+ada.Token)
}

// Promise: what the LMS's log says of an account holds for whom a proxy named as well.
func TestWhomAProxyNamedIsSentAwayWithTheirAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve("--proxy-user-header", "Remote-User", "--proxy-user-networks", proxyAddress, "--proxy-user-by", "email")
	s.ready()
	proxy := s.proxyThatSignsIn()
	tom, tina := s.school.Teachers[0], s.school.Tutors[0]
	s.exec(`UPDATE accounts_user SET email = 'Tom@school.example' WHERE id = $1`, tom.ID)
	s.exec(`UPDATE accounts_user SET email = 'tina@school.example' WHERE id = $1`, tina.ID)
	await := func(status int, email string) {
		t.Helper()
		var got int
		for range 1200 {
			if got, _ = s.statusAt(proxy.URL, "Cookie", "sso="+email); got == status {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		require.Equal(t, status, got, email)
	}
	await(200, "tina@school.example")
	s.requireStatus(200, isUser(tom), proxy.URL, "Cookie", "sso=tom@school.example")
	s.requireStatus(401, "unauthenticated", proxy.URL, "Cookie", fmt.Sprintf("sso=%d", tom.ID))

	conn, _, err := websocket.Dial(t.Context(), proxy.URL+"/ws/dashboard/", &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {"sso=tom@school.example"}, "Origin": {proxy.URL}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	require.Equal(t, "tom", strings.ToLower(s.nextOf(conn, "welcome")["user_email"].(string))[:3])

	// Somebody else takes the name: it is nobody's then. Who left does not count.
	s.exec(`UPDATE accounts_user SET email = 'TOM@school.example' WHERE id = $1`, tina.ID)
	await(401, "tom@school.example")
	require.Contains(t, gateway.text(), "the proxy names somebody by an e-mail that is not exactly one active account's")
	s.exec(`UPDATE accounts_user SET is_active = false WHERE id = $1`, tina.ID)
	await(200, "tom@school.example")

	s.exec(`UPDATE accounts_user SET is_active = false WHERE id = $1`, tom.ID)
	requireRevoked(t, conn, time.Minute)
	await(401, "tom@school.example")
	require.Contains(t, get(t, "http://"+s.admin+"/metrics", ready), `schoolbell_sign_ins_total{way="proxy"} 1`)
}

func TestMistakesOfTheSettingsForTheProxysHeaderAreOneSentence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--proxy-user-header", "Remote-User"}, "the header Remote-User names people, and no network of a proxy is listed that may send it (proxy_user_networks); fix: list the proxy's address"},
		{[]string{"--proxy-user-networks", "127.0.0.1"}, "proxy_user_networks or proxy_user_by is set and proxy_user_header is not, so no proxy could name anybody; fix: set proxy_user_header, or leave them out"},
		{[]string{"--proxy-user-by", "email"}, "proxy_user_header is not"},
		{[]string{"--proxy-user-header", "Remote-User", "--proxy-user-networks", "0.0.0.0/0"}, "anybody could be anybody"},
		{[]string{"--proxy-user-header", "Cookie", "--proxy-user-networks", "127.0.0.1"}, "the clients' own"},
		{[]string{"--proxy-user-by", "name"}, `--proxy-user-by: proxy_user_by is "name", want one of id, email`},
	} {
		code, out := schoolbell(t, append([]string{"serve", "--database", dsn, "--data", t.TempDir()}, c.args...)...)
		require.Equal(t, 2, code, out)
		require.Contains(t, lastLine(out), c.want)
	}
}
