package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// A single sign-on, as far as we see it: an address with its keys, and what it signs.
type singleSignOn struct {
	t   *testing.T
	key ed25519.PrivateKey
	url string
}

func newSingleSignOn(t *testing.T) *singleSignOn {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	set := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","use":"sig","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(set)) }))
	t.Cleanup(server.Close)
	return &singleSignOn{t, key, server.URL}
}

func (s *singleSignOn) token(user string, until time.Time) string { return s.tokenFor("", user, until) }

// tokenFor is a token for one role.
func (s *singleSignOn) tokenFor(role, user string, until time.Time) string {
	s.t.Helper()
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "https://sso.example", "aud": "dashboards", "account": user, "exp": until.Unix(), "role": role,
	})
	unsigned.Header["kid"] = "one"
	text, err := unsigned.SignedString(s.key)
	require.NoError(s.t, err)
	return text
}

// enterBy opens a socket by any token, and reads the welcome.
func (s *site) enterBy(token string) *websocket.Conn {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.base()+"/ws/dashboard/?token="+url.QueryEscape(token), nil)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	require.Equal(s.t, "welcome", s.nextOf(conn, "welcome")["type"])
	return conn
}

// nextOf reads on to the next message of a type.
func (s *site) nextOf(conn *websocket.Conn, kind string) map[string]any {
	s.t.Helper()
	for {
		_, body, err := conn.Read(s.t.Context())
		require.NoError(s.t, err)
		var m map[string]any
		require.NoError(s.t, json.Unmarshal(body, &m))
		if m["type"] == kind {
			return m
		}
	}
}

func TestASessionEndsWithItsTokenUnlessItWasRenewedInTime(t *testing.T) {
	s, sso := newSite(t), newSingleSignOn(t)
	gateway := s.serve("--jwt-keys", sso.url, "--jwt-issuer", "https://sso.example", "--jwt-audience", "dashboards",
		"--jwt-user-claim", "account", "--jwt-leeway", "0s")
	s.ready()
	admin := fmt.Sprint(s.school.Admins[0].ID)
	hour := time.Now().Truncate(time.Second).Add(time.Hour)
	first, later := sso.token(admin, hour), sso.token(admin, hour.Add(time.Hour))
	ends, stays := s.enterBy(first), s.enterBy(first)
	handIn := func(conn *websocket.Conn, token string) map[string]any {
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"auth","token":"`+token+`"}`)))
		return s.nextOf(conn, "auth")
	}
	for _, c := range []struct {
		token, reason string
		expires       time.Time
	}{
		{sso.token(admin+"0", hour.Add(time.Hour)), "other_account", hour},
		{later[:len(later)-2], "unauthenticated", hour},
		{later, "", hour.Add(time.Hour)},
	} {
		answer := handIn(stays, c.token)
		require.Equal(t, c.reason == "", answer["ok"])
		if c.reason != "" {
			require.Equal(t, c.reason, answer["reason"])
		}
		require.Equal(t, c.expires.UTC().Format("2006-01-02T15:04:05.000000Z"), answer["expires"])
	}

	until := time.Now().Truncate(time.Second).Add(3 * time.Second)
	for handIn(ends, sso.token(admin, until))["ok"] != true { // we were too slow
		until = until.Add(30 * time.Second)
	}
	before := s.grade(1)
	require.EqualValues(t, 4401, s.nextOf(ends, "disconnect")["code"])
	require.False(t, time.Now().Before(until))
	for _, id := range []string{before, s.grade(2)} {
		require.Equal(t, id, fmt.Sprint(s.nextOf(stays, "grade")["submission_id"]))
	}

	for path, want := range map[string]int{
		"?token=" + later:                     200,
		"?token=" + s.school.Admins[0].Token:  200,
		"?token=" + sso.token(admin, until):   401,
		"?token=" + later[:len(later)-2]:      401,
		"?token=" + sso.token("nobody", hour): 401,
	} {
		require.Equal(t, want, statusOf(t, s.base()+"/api/session"+path))
	}
	require.NotContains(t, gateway.text(), later)
}

func TestATokenForOneRoleIsGoodWhileTheLMSGivesThat(t *testing.T) {
	s, sso := newSite(t), newSingleSignOn(t)
	s.serve("--jwt-keys", sso.url, "--jwt-user-claim", "account", "--jwt-role-claim", "role", "--recheck", "1s")
	s.ready()
	tom, hour := fmt.Sprint(s.school.Teachers[0].ID), time.Now().Add(time.Hour)
	teacher := sso.tokenFor("teacher", tom, hour)
	s.requireStatus(200, `"user_role":"teacher"`, s.base(), "Authorization", "Bearer "+teacher)
	s.requireStatus(403, "this token is for another role", s.base(), "Authorization", "Bearer "+sso.tokenFor("admin", tom, hour))
	s.requireStatus(401, "unauthenticated", s.base(), "Authorization", "Bearer "+sso.token(tom, hour))

	conn := s.enterBy(teacher)
	s.exec(`UPDATE accounts_user SET role = 'tutor' WHERE id = $1`, s.school.Teachers[0].ID)
	require.EqualValues(t, 4403, s.nextOf(conn, "disconnect")["code"])
	s.requireStatus(403, "role_not_allowed", s.base(), "Authorization", "Bearer "+teacher)
}

func TestMistakesOfTheSettingsForSignedTokensAreOneSentence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("swordfish\n"), 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--jwt-issuer", "x"}, "jwt_issuer, jwt_audience or jwt_role_claim is set and jwt_keys is not, so no signed token could be verified; fix: set jwt_keys, or leave them out"},
		{[]string{"--jwt-keys", "http://sso.example/keys"}, "use https"},
		{[]string{"--jwt-keys", "/nowhere"}, "/nowhere: no such file or directory; fix: name a file that this user can read"},
		{[]string{"--jwt-keys", file}, "a secret of 9 bytes could be guessed, want at least 32; fix: make one by openssl rand -base64 48"},
		{[]string{"--jwt-keys", "https://sso.example/keys", "--jwt-leeway", "1h"}, "the leeway for tokens is 1h0m0s, want between 0s and 10m0s; fix: set the clocks"},
		{[]string{"--jwt-leeway", "-1s"}, `--jwt-leeway: jwt_leeway is "-1s", want a duration of at least 0s, like 90s, 15m or 24h`},
	} {
		code, out := schoolbell(t, append([]string{"serve", "--database", dsn, "--data", t.TempDir()}, c.args...)...)
		require.Equal(t, 2, code, out)
		require.Contains(t, lastLine(out), c.want)
		require.NotContains(t, out, "hunter2")
	}
}

func TestCheckFetchesTheKeysOfSignedTokens(t *testing.T) {
	s, sso := newSite(t), newSingleSignOn(t)
	code, out := s.check("--jwt-keys", sso.url)
	require.Zero(t, code, out)
	code, out = s.check("--jwt-keys", sso.url+":1") // no address
	require.NotZero(t, code, out)
	require.Contains(t, out, "the keys for tokens")
}
