package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// site is a school with an LMS, as its sysadmin sees it: a database, and a gateway
// that serves it.
type site struct {
	t       *testing.T
	url     string // of the database, as superuser
	slot    string // of its own, as slots belong to the whole server
	conn    *pgx.Conn
	school  *school.School
	data    string
	address string // of the gateway
	admin   string
}

// smallSchool is enough for everything to happen that can.
var smallSchool = school.Size{Teachers: 2, Tutors: 1, Admins: 1, Students: 30, Assignments: 4}

// newSite has the LMS's tables, and a publication for the gateway. It lives in the
// shared server.
func newSite(t *testing.T) *site {
	t.Helper()
	return siteAt(t, pgtest.Database(t))
}

// siteAt makes the same in an empty database of any server.
func siteAt(t *testing.T, url string) *site {
	t.Helper()
	s := bareSite(t, url)
	s.init()
	return s
}

// bareSite has the LMS's tables and nothing of ours.
func bareSite(t *testing.T, url string) *site {
	t.Helper()
	s := &site{t: t, url: url, data: t.TempDir(), address: freePort(t), admin: freePort(t)}
	s.conn = connectTo(t, url)
	s.slot = s.ask("SELECT current_database()")
	require.NoError(t, school.Create(t.Context(), s.conn))
	var err error
	s.school, err = school.Populate(t.Context(), s.conn, smallSchool, 1)
	require.NoError(t, err)
	return s
}

func connectTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// withLists is the text as it reads where publications have column lists, from
// PostgreSQL 15 on, and before that without them.
func withLists(t *testing.T, text string) string {
	t.Helper()
	if pgtest.Server(t).Major() >= 15 {
		return text
	}
	return regexp.MustCompile(` \(["a-z][^)]*\)`).ReplaceAllString(text, "")
}

// init is schoolbell init.
func (s *site) init() {
	s.t.Helper()
	code, out := schoolbell(s.t, "init", "--database", s.url)
	require.Zero(s.t, code, out)
}

// check is schoolbell check.
func (s *site) check(more ...string) (code int, output string) {
	s.t.Helper()
	return schoolbell(s.t, append([]string{"check", "--database", s.url, "--slot", s.slot}, more...)...)
}

// exec runs statements as the LMS or its DBA would.
func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.conn.Exec(s.t.Context(), sql, args...)
	require.NoError(s.t, err, sql)
}

// ask reads one text.
func (s *site) ask(sql string, args ...any) string {
	s.t.Helper()
	var text string
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), sql, args...).Scan(&text), sql)
	return text
}

// serve starts a gateway; a flag given here wins.
func (s *site) serve(more ...string) *process {
	s.t.Helper()
	return start(s.t, slices.Concat([]string{
		"serve", "--database", s.url, "--slot", s.slot, "--data", s.data, "--listen", s.address, "--admin-listen", s.admin,
		"--metrics-interval", "1s", "--heartbeat", "5s",
	}, forDashboards(), more)...)
}

func (s *site) base() string { return "http://" + s.address }

// ready waits until dashboards are served.
func (s *site) ready() {
	s.t.Helper()
	get(s.t, s.base()+"/readyz", ready)
}

// waiting waits until /readyz says all of this while dashboards are not served.
func (s *site) waiting(words ...string) {
	s.t.Helper()
	get(s.t, s.base()+"/readyz", func(status int, body string) bool {
		for _, w := range words {
			// The body is JSON: its quotes are escaped.
			if !strings.Contains(strings.ReplaceAll(body, `\"`, `"`), w) {
				return false
			}
		}
		return status == http.StatusServiceUnavailable
	})
	require.Equal(s.t, http.StatusOK, statusOf(s.t, s.base()+"/healthz"), "the process lives while it waits")
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// statusAt is what /api/session answers at an address, to a request with headers in pairs.
func (s *site) statusAt(base string, headers ...string) (status int, body string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, base+"/api/session", nil)
	require.NoError(s.t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(text)
}

func (s *site) requireStatus(want int, say, base string, headers ...string) {
	s.t.Helper()
	status, body := s.statusAt(base, headers...)
	require.Equal(s.t, want, status, "%v: %s", headers, body)
	require.Contains(s.t, body, say)
}

func isUser(p school.Person) string { return fmt.Sprintf(`"user_id":%d,`, p.ID) }

// watch is a person's client, connected until the test ends.
func (s *site) watch(p school.Person) *dashboard {
	s.t.Helper()
	d := newDashboard(s.base(), p.ID, p.Token)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() { d.run(ctx); close(done) }()
	s.t.Cleanup(func() { cancel(); <-done })
	d.await(s.t, "welcome", func() bool { return d.welcomes > 0 })
	return d
}

// dial opens a socket that does nothing by itself, with the welcome read.
func (s *site) dial(p school.Person) *websocket.Conn {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.base()+"/ws/dashboard/?token="+p.Token, nil)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	_, welcome, err := conn.Read(s.t.Context())
	require.NoError(s.t, err)
	require.Contains(s.t, string(welcome), `"type":"welcome"`)
	return conn
}

// grade gives a mark to one submission that was handed in, and answers its id.
func (s *site) grade(mark int) string {
	s.t.Helper()
	return s.ask(`UPDATE assignments_assignmentsubmission SET grade = $1 WHERE id =
		(SELECT id FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL AND grade IS DISTINCT FROM $1 ORDER BY id LIMIT 1)
		RETURNING id::text`, mark)
}

// sees waits until the client has this many events, and no more.
func (s *site) sees(d *dashboard, n int) {
	s.t.Helper()
	d.await(s.t, "event", func() bool { return len(d.events) >= n })
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Len(s.t, d.events, n)
}

// schoolbell runs a command that ends by itself, and answers its exit code and all
// that it wrote. It is the process itself that answers: exit code and words are the
// promise.
func schoolbell(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	p := start(t, args...)
	code = p.wait(30 * time.Second)
	return code, p.text()
}

// lastLine is what a command ends with.
func lastLine(output string) string {
	lines := bytes.Split(bytes.TrimSpace([]byte(output)), []byte("\n"))
	return string(lines[len(lines)-1])
}
