package wsserver_test

import (
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
)

func TestNewLimitsCountForWhoComesNextAndCloseNobody(t *testing.T) {
	g := start(t, wsserver.Config{MaxPerPerson: 3}, nil)
	enters := func(who int) int {
		c, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(who), ""), nil)
		if err == nil {
			t.Cleanup(func() { _ = c.CloseNow() })
		}
		return answer.StatusCode
	}
	first := g.enter(t, tom, "")
	g.enter(t, tom, "")
	g.Reload(wsserver.Config{MaxPerPerson: 1})
	require.Equal(t, http.StatusTooManyRequests, enters(tom))
	require.Equal(t, 2, g.Sessions())
	g.commit(1, false, int64(tom))
	first.until("grade")

	g.Reload(wsserver.Config{MaxSessions: 3})
	require.Equal(t, http.StatusSwitchingProtocols, enters(tom), "the other limit is the default again")
	require.Equal(t, http.StatusTooManyRequests, enters(ada))
}

func TestOriginsAreReloaded(t *testing.T) {
	g := start(t, wsserver.Config{Origins: []string{"https://old.example"}}, nil)
	allowed := func(origin string) bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, g.http.URL+"/api/session", nil)
		require.NoError(t, err)
		r.Header.Set("Origin", origin)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.Header.Get("Access-Control-Allow-Origin") == origin
	}
	require.True(t, allowed("https://old.example"))
	g.Reload(wsserver.Config{Origins: []string{"https://new.example"}})
	require.False(t, allowed("https://old.example"))
	require.True(t, allowed("https://new.example"))
}
