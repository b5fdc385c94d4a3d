package wsserver_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/wsserver"
)

// tellEverySort tells Tom of a grade and a submission of each of two assignments, and of an
// exam, in one transaction each, and returns the ids in that order.
func (g *gateway) tellEverySort() (ids [5]any) {
	for i, one := range []struct {
		kind  cdc.Kind
		word  string
		about cdc.ID
	}{
		{cdc.Grade, "grade", cdc.IntID(3)}, {cdc.Submission, "submission", cdc.IntID(3)},
		{cdc.Grade, "grade", cdc.IntID(7)}, {cdc.Submission, "submission", cdc.IntID(7)},
		{cdc.Custom, "exam_moved", cdc.ID{}},
	} {
		ids[i] = cdc.Position{LSN: g.tell(one.kind, one.word, one.about, 1, false, tom), Index: 1}.String()
	}
	return ids
}

// page is a page of Tom's history.
func (g *gateway) page(t *testing.T, more string) (ids []any, cursor any) {
	t.Helper()
	answer, err := http.Get(g.url("/api/events", token(tom), more))
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, 200, answer.StatusCode)
	var page struct {
		Events []message
		Cursor string
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&page))
	for _, e := range page.Events {
		ids = append(ids, e["id"])
	}
	return ids, page.Cursor
}

func TestAFilterInTheQueryCountsLiveOnResumingAndInTheHistory(t *testing.T) {
	for query, passing := range map[string][]int{
		"":                                []int{0, 1, 2, 3, 4},
		"&types=grade":                    {0, 2},
		"&types=grade,exam_moved":         {0, 2, 4},
		"&types=grade&types=submission":   {0, 1, 2, 3},
		"&assignment=7":                   {2, 3, 4},
		"&types=submission&assignment=3,": nil,
	} {
		t.Run(query, func(t *testing.T) {
			g := start(t, wsserver.Config{}, nil)
			if passing == nil { // an empty key is none
				_, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(tom), query), nil)
				require.Error(t, err)
				require.Equal(t, 400, answer.StatusCode)
				requireRefusal(t, answer, "bad_request")
				return
			}
			live := g.enter(t, tom, query)
			ids := g.tellEverySort()
			live.say(`{"type":"ping"}`)
			late := g.dial(t, tom, query+"&since=0/A.0")
			require.Equal(t, true, late.next()["resumed"])
			late.say(`{"type":"ping"}`)
			var want []any
			for _, i := range passing {
				want = append(want, ids[i])
				require.Equal(t, ids[i], live.next()["id"])
				require.Equal(t, ids[i], late.next()["id"])
			}
			require.Equal(t, ids[4], live.next()["cursor"], "of the pong: what is hidden is passed over")
			require.Equal(t, ids[4], late.next()["cursor"])
			got, cursor := g.page(t, query)
			require.Equal(t, want, got)
			require.Equal(t, ids[4], cursor)
		})
	}
}

func TestAFilterThatIsNoneIsRefusedEverywhereWithASentence(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	for query, want := range map[string]string{
		"&types=metrics":           "types: ",
		"&types=":                  "types: ",
		"&types=grade,,submission": "types: ",
		"&assignment=":             "assignments: ",
		"&assignment=" + strings.Repeat("1,", 64) + "1": "assignments: 65 are too many",
	} {
		for _, path := range []string{"/ws/dashboard/", "/sse/dashboard/", "/api/session", "/api/events"} {
			answer, err := http.Get(g.url(path, token(tom), query))
			require.NoError(t, err)
			var body struct{ Error, Detail string }
			require.NoError(t, json.NewDecoder(answer.Body).Decode(&body))
			answer.Body.Close()
			require.Equal(t, 400, answer.StatusCode)
			require.Equal(t, "bad_request", body.Error)
			require.Contains(t, body.Detail, want)
		}
	}
}

func TestSubscribeIsAnsweredInOrderWithTheEvents(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	d := g.enter(t, tom, "&types=submission")
	first := g.tellEverySort()
	d.say(`{"type":"subscribe","types":["grade"],"assignments":[7,"x"]}`)
	require.Equal(t, first[1], d.next()["id"])
	require.Equal(t, first[3], d.next()["id"])
	m := d.next()
	require.NotEmpty(t, m["timestamp"])
	delete(m, "timestamp")
	require.Equal(t, message{"type": "subscribed", "types": []any{"grade"}, "assignments": []any{7.0, "x"}, "cursor": first[4]}, m)
	second := g.tellEverySort()
	require.Equal(t, second[2], d.next()["id"])
	d.say(`{"type":"subscribe","assignments":null}`)
	m = d.next()
	require.Equal(t, "subscribed", m["type"])
	require.Nil(t, m["types"])
	require.Nil(t, m["assignments"])
	for _, id := range g.tellEverySort() {
		require.Equal(t, id, d.next()["id"])
	}
	g.tally.await("received subscribe", 2)
	g.tally.await("sent subscribed", 2)
	g.tally.await("sent custom", 1)
	require.Equal(t, 8, g.tally.of("delay"), "of events alone")
}

func TestWhoSubscribesAnewWhileCatchingUpMissesNothing(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	var grades, submissions []any
	for range 100 {
		ids := g.tellEverySort()
		grades = append(grades, ids[0], ids[2])
		submissions = append(submissions, ids[1], ids[3])
	}
	d := g.dial(t, tom, "&types=grade&since=0/A.0")
	d.say(`{"type":"subscribe","types":["submission"]}`)
	require.Equal(t, "welcome", d.next()["type"])
	after := func(at any) func(id any) bool {
		from, err := cdc.ParsePosition(at.(string))
		require.NoError(t, err)
		return func(id any) bool {
			to, err := cdc.ParsePosition(id.(string))
			require.NoError(t, err)
			return to.After(from)
		}
	}
	var got, want []any
	for len(want) == 0 || len(got) < len(want) {
		m := d.next()
		if m["type"] == "subscribed" {
			later := after(m["cursor"])
			want = slices.DeleteFunc(append(slices.Clone(grades), submissions...), func(id any) bool {
				return slices.Contains(grades, id) == later(id)
			})
			require.Equal(t, want[:len(got)], got, "by the filter before")
			continue
		}
		got = append(got, m["id"])
	}
	require.Equal(t, want, got)
}

func TestASubscribeThatIsNoneIsAnsweredWithAnErrorAndChangesNothing(t *testing.T) {
	g := start(t, wsserver.Config{MessageBurst: 1000}, nil)
	d := g.enter(t, tom, "&types=submission")
	for text, want := range map[string]string{
		`{"type":"subscribe","types":"grade"}`:                                        "types: want a list of strings, or null for all",
		`{"type":"subscribe","types":["grade",null]}`:                                 "types: want a list of strings, or null for all",
		`{"type":"subscribe","types":[7]}`:                                            "types: want a list of strings, or null for all",
		`{"type":"subscribe","types":[]}`:                                             "types: the list is empty; name at least one, or leave it out for all",
		`{"type":"subscribe","types":["welcome"]}`:                                    `types: "welcome" is none that can be asked for; want submission, grade, assignment, assignment_closed or the type of a custom message`,
		`{"type":"subscribe","assignments":7}`:                                        "assignments: want a list of keys, whole numbers or strings, or null for all",
		`{"type":"subscribe","assignments":[1.5]}`:                                    "assignments: want a list of keys, whole numbers or strings, or null for all",
		`{"type":"subscribe","assignments":[null]}`:                                   "assignments: want a list of keys, whole numbers or strings, or null for all",
		`{"type":"subscribe","assignments":[""]}`:                                     `assignments: "" is no key; want the keys of assignments as the LMS writes them`,
		`{"type":"subscribe","assignments":[` + strings.Repeat("1,", 64) + `1]}`:      "assignments: 65 are too many; name at most 64, or leave it out for all",
		`{"type":"subscribe","types":["grade"],"assignments":[` + "true" + `]}`:       "assignments: want a list of keys, whole numbers or strings, or null for all",
		`{"type":"subscribe","types":["` + strings.Repeat("x", 100) + `"]}`:           `types: "` + strings.Repeat("x", 80) + `" is none that can be asked for; want submission, grade, assignment, assignment_closed or the type of a custom message`,
		`{"type":"subscribe","assignments":{"0":1},"types":["grade","assignment"]}  `: "assignments: want a list of keys, whole numbers or strings, or null for all",
	} {
		d.say(text)
		require.Equal(t, message{"type": "error", "code": "bad_request", "detail": want}, d.next())
	}
	ids := g.tellEverySort()
	require.Equal(t, ids[1], d.next()["id"])
	require.Zero(t, g.tally.of("received other"))
}

func TestAFilterHidesNeitherMetricsNorPings(t *testing.T) {
	const often = 5 * time.Millisecond
	g := start(t, wsserver.Config{Heartbeat: often, MetricsInterval: often, MessageBurst: 10_000}, nil)
	d := g.enter(t, tom, "&types=exam&assignment=99")
	d.until("metrics")
	d.until("ping")
}
