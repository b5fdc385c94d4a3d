package router_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

// of is an event for person 1: of a kind, or of a custom type, about an assignment.
func of(at cdc.Position, kind string, assignment cdc.ID) *cdc.Event {
	e := event(at, false, 1)
	e.Kind, e.Assignment = cdc.Custom, assignment
	for _, known := range cdc.Kinds {
		if known.String() == kind {
			e.Kind = known
		}
	}
	e.Body = fmt.Appendf(nil, `{"type":"%s","id":"%v","types":"grade"}`, kind, at)
	return e
}

func filter(t testing.TB, types, assignments []string) *router.Filter {
	t.Helper()
	f, err := router.NewFilter(types, assignments)
	require.NoError(t, err)
	return f
}

func (s school) joinBy(t testing.TB, f *router.Filter, since *cdc.Position) *router.Subscription {
	t.Helper()
	sub, err := s.Subscribe(router.Request{Person: teacher(1), Since: since, Filter: f, Wake: func(error) {}})
	require.NoError(t, err)
	t.Cleanup(sub.Close)
	return sub
}

// tellTale is one event of each sort.
func tellTale(lsn int) []*cdc.Event {
	return []*cdc.Event{
		of(pos(lsn, 1), "assignment", cdc.IntID(3)),
		of(pos(lsn, 2), "submission", cdc.IntID(3)),
		of(pos(lsn, 3), "grade", cdc.IntID(3)),
		of(pos(lsn, 4), "grade", cdc.IntID(7)),
		of(pos(lsn, 5), "assignment_closed", cdc.TextID("a,b")),
		of(pos(lsn, 6), "exam_moved", cdc.ID{}),
		of(pos(lsn, 7), "grade", cdc.TextID("7")),
	}
}

func TestAFilterLetsThroughWhatItNamesLiveAndFromTheHistory(t *testing.T) {
	tests := []struct {
		name               string
		types, assignments []string
		want               string
	}{
		{"nothing named", nil, nil, "1234567"},
		{"a type", []string{"grade"}, nil, "347"},
		{"types, in any order and twice", []string{"submission", "assignment", "submission"}, nil, "12"},
		{"a custom type", []string{"exam_moved"}, nil, "6"},
		{"a type that nobody has published yet", []string{"exam"}, nil, ""},
		{"an assignment, and what is about none", nil, []string{"3"}, "1236"},
		{"a key that may be an integer or a text", nil, []string{"7"}, "467"},
		{"a key with a comma", nil, []string{"a,b"}, "56"},
		{"both", []string{"grade", "exam_moved"}, []string{"7"}, "467"},
		{"a key that nothing has", []string{"grade"}, []string{"99"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSchool(router.Config{})
			f := filter(t, tt.types, tt.assignments)
			live := s.joinBy(t, f, nil)
			s.commit(tellTale(2)...)
			var want []string
			for _, index := range tt.want {
				want = append(want, "0/2."+string(index))
			}
			require.Equal(t, want, drain(t, live))
			require.Equal(t, want, drain(t, s.joinBy(t, f, new(pos(1, 0)))))
			page, err := s.Page(t.Context(), teacher(1), f, new(pos(1, 0)), 10)
			require.NoError(t, err)
			require.Len(t, page.Messages, len(want))
			require.Equal(t, pos(2, 7), page.Cursor)
		})
	}
}

func TestAFilterIsAppliedBeforeTheQueueAndTheCursorAdvancesAllTheSame(t *testing.T) {
	s := newSchool(router.Config{Queue: 10, BulkLimit: 4})
	phone := s.joinBy(t, filter(t, []string{"submission"}, nil), nil)
	for lsn := 2; lsn < 100; lsn++ { // ten times what the queue holds
		s.commit(of(pos(lsn, 1), "grade", cdc.IntID(3)))
	}
	require.Zero(t, s.Stats().Delivered)
	taken, err := phone.Take(make([]*router.Message, 1))
	require.NoError(t, err)
	require.Equal(t, router.Taken{Cursor: pos(99, 1), Live: true}, taken)

	late := s.joinBy(t, filter(t, []string{"submission"}, nil), new(pos(1, 0)))
	require.Empty(t, drain(t, late))
	taken, err = late.Take(make([]*router.Message, 1))
	require.NoError(t, err)
	require.Equal(t, pos(99, 1), taken.Cursor)
	require.Zero(t, s.Stats().Replayed)
}

func TestABulkGapCountsWhatTheFilterLetsThrough(t *testing.T) {
	s := newSchool(router.Config{BulkLimit: 2})
	sub := s.joinBy(t, filter(t, []string{"grade"}, nil), nil)
	var events []*cdc.Event
	for i := range 10 {
		events = append(events, of(pos(2, i+1), []string{"submission", "grade"}[i%2], cdc.IntID(3)))
	}
	s.commit(events...)
	require.Equal(t, []string{"0/2.2", "0/2.4", "gap bulk 0/2.4-0/2.10 3"}, drain(t, sub))
}

func TestAFilterOfNothingMalformedAndWhyNot(t *testing.T) {
	many := strings.Split(strings.Repeat("7,", router.FilterSize)+"7", ",")
	const types = "want submission, grade, assignment, assignment_closed or the type of a custom message"
	for want, lists := range map[string][2][]string{
		"types: the list is empty; name at least one, or leave it out for all":               {{}, nil},
		"assignments: the list is empty; name at least one, or leave it out for all":         {nil, {}},
		"types: 65 are too many; name at most 64, or leave it out for all":                   {many, nil},
		"assignments: 65 are too many; name at most 64, or leave it out for all":             {nil, many},
		`types: "metrics" is none that can be asked for; ` + types:                           {{"grade", "metrics"}, nil},
		`types: "custom" is none that can be asked for; ` + types:                            {{"custom"}, nil},
		`types: "Grade\n" is none that can be asked for; ` + types:                           {{"Grade\n"}, nil},
		`types: "" is none that can be asked for; ` + types:                                  {{""}, nil},
		`assignments: "" is no key; want the keys of assignments as the LMS writes them`:     {nil, {"3", ""}},
		`assignments: "\xff" is no key; want the keys of assignments as the LMS writes them`: {nil, {"\xff"}},
	} {
		_, err := router.NewFilter(lists[0], lists[1])
		require.EqualError(t, err, want)
	}
	f, err := router.NewFilter(nil, nil)
	require.NoError(t, err)
	require.Nil(t, f)
}

func TestAnotherFilterIsAnsweredWhereItTakesEffect(t *testing.T) {
	s := newSchool(router.Config{})
	woken := 0
	sub, err := s.Subscribe(router.Request{Person: teacher(1), Wake: func(error) { woken++ }})
	require.NoError(t, err)
	defer sub.Close()
	s.commit(tellTale(2)...)
	sub.Refilter(filter(t, []string{"submission", "grade"}, []string{"7", "a\"b", "9007199254740993"}))
	s.commit(tellTale(3)...)
	sub.Refilter(nil)
	s.commit(tellTale(4)...)
	require.Equal(t, 1, woken, "the queue was never empty in between")

	buf := make([]*router.Message, 100)
	taken, err := sub.Take(buf)
	require.NoError(t, err)
	var got []string
	for _, m := range buf[:taken.N] {
		got = append(got, m.Type+" "+m.Position.String())
	}
	require.Equal(t, []string{
		"assignment 0/2.1", "submission 0/2.2", "grade 0/2.3", "grade 0/2.4", "assignment_closed 0/2.5", "custom 0/2.6", "grade 0/2.7",
		"subscribed 0/2.7", "grade 0/3.4", "grade 0/3.7", "subscribed 0/3.7",
		"assignment 0/4.1", "submission 0/4.2", "grade 0/4.3", "grade 0/4.4", "assignment_closed 0/4.5", "custom 0/4.6", "grade 0/4.7",
	}, got)
	require.Regexp(t, `^{"type":"subscribed","types":\["grade","submission"\],"assignments":\[7,"9007199254740993","a\\"b"\],`+
		`"cursor":"0/2.7","timestamp":"[^"]+"}$`, string(buf[7].Body))
	require.Regexp(t, `^{"type":"subscribed","types":null,"assignments":null,"cursor":"0/3.7",`, string(buf[10].Body))

	sub.Refilter(nil)
	require.Equal(t, 2, woken)
}

func TestWhatWasHeldBackIsToldBeforeAnotherFilterTakesEffect(t *testing.T) {
	s := newSchool(router.Config{BulkLimit: 2})
	sub := s.joinBy(t, nil, nil)
	part := func(more bool, from, to int) {
		var events []*cdc.Event
		for i := from; i <= to; i++ {
			events = append(events, of(pos(2, i), []string{"submission", "grade"}[i%2], cdc.IntID(3)))
		}
		s.memory.add(events...)
		s.Publish(router.Batch{Cursor: pos(1, 0), Events: events, More: more})
	}
	part(true, 1, 6)
	sub.Refilter(filter(t, []string{"grade"}, nil))
	part(false, 7, 11)
	require.Equal(t, []string{"0/2.1", "0/2.2", "gap bulk 0/2.2-0/2.6 4", "0/2.6", "gap bulk 0/2.6-0/2.11 3"}, drain(t, sub))
}

// Whatever comes between: of the events between two answers, exactly those that the filter
// of the first one lets through come, once and in order; cursors only grow.
func TestAFilterNarrowedAndWidenedAgainTellsNothingTwiceAndNeverGoesBack(t *testing.T) {
	filters := []*router.Filter{
		nil, filter(t, []string{"grade"}, nil), filter(t, nil, []string{"1"}), filter(t, []string{"grade", "exam_moved"}, []string{"0", "2"}),
		filter(t, []string{"submission"}, []string{"1"}),
	}
	passes := func(f int, e *cdc.Event) bool {
		about := func(ids ...int64) bool {
			return e.Assignment.IsZero() || slices.ContainsFunc(ids, func(id int64) bool { return e.Assignment == cdc.IntID(id) })
		}
		switch f {
		case 1:
			return e.Kind == cdc.Grade
		case 2:
			return about(1)
		case 3:
			return (e.Kind == cdc.Grade || e.Kind == cdc.Custom) && about(0, 2)
		case 4:
			return e.Kind == cdc.Submission && about(1)
		}
		return true
	}
	seed := uint64(time.Now().UnixNano())
	for round := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, round))
		s := newSchool(router.Config{})
		lsn := 1
		var all []*cdc.Event
		commit := func() {
			lsn++
			var events []*cdc.Event
			for i := range 1 + random.IntN(4) {
				kind := []string{"submission", "grade", "exam_moved"}[random.IntN(3)]
				assignment := cdc.IntID(random.Int64N(3))
				if kind == "exam_moved" {
					assignment = cdc.ID{}
				}
				events = append(events, of(pos(lsn, i+1), kind, assignment))
			}
			all = append(all, events...)
			s.commit(events...)
		}
		for range random.IntN(20) {
			commit()
		}
		now := random.IntN(len(filters))
		sub := s.joinBy(t, filters[now], new(pos(1, 0)))
		asked := []int{now}
		at, floor, cursor := pos(1, 0), pos(1, 0), pos(1, 0)
		next := 0 // of all events
		take := func(n int) bool {
			buf := make([]*router.Message, n)
			taken, err := sub.Take(buf)
			require.NoError(t, err)
			for _, m := range buf[:taken.N] {
				where := m.Position
				require.False(t, at.After(where), "seed %d, round %d: %v after %v", seed, round, where, at)
				at = where
				for next < len(all) && !all[next].Position.After(where) {
					e := all[next]
					if m.Type != router.SubscribedType && e.Position == where {
						require.True(t, passes(asked[0], e), "seed %d, round %d: %v was hidden", seed, round, where)
						require.True(t, e.Position.After(floor), "seed %d, round %d: %v is told twice", seed, round, where)
					} else {
						require.False(t, passes(asked[0], e), "seed %d, round %d: %v is missing", seed, round, e.Position)
					}
					next++
				}
				floor = where
				if m.Type == router.SubscribedType {
					asked = asked[1:]
				}
			}
			require.False(t, cursor.After(taken.Cursor), "seed %d, round %d", seed, round)
			require.False(t, at.After(taken.Cursor), "seed %d, round %d", seed, round)
			cursor = taken.Cursor
			return taken.More
		}
		change := func() {
			now = random.IntN(len(filters))
			asked = append(asked, now)
			sub.Refilter(filters[now])
		}
		for range 60 {
			switch random.IntN(5) {
			case 0:
				commit()
			case 1:
				change()
			case 2: // while the history is read, if it is
				s.memory.mu.Lock()
				s.memory.during = func() {
					for range 1 + random.IntN(3) {
						[]func(){commit, commit, change}[random.IntN(3)]()
					}
				}
				s.memory.mu.Unlock()
				take(1 + random.IntN(5))
				s.memory.mu.Lock()
				s.memory.during = nil
				s.memory.mu.Unlock()
			default:
				take(1 + random.IntN(5))
			}
		}
		for take(3) {
		}
		require.Len(t, asked, 1, "seed %d, round %d: every question is answered", seed, round)
		for _, e := range all[next:] {
			require.False(t, passes(asked[0], e), "seed %d, round %d: %v is missing", seed, round, e.Position)
		}
		require.Equal(t, s.Cursor(), cursor, "seed %d, round %d", seed, round)
	}
}

func BenchmarkFilteredFanOutTo1000Subscriptions(b *testing.B) {
	s := newSchool(router.Config{})
	f := filter(b, []string{"submission"}, []string{"1", "2", "3"})
	for i := range 1000 {
		sub, err := s.Subscribe(router.Request{Person: teacher(int64(10_000 + i)), Filter: f, Wake: func(error) {}})
		require.NoError(b, err)
		defer sub.Close()
	}
	people := make([]int64, 1000)
	for i := range people {
		people[i] = int64(10_000 + i)
	}
	n := 1
	for b.Loop() {
		n++
		e := event(pos(n, 1), false, people...)
		s.Publish(router.Batch{Cursor: e.Position, Events: []*cdc.Event{e}})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}
