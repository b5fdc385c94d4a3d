package projection_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/projection"
)

// Whoever really receives an event is whom the explanation of its row names, each with a
// reason; and of the others that it names nobody receives it.
func TestAnExplanationNamesWhoReallyReceivesTheEventAndWhy(t *testing.T) {
	for _, k := range schools() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			compared := 0
			rapid.Check(t, func(rt *rapid.T) {
				l, tabs := newLMS(), newTables()
				l.school = k
				for range rapid.IntRange(0, 60).Draw(rt, "rows before the snapshot") {
					step(rt, l, tabs)
				}
				l.changes = nil
				l.settle(l.rows, clock(5))
				g := gatewayOf(rt, k, t.TempDir(), 0)
				defer func() { g.close() }()
				require.NoError(rt, g.reset(l.snapshot(tabs, 5)))
				for commit := cdc.LSN(10); commit < 10+10*cdc.LSN(rapid.IntRange(1, 8).Draw(rt, "transactions")); commit += 10 {
					l.now = clock(commit)
					before := l.clone()
					for range rapid.IntRange(1, 6).Draw(rt, "changes") {
						step(rt, l, tabs)
					}
					l.settle(before, clock(commit))
					g.published = nil
					require.NoError(rt, g.Apply(t.Context(), l.tx(commit)))
					for _, e := range g.published[0].Events {
						if explains(rt, g, l.rows, tabs, e) {
							compared++
						}
					}
				}
			})
			require.Positive(t, compared)
		})
	}
}

// explains compares an event with the explanation of its row, if that is still there.
func explains(t *rapid.T, g *gateway, r rows, tabs tables, e *cdc.Event) bool {
	var m message
	require.NoError(t, json.Unmarshal(e.Body, &m))
	if !e.Audience.Admins { // a grade that its student may see now
		return false
	}
	switch {
	case e.Kind == cdc.Assignment || e.Kind == cdc.AssignmentClosed:
		a, there := r.assignments[m.AssignmentID]
		if !there { // it was deleted
			return false
		}
		requireExplained(t, g, r, e, tellings(t, g, tabs.assignments, a.values(m.AssignmentID)))
	case e.Kind == cdc.Grade && r.school.lookups: // of a row that the event does not name
		var all []projection.Telling
		for id, row := range r.grades {
			if row.grade == string(m.Grade) && row.assignment == m.AssignmentID && (m.Student.ID == 0 || row.student == m.Student.ID) {
				all = append(all, tellings(t, g, tabs.grades, row.values(id))...)
			}
		}
		if !slices.ContainsFunc(all, func(told projection.Telling) bool {
			return told.Audience.Admins == e.Audience.Admins && slices.Equal(told.Audience.People, e.Audience.People)
		}) {
			require.Fail(t, "no grade explains it", "%s to %v: %v", e.Body, e.Audience, all)
		}
		all = slices.DeleteFunc(all, func(told projection.Telling) bool { return !slices.Equal(told.Audience.People, e.Audience.People) })
		requireExplained(t, g, r, e, all)
	default:
		s := r.submissions[m.SubmissionID]
		requireExplained(t, g, r, e, tellings(t, g, tabs.submissions, s.values(m.SubmissionID)))
	}
	return true
}

// requireExplained wants the telling of an event's kind to name whom the event is for.
func requireExplained(t *rapid.T, g *gateway, r rows, e *cdc.Event, all []projection.Telling) {
	i := slices.IndexFunc(all, func(told projection.Telling) bool { return slices.Contains(told.Kinds, e.Kind) })
	require.GreaterOrEqual(t, i, 0, "%s: %v", e.Body, all)
	told := all[i]
	require.Empty(t, told.Silent)
	require.Equal(t, e.Audience, told.Audience, string(e.Body))
	var people []cdc.ID
	for _, c := range told.See {
		require.True(t, c.Person.Active)
		require.NotEmpty(t, c.Why)
		if !slices.Equal(c.Why, []string{"admin"}) {
			people = append(people, c.Person.ID)
		}
		if c.As == cdc.Admin {
			number, err := strconv.Atoi(c.Person.ID.String())
			require.NoError(t, err)
			require.Equal(t, "admin", r.role(number))
		}
	}
	slices.SortFunc(people, cdc.ID.Compare)
	require.Equal(t, e.Audience.People, people, "%v", told.See)
	for _, c := range told.Not {
		require.NotContains(t, e.Audience.People, c.Person.ID, "%v", c.Why)
		for _, s := range told.See {
			require.NotEqual(t, s.Person.ID, c.Person.ID)
		}
	}
}

// tellings are what the explanation of a row says is told.
func tellings(t require.TestingT, g *gateway, table *cdc.Table, values []cdc.Value) []projection.Telling {
	e, err := g.Explain(context.Background(), table, values)
	require.NoError(t, err)
	require.NotEmpty(t, e.Readings)
	require.NotEmpty(t, e.Beliefs)
	return e.Tellings
}
