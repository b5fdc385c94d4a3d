package wsserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
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

// A listener is a client of Server-Sent Events.
type listener struct {
	*http.Response
	in   *bufio.Reader
	t    testing.TB
	id   string // of the last message, "" where it had none
	head string // what came before the first message
}

// hear opens a stream; header are names and values.
func (g *gateway) hear(t testing.TB, client *http.Client, token, more string, header ...string) *listener {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url("/sse/dashboard/", token, more), nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	l := &listener{Response: answer, in: bufio.NewReader(answer.Body), t: t}
	if answer.StatusCode == http.StatusOK {
		l.head = l.block()
	}
	return l
}

// block is what stands before the next empty line; "": the stream is over.
func (l *listener) block() string {
	l.t.Helper()
	var b strings.Builder
	for {
		line, err := l.in.ReadString('\n')
		if err != nil {
			require.ErrorIs(l.t, err, io.EOF)
			require.Empty(l.t, line+b.String(), "the stream ends behind a message")
			return ""
		}
		if line == "\n" {
			return b.String()
		}
		b.WriteString(line)
	}
}

// text is the next message.
func (l *listener) text() string {
	l.t.Helper()
	block := l.block()
	l.id = ""
	if rest, ok := strings.CutPrefix(block, "id: "); ok {
		l.id, block, _ = strings.Cut(rest, "\n")
	}
	data, ok := strings.CutPrefix(block, "data: ")
	require.True(l.t, ok, "%q", block)
	require.Equal(l.t, 1, strings.Count(data, "\n"), "one line: %q", data)
	return data
}

func (l *listener) next() message {
	l.t.Helper()
	text := []byte(l.text())
	requireSent(l.t, text)
	return decode(l.t, text)
}

func (l *listener) until(kind string) message {
	l.t.Helper()
	for {
		if m := l.next(); m["type"] == kind {
			return m
		}
	}
}

// requireEnd reads on to the disconnect message, behind which nothing comes.
func (l *listener) requireEnd(code int, reason string) message {
	l.t.Helper()
	m := l.until("disconnect")
	require.EqualValues(l.t, code, m["code"])
	require.Equal(l.t, reason, m["reason"])
	require.Empty(l.t, l.id)
	require.Empty(l.t, l.block())
	return m
}

func TestAStreamTellsWhatASocketTellsByteForByte(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	for _, path := range []string{"/sse/dashboard", "/sse/dashboard/"} {
		socket := g.enter(t, tom, "")
		answer, err := http.Get(g.url(path, token(tom), ""))
		require.NoError(t, err)
		require.Equal(t, 200, answer.StatusCode)
		require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
		require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		require.Equal(t, "no", answer.Header.Get("X-Accel-Buffering"))
		require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
		require.NotEmpty(t, answer.Header.Get("Date"))
		l := &listener{Response: answer, in: bufio.NewReader(answer.Body), t: t}
		require.Equal(t, "retry: 2000\n", l.block())
		hello := l.next()
		require.Equal(t, "welcome", hello["type"])
		require.Equal(t, hello["cursor"], l.id)
		g.tellEverySort()
		g.commit(3, false, tom)
		for range 8 {
			_, body, err := socket.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, string(body)+"\n", l.text())
			require.Equal(t, decode(t, body)["id"], l.id)
		}
		require.NoError(t, socket.CloseNow())
		require.NoError(t, answer.Body.Close())
	}
	g.tally.await("closed sse", 2)
	g.tally.await("closed websocket", 2)
	g.tally.await("closed for client_closed", 2)
	require.Equal(t, 2, g.tally.of("opened sse"))
	require.Equal(t, 4, g.tally.of("handshake accepted"))
	require.Zero(t, g.Sessions())
	require.Zero(t, g.router.Stats().Subscriptions)
}

func TestAStreamResumesByLastEventIDWhichIsNewerThanTheAddress(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	g.commit(200, true, tom)
	l := g.hear(t, http.DefaultClient, token(tom), "&since=0/A.0", "Last-Event-ID", "0/B.5")
	hello := l.next()
	require.Equal(t, true, hello["resumed"])
	require.Empty(t, l.id, "what was missed is still to come")
	for i := 6; i <= 200; i++ {
		id := cdc.Position{LSN: 11, Index: uint32(i)}.String()
		require.Equal(t, id, l.next()["id"])
		require.Equal(t, id, l.id)
	}
	g.commit(1, false, tom)
	require.Equal(t, "0/C.1", l.next()["id"])

	g.memory.mu.Lock()
	g.memory.kept = cdc.Position{LSN: 11, Index: 200}
	g.memory.mu.Unlock()
	l = g.hear(t, http.DefaultClient, token(tom), "&since=0/B.5")
	require.Equal(t, false, l.next()["resumed"])
	require.Equal(t, "gap", l.next()["type"])
	require.Equal(t, "0/B.200", l.id, "a gap ends where one goes on")

	l = g.hear(t, http.DefaultClient, token(tom), "", "Last-Event-ID", "yesterday")
	require.Equal(t, 400, l.StatusCode)
	requireRefusal(t, l.Response, "bad_request")
}

func TestAStreamIsPingedAndOwesNoPong(t *testing.T) {
	const often = 5 * time.Millisecond
	g := start(t, wsserver.Config{Heartbeat: often, MetricsInterval: often}, nil)
	l := g.hear(t, http.DefaultClient, token(tom), "&types=grade")
	at := g.commit(3, false, tina)
	for range 10 {
		l.until("ping")
		l.until("metrics")
	}
	require.Equal(t, cdc.Position{LSN: at, Index: 3}.String(), l.id, "the cursor of what was not for Tom")
	require.Zero(t, g.tally.of("closed sse"))
}

func TestAStreamHearsWhatItsFilterLetsThrough(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	l := g.hear(t, http.DefaultClient, token(tom), "&types=grade,exam_moved&assignment=7")
	l.until("welcome")
	ids := g.tellEverySort()
	require.Equal(t, ids[2], l.next()["id"])
	require.Equal(t, ids[4], l.next()["id"])
}

func TestWhatIsPublishedInSeveralLinesIsOneLineOfAStream(t *testing.T) {
	p := publishing(wsserver.Config{})
	p.g.http = httptest.NewServer(p.g.Handler())
	defer p.g.http.Close()
	p.g.run(t)
	l := p.g.hear(t, http.DefaultClient, token(tom), "")
	l.until("welcome")
	status, answer, _ := p.send(request("{\"user\":2,\r\n\"type\":\"exam\",\n\"data\":{\"rooms\":[1,\r\n\n2],\"note\":\"a\\r\\n\\ndata: x\"}}"))
	require.Equal(t, 200, status, answer)
	m := l.next()
	require.Equal(t, []any{1.0, 2.0}, m["rooms"])
	require.Equal(t, "a\r\n\ndata: x", m["note"])
}

func TestAStreamIsRefusedAsASocketIs(t *testing.T) {
	g := start(t, wsserver.Config{MaxPerPerson: 2, Origins: []string{"https://lms.example"}}, nil)
	for query, want := range map[string]struct {
		status int
		code   string
	}{
		"t-4":             {403, "role_not_allowed"},
		"t-5":             {403, "account_inactive"},
		"t-99":            {401, "unauthenticated"},
		"wrong":           {401, "unauthenticated"},
		"":                {401, "unauthenticated"},
		"down":            {503, "not_ready"},
		"t-2&since=x":     {400, "bad_request"},
		"t-2&types=pong":  {400, "bad_request"},
		"t-2~headmaster":  {403, "role_not_allowed"},
		"t-2&assignment=": {400, "bad_request"},
	} {
		l := g.hear(t, http.DefaultClient, query, "")
		require.Equal(t, want.status, l.StatusCode, query)
		requireRefusal(t, l.Response, want.code)
	}
	l := g.hear(t, http.DefaultClient, token(tom), "", "Origin", "https://evil.example")
	require.Equal(t, 403, l.StatusCode)
	require.Empty(t, l.Header.Get("Access-Control-Allow-Origin"))
	requireRefusal(t, l.Response, "origin_not_allowed")
	l = g.hear(t, http.DefaultClient, token(ada), "", "Origin", "https://lms.example")
	require.Equal(t, "https://lms.example", l.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", l.Header.Get("Access-Control-Allow-Credentials"))
	require.Equal(t, "Origin", l.Header.Get("Vary"))
	l.until("welcome")

	g.enter(t, tom, "")
	g.hear(t, http.DefaultClient, token(tom), "").until("welcome")
	l = g.hear(t, http.DefaultClient, token(tom), "")
	require.Equal(t, 429, l.StatusCode, "streams and sockets count together")
	requireRefusal(t, l.Response, "too_many_connections")

	for method, allowed := range map[string]int{http.MethodHead: 405, http.MethodPost: 405, http.MethodOptions: 204} {
		r, err := http.NewRequestWithContext(t.Context(), method, g.url("/sse/dashboard/", token(tina), ""), nil)
		require.NoError(t, err)
		r.Header.Set("Origin", "https://lms.example")
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		answer.Body.Close()
		require.Equal(t, allowed, answer.StatusCode, method)
		if method == http.MethodOptions {
			require.Equal(t, "Authorization, Last-Event-ID", answer.Header.Get("Access-Control-Allow-Headers"))
			require.Equal(t, "https://lms.example", answer.Header.Get("Access-Control-Allow-Origin"))
		}
	}
	require.Equal(t, 3, g.Sessions())
}

// hearings open a stream each in another way.
func hearings(t *testing.T, g *gateway) map[string]*http.Client {
	second := httptest.NewUnstartedServer(g.Handler())
	second.EnableHTTP2 = true
	second.Config.WriteTimeout = 2 * time.Second // must not end a stream
	second.StartTLS()
	t.Cleanup(second.Close)
	client := second.Client()
	reach := client.Transport
	client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = "https", second.Listener.Addr().String()
		answer, err := reach.RoundTrip(r)
		if err == nil {
			require.Equal(t, 2, answer.ProtoMajor)
		}
		return answer, err
	})
	return map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": client}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAStreamLivesAndEndsAsASocketDoesWhateverCarriesIt(t *testing.T) {
	const often = 20 * time.Millisecond
	g := start(t, wsserver.Config{Recheck: often, Heartbeat: often, DrainSpread: time.Millisecond}, nil)
	ends := 0
	for name, client := range hearings(t, g) {
		t.Run(name, func(t *testing.T) {
			l := g.hear(t, client, token(tom), "")
			require.Equal(t, "retry: 2000\n", l.head)
			require.Equal(t, "welcome", l.next()["type"])
			l.until("ping")
			at := g.commit(1, false, tom)
			require.Equal(t, cdc.Position{LSN: at, Index: 1}.String(), l.until("grade")["id"])

			teacher := person(tom, cdc.Teacher)
			teacher.Active = false
			g.lsn++
			g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: cdc.LSN(g.lsn)}, People: []cdc.Person{g.school.put(teacher)}})
			require.Equal(t, false, l.requireEnd(4401, "credentials_revoked")["reconnect"])
			g.school.put(person(tom, cdc.Teacher))

			l = g.hear(t, client, token(tina), "")
			l.until("welcome")
			g.school.proof(func(p *proofs) { p.gone = map[string]bool{"3": true} })
			l.requireEnd(4401, "credentials_revoked")
			g.school.proof(func(p *proofs) { p.gone = nil })
			g.hear(t, client, token(ada)+"~1s", "").requireEnd(4401, "credentials_revoked")

			l = g.hear(t, client, token(tina), "")
			l.until("welcome")
			require.NoError(t, l.Body.Close())
			ends += 4
			g.tally.await("closed sse", ends)
			require.Zero(t, g.Sessions())
		})
	}
	var last []*listener
	for _, client := range hearings(t, g) {
		last = append(last, g.hear(t, client, token(tom), ""))
	}
	drained := make(chan error, 1)
	go func() { drained <- g.Drain(context.Background()) }()
	for _, l := range last {
		require.Equal(t, true, l.requireEnd(1001, "going_away")["reconnect"])
	}
	require.NoError(t, <-drained)
	require.Zero(t, g.Sessions())
	l := g.hear(t, http.DefaultClient, token(tom), "")
	require.Equal(t, 503, l.StatusCode)
	requireRefusal(t, l.Response, "not_ready")
}

func TestAStreamMaySayNothingForLongerThanAWriteMayTake(t *testing.T) {
	g := start(t, wsserver.Config{WriteTimeout: 2 * time.Second, Heartbeat: 3 * time.Second}, nil)
	var all []*listener
	for _, client := range hearings(t, g) {
		all = append(all, g.hear(t, client, token(tom), ""))
	}
	for range 2 {
		for _, l := range all {
			l.until("ping")
		}
	}
}

func TestAStreamThatIsNotReadIsClosedAsSlow(t *testing.T) {
	g := start(t, wsserver.Config{WriteTimeout: time.Second, Linger: 100 * time.Millisecond}, func(d *wsserver.Deps) {
		d.Router = router.New(&memory{}, router.Config{Queue: 1 << 20})
		d.Router.Start(cdc.Position{LSN: 10})
	})
	g.pad = `,"pad":"` + strings.Repeat("x", 100_000) + `"`
	slow := 0
	for name, client := range hearings(t, g) {
		t.Run(name, func(t *testing.T) {
			l := g.hear(t, client, token(tom), "") // and is not read
			slow++
			for range 500 {
				g.commit(1, false, tom)
			}
			g.tally.await("closed for slow_consumer", slow)
			require.NoError(t, l.Body.Close())
		})
	}
	require.Zero(t, g.Sessions())
}

func TestAStreamThatIsCutIsForgottenAndOneThatTalksIsClosed(t *testing.T) {
	g := start(t, wsserver.Config{Linger: 100 * time.Millisecond}, nil)
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", g.http.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprintf(conn, "GET /sse/dashboard/?token=t-%d HTTP/1.1\r\nHost: gateway\r\n\r\n", tom)
		require.NoError(t, err)
		return conn
	}
	cut := dial()
	g.tally.await("sent welcome", 1)
	require.NoError(t, cut.(*net.TCPConn).SetLinger(0))
	require.NoError(t, cut.Close())
	g.tally.await("closed for connection_lost", 1)

	talker := dial()
	g.tally.await("sent welcome", 2)
	go func() { _, _ = io.WriteString(talker, strings.Repeat("x", 1<<20)) }()
	g.tally.await("closed for protocol_violation", 1)
	require.Zero(t, g.Sessions())
}

func TestDrainCutsAStreamWhoseClientDoesNotGo(t *testing.T) {
	g := start(t, wsserver.Config{Linger: time.Minute, DrainSpread: time.Millisecond}, nil)
	conn, err := net.Dial("tcp", g.http.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /sse/dashboard/?token=t-%d HTTP/1.1\r\nHost: gateway\r\n\r\n", tom)
	require.NoError(t, err)
	g.tally.await("sent welcome", 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		g.tally.await("sent disconnect", 1)
		cancel(io.ErrClosedPipe)
	}()
	require.ErrorIs(t, g.Drain(ctx), io.ErrClosedPipe)
	require.Zero(t, g.Sessions())
}

func TestAStreamIsNoWebSocketAndASocketNoStream(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	_, answer, err := websocket.Dial(t.Context(), g.url("/sse/dashboard/", token(tom), ""), nil)
	require.Error(t, err)
	require.Equal(t, 200, answer.StatusCode, "who asks here to upgrade gets the stream")
	g.tally.await("closed sse", 1)
}
