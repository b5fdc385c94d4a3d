package wsserver

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzClientMessage: what a client says is one of five words, whatever it is, a token that
// it hands in is the one that stands there, and what it asks for is a filter or refused.
func FuzzClientMessage(f *testing.F) {
	for _, text := range []string{
		`{"type":"pong"}`, `{"type": "ping"}`, `{"type":"auth","token":"a.b.c"}`, `{"token":7,"type":"auth"}`, `{"type":"auth","token":null}`,
		`{"TYPE":"ping","type":"pong"}`, `{"type":"p\u0069ng"}`, `{"type":["ping"]}`, `[]`, `null`, ``, `{`, "\xff", `{"type":"auth","token":"\ud800"}`,
		`{"type":"subscribe","types":["grade"],"assignments":[3,"x",-0,1e3]}`, `{"type":"subscribe","types":[null],"assignments":{}}`,
		strings.Repeat(`{"type":`, 4000), strings.Repeat("[", 8000),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		word := messageType(text)
		require.Contains(t, []string{"ping", "pong", "auth", "subscribe", "other"}, word)
		if _, err := newFilter(text); err != nil {
			require.True(t, json.Valid(appendError(nil, badRequest(err.Error()))))
		}
		require.Equal(t, parseType(text), word, "the short way says the same")
		token := newToken(text)
		var m struct {
			Type  string
			Token any
		}
		if json.Unmarshal(text, &m) != nil {
			require.Equal(t, "other", word)
			return
		}
		if word == "auth" {
			require.Equal(t, "auth", m.Type)
		}
		if want, ok := m.Token.(string); ok {
			require.Equal(t, want, token)
			require.True(t, utf8.ValidString(token))
		} else if m.Token == nil {
			require.Empty(t, token)
		}
	})
}

// FuzzForwardedFor: a request counts for the other end of the connection, unless that is
// a trusted proxy, and then for an address that stands in the header, where everything to
// the right of it is trusted.
func FuzzForwardedFor(f *testing.F) {
	f.Add("192.0.2.1:1", "10.1.2.3")
	f.Add("10.0.0.1:1", "192.0.2.7, 10.0.0.2")
	f.Add("10.0.0.1:1", "192.0.2.7, unknown, 10.0.0.2")
	f.Add("[::ffff:10.0.0.1]:1", "[2001:db8::7]:443,10.0.0.9:80")
	f.Add("", ",,")
	f.Add("10.0.0.1:1", "fe80::1%eth0, ::ffff:192.0.2.7, \x00")
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		s := New(Deps{}, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
		got := s.client(&http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}})
		peer := addressOf(remote)
		if !s.trusts(peer) {
			require.Equal(t, network(peer), got)
			return
		}
		allowed := []netip.Addr{network(peer)}
		hops := strings.Split(forwarded, ",")
		for i := len(hops) - 1; i >= 0; i-- {
			at := addressOf(strings.TrimSpace(hops[i]))
			if !at.IsValid() {
				break
			}
			allowed = append(allowed, network(at))
			if !s.trusts(at) {
				break
			}
		}
		require.Equal(t, allowed[len(allowed)-1], got)
		require.Empty(t, got.Zone())
		require.False(t, got.Is4In6())
	})
}

// FuzzOrigin: only pages of our own host and of the list are let in, however an origin is
// written.
func FuzzOrigin(f *testing.F) {
	for _, origin := range []string{
		"https://gateway.example", "http://GATEWAY.example", "https://lms.example.org", "https://a.school.example", "https://evil.example", "null",
		"https://lms.example.org.evil.example", "https://evil.example/.school.example", "https://evil.example?.school.example",
		"https://evil.example#.school.example", "https://lms.example.org@evil.example", "https://gateway.example:443", "//gateway.example", "https:gateway.example",
		"https://evil.example\\.school.example", "https://[::1]", "https://%67ateway.example",
	} {
		f.Add(origin)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		s := New(Deps{}, Config{Origins: []string{"https://lms.example.org", "https://*.school.example"}})
		allowed := s.originAllowed(&http.Request{Host: "gateway.example", Header: http.Header{"Origin": {origin}}})
		u, err := url.Parse(origin)
		switch {
		case origin == "":
			require.True(t, allowed, "no page says nothing")
		case err != nil || u.Host == "":
			require.False(t, allowed)
		case allowed:
			host := strings.ToLower(u.Host)
			ours := host == "gateway.example"
			listed := u.Scheme == "https" && (host == "lms.example.org" || strings.HasSuffix(host, ".school.example"))
			require.True(t, ours || listed, "%q", origin)
		}
	})
}
