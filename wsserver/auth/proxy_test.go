package auth_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// from is a request from an address, with headers in pairs; several of a name stay
// several.
func from(remote string, pairs ...string) *http.Request {
	r := request("", "")
	r.RemoteAddr = remote
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Add(pairs[i], pairs[i+1])
	}
	return r
}

var proxies = auth.ProxyConfig{Header: "remote-user", Networks: []netip.Prefix{
	netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("127.0.0.2/32"),
}}

func newProxy(t testing.TB, cfg auth.ProxyConfig) *auth.Proxy {
	t.Helper()
	p, err := auth.NewProxy(cfg)
	require.NoError(t, err)
	return p
}

// Promise: a header is believed from a listed proxy, and from nobody else.
func TestOnlyTheOtherEndOfTheConnectionMayNameSomebody(t *testing.T) {
	p := newProxy(t, proxies)
	for _, remote := range []string{"10.1.2.3:4711", "[2001:db8::1]:1", "127.0.0.2:1", "[::ffff:10.1.2.3]:1"} {
		id, err := p.Authenticate(t.Context(), from(remote, "Remote-User", "7"))
		require.NoError(t, err, remote)
		require.Equal(t, "7", id.User)
		require.Equal(t, "proxy", id.Way)
		require.Zero(t, id.Expires)
	}
	for _, remote := range []string{
		"10.2.0.1:1", "127.0.0.1:1", "[2001:db8:0:1::1]:1", "[::1]:1", "[fe80::1%eth0]:1", "", "@", "10.1.2.3", "10.1.2.3:", "/run/socket", "localhost:1",
	} {
		r := from(remote, "Remote-User", "7", "X-Forwarded-For", "10.1.2.3", "Forwarded", "for=10.1.2.3", "X-Real-IP", "10.1.2.3", "Host", "10.1.2.3")
		_, err := p.Authenticate(t.Context(), r)
		require.ErrorIs(t, err, auth.ErrNoCredential, remote)
	}
}

func TestAHeaderFromAnybodyElseIsPassedOverForTheOtherWays(t *testing.T) {
	ways := auth.Ways{&word{header: "Before"}, newProxy(t, proxies), &word{header: "After"}}
	for _, c := range []struct {
		remote, header string
		want           string
	}{
		{"10.1.2.3:1", "", "proxy 7"},
		{"10.1.2.3:1", "Before", "Before 8"},
		{"10.1.2.3:1", "After", "proxy 7"},
		{"10.2.2.3:1", "After", "After 8"},
		{"10.2.2.3:1", "", "nobody"},
	} {
		r := from(c.remote, "Remote-User", "7")
		if c.header != "" {
			r.Header.Set(c.header, "8")
		}
		id, err := ways.Authenticate(t.Context(), r)
		if c.want == "nobody" {
			require.ErrorIs(t, err, auth.ErrNoCredential)
		} else {
			require.NoError(t, err)
			require.Equal(t, c.want, id.Way+" "+id.User)
		}
	}
}

func TestWhatAProxyCannotHaveMeantIsRefused(t *testing.T) {
	p := newProxy(t, proxies)
	for name, pairs := range map[string][]string{
		"two lines":                    {"Remote-User", "7", "Remote-User", "8"},
		"two lines that are the same":  {"Remote-User", "7", "Remote-User", "7"},
		"two lines, spelt differently": {"remote-user", "7", "REMOTE-USER", "8"},
		"an empty one":                 {"Remote-User", ""},
		"an empty one before another":  {"Remote-User", "", "Remote-User", "7"},
		"a tab":                        {"Remote-User", "7\t"},
		"a newline":                    {"Remote-User", "7\n8"},
		"a null":                       {"Remote-User", "7\x00"},
		"a delete":                     {"Remote-User", "7\x7f"},
		"a control character of C1":    {"Remote-User", "7\u0085"},
		"no UTF-8":                     {"Remote-User", "7\xff"},
		"a long one":                   {"Remote-User", strings.Repeat("7", 513)},
	} {
		_, err := p.Authenticate(t.Context(), from("10.1.2.3:1", pairs...))
		require.ErrorIs(t, err, auth.ErrUnauthenticated, name)
		require.NotErrorIs(t, err, auth.ErrNoCredential, name)
	}
	for name, header := range map[string]string{"none": "X", "underscores": "Remote_User", "a longer name": "Remote-User-Id"} {
		_, err := p.Authenticate(t.Context(), from("10.1.2.3:1", header, "7"))
		require.ErrorIs(t, err, auth.ErrNoCredential, name)
	}
}

func TestAnEMailSignsInWhoAloneHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := proxies
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Find = func(email string) (string, int) {
			return map[string]string{"ada@school.example": "7", "twins@school.example": "8"}[email],
				map[string]int{"ada@school.example": 1, "twins@school.example": 2}[email]
		}
		p := newProxy(t, cfg)
		id, err := p.Authenticate(t.Context(), from("10.1.2.3:1", "Remote-User", "ada@school.example"))
		require.NoError(t, err)
		require.Equal(t, "7", id.User)
		require.Empty(t, log.String())

		for range 100 {
			for _, email := range []string{"twins@school.example", "nobody@school.example", "7"} {
				id, err := p.Authenticate(t.Context(), from("10.1.2.3:1", "Remote-User", email))
				require.ErrorIs(t, err, auth.ErrUnauthenticated)
				require.NotErrorIs(t, err, auth.ErrNoCredential)
				require.Empty(t, id.User)
			}
		}
		require.Equal(t, 1, strings.Count(log.String(), "\n"), "once a second at most")
		require.Contains(t, log.String(), `user=twins@school.example reason="2 active accounts have it"`)
		require.Contains(t, log.String(), "fix: ")
		time.Sleep(time.Second)
		_, _ = p.Authenticate(t.Context(), from("10.1.2.3:1", "Remote-User", "nobody@school.example"))
		require.Contains(t, log.String(), `user=nobody@school.example reason="no active account has it"`)
	})
}

func TestAHeaderThatIsNotBelievedIsToldOfOnce(t *testing.T) {
	var log bytes.Buffer
	cfg := proxies
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	p := newProxy(t, cfg)
	for range 3 {
		_, err := p.Authenticate(t.Context(), from("10.2.0.1:1", "Remote-User", "7"))
		require.ErrorIs(t, err, auth.ErrNoCredential)
	}
	require.Equal(t, 1, strings.Count(log.String(), "fix: list it in proxy_user_networks"))
}

func TestNobodyIsRevokedByTheProxysWay(t *testing.T) {
	p := newProxy(t, proxies)
	id, err := p.Authenticate(t.Context(), from("10.1.2.3:1", "Remote-User", "7"))
	require.NoError(t, err)
	revoked, err := p.Recheck(t.Context(), []auth.Identity{id})
	require.NoError(t, err)
	require.Empty(t, revoked)
	require.NoError(t, p.Check(t.Context()))
}

func TestAProxyThatCouldBeAnybodyIsRefusedAtTheStart(t *testing.T) {
	network := proxies.Networks
	for _, c := range []struct {
		header   string
		networks []netip.Prefix
		want     string
	}{
		{"Remote User", network, "is no name of a header"},
		{"Remote_User", network, "is no name of a header"},
		{"", network, "is no name of a header"},
		{"Remote-User:", network, "is no name of a header"},
		{"authorization", network, "the header Authorization is the clients' own"},
		{"cookie", network, "the clients' own"},
		{"x-forwarded-for", network, "the clients' own"},
		{"sec-websocket-protocol", network, "the clients' own"},
		{"Remote-User", nil, "the header Remote-User names people, and no network of a proxy is listed that may send it (proxy_user_networks); fix: list the proxy's address"},
		{"Remote-User", []netip.Prefix{network[0], netip.MustParsePrefix("0.0.0.0/0")}, "anybody could be anybody"},
		{"Remote-User", []netip.Prefix{netip.MustParsePrefix("::/0")}, "anybody could be anybody"},
	} {
		_, err := auth.NewProxy(auth.ProxyConfig{Header: c.header, Networks: c.networks})
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, "; fix: ")
	}
	for _, name := range []string{"Remote-User", "X-Forwarded-User", "X-Forwarded-Email", "X-Auth-Request-Email", "X-Remote-User", "Oidc-Claim-Sub"} {
		_, err := auth.NewProxy(auth.ProxyConfig{Header: name, Networks: network})
		require.NoError(t, err, name)
	}
}

func FuzzProxyHeader(f *testing.F) {
	p, err := auth.NewProxy(proxies)
	require.NoError(f, err)
	f.Add("10.1.2.3:1", "7")
	f.Add("[::ffff:10.1.2.3]:1", "ada@school.example")
	f.Add("10.2.2.3:1", "7\r\nRemote-User: 8")
	f.Add("[fe80::1%10.1.2.3]:1", "\u0085")
	f.Add("10.1.2.3", "")
	f.Fuzz(func(t *testing.T, remote, value string) {
		id, err := p.Authenticate(t.Context(), from(remote, "Remote-User", value))
		if err != nil {
			require.ErrorIs(t, err, auth.ErrUnauthenticated)
			require.Empty(t, id.User)
			return
		}
		require.Equal(t, value, id.User)
		require.NotContains(t, fmt.Sprintf("%q", value), `\x`)
		at := netip.MustParseAddrPort(remote).Addr().Unmap()
		require.True(t, proxies.Networks[0].Contains(at) || proxies.Networks[1].Contains(at.WithZone("")) || proxies.Networks[2].Contains(at))
	})
}
