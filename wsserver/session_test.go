package wsserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
)

func TestEventsReachThoseWhomTheyConcernByteForByte(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	head, teacher := g.enter(t, ada, ""), g.enter(t, tom, "")
	g.commit(1, true, tina)
	g.commit(1, true, tom)
	require.Equal(t, "0/B.1", head.next()["id"])
	require.Equal(t, "0/C.1", head.next()["id"])
	kind, body, err := teacher.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageText, kind)
	require.JSONEq(t, `{"type":"grade","id":"0/C.1","timestamp":"2026-11-22T21:05:11.123456Z"}`, string(body))
	g.tally.await("sent grade", 3)
	require.Equal(t, 3, g.tally.of("delay"))
}

func TestAClientThatComesBackGetsWhatItMissedAndThenWhatHappens(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	g.commit(200, true, tom) // more than leaves in one write
	g.commit(1, false, tina)
	d := g.dial(t, tom, "&since=0/B.5")
	hello := d.next()
	require.Equal(t, true, hello["resumed"])
	require.Equal(t, "0/C.1", hello["cursor"])
	d.say(`{"type":"ping"}`)
	for i := 6; i <= 200; i++ {
		require.Equal(t, cdc.Position{LSN: 11, Index: uint32(i)}.String(), d.next()["id"])
	}
	require.Equal(t, "0/C.1", d.until("pong")["cursor"], "the pong comes after what was missed")
	g.commit(1, false, tom)
	require.Equal(t, "0/D.1", d.until("grade")["id"])
}

func TestASinceThatIsNotKeptIsAnsweredWithAGapAndWhatIsKept(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	g.commit(1, false, tom)
	g.memory.mu.Lock()
	g.memory.kept = cdc.Position{LSN: 10}
	g.memory.mu.Unlock()
	d := g.dial(t, tom, "&since=0/1.1")
	require.Equal(t, false, d.next()["resumed"])
	gap := d.next()
	require.Equal(t, "gap", gap["type"])
	require.Equal(t, "retention", gap["reason"])
	require.Equal(t, "0/1.1", gap["from"])
	require.Equal(t, "0/A.0", gap["to"])
	require.Nil(t, gap["count"])
	require.Equal(t, "0/B.1", d.next()["id"])
	g.commit(1, false, tom)
	require.Equal(t, "0/C.1", d.next()["id"])
}

// Nothing happened to Tom for long; what happened to others meanwhile, and was removed
// since, is nothing that he missed.
func TestTheCursorOfAPingPongOrMetricsResumesTheIdleWhateverWasTrimmed(t *testing.T) {
	const often = 5 * time.Millisecond
	g := start(t, wsserver.Config{Heartbeat: often, MetricsInterval: often, MessageBurst: 10_000}, nil)
	for _, kind := range []string{"ping", "pong", "metrics"} {
		d := g.enter(t, tom, "")
		g.commit(3, false, tina)
		newest := g.router.Cursor()
		var cursor string
		for cursor != newest.String() {
			d.say(`{"type":"ping"}`)
			if m := d.next(); m["type"] == kind {
				cursor = m["cursor"].(string)
			} else if m["type"] == "ping" {
				d.say(`{"type":"pong"}`)
			}
		}
		require.NoError(t, d.CloseNow())
		g.memory.mu.Lock()
		g.memory.kept, g.memory.events = newest, nil
		g.memory.mu.Unlock()
		g.commit(1, false, tom)
		d = g.dial(t, tom, "&since="+cursor)
		require.Equal(t, true, d.next()["resumed"], kind)
		require.Equal(t, g.router.Cursor().String(), d.until("grade")["id"], kind)
		require.NoError(t, d.CloseNow())
	}
}

func TestACursorIsNeverAheadOfWhatWasWrittenBeforeIt(t *testing.T) {
	const often = 5 * time.Millisecond
	g := start(t, wsserver.Config{Heartbeat: often, MetricsInterval: often, MessageBurst: 10_000}, nil)
	d := g.enter(t, tom, "")
	// An event between taking what waits and writing the cursor, again and again.
	const commits = 100
	g.school.mu.Lock()
	g.school.counting = func() { g.commit(1, false, tom) }
	g.school.mu.Unlock()
	var newest, cursor cdc.Position
	parse := func(text any) cdc.Position {
		at, err := cdc.ParsePosition(text.(string))
		require.NoError(t, err)
		return at
	}
	cursors := 0
	for newest.LSN < 10+commits {
		m := d.next()
		switch m["type"] {
		case "grade":
			newest = parse(m["id"])
			require.True(t, newest.After(cursor), "%v came after the cursor %v", newest, cursor)
		case "ping":
			d.say(`{"type":"pong"}`)
			cursor = parse(m["cursor"])
			cursors++
		case "metrics":
			cursor = parse(m["cursor"])
			cursors++
		}
	}
	require.Greater(t, cursors, commits/2)
}

func TestPongOnPingAndOtherMessagesAreIgnoredAndCounted(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	d := g.enter(t, tom, "")
	for _, text := range []string{`{`, ``, `null`, `[1]`, `"ping"`, `{"type":7}`, `{"type":"unsubscribe"}`, "\xff"} {
		d.say(text)
	}
	require.NoError(t, d.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)))
	d.say(`{"type":"pong"}`)
	d.say(` { "extra": [], "type" : "ping" } `)
	d.say(`{"type":"ping"}`)
	for range 2 {
		m := d.next()
		require.Equal(t, "pong", m["type"])
		require.Equal(t, "0/A.0", m["cursor"])
		require.NotEmpty(t, m["timestamp"])
		g.tally.await("sent pong", 1)
		if g.tally.of("sent pong") == 1 && g.tally.of("received ping") == 2 {
			break // two pings in a row may be answered by one pong
		}
	}
	g.tally.await("received other", 9)
	g.tally.await("received pong", 1)
	require.Equal(t, 1, g.Sessions())
}

func TestOneClientsFaultsCloseThatClientOnly(t *testing.T) {
	tests := []struct {
		name string
		sin  func(*dashboard)
	}{
		{"a message over 8 KB", func(d *dashboard) { d.say(strings.Repeat("x", 8193)) }},
		{"a message of 1 MB", func(d *dashboard) {
			_ = d.Write(d.t.Context(), websocket.MessageText, bytes.Repeat([]byte("x"), 1<<20))
		}},
		{"a flood of messages", func(d *dashboard) {
			for range 200 {
				if d.Write(d.t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)) != nil {
					return
				}
			}
		}},
		{"a flood of bytes", func(d *dashboard) {
			for range 200 {
				if d.Write(d.t.Context(), websocket.MessageText, bytes.Repeat([]byte("x"), 4096)) != nil {
					return
				}
			}
		}},
	}
	g := start(t, wsserver.Config{}, nil)
	bystander := g.enter(t, ada, "")
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := g.enter(t, tom, "")
			d.SetReadLimit(-1)
			go tt.sin(d)
			d.requireClosed(1008, "protocol_violation", true)
			g.tally.await("closed for protocol_violation", i+1)
			at := g.commit(1, true)
			require.Equal(t, cdc.Position{LSN: at, Index: 1}.String(), bystander.until("grade")["id"])
		})
	}
	require.Equal(t, 1, g.Sessions())
}

func TestExactly8192BytesAreAllowed(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	d := g.enter(t, tom, "")
	d.say(`{"type":"ping"}` + strings.Repeat(" ", 8192-15))
	require.Equal(t, "pong", d.next()["type"])
}

func TestWhatWasTakenFromSomebodyClosesTheirSessions(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	d := g.enter(t, tom, "")
	p := person(tom, cdc.Teacher)
	p.Active = false
	g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: 50}, People: []cdc.Person{g.school.put(p)}})
	d.requireClosed(4401, "credentials_revoked", false)

	d = g.enter(t, tina, "")
	g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: 51}, People: []cdc.Person{g.school.put(person(tina, cdc.Student))}})
	d.requireClosed(4403, "role_not_allowed", false)
	g.tally.await("closed teacher", 1)
	g.tally.await("closed tutor", 1)
}

func TestAClientThatDoesNotReadIsClosedAsSlowAndHoldsUpNobody(t *testing.T) {
	tests := []struct {
		name  string
		cfg   wsserver.Config
		queue int
		full  uint64
	}{
		{"because its queue is full", wsserver.Config{Linger: 100 * time.Millisecond}, 110, 1},
		{"because a write takes too long", wsserver.Config{WriteTimeout: time.Second}, 1 << 20, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := start(t, tt.cfg, func(d *wsserver.Deps) {
				d.Router = router.New(&memory{}, router.Config{Queue: tt.queue, BulkLimit: 100})
				d.Router.Start(cdc.Position{LSN: 10})
			})
			stuck := g.enter(t, tom, "")
			brisk := g.enter(t, tom, "")
			g.pad = `,"pad":"` + strings.Repeat("x", 10_000) + `"`
			var got, want []any
			for i := 0; g.tally.of("closed for slow_consumer") == 0; i++ {
				at := g.commit(100, false, tom)
				for n := range 100 {
					want = append(want, cdc.Position{LSN: at, Index: uint32(n + 1)}.String())
					got = append(got, brisk.until("grade")["id"])
				}
				require.Less(t, i, 1000, "the stuck client is still there")
			}
			require.True(t, slices.Equal(want, got), "the other one gets everything")
			require.Equal(t, tt.full, g.router.Stats().Slow)
			_ = stuck.CloseNow()
		})
	}
}

func TestAPageOfHistoryOverHTTP(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	g.commit(3, true, tom)
	g.commit(1, true, tina)
	get := func(more string, status int) (body map[string]any) {
		answer, err := http.Get(g.url("/api/events", token(tom), more))
		require.NoError(t, err)
		defer answer.Body.Close()
		require.Equal(t, status, answer.StatusCode)
		require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &body), "%s", text)
		return body
	}
	page := get("&since=0/A.0&limit=2", 200)
	require.Len(t, page["events"], 2)
	require.Equal(t, true, page["more"])
	require.Nil(t, page["gap"])
	page = get("&since="+page["cursor"].(string), 200)
	require.Len(t, page["events"], 1)
	require.Equal(t, "0/B.3", page["events"].([]any)[0].(map[string]any)["id"])
	require.Equal(t, "0/C.1", page["cursor"])
	require.Equal(t, false, page["more"])

	g.memory.mu.Lock()
	g.memory.kept = cdc.Position{LSN: 11, Index: 3}
	g.memory.mu.Unlock()
	page = get("&since=0/A.0", 200)
	require.Equal(t, "retention", page["gap"].(map[string]any)["reason"])

	for _, limit := range []string{"0", "1001", "-1", "many"} {
		require.Equal(t, "bad_request", get("&limit="+limit, 400)["error"])
	}
}

func TestEveryAnswerSaysWhatBrowsersShouldNotDo(t *testing.T) {
	g := start(t, wsserver.Config{}, func(d *wsserver.Deps) {
		d.Page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the page") })
	})
	for _, path := range []string{"/", "/api/session", "/healthz", "/nowhere"} {
		answer, err := http.Get(g.http.URL + path)
		require.NoError(t, err)
		answer.Body.Close()
		require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "no-referrer", answer.Header.Get("Referrer-Policy"))
		require.Equal(t, "DENY", answer.Header.Get("X-Frame-Options"))
		require.NotEmpty(t, answer.Header.Get("Content-Security-Policy"))
	}
}

func TestDrainAsksEverybodyToReturnAtDifferentTimesAndWaitsUntilAllAreGone(t *testing.T) {
	tests := []struct {
		name string
		cfg  wsserver.Config
		step float64 // ms between the moments at which two return
	}{
		{"a few return soon", wsserver.Config{DrainSpread: 20 * time.Millisecond}, 2},
		{"many within the spread", wsserver.Config{DrainSpread: 20 * time.Millisecond, ReturnSpread: 10 * time.Millisecond}, 0.5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.MaxPerPerson = 50
			g := start(t, tt.cfg, nil)
			const clients = 20
			var all []*dashboard
			for range clients {
				all = append(all, g.enter(t, tom, ""))
			}
			drained := make(chan error, 1)
			go func() { drained <- g.Drain(context.Background()) }()
			var waits, want []int
			for i, d := range all {
				m := d.requireClosed(1001, "going_away", true)
				waits = append(waits, int(m["retry_after_ms"].(float64)))
				// Nobody before the last goodbye, a millisecond per goodbye, and a second.
				want = append(want, 1000+clients-1-i+int(tt.step*float64(i)))
			}
			require.NoError(t, <-drained)
			require.ElementsMatch(t, want, waits)
			require.Zero(t, g.Sessions())
			_, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(tom), ""), nil)
			require.Error(t, err)
			require.Contains(t, []string{"1", "2"}, answer.Header.Get("Retry-After"), "the successor is here soon")
			requireRefusal(t, answer, "not_ready")
		})
	}
}

func TestDrainCutsWhoDoesNotGo(t *testing.T) {
	g := start(t, wsserver.Config{Linger: time.Minute, DrainSpread: time.Millisecond}, nil)
	g.enter(t, tom, "") // does not read any more, so it answers no close frame
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		g.tally.await("sent disconnect", 1)
		cancel(io.ErrClosedPipe)
	}()
	err := g.Drain(ctx)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.ErrorContains(t, err, "1 sessions")
	require.Zero(t, g.Sessions())
}

func TestMoreClientsThatDoNotReadThanThereAreCoresHoldUpNobody(t *testing.T) {
	g := start(t, wsserver.Config{WriteTimeout: time.Hour}, func(d *wsserver.Deps) {
		d.Router = router.New(&memory{}, router.Config{Queue: 1 << 20, BulkLimit: 100})
		d.Router.Start(cdc.Position{LSN: 10})
	})
	for range runtime.GOMAXPROCS(0) + 1 {
		g.raw(t, tom, "")
	}
	brisk := g.enter(t, tom, "")
	g.pad = `,"pad":"` + strings.Repeat("x", 10_000) + `"`
	for range 10 { // far more than the sockets take
		at := g.commit(100, false, tom)
		for n := range 100 {
			require.Equal(t, cdc.Position{LSN: at, Index: uint32(n + 1)}.String(), brisk.until("grade")["id"])
		}
	}
}

func TestMessagesThatComeTogetherOrInPiecesAreAllHeard(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	r := g.raw(t, tom, "")
	var frames []byte
	for range 3 {
		text := `{"type":"pong"}`
		frames = append(append(frames, 0x81, 0x80|byte(len(text)), 0, 0, 0, 0), text...)
	}
	_, err := r.Write(frames)
	require.NoError(t, err)
	g.tally.await("received pong", 3)
	for i := range frames {
		_, err = r.Write(frames[i : i+1])
		require.NoError(t, err)
	}
	g.tally.await("received pong", 6)
	_, err = r.Write(frames) // and again, from where it waits
	require.NoError(t, err)
	g.tally.await("received pong", 9)
	short := []byte{0x81, 0x82, 0, 0, 0, 0, '{', '}'} // two of them fit the library's buffer
	_, err = r.Write(append(short, short...))
	require.NoError(t, err)
	g.tally.await("received other", 2)
}
