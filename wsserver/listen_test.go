package wsserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
)

const ownToken = "known-to-this-process-alone"

// listen connects as the gateway's own client does.
func (g *gateway) listen(t *testing.T, key string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	return websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(g.http.URL, "http")+"/ws/dashboard/",
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
}

func TestTheGatewaysOwnClientHearsEchoesAndNothingElseAndNobodyCountsIt(t *testing.T) {
	g := start(t, wsserver.Config{SelfCheckToken: ownToken, MetricsInterval: 5 * time.Millisecond, MaxSessions: 1}, nil)
	d := g.enter(t, ada, "") // and with it the gateway is full
	conn, _, err := g.listen(t, ownToken)
	require.NoError(t, err)
	arrived := make(chan string, 100)
	go func() {
		defer close(arrived)
		for {
			_, body, err := conn.Read(t.Context())
			if err != nil {
				return
			}
			arrived <- string(body)
		}
	}()
	for range 3 { // turns of the wheel, which comes by everybody else
		require.Equal(t, "metrics", d.next()["type"])
	}
	g.commit(1, true, tom)
	g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: 50}, Echoes: [][]byte{[]byte("a text")}})
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"subscribe"}`))) // which is not answered
	require.NoError(t, conn.Ping(t.Context()))                                                         // it has been read
	g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: 51}, Echoes: [][]byte{[]byte("another")}})
	for _, want := range []string{"a text", "another"} {
		require.JSONEq(t, `{"type":"self_check","text":"`+want+`"}`, <-arrived)
	}
	for { // the admin has the grade, the own messages of the session, and no echo
		m := d.next()
		require.NotEqual(t, "self_check", m["type"])
		if m["type"] == "grade" {
			break
		}
	}
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
	require.Empty(t, arrived)
	require.Eventually(t, func() bool { return g.Sessions() == 1 }, time.Minute, time.Millisecond)
	_, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(tom), ""), nil)
	require.Error(t, err)
	require.Equal(t, 429, answer.StatusCode, "it is as full as before")
	for what, n := range map[string]int{
		"opened websocket": 1, "opened ": 0, "closed websocket": 0, "handshake accepted": 1, "sent self_check": 0, "received subscribe": 0, "signed in by ": 0,
	} {
		require.Equal(t, n, g.tally.of(what), what)
	}
}

func TestWhoIsNotTheGatewayItselfCannotListen(t *testing.T) {
	for name, c := range map[string]struct {
		configured, shown string
	}{
		"another token": {ownToken, ownToken + "x"}, "a part of it": {ownToken, ownToken[:5]}, "none": {ownToken, ""},
		"off": {"", ownToken}, "off, and none": {"", ""},
	} {
		g := start(t, wsserver.Config{SelfCheckToken: c.configured}, nil)
		_, answer, err := g.listen(t, c.shown)
		require.Error(t, err, name)
		require.Equal(t, 401, answer.StatusCode, name)
	}
	empty := httptest.NewRequest(http.MethodGet, "/ws/dashboard/", nil)
	empty.Header.Set("Authorization", "Bearer ") // as no server would pass it on
	refused := httptest.NewRecorder()
	build(wsserver.Config{}, nil).Server.Handler().ServeHTTP(refused, empty)
	require.Equal(t, 401, refused.Code)

	g := start(t, wsserver.Config{SelfCheckToken: ownToken}, nil)
	for _, path := range []string{"/api/session", "/api/events", "/sse/dashboard/", "/ws/dashboard/?token=" + ownToken} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.http.URL+path, nil)
		require.NoError(t, err)
		if !strings.Contains(path, "?") {
			r.Header.Set("Authorization", "Bearer "+ownToken)
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, 401, answer.StatusCode, "%s: it opens a WebSocket and nothing else", path)
	}
	require.NotContains(t, g.log.String(), ownToken)
}

func TestTheGatewaysOwnClientIsRefusedWhenEverybodyIs(t *testing.T) {
	ok := false
	g := start(t, wsserver.Config{SelfCheckToken: ownToken}, func(d *wsserver.Deps) {
		d.Ready = func() []wsserver.Check {
			return []wsserver.Check{{Name: "snapshot", OK: ok, Required: true, Detail: "reading"}}
		}
	})
	_, answer, err := g.listen(t, ownToken)
	require.Error(t, err)
	require.Equal(t, 503, answer.StatusCode)
	ok = true
	conn, _, err := g.listen(t, ownToken)
	require.NoError(t, err)

	drained := make(chan error, 1)
	go func() { drained <- g.Drain(context.Background()) }()
	_, body, err := conn.Read(t.Context())
	require.NoError(t, err)
	require.Contains(t, string(body), `"going_away"`)
	_, _, err = conn.Read(t.Context()) // which answers the close frame
	require.Error(t, err)
	require.NoError(t, <-drained)
	_, answer, err = g.listen(t, ownToken)
	require.Error(t, err)
	require.Equal(t, 503, answer.StatusCode)
}
