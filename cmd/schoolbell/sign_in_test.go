package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

const lmsSecret = "django-insecure-s3cret-of-the-lms"

// login signs a person in to the LMS, and answers the key of the session. It writes
// what Django would: the tests of wsserver/auth compare with a real one.
func (s *site) login(p school.Person, lasts time.Duration) (key string) {
	s.t.Helper()
	keyed := func(salt, text string) []byte {
		derived := sha256.Sum256([]byte(salt + lmsSecret))
		m := hmac.New(sha256.New, derived[:])
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	password := s.ask(`SELECT COALESCE(password, 'None') FROM accounts_user WHERE id = $1`, p.ID)
	hash := fmt.Sprintf("%x", keyed("django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash", password))
	payload, err := json.Marshal(map[string]string{
		"_auth_user_id": fmt.Sprint(p.ID), "_auth_user_backend": "django.contrib.auth.backends.ModelBackend", "_auth_user_hash": hash,
	})
	require.NoError(s.t, err)
	signed := base64.RawURLEncoding.EncodeToString(payload) + ":1xVOld"
	data := signed + ":" + base64.RawURLEncoding.EncodeToString(keyed("django.contrib.sessions.SessionStoresigner", signed))
	return s.ask(`INSERT INTO django_session SELECT md5(random()::text), $1, clock_timestamp() + $2::interval RETURNING session_key`, data, lasts)
}

// enter opens a socket by a cookie, or by the token, and reads the welcome.
func (s *site) enter(p school.Person, session string) *websocket.Conn {
	s.t.Helper()
	header := http.Header{"Authorization": {"Token " + p.Token}}
	if session != "" {
		header = http.Header{"Cookie": {"csrftoken=x; sessionid=" + session}, "Origin": {s.base()}}
	}
	conn, _, err := websocket.Dial(s.t.Context(), s.base()+"/ws/dashboard/", &websocket.DialOptions{HTTPHeader: header})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	_, welcome, err := conn.Read(s.t.Context())
	require.NoError(s.t, err)
	require.Contains(s.t, string(welcome), `"type":"welcome"`)
	require.Contains(s.t, string(welcome), fmt.Sprintf(`"user_id":%d,`, p.ID))
	return conn
}

// requireRevoked reads on until the socket is closed with 4401, at most so long, and
// answers when that was.
func requireRevoked(t *testing.T, conn *websocket.Conn, atMost time.Duration) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	told := false
	for {
		_, body, err := conn.Read(ctx)
		if err != nil {
			require.EqualValues(t, 4401, websocket.CloseStatus(err), "%v", err)
			require.True(t, told)
			return time.Now()
		}
		told = told || strings.Contains(string(body), `"type":"disconnect","code":4401,"reason":"credentials_revoked","reconnect":false`)
		if strings.Contains(string(body), `"type":"ping"`) {
			require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`)))
		}
	}
}

// Promise: what was taken from somebody in a table that is never published ends their
// dashboards within the interval, and nobody else's.
func TestACredentialThatTheLMSTookBackClosesTheSocket(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve("--recheck", "1s", "--session-secret", lmsSecret)
	s.ready()
	tom, tina := s.school.Teachers[0], s.school.Tutors[0]
	session := ""
	for _, c := range []struct {
		name, takes string
		cookie      bool
		lasts       time.Duration
		atMost      time.Duration
	}{
		{"token deleted", `DELETE FROM authtoken_token WHERE user_id = $1`, false, 0, 0},
		{"token replaced by a newer login", `UPDATE authtoken_token SET key = md5(random()::text) WHERE user_id = $1`, false, 0, 0},
		{"logged out", `DELETE FROM django_session WHERE session_key = $2 AND $1::bigint > 0`, true, time.Hour, 0},
		{"password changed", `UPDATE accounts_user SET password = 'another' WHERE id = $1`, true, time.Hour, 0},
		{"session ended by the LMS", `UPDATE django_session SET expire_date = now() WHERE session_key = $2 AND $1::bigint > 0`, true, time.Hour, 0},
		{"session replaced by a forgery", `UPDATE django_session SET session_data = session_data || 'A' WHERE session_key = $2 AND $1::bigint > 0`, true, time.Hour, 0},
		{"session expired", "", true, 4 * time.Second, 6 * time.Second},
	} {
		s.exec(`DELETE FROM authtoken_token WHERE user_id = $1`, tom.ID)
		s.exec(`INSERT INTO authtoken_token VALUES ($1, now(), $2)`, tom.Token, tom.ID)
		other := s.enter(tina, "")
		begun := time.Now()
		if session = ""; c.cookie {
			session = s.login(tom, c.lasts)
		}
		conn := s.enter(tom, session)
		if strings.Contains(c.takes, "$2") {
			s.exec(c.takes, tom.ID, session)
		} else if c.takes != "" {
			s.exec(c.takes, tom.ID)
		}
		took := requireRevoked(t, conn, 30*time.Second).Sub(begun)
		t.Logf("%s: %v", c.name, took)
		require.GreaterOrEqual(t, took, c.atMost-2*time.Second-100*time.Millisecond)
		require.NoError(t, other.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)), "nobody else's")
		require.NoError(t, other.CloseNow())
		status, body := s.session(http.Header{"Authorization": {"Token " + tom.Token}})
		if c.cookie {
			require.Equal(t, 200, status, body)
			status, body = s.session(http.Header{"Cookie": {"sessionid=" + session}})
		}
		require.Equal(t, 401, status, body)
		require.Contains(t, body, `"error":"unauthenticated"`)
	}
}

// session is /api/session.
func (s *site) session(header http.Header) (status int, body string) {
	s.t.Helper()
	return sessionOf(s.t, s.base(), header)
}

// sessionOf is the /api/session of a gateway.
func sessionOf(t *testing.T, base string, header http.Header) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/api/session", nil)
	require.NoError(t, err)
	r.Header = header
	resp, err := freshClient().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	var text json.RawMessage
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&text))
	return resp.StatusCode, string(text)
}

func TestTheCookieOfAPersonWhoMayNotConnectIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "bell.yaml")
	require.NoError(t, os.WriteFile(file, []byte("session_secret: the-new-one\nsession_secret_fallbacks: [older, "+lmsSecret+"]\n"), 0o600))
	s.serve("--config", file)
	s.ready()
	tom := s.school.Teachers[0]
	key, student := s.login(tom, time.Hour), s.login(s.school.Students[0], time.Hour)
	ask := func(session, origin string) (int, string) {
		return s.session(http.Header{"Cookie": {"sessionid=" + session}, "Origin": {origin}})
	}
	status, body := ask(key, s.base())
	require.Equal(t, 200, status, body)
	require.Contains(t, body, fmt.Sprintf(`"user_id":%d,`, tom.ID))
	status, body = ask(key, "https://evil.example")
	require.Equal(t, 403, status)
	require.Contains(t, body, "origin_not_allowed")
	status, body = ask(student, s.base())
	require.Equal(t, 403, status)
	require.Contains(t, body, "role_not_allowed")
	status, body = ask("0123456789abcdef0123456789abcdef", s.base())
	require.Equal(t, 401, status)
	require.NotContains(t, body, "0123456789abcdef")
}

func TestADatabaseThatIsDownKeepsDashboardsOpenAndSaysSo(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t, nil)
	s := siteAt(t, server.URL("postgres"))
	s.serve("--recheck", "1s", "--session-secret", lmsSecret)
	s.ready()
	conn := s.enter(s.school.Teachers[0], s.login(s.school.Teachers[0], time.Hour))
	require.NoError(t, server.Halt("fast"))
	s.waiting(`"sign_in":{"ok":false`, "fix: start it")
	time.Sleep(3 * time.Second) // several questions without an answer
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
	for {
		_, body, err := conn.Read(t.Context())
		require.NoError(t, err)
		if strings.Contains(string(body), `"type":"pong"`) {
			break
		}
	}
	require.NoError(t, server.Resume(t.Context()))
	s.ready()
	s.conn = connectTo(t, s.url)
	s.exec(`DELETE FROM django_session`)
	requireRevoked(t, conn, 30*time.Second)
}

func TestCheckSaysHowSoonACredentialThatWasTakenBackIsNoticed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	code, out := s.check()
	require.Zero(t, code, out)
	require.Contains(t, out, "tokens are re-checked every 10 s: their tables are not in the publication\n")
	code, out = s.check("--session-secret", lmsSecret, "--recheck", "5s")
	require.Zero(t, code, out)
	require.Contains(t, out, "tokens and sessions are re-checked every 5 s: their tables are not in the publication\n")
	s.exec(`ALTER TABLE django_session RENAME TO sessions`)
	code, out = s.check("--session-secret", lmsSecret)
	require.Equal(t, 1, code, out)
	require.Contains(t, wrong(out)[0], `there is no table "public"."django_session" for sessions`)
	require.NotContains(t, out, lmsSecret)
	code, out = s.check()
	require.Zero(t, code, "without the secret nobody asks for sessions: %s", out)
}

func TestInitPrintsTheRightsForSessions(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	code, out := schoolbell(t, "init", "--database", s.url, "--role", "bell", "--print", "--session-secret", lmsSecret)
	require.Zero(t, code, out)
	require.Contains(t, out, `GRANT SELECT ("session_key", "session_data", "expire_date") ON "public"."django_session" TO "bell";`)
	require.Contains(t, out, `GRANT SELECT ("id", "password") ON "public"."accounts_user" TO "bell";`)
	require.NotContains(t, out, lmsSecret)
	code, out = schoolbell(t, "init", "--database", s.url, "--role", "bell", "--print")
	require.Zero(t, code, out)
	require.NotContains(t, out, "password")
	require.NotContains(t, out, "django_session")
}

func TestSettingsOfSessionsThatDoNotFitAreExplained(t *testing.T) {
	p, err := profile.Open("django")
	require.NoError(t, err)
	source, err := os.ReadFile("../../cdc/profile/builtin/django.yaml")
	require.NoError(t, err)
	before, after, found := strings.Cut(string(source), "auth:\n")
	require.True(t, found)
	token, session, found := strings.Cut(after, "\n")
	require.True(t, found)
	tokens, err := profile.Parse("tokens.yaml", []byte(before+"auth:\n"+token))
	require.NoError(t, err)
	sessions, err := profile.Parse("sessions.yaml", []byte(before+"auth:\n"+session))
	require.NoError(t, err)
	for _, c := range []struct {
		p    *profile.Profile
		cfg  Config
		want string
		ways int
	}{
		{p, Config{}, "", 1},
		{p, Config{SessionSecret: "x", SessionSecretFallbacks: Secrets{"y"}}, "", 2},
		{tokens, Config{}, "", 1},
		{sessions, Config{SessionSecret: "x"}, "", 1},
		{p, Config{SessionSecretFallbacks: Secrets{"y"}}, "session_secret_fallbacks is set and session_secret is not; fix: set session_secret to the LMS's SECRET_KEY", 1},
		{tokens, Config{SessionSecret: "x"}, "session_secret is set, but profile \"django\" does not say where sessions are; fix: give it auth: {session: ", 1},
		{sessions, Config{}, "profile \"django\" does not say where tokens are, and none of session_secret, jwt_keys, proxy_user_header and introspect_url is set, so nobody could sign in; fix: ", 0},
		{sessions, Config{ProxyUserHeader: "Remote-User"}, "", 0},
		{sessions, Config{IntrospectURL: "https://lms.example.org"}, "", 0},
	} {
		c.cfg.Roles = RoleNames{"teacher"}
		require.Len(t, waysOf(c.cfg, c.p, nil, nil, nil, nil), c.ways)
		err := canSignIn(c.cfg, c.p)
		if c.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.want)
		}
	}
}
