package auth_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// An lmsAddress is an address of an LMS that knows whose credentials are.
type lmsAddress struct {
	url string

	mu       sync.Mutex
	answers  map[string]string // what it says of a credential
	down     http.HandlerFunc  // if set: what it says of all
	shown    []string
	atOnce   int
	mostOnce int
}

// newLMS answers 401 for credentials that it does not know.
func newLMS(t *testing.T, read func(*http.Request) string) *lmsAddress {
	t.Helper()
	l := &lmsAddress{answers: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := read(r)
		l.mu.Lock()
		l.shown = append(l.shown, shown)
		l.atOnce++
		l.mostOnce = max(l.mostOnce, l.atOnce)
		answer, ok := l.answers[shown]
		down := l.down
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			l.atOnce--
			l.mu.Unlock()
		}()
		switch {
		case down != nil:
			down(w, r)
		case !ok:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = w.Write([]byte(answer))
		}
	}))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

func byHeader(r *http.Request) string { return r.Header.Get("Authorization") }

func (l *lmsAddress) says(credential, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers["Bearer "+credential] = answer
}

func (l *lmsAddress) forgets(credential string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.answers, "Bearer "+credential)
}

func (l *lmsAddress) saysOfAll(answer http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = answer
}

func (l *lmsAddress) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.shown)
}

// introspection asks an LMS.
func introspection(t *testing.T, cfg auth.IntrospectionConfig) *auth.Introspection {
	t.Helper()
	way, err := auth.NewIntrospection(cfg)
	require.NoError(t, err)
	t.Cleanup(way.Close)
	return way
}

func answerOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "introspection", name))
	require.NoError(t, err)
	return string(text)
}

// signedIn is who way says a token is of.
func signedIn(t *testing.T, way *auth.Introspection, key string) auth.Identity {
	t.Helper()
	id, err := auth.Ways{way}.Authenticate(t.Context(), token(key))
	require.NoError(t, err)
	return id
}

func TestMoodleSaysWhoseAWebServiceTokenIs(t *testing.T) {
	var answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/moodle/webservice/rest/server.php" || r.URL.RawQuery != "" ||
			r.PostFormValue("wsfunction") != "core_webservice_get_site_info" || r.PostFormValue("moodlewsrestformat") != "json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.PostFormValue("wstoken") != "d41d8cd98f00b204e9800998ecf8427e" {
			answer = answerOf(t, "moodle-invalidtoken.json")
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	cfg, err := auth.Preset("moodle", server.URL+"/moodle/", "")
	require.NoError(t, err)
	for name, want := range map[string]error{
		"moodle-site-info.json": nil, "moodle-invalidtoken.json": auth.ErrUnauthenticated, "moodle-accessexception.json": auth.ErrUnauthenticated,
		"moodle-sitemaintenance.json": auth.ErrUnavailable,
	} {
		way := introspection(t, cfg)
		require.NoError(t, way.Check(t.Context()), "a token that is none is refused")
		answer = answerOf(t, name)
		id, err := way.Authenticate(t.Context(), token("d41d8cd98f00b204e9800998ecf8427e"))
		require.ErrorIs(t, err, want, name)
		if want == nil {
			require.Equal(t, "42", id.User)
			require.Equal(t, "introspection", id.Way)
			require.Zero(t, id.Expires)
			_, err = way.Authenticate(t.Context(), token("another"))
			require.ErrorIs(t, err, auth.ErrUnauthenticated)
		}
		if want == auth.ErrUnavailable {
			require.ErrorContains(t, err, "it answers sitemaintenance")
		}
	}
	_, err = auth.Preset("moodle", server.URL, "MoodleSession")
	require.ErrorContains(t, err, "fix: leave introspect_cookie out")
}

func TestCanvasSaysWhoseATokenOrASessionIs(t *testing.T) {
	var status int
	var answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, _ := r.Cookie("canvas_session")
		switch {
		case r.Method != http.MethodGet || r.RequestURI != "/api/v1/users/self":
			w.WriteHeader(http.StatusNotFound)
		case r.Header.Get("Authorization") == "Bearer 7301~abc", session != nil && session.Value == "v1-abc":
			w.WriteHeader(status)
			_, _ = w.Write([]byte(answer))
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="canvas-lms"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(answerOf(t, "canvas-unauthenticated.json")))
		}
	}))
	t.Cleanup(server.Close)
	for _, c := range []struct {
		name   string
		status int
		want   error
	}{
		{"canvas-self.json", 200, nil},
		{"canvas-self-text.json", 200, nil},
		{"canvas-invalid-token.json", 401, auth.ErrUnauthenticated},
		{"canvas-unauthenticated.json", 401, auth.ErrUnauthenticated},
		{"canvas-throttled.txt", 403, auth.ErrUnavailable},
	} {
		status, answer = c.status, answerOf(t, c.name)
		for cookie, r := range map[string]*http.Request{
			"": with("Authorization", "Bearer 7301~abc"), "canvas_session": with("Cookie", "a=b; canvas_session=v1-abc"),
		} {
			cfg, err := auth.Preset("canvas", server.URL, cookie)
			require.NoError(t, err)
			way := introspection(t, cfg)
			require.NoError(t, way.Check(t.Context()))
			id, err := way.Authenticate(t.Context(), r)
			require.ErrorIs(t, err, c.want, c.name)
			if c.want == nil {
				require.Equal(t, "73010000000006290", id.User, "to the last digit")
			}
			_, err = way.Authenticate(t.Context(), with("X", "y"))
			require.ErrorIs(t, err, auth.ErrNoCredential, "another way may know it")
		}
	}
	_, err := auth.Preset("blackboard", server.URL, "")
	require.ErrorContains(t, err, "want moodle or canvas")
}
