package wsserver_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/wsserver"
)

func TestWelcomeIsTheFirstFrame(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	g.commit(1, true, tom)
	for _, path := range []string{"/ws/dashboard", "/ws/dashboard/"} {
		ws, _, err := websocket.Dial(t.Context(), g.url(path, token(tom), ""), nil)
		require.NoError(t, err)
		d := &dashboard{ws, t}
		m := d.next()
		require.NotEmpty(t, m["timestamp"])
		delete(m, "timestamp")
		require.Equal(t, message{
			"type": "welcome", "user_id": 2.0, "user_email": "p2@school.example", "user_role": "teacher", "cursor": "0/B.1",
			"metrics": map[string]any{
				"pending_submissions": 1.0, "ungraded_submissions": 2.0, "active_students": 3.0, "total_assignments": 4.0,
			},
		}, m)
		require.NoError(t, ws.Close(websocket.StatusNormalClosure, ""))
	}
	g.tally.await("closed for client_closed", 2)
	require.Equal(t, 2, g.tally.of("handshake accepted"))
	require.Equal(t, 2, g.tally.of("opened teacher"))
	require.Equal(t, 2, g.tally.of("closed teacher"))
	require.Zero(t, g.Sessions())
}

func TestOnlyAnActiveTeacherTutorOrAdminGetsPastTheUpgrade(t *testing.T) {
	tests := []struct {
		name, query string
		status      int
		code        string
	}{
		{"an admin", "?token=t-1", 200, ""},
		{"a teacher", "?token=t-2", 200, ""},
		{"a tutor", "?token=t-3", 200, ""},
		{"a student", "?token=t-4", 403, "role_not_allowed"},
		{"an inactive teacher", "?token=t-5", 403, "account_inactive"},
		{"a token of an account that is gone", "?token=t-99", 401, "unauthenticated"},
		{"a wrong token", "?token=wrong", 401, "unauthenticated"},
		{"no credential", "", 401, "unauthenticated"},
		{"a database that is down", "?token=down", 503, "not_ready"},
		{"a malformed since", "?token=t-2&since=yesterday", 400, "bad_request"},
	}
	g := start(t, wsserver.Config{}, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws, answer, err := websocket.Dial(t.Context(), g.http.URL+"/ws/dashboard/"+tt.query, nil)
			companion, getErr := http.Get(g.http.URL + "/api/session" + tt.query)
			require.NoError(t, getErr)
			defer companion.Body.Close()
			require.Equal(t, tt.status, companion.StatusCode, "browsers ask the companion")
			if tt.code == "" {
				require.NoError(t, err)
				require.NoError(t, ws.CloseNow())
				return
			}
			require.Error(t, err)
			require.Equal(t, tt.status, answer.StatusCode)
			requireRefusal(t, answer, tt.code)
			requireRefusal(t, companion, tt.code)
		})
	}
	require.Equal(t, 3, g.tally.of("handshake unauthenticated"))
}

func requireRefusal(t *testing.T, answer *http.Response, code string) {
	t.Helper()
	require.Equal(t, "application/json; charset=utf-8", answer.Header.Get("Content-Type"))
	var body struct{ Error, Detail string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&body))
	require.Equal(t, code, body.Error)
	require.NotEmpty(t, body.Detail)
	wait, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if answer.StatusCode == 503 || answer.StatusCode == 429 {
		require.NoError(t, err)
		require.Positive(t, wait)
	} else {
		require.Error(t, err)
	}
}

func TestARequestThatIsNoUpgradeIsRefusedInJSON(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	answer, err := http.Get(g.url("/ws/dashboard/", token(tom), ""))
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, 400, answer.StatusCode)
	requireRefusal(t, answer, "bad_request")
	require.Zero(t, g.router.Stats().Subscriptions)
}

func TestOrigins(t *testing.T) {
	g := start(t, wsserver.Config{Origins: []string{"https://*.school.example", "lms.example:8443"}}, nil)
	for origin, allowed := range map[string]bool{
		"":                                     true,
		g.http.URL:                             true,
		"https://lms.school.example":           true,
		"HTTPS://LMS.School.Example":           true,
		"https://lms.example:8443":             true,
		"http://lms.school.example":            false,
		"https://school.example":               false,
		"https://evil.example":                 false,
		"https://evil.example/.school.example": false,
		"null":                                 false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", g.url("/api/session", token(tom), ""), nil)
		require.NoError(t, err)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		if allowed {
			require.Equal(t, 200, answer.StatusCode, origin)
			require.Equal(t, origin, answer.Header.Get("Access-Control-Allow-Origin"))
		} else {
			require.Equal(t, 403, answer.StatusCode, origin)
			require.Empty(t, answer.Header.Get("Access-Control-Allow-Origin"))
			requireRefusal(t, answer, "origin_not_allowed")
			_, answer, err = websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(tom), ""), &websocket.DialOptions{
				HTTPHeader: http.Header{"Origin": {origin}},
			})
			require.Error(t, err)
			requireRefusal(t, answer, "origin_not_allowed")
		}
		answer.Body.Close()
	}
}

func TestTooManyConnectionsAreRefusedAndAPlaceIsFreeAgainAfterwards(t *testing.T) {
	g := start(t, wsserver.Config{MaxSessions: 3, MaxPerPerson: 2}, nil)
	one := g.enter(t, tom, "")
	g.enter(t, tom, "")
	refused := func(who int) {
		_, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(who), ""), nil)
		require.Error(t, err)
		require.Equal(t, 429, answer.StatusCode)
		requireRefusal(t, answer, "too_many_connections")
	}
	refused(tom)
	g.enter(t, ada, "")
	refused(tina)
	require.NoError(t, one.Close(websocket.StatusNormalClosure, ""))
	g.tally.await("closed for client_closed", 1)
	g.enter(t, tina, "")
}

func TestNobodyEntersBeforeTheGatewayIsReady(t *testing.T) {
	g := start(t, wsserver.Config{}, func(d *wsserver.Deps) {
		d.Ready = func() []wsserver.Check {
			return []wsserver.Check{
				{Name: "stream", Detail: "the server does not answer"},
				{Name: "snapshot", Required: true, Detail: "42 % done"},
			}
		}
	})
	_, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(tom), ""), nil)
	require.Error(t, err)
	require.Equal(t, 503, answer.StatusCode)
	require.Contains(t, []string{"1", "2"}, answer.Header.Get("Retry-After"), "a start is over soon, mostly")
	requireRefusal(t, answer, "not_ready")

	ready, err := http.Get(g.http.URL + "/readyz")
	require.NoError(t, err)
	defer ready.Body.Close()
	require.Equal(t, 503, ready.StatusCode)
	var body map[string]any
	require.NoError(t, json.NewDecoder(ready.Body).Decode(&body))
	require.Equal(t, map[string]any{"ready": false, "checks": map[string]any{
		"accepting": map[string]any{"ok": true},
		"stream":    map[string]any{"ok": false, "detail": "the server does not answer"},
		"snapshot":  map[string]any{"ok": false, "detail": "42 % done"},
	}}, body)

	alive, err := http.Get(g.http.URL + "/healthz")
	require.NoError(t, err)
	defer alive.Body.Close()
	require.Equal(t, 200, alive.StatusCode)
}

func TestRightsThatChangeDuringTheHandshakeAreSeen(t *testing.T) {
	turncoat := &fickle{}
	g := start(t, wsserver.Config{}, func(d *wsserver.Deps) {
		turncoat.school = d.People.(*school)
		d.People = turncoat
	})
	_, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(tom), ""), nil)
	require.Error(t, err)
	requireRefusal(t, answer, "role_not_allowed")
	require.Zero(t, g.router.Stats().Subscriptions)
}

// fickle people lose their role once they have been asked for.
type fickle struct {
	*school
	asked bool
}

func (f *fickle) Person(id cdc.ID) (cdc.Person, bool) {
	p, ok := f.school.Person(id)
	if f.asked {
		p.Role = cdc.Student
	}
	f.asked = true
	return p, ok
}

func TestNoCredentialIsEverLogged(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	g.enter(t, tom, "").CloseNow()
	_, _, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", "secret-token", ""), nil)
	require.Error(t, err)
	answer, err := http.Get(g.url("/api/events", "secret-token", ""))
	require.NoError(t, err)
	answer.Body.Close()
	g.tally.await("closed teacher", 1)
	require.Contains(t, g.log.String(), "session opened")
	require.Contains(t, g.log.String(), "path=/ws/dashboard/")
	require.NotContains(t, g.log.String(), "secret-token")
	require.NotContains(t, g.log.String(), token(tom))
}

func TestWhoIsRefusedAtTheStartIsAskedBackSoonAndLaterAfterALongerWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := build(wsserver.Config{}, func(d *wsserver.Deps) {
			d.Ready = func() []wsserver.Check {
				return []wsserver.Check{{Name: "snapshot", Required: true, Detail: "42 % done"}}
			}
		})
		var age time.Duration
		for _, tt := range []struct {
			age           time.Duration
			atLeast, most int // seconds
		}{
			{0, 1, 2},
			{3 * time.Second, 3, 6},
			{time.Hour, 5, 10},
		} {
			time.Sleep(tt.age - age)
			age = tt.age
			waits := map[int]bool{}
			for range 200 {
				w := httptest.NewRecorder()
				g.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ws/dashboard/?token="+token(tom), nil))
				wait, err := strconv.Atoi(w.Header().Get("Retry-After"))
				require.NoError(t, err)
				waits[wait] = true
			}
			require.GreaterOrEqual(t, slices.Min(slices.Collect(maps.Keys(waits))), tt.atLeast)
			require.LessOrEqual(t, slices.Max(slices.Collect(maps.Keys(waits))), tt.most)
			require.Len(t, waits, max(1, tt.most-tt.atLeast), "spread over whole seconds, up to the next: %v", waits)
		}
	})
}
