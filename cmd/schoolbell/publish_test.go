package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

const (
	// examMoved is the type of the tests' messages.
	examMoved = "exam_moved"
	service   = "token-of-a-service-of-the-school"
)

// publish asks to publish as a service would.
func (s *site) publish(body, key string) (status int, answer string, err error) {
	req, err := http.NewRequest(http.MethodPost, s.base()+"/api/publish", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+service)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := freshClient().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(bytes.TrimSpace(b)), err
}

// published publishes, and answers the id.
func (s *site) published(body, key string) string {
	s.t.Helper()
	status, answer, err := s.publish(body, key)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, status, answer)
	var m struct{ ID string }
	require.NoError(s.t, json.Unmarshal([]byte(answer), &m))
	return m.ID
}

func message(p school.Person, n int) string {
	return fmt.Sprintf(`{"user":%d,"type":%q,"data":{"n":%d}}`, p.ID, examMoved, n)
}

// ids are those of a client's events.
func (d *dashboard) ids() (ids []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		ids = append(ids, e.id)
	}
	return ids
}

func TestWhatIsPublishedReachesThePersonLiveAndFromTheHistoryAndNobodyElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve("--publish-tokens", "one-before-the-exchange,"+service)
	s.ready()
	teacher, colleague, tutor, head := s.school.Teachers[0], s.school.Teachers[1], s.school.Tutors[0], s.school.Admins[0]
	watching := map[string]*dashboard{"teacher": s.watch(teacher), "colleague": s.watch(colleague), "tutor": s.watch(tutor), "head": s.watch(head)}

	first := s.published(message(teacher, 1), "")
	s.exec(`UPDATE assignments_assignment SET author_id = $1`, teacher.ID)
	graded := s.grade(77)
	s.sees(watching["teacher"], 2) // so that the log has been read up to here
	group := s.published(`{"group":"dashboard_metrics","type":"exam_moved","data":{"n":2}}`, "")
	last := s.published(fmt.Sprintf(`{"group":"dashboard_user_%d","type":"exam_moved"}`, tutor.ID), "")

	s.sees(watching["head"], 2)
	watching["tutor"].await(t, "message", func() bool { // who may hear of the grade before
		return slices.ContainsFunc(watching["tutor"].events, func(e received) bool { return e.id == last })
	})
	teachers := watching["teacher"].ids()
	require.Equal(t, first, teachers[0])
	require.Contains(t, watching["teacher"].events[1].fields, graded)
	require.Equal(t, []string{teachers[1], group}, watching["head"].ids())
	tutors := watching["tutor"].ids()
	require.Equal(t, last, tutors[len(tutors)-1])
	require.Empty(t, watching["colleague"].ids())

	// The same from the history, for somebody who was away.
	for _, test := range []struct {
		person school.Person
		since  string
		want   []string
	}{
		{teacher, "0/0.0", teachers}, {teacher, first, teachers[1:]}, {head, teachers[1], []string{group}}, {colleague, "0/0.0", nil},
	} {
		require.Equal(t, test.want, s.history(test.person, test.since))
	}
}

// history is what a person is given after a position, as ids.
func (s *site) history(p school.Person, since string) (ids []string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.base()+"/api/events?limit=1000&since="+since, nil)
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Token "+p.Token)
	resp, err := freshClient().Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	var page struct{ Events []struct{ ID string } }
	require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&page))
	for _, e := range page.Events {
		ids = append(ids, e.ID)
	}
	return ids
}

// Services try again until they hear the answer, with the same key, while the gateway is
// killed again and again.
func TestWhatIsPublishedIsToldOnceThroughKills(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve("--publish-tokens", service)
	s.ready()
	teacher := s.school.Teachers[0]
	d := s.watch(teacher)

	const services, each = 4, 60
	var (
		mu       sync.Mutex
		answered = map[string]string{} // id by message
		all      sync.WaitGroup
	)
	for n := range services {
		all.Go(func() {
			for i := range each {
				number := n*each + i
				for {
					status, answer, err := s.publish(message(teacher, number), fmt.Sprint("key-", number))
					if err == nil && status == http.StatusOK {
						mu.Lock()
						answered[fmt.Sprintf(`{"n":%d,"type":"exam_moved"}`, number)] = answer
						mu.Unlock()
						break
					}
					if t.Context().Err() != nil || err == nil && status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
						t.Errorf("message %d: %d %s %v", number, status, answer, err)
						return
					}
					time.Sleep(5 * time.Millisecond) // nobody tells a service when the gateway is back
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for kills := 1; ; kills++ {
		known := func() int { mu.Lock(); defer mu.Unlock(); return len(answered) }
		s.exec(`UPDATE assignments_assignment SET author_id = $1`, teacher.ID)
		s.grade(kills)
		waitFor(t, "some more messages", func() bool { return known() >= min(kills*25, services*each) })
		gateway.kill() // in the middle of some
		gateway.restart()
		if kills*25 >= services*each {
			break
		}
	}
	<-done
	messages := func() map[string][]string {
		got := map[string][]string{}
		for _, e := range d.events {
			if e.kind == examMoved {
				got[e.fields] = append(got[e.fields], fmt.Sprintf(`{"id":%q}`, e.id))
			}
		}
		return got
	}
	d.await(t, "all messages", func() bool { return len(messages()) == services*each })
	d.mu.Lock()
	defer d.mu.Unlock()
	for fields, ids := range messages() {
		require.Equal(t, []string{answered[fields]}, ids, fields)
	}
	require.NoError(t, d.fault, "in order, each once")
}

// waitFor waits for something that nobody tells of.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, time.Minute, 5*time.Millisecond, what)
}

func TestATokenOfAServiceThatIsTooShortIsRefused(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"sh0rt", "w1th a space in the middle", "b3yond-ascii-äöüäöüäöü"} {
		code, out := schoolbell(t, "serve", "--database", "postgres://nobody@127.0.0.1:1/x", "--publish-tokens", token, "--listen", "127.0.0.1:0")
		require.Equal(t, 2, code, out)
		require.Contains(t, out, "fix: make one with openssl rand -hex 32")
		require.NotContains(t, out, token)
	}
}

func TestWhatSQLPublishesIsToldWithItsTransactionAndOnlyIfItCommits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const sentence = "which does not pass on what SQL announces with pg_logical_emit_message, want PostgreSQL 14 or later, or false; " +
		"fix: set sql_messages to false, or upgrade PostgreSQL"
	gateway := s.serve("--sql-messages", "--publish-tokens", service)
	code, out := s.check("--sql-messages")
	if pgtest.Server(t).Major() < 14 {
		require.Equal(t, 1, gateway.wait(30*time.Second))
		require.Contains(t, gateway.text(), sentence)
		require.Equal(t, 1, code, out)
		require.Contains(t, out, sentence)
		return
	}
	require.Zero(t, code, out)
	s.ready()
	teacher, head := s.school.Teachers[0], s.school.Admins[0]
	s.exec(`UPDATE assignments_assignment SET author_id = $1`, teacher.ID)
	d, admin := s.watch(teacher), s.watch(head)
	emit := func(body string) string { return "SELECT pg_logical_emit_message(true, 'schoolbell', '" + body + "')" }
	const marked = `UPDATE assignments_assignmentsubmission SET grade = 91 WHERE id = (SELECT min(id) FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL)`
	s.exec("BEGIN; " + emit(message(teacher, 1)) + "; " + marked + "; " + emit(message(teacher, 2)) + "; COMMIT")
	s.exec("BEGIN; " + emit(message(teacher, 3)) + "; ROLLBACK")
	s.exec(emit(`{"user":1,"type":"grade"}`))
	s.exec("SELECT pg_logical_emit_message(false, 'schoolbell', '{}')")
	s.exec(emit(`{"group":"dashboard_metrics","type":"exam_moved","data":{"n":4}}`))
	s.sees(admin, 2)
	between := s.published(message(teacher, 5), "")
	s.exec(emit(message(teacher, 6)))

	s.sees(d, 5)
	d.mu.Lock()
	defer d.mu.Unlock()
	var kinds []string
	for _, e := range d.events {
		kinds = append(kinds, strings.TrimSuffix(e.kind+" "+e.fields[:strings.IndexByte(e.fields, ',')], ` {"assignment_id":`))
	}
	require.Equal(t, "grade", d.events[0].kind)
	require.Equal(t, []string{`exam_moved {"n":1`, `exam_moved {"n":2`, `exam_moved {"n":5`, `exam_moved {"n":6`}, kinds[1:])
	require.Equal(t, between, d.events[3].id)
	require.Equal(t, d.events[0].timestamp, d.events[1].timestamp, "the time of the commit")
	at := strings.TrimSuffix(d.events[0].id, ".1")
	require.Equal(t, []string{at + ".2", at + ".3"}, []string{d.events[1].id, d.events[2].id})
	page := get(t, "http://"+s.admin+"/metrics", ready)
	require.Equal(t, "4", metric(page, `schoolbell_sql_messages_total{outcome="published"}`))
	require.Equal(t, "1", metric(page, `schoolbell_sql_messages_total{outcome="malformed"}`))
	require.Equal(t, "1", metric(page, `schoolbell_sql_messages_total{outcome="not_transactional"}`))
	require.Equal(t, "1", metric(page, `schoolbell_publish_requests_total{outcome="published"}`))
	require.Equal(t, "5", metric(page, `schoolbell_events_total{kind="custom"}`))
}

// The README says who may publish by SQL, and how to change that.
func TestEveryRoleMayPublishBySQLUnlessThatIsRevoked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	more := ""
	if pgtest.Server(t).Major() >= 17 {
		more = ", boolean"
	}
	role := s.role("LOGIN")
	conn := connectTo(t, s.as(role))
	const emit = "SELECT pg_logical_emit_message(true, 'schoolbell', '{}'), pg_logical_emit_message(true, 'schoolbell', '{}'::bytea)"
	_, err := conn.Exec(t.Context(), emit)
	require.NoError(t, err)
	functions := "pg_logical_emit_message(boolean, text, text" + more + "), pg_logical_emit_message(boolean, text, bytea" + more + ")"
	s.exec("REVOKE EXECUTE ON FUNCTION " + functions + " FROM PUBLIC")
	_, err = conn.Exec(t.Context(), emit)
	require.ErrorContains(t, err, "permission denied")
	s.exec("GRANT EXECUTE ON FUNCTION " + functions + " TO " + role)
	_, err = conn.Exec(t.Context(), emit)
	require.NoError(t, err)
}
