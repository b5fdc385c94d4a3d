package wsserver_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a history of a slice.
type memory struct {
	mu     sync.Mutex
	events []*cdc.Event
	kept   cdc.Position
}

func (m *memory) EventsOf(person cdc.ID, wasAdmin func(cdc.Position) bool, after, upTo cdc.Position, most int,
	give func(*cdc.Event) bool,
) (cdc.Position, error) {
	m.mu.Lock()
	events := slices.Clone(m.events)
	m.mu.Unlock()
	for _, e := range events {
		if !e.Position.After(after) || e.Position.After(upTo) {
			continue
		}
		mine := slices.Contains(e.Audience.People, person) || e.Audience.Admins && wasAdmin(e.Position)
		if most--; mine && !give(e) || most == 0 {
			return e.Position, nil
		}
	}
	return upTo, nil
}

func (m *memory) Back(upTo cdc.Position, n int) (cdc.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range slices.Backward(m.events) {
		if e.Position.After(upTo) {
			continue
		}
		if n--; n < 0 {
			return e.Position, nil
		}
	}
	return cdc.Position{}, nil
}

func (m *memory) First(after cdc.Position) (cdc.Position, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if e.Position.After(after) {
			return e.Position, e.Time, nil
		}
	}
	return cdc.Position{}, time.Time{}, nil
}

func (m *memory) Kept() cdc.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept
}

func (*memory) Lost() cdc.Position { return cdc.Position{} }

// school is the people, and the tokens "t-ID" of those whom it knows: "t-ID~5s" for
// as long, "t-ID~teacher" for that role.
type school struct {
	mu       sync.Mutex
	people   map[cdc.ID]cdc.Person
	counting func() // called whenever somebody's counts are asked for
	proofs   proofs // see recheck_test.go
}

func (s *school) Person(id cdc.ID) (cdc.Person, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.people[id]
	return p, ok
}

func (s *school) Counts(p cdc.Person) cdc.Counts {
	s.mu.Lock()
	counting := s.counting
	s.mu.Unlock()
	if counting != nil {
		counting()
	}
	return cdc.Counts{PendingSubmissions: 1, UngradedSubmissions: 2, ActiveStudents: 3, TotalAssignments: 4}
}

func (s *school) Authenticate(ctx context.Context, r *http.Request) (auth.Identity, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = r.URL.Query().Get("token")
	}
	if token == "slow" {
		<-ctx.Done()
		return auth.Identity{}, ctx.Err()
	}
	if user, ok := strings.CutPrefix(token, "t-"); ok {
		user, rest, _ := strings.Cut(user, "~")
		id := auth.Identity{User: user, Way: cmp.Or(s.proofs.ways[user], "token"), Expires: s.proofs.expires}
		if d, err := time.ParseDuration(strings.TrimRight(rest, "~")); err == nil {
			id.Expires = time.Now().Add(d)
		} else if cdc.ParseRole(rest) != cdc.NoRole || rest == "headmaster" {
			id.Role = rest
		}
		return id, nil
	}
	if token == "down" {
		return auth.Identity{}, fmt.Errorf("ask the database: %w", auth.ErrUnavailable)
	}
	if token == "" {
		return auth.Identity{}, auth.ErrNoCredential
	}
	return auth.Identity{}, auth.ErrUnauthenticated
}

func (s *school) put(p cdc.Person) cdc.Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people[p.ID] = p
	return p
}

// tally is an observer that remembers.
type tally struct {
	mu      sync.Mutex
	changed *sync.Cond
	counts  map[string]int
	awaited map[string]int
}

func newTally() *tally {
	t := &tally{counts: map[string]int{}, awaited: map[string]int{}}
	t.changed = sync.NewCond(&t.mu)
	return t
}

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what] += n
	if until, ok := t.awaited[what]; ok && t.counts[what] >= until {
		t.changed.Broadcast()
	}
}

func (t *tally) Handshake(outcome string) { t.add("handshake "+outcome, 1) }
func (t *tally) Opened(role, transport, way string) {
	t.add("opened "+role, 1)
	t.add("opened "+transport, 1)
	t.add("opened by "+way, 1)
}
func (t *tally) Closed(role, transport, way, reason string) {
	t.add("closed "+role, 1)
	t.add("closed "+transport, 1)
	t.add("closed by "+way, 1)
	t.add("closed for "+reason, 1)
}
func (t *tally) Sent(kind string, n, _ int) { t.add("sent "+kind, n) }
func (t *tally) Delay(time.Duration)        { t.add("delay", 1) }
func (t *tally) SignedIn(way string)        { t.add("signed in by "+way, 1) }
func (t *tally) Revoked(way string)         { t.add("revoked "+way, 1) }
func (t *tally) Received(kind string)       { t.add("received "+kind, 1) }
func (t *tally) Published(outcome string)   { t.add("published "+outcome, 1) }

// await waits until something was counted n times.
func (t *tally) await(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.awaited[what] = n // one waiter per word
	for t.counts[what] < n {
		t.changed.Wait()
	}
}

func (t *tally) of(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[what]
}

// gateway is a server on a loopback port with everything behind it in memory.
type gateway struct {
	*wsserver.Server
	http   *httptest.Server
	router *router.Router
	memory *memory
	school *school
	tally  *tally
	log    *lockedBuffer
	lsn    int
	pad    string // makes the events longer

	answers inspector
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func person(id int64, role cdc.Role) cdc.Person {
	return cdc.Person{ID: cdc.IntID(id), Email: fmt.Sprintf("p%d@school.example", id), Role: role, Active: true}
}

// The people of every test.
const (
	ada    = 1 // admin
	tom    = 2 // teacher
	tina   = 3 // tutor
	stu    = 4 // student
	gone   = 5 // teacher, not active
	nobody = 99
)

func build(cfg wsserver.Config, change func(*wsserver.Deps)) *gateway {
	g := &gateway{memory: &memory{}, tally: newTally(), log: &lockedBuffer{}, lsn: 10, answers: inspector{seen: map[string]bool{}}}
	g.school = &school{people: map[cdc.ID]cdc.Person{}}
	g.school.put(person(ada, cdc.Admin))
	g.school.put(person(tom, cdc.Teacher))
	g.school.put(person(tina, cdc.Tutor))
	g.school.put(person(stu, cdc.Student))
	left := person(gone, cdc.Teacher)
	left.Active = false
	g.school.put(left)
	g.router = router.New(g.memory, router.Config{})
	g.router.Start(cdc.Position{LSN: 10})
	deps := wsserver.Deps{
		Router: g.router, Auth: g.school, People: g.school, Observer: g.tally,
		Log: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&deps)
	}
	g.router = deps.Router
	g.Server = wsserver.New(deps, cfg)
	return g
}

// run runs the wheel until the test's end, and then drains.
func (g *gateway) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = g.Run(ctx)
	}()
	t.Cleanup(func() {
		drained, done := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer done()
		_ = g.Drain(drained)
		cancel()
		<-stopped
	})
}

func start(t testing.TB, cfg wsserver.Config, change func(*wsserver.Deps)) *gateway {
	t.Helper()
	g := build(cfg, change)
	g.http = httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		g.http.Close()
		g.answers.requireNoProblem(t)
	})
	g.run(t)
	return g
}

// commit stores and publishes one transaction of n events for some people, and
// returns its position.
func (g *gateway) commit(n int, admins bool, people ...int64) cdc.LSN {
	return g.tell(cdc.Grade, "grade", cdc.ID{}, n, admins, people...)
}

// tell is commit with events of a kind, a type, and about an assignment.
func (g *gateway) tell(kind cdc.Kind, word string, about cdc.ID, n int, admins bool, people ...int64) cdc.LSN {
	g.lsn++
	var events []*cdc.Event
	var ids []cdc.ID
	for _, p := range people {
		ids = append(ids, cdc.IntID(p))
	}
	for i := range n {
		at := cdc.Position{LSN: cdc.LSN(g.lsn), Index: uint32(i + 1)}
		events = append(events, &cdc.Event{
			Position: at, Kind: kind, Time: time.Now(), Assignment: about, Audience: cdc.Audience{People: ids, Admins: admins},
			Body: fmt.Appendf(nil, `{"type":"%s","id":"%v","timestamp":"2026-11-22T21:05:11.123456Z"%s}`, word, at, g.pad),
		})
	}
	g.memory.mu.Lock()
	g.memory.events = append(g.memory.events, events...)
	g.memory.mu.Unlock()
	g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: cdc.LSN(g.lsn), Index: uint32(n)}, Events: events})
	return cdc.LSN(g.lsn)
}

func (g *gateway) url(path, token, more string) string {
	return g.http.URL + path + "?token=" + token + more
}

func token(id int) string { return fmt.Sprintf("t-%d", id) }

// dashboard is a client.
type dashboard struct {
	*websocket.Conn
	t testing.TB
}

type message map[string]any

func (g *gateway) dial(t testing.TB, who int, more string) *dashboard {
	t.Helper()
	return g.dialWith(t, token(who), more)
}

func (g *gateway) dialWith(t testing.TB, token, more string) *dashboard {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token, more), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &dashboard{ws, t}
}

// enter dials and reads the welcome.
func (g *gateway) enter(t testing.TB, who int, more string) *dashboard {
	t.Helper()
	d := g.dial(t, who, more)
	require.Equal(t, "welcome", d.next()["type"])
	return d
}

func (d *dashboard) next() message {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	kind, body, err := d.Read(ctx)
	require.NoError(d.t, err)
	require.Equal(d.t, websocket.MessageText, kind)
	requireSent(d.t, body)
	return decode(d.t, body)
}

func decode(t testing.TB, body []byte) message {
	t.Helper()
	var m message
	require.NoError(t, json.Unmarshal(body, &m), "%s", body)
	return m
}

// until reads on to the next message of a type.
func (d *dashboard) until(kind string) message {
	d.t.Helper()
	for {
		if m := d.next(); m["type"] == kind {
			return m
		}
	}
}

func (d *dashboard) say(text string) {
	d.t.Helper()
	require.NoError(d.t, d.Write(d.t.Context(), websocket.MessageText, []byte(text)))
}

// requireClosed reads on to the disconnect message and the close frame.
func (d *dashboard) requireClosed(code int, reason string, reconnect bool) message {
	d.t.Helper()
	m := d.until("disconnect")
	require.EqualValues(d.t, code, m["code"])
	require.Equal(d.t, reason, m["reason"])
	require.Equal(d.t, reconnect, m["reconnect"])
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	_, _, err := d.Read(ctx)
	require.EqualValues(d.t, code, websocket.CloseStatus(err), "%v", err)
	return m
}
