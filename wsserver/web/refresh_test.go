package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
	"github.com/stretchr/testify/require"
)

// refreshing is a page of one's own with the client, whose token is key-1, then
// key-2 and so on; refresh is the body of the function.
func refreshing(t *testing.T, g *gateway, refresh string) (*webtest.Page, *session) {
	t.Helper()
	page := webtest.Open(t)
	page.Go(g.url)
	page.WaitState("signed-out")
	page.Value(`void import('/schoolbell.js').then((m) => {
		window.key = 1; window.events = []; window.states = [];
		window.bell = m.connect({ token: 'key-1', share: false, getToken: async () => { `+refresh+` } });
		for (const type of ['welcome', 'metrics', 'event', 'gap', 'auth']) window.bell.addEventListener(type, () => window.events.push(type));
		window.bell.addEventListener('state', (event) => window.states.push(event.detail.state));
	})`, nil)
	return page, g.next()
}

// expiring is a welcome of a token with this long to live.
func (s *session) expiring(life time.Duration) {
	s.t.Helper()
	s.send(`{"type":"welcome","user_id":7,"user_email":"nora.lind@school.example","user_role":"teacher","metrics":{},`+
		`"cursor":"0/100.0","expires":%q,"timestamp":%q}`, ago(-life), now())
}

func (s *session) handedIn() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 8*time.Second) // less than until it would try again unanswered
	defer cancel()
	_, body, err := s.conn.Read(ctx)
	require.NoError(s.t, err)
	var m struct{ Type, Token string }
	require.NoError(s.t, json.Unmarshal(body, &m))
	require.Equal(s.t, "auth", m.Type)
	return m.Token
}

func TestATokenThatExpiresIsReplacedInTimeWithoutACut(t *testing.T) {
	g := newGateway(t)
	page, s := refreshing(t, g, "return `key-${++window.key}`")
	require.Equal(t, "key-1", s.token)
	s.expiring(400 * time.Millisecond)
	require.Equal(t, "key-2", s.handedIn())
	s.send(`{"type":"auth","ok":true,"expires":%q,"timestamp":%q}`, ago(-400*time.Millisecond), now())
	require.Equal(t, "key-3", s.handedIn())
	s.send(`{"type":"auth","ok":true,"timestamp":%q}`, now())
	page.Wait(`window.states.join() === 'connecting,live'`)
	require.NoError(t, s.conn.Close(websocket.StatusGoingAway, "going_away"))
	require.Equal(t, "key-3", g.next().token, "the newest that was taken")
	var told []string
	page.Value(`window.events`, &told)
	require.Equal(t, []string{"welcome"}, told, "the answers are not the application's")
}

func TestATokenThatWasRefusedIsReplacedOnce(t *testing.T) {
	g := newGateway(t)
	page, s := refreshing(t, g, "return `key-${++window.key}`")
	s.expiring(time.Hour)
	require.NoError(t, s.conn.Close(4401, "credentials_revoked"))
	s = g.next()
	require.Equal(t, "key-2", s.token)
	require.NoError(t, s.conn.Close(4401, "credentials_revoked"), "before any welcome")
	page.Wait(`window.states.at(-1) === 'signed-out'`)
}

func TestATokenThatExpiredWhileTheMachineSleptIsReplacedAtTheReturn(t *testing.T) {
	g := newGateway(t)
	var slept atomic.Bool
	var refused atomic.Int32
	g.refuse = func() (int, string) {
		if !slept.Load() || refused.Add(1) > 4 { // twice the upgrade, and twice the question why
			return 0, ""
		}
		return http.StatusUnauthorized, "unauthenticated"
	}
	page, s := refreshing(t, g, "if (++window.key === 2) throw new Error('offline'); return `key-${window.key}`")
	s.expiring(time.Hour)
	slept.Store(true)
	require.NoError(t, s.conn.Close(websocket.StatusGoingAway, "going_away"))
	require.Equal(t, "key-3", g.next().token)
	page.Wait(`!window.states.includes('signed-out')`)
}

func TestWithoutAFreshTokenTheClientStops(t *testing.T) {
	g := newGateway(t)
	page, s := refreshing(t, g, "return ''")
	s.expiring(time.Hour)
	require.NoError(t, s.conn.Close(4401, "credentials_revoked"))
	page.Wait(`window.states.at(-1) === 'signed-out'`)
}
