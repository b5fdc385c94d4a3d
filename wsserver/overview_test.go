package wsserver_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/wsserver"
)

// desk is the assignments that each person sees, the newest first.
type desk struct {
	of     map[cdc.ID][]cdc.AssignmentView
	counts func() // called whenever something is counted
}

func (d *desk) Assignments(_ context.Context, p cdc.Person, before cdc.ID, most int) ([]cdc.AssignmentView, error) {
	if d.counts != nil {
		d.counts()
	}
	var views []cdc.AssignmentView
	for _, v := range d.of[p.ID] {
		if (before.IsZero() || v.ID.Compare(before) < 0) && len(views) < most {
			views = append(views, v)
		}
	}
	return views, nil
}

func (d *desk) Assignment(_ context.Context, p cdc.Person, id cdc.ID) (cdc.AssignmentView, bool, error) {
	for _, v := range d.of[p.ID] {
		if v.ID == id {
			return v, true, nil
		}
	}
	return cdc.AssignmentView{}, false, nil
}

// essays are two of the teacher's, and one of the tutor's.
func essays() *desk {
	due := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	return &desk{of: map[cdc.ID][]cdc.AssignmentView{
		cdc.IntID(tom): {
			{ID: cdc.IntID(9), Title: "Essay 2", Due: due, Open: true, Pending: 4, Ungraded: 7, Graded: 12},
			{ID: cdc.IntID(8), Course: cdc.TextID("c-1"), Title: "Essay 1", Graded: 3},
		},
		cdc.IntID(tina): {{ID: cdc.IntID(8), Title: "Essay 1"}},
	}}
}

func overseen(d *desk) func(*wsserver.Deps) {
	return func(deps *wsserver.Deps) { deps.Overview = d }
}

func (g *gateway) get(t *testing.T, path, token, more string) (int, message) {
	t.Helper()
	answer, err := http.Get(g.url(path, token, more))
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, decode(t, body)
}

func TestEverybodyIsToldOfTheirOwnAssignments(t *testing.T) {
	g := start(t, wsserver.Config{}, overseen(essays()))
	status, all := g.get(t, "/api/assignments", token(tom), "")
	require.Equal(t, 200, status)
	require.Equal(t, []any{
		map[string]any{
			"assignment_id": 9.0, "course_id": nil, "title": "Essay 2", "due_date": "2026-12-01T12:00:00.000000Z", "closes": nil,
			"open": true, "pending": 4.0, "ungraded": 7.0, "graded": 12.0,
		},
		map[string]any{
			"assignment_id": 8.0, "course_id": "c-1", "title": "Essay 1", "due_date": nil, "closes": nil,
			"open": false, "pending": 0.0, "ungraded": 0.0, "graded": 3.0,
		},
	}, all["assignments"])
	require.Nil(t, all["before"])

	_, first := g.get(t, "/api/assignments", token(tom), "&limit=1")
	require.Len(t, first["assignments"], 1)
	require.Equal(t, 9.0, first["before"], "where to go on")
	_, second := g.get(t, "/api/assignments", token(tom), "&limit=1&before=9")
	require.Equal(t, "Essay 1", second["assignments"].([]any)[0].(map[string]any)["title"])

	_, one := g.get(t, "/api/assignments/9", token(tom), "")
	require.Equal(t, "Essay 2", one["title"])
	status, one = g.get(t, "/api/assignments/9", token(tina), "")
	require.Equal(t, 404, status, "it is not hers")
	require.Equal(t, "not_found", one["error"])
	status, one = g.get(t, "/api/assignments", token(tom), "&limit=201")
	require.Equal(t, 400, status, one)
}

func TestAnOverviewIsRefusedLikeASession(t *testing.T) {
	g := start(t, wsserver.Config{}, overseen(essays()))
	from := "&step=60&from=" + url.QueryEscape(time.Now().Add(-time.Hour).Format(time.RFC3339))
	for _, path := range []string{"/api/assignments", "/api/assignments/9", "/api/activity"} {
		for who, want := range map[string]string{token(stu): "role_not_allowed", token(gone): "account_inactive", "wrong": "unauthenticated", "": "unauthenticated", "down": "not_ready"} {
			_, no := g.get(t, path, who, from)
			require.Equal(t, want, no["error"], "%s of %s", path, who)
		}
		r, err := http.NewRequestWithContext(t.Context(), "GET", g.url(path, token(tom), from), nil)
		require.NoError(t, err)
		r.Header.Set("Origin", "https://elsewhere.example.org")
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		requireRefusal(t, answer, "origin_not_allowed")
		require.Empty(t, answer.Header.Get("Access-Control-Allow-Origin"))
		require.NoError(t, answer.Body.Close())
	}
}

func TestNobodyHasTwoOverviewsCountedAtATime(t *testing.T) {
	d := essays()
	begun, finish := make(chan struct{}), make(chan struct{})
	d.counts = func() { begun <- struct{}{}; <-finish }
	g := start(t, wsserver.Config{}, overseen(d))
	done := make(chan int, 1)
	go func() {
		answer, err := http.Get(g.url("/api/assignments", token(tom), ""))
		if err != nil {
			done <- 0
			return
		}
		_ = answer.Body.Close()
		done <- answer.StatusCode
	}()
	<-begun
	answer, err := http.Get(g.url("/api/assignments/9", token(tom), ""))
	require.NoError(t, err)
	require.Equal(t, 429, answer.StatusCode)
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
	require.NoError(t, answer.Body.Close())
	status, _ := g.get(t, "/api/assignments/8", token(tina), "")
	require.Equal(t, 200, status, "others do not wait")
	close(finish)
	require.Equal(t, 200, <-done)
	status, _ = g.get(t, "/api/assignments/9", token(tom), "")
	require.Equal(t, 200, status, "and it is over")
}

func TestActivityCountsWhatIsOnesOwnByTypeAndTime(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	from := "&from=" + url.QueryEscape(time.Now().Add(-100*time.Second).UTC().Format(time.RFC3339))
	g.tell(cdc.Submission, "submission", cdc.IntID(9), 3, true, tom)
	g.tell(cdc.Grade, "grade", cdc.IntID(8), 1, true, tom, tina)
	g.tell(cdc.Custom, "fire_drill", cdc.ID{}, 1, true, tom)
	last := func(a message, kind string) any {
		counts := a["counts"].(map[string]any)[kind].([]any)
		return counts[len(counts)-1]
	}
	for who, want := range map[int][2]float64{tom: {3, 1}, tina: {0, 1}, ada: {3, 1}} {
		status, a := g.get(t, "/api/activity", token(who), from+"&step=1000")
		require.Equal(t, 200, status)
		require.Equal(t, want, [2]float64{last(a, "submission").(float64), last(a, "grade").(float64)}, who)
		require.Equal(t, true, a["complete"])
		require.NotContains(t, a["counts"], "custom")
	}
	_, a := g.get(t, "/api/activity", token(tom), from+"&step=1000&assignment=8")
	require.Equal(t, [2]any{0.0, 1.0}, [2]any{last(a, "submission"), last(a, "grade")}, "the filters count")
	_, a = g.get(t, "/api/activity", token(tom), from+"&step=10")
	require.GreaterOrEqual(t, len(a["counts"].(map[string]any)["grade"].([]any)), 10)

	for _, more := range []string{
		"", from, "&step=60", from + "&step=0", from + "&step=-5", from + "&step=9999999999", from + "&step=x",
		"&step=60&from=yesterday", "&step=1&from=2020-01-01T00:00:00Z",
		"&step=60&from=" + time.Now().Add(time.Hour).UTC().Format(time.RFC3339), from + "&step=60&types=%20",
	} {
		status, no := g.get(t, "/api/activity", token(tom), more)
		require.Equal(t, 400, status, more)
		require.False(t, strings.HasPrefix(no["detail"].(string), " "))
	}
}
