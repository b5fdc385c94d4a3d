package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/schoolbell/schoolbell/wsserver/web"
	"github.com/stretchr/testify/require"
)

// gateway speaks the protocol as a test tells it to, so that the page can be
// shown what a real gateway does only in trouble.
type gateway struct {
	t      *testing.T
	url    string
	arrive chan *session
	hung   chan struct{} // is sent to when a request for /hang comes, and before it is answered
	asked  atomic.Int32  // how many sockets were asked for

	// What api/session and refused upgrades answer: 0 lets everybody in.
	refuse  func() (status int, code string)
	history func(since, limit string) string // what api/events answers
	list    func(path string) string         // what api/assignments and what is under it answer; "": there is none
	happens func(query url.Values) string    // what api/activity answers
	cookie  func() (user int)                // whose cookie the browser has; 0: it has none
}

// session is one socket of the page.
type session struct {
	t     *testing.T
	conn  *websocket.Conn
	since string // what the page asked to resume from
	token string
	asked bool // with ?token=, be it empty
}

func newGateway(t *testing.T) *gateway {
	g := &gateway{
		t:       t,
		arrive:  make(chan *session),
		hung:    make(chan struct{}),
		refuse:  func() (int, string) { return 0, "" },
		history: func(string, string) string { return "" },
		list:    func(string) string { return `{"assignments":[],"before":null}` },
		happens: func(url.Values) string { return `{"counts":{},"recent":"","cursor":"","complete":true}` },
		cookie:  func() int { return 0 },
	}
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	mux.HandleFunc("GET /favicon.ico", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /bare", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html><title>x</title>") })
	mux.HandleFunc("GET /lms", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, pageOfTheLMS) })
	mux.HandleFunc("GET /hang", func(_ http.ResponseWriter, r *http.Request) {
		for range 2 {
			select {
			case g.hung <- struct{}{}:
			case <-r.Context().Done():
			}
		}
	})
	mux.HandleFunc("GET /ws/dashboard/", g.socket)
	mux.HandleFunc("GET /api/session", func(w http.ResponseWriter, r *http.Request) {
		switch who := g.cookie(); {
		case g.refused(w):
		case r.Header.Get("Authorization") != "":
			fmt.Fprint(w, `{"user_id":7}`)
		case who == 0:
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"unauthenticated","detail":""}`)
		default:
			fmt.Fprintf(w, `{"user_id":%d}`, who)
		}
	})
	mux.HandleFunc("GET /api/events", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, g.history(r.FormValue("since"), r.FormValue("limit")))
	})
	mux.HandleFunc("GET /api/assignments", g.listed)
	mux.HandleFunc("GET /api/assignments/{id}", g.listed)
	mux.HandleFunc("GET /api/activity", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, g.happens(r.URL.Query())) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	g.url = server.URL + "/"
	return g
}

func (g *gateway) listed(w http.ResponseWriter, r *http.Request) {
	answer := g.list(r.URL.Path)
	if answer == "" {
		w.WriteHeader(http.StatusNotFound)
		answer = `{"error":"not_found","detail":"because the test says so"}`
	}
	fmt.Fprint(w, answer)
}

func (g *gateway) refused(w http.ResponseWriter) bool {
	status, code := g.refuse()
	if status == 0 {
		return false
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "detail": "because the test says so"})
	return true
}

func (g *gateway) socket(w http.ResponseWriter, r *http.Request) {
	g.asked.Add(1)
	if g.refused(w) {
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	s := &session{t: g.t, conn: conn, since: r.FormValue("since"), token: r.FormValue("token"), asked: r.URL.Query().Has("token")}
	select {
	case g.arrive <- s:
	case <-r.Context().Done():
		return
	case <-g.t.Context().Done():
		return
	}
	<-g.t.Context().Done() // the test reads and writes; the socket is its own from here
}

// next waits for the page to connect.
func (g *gateway) next() *session {
	g.t.Helper()
	select {
	case s := <-g.arrive:
		return s
	case <-time.After(20 * time.Second):
		g.t.Fatal("the page did not connect within 20 s")
		return nil
	}
}

// send sends one message.
func (s *session) send(format string, args ...any) {
	s.t.Helper()
	require.NoError(s.t, s.conn.Write(s.t.Context(), websocket.MessageText, fmt.Appendf(nil, format, args...)))
}

// welcome is the teacher Nora's.
func (s *session) welcome(cursor string, resumed bool) {
	s.t.Helper()
	s.send(`{"type":"welcome","user_id":7,"user_email":"nora.lind@school.example","user_role":"teacher",`+
		`"metrics":{"pending_submissions":3,"ungraded_submissions":1204,"active_students":58,"total_assignments":12},`+
		`"cursor":%q,"resumed":%t,"timestamp":%q}`, cursor, resumed, now())
}

// answer answers whatever the page says with a pong, until the test ends.
func (s *session) answer() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, _, err := s.conn.Read(s.t.Context()); err != nil {
				return
			}
			_ = s.conn.Write(s.t.Context(), websocket.MessageText, []byte(`{"type":"pong"}`)) // who is gone is noticed by the reading
		}
	}()
	s.t.Cleanup(func() { <-done })
}

// heard waits for a message of the page.
func (s *session) heard(want string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	_, got, err := s.conn.Read(ctx)
	require.NoError(s.t, err, "waiting for %s", want)
	require.JSONEq(s.t, want, string(got))
}

func now() string { return ago(0) }

func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339Nano) }

// The messages of protocol.md.

func assignment(id string, number int, title string) string {
	return fmt.Sprintf(`{"type":"assignment","id":%q,"assignment_id":%d,"title":%q,"description":"","due_date":null,"timestamp":%q}`,
		id, number, title, now())
}

func submission(id string, assignment int, first, last string) string {
	return fmt.Sprintf(`{"type":"submission","id":%q,"submission_id":9,"assignment_id":%d,`+
		`"student":{"id":5,"email":"s@school.example","first_name":%q,"last_name":%q},"timestamp":%q}`,
		id, assignment, first, last, now())
}

func grade(id string, assignment int, first, last, mark string) string {
	return fmt.Sprintf(`{"type":"grade","id":%q,"submission_id":9,"assignment_id":%d,`+
		`"student":{"id":5,"email":"s@school.example","first_name":%q,"last_name":%q},"grade":%s,"timestamp":%q}`,
		id, assignment, first, last, mark, now())
}
