package profile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

func TestExplainSaysWhichConditionHoldsByWhichValue(t *testing.T) {
	p, err := profile.Parse("school.yaml", []byte(`
profile: school
lookup: {tutors: {from: tutorships, key: pupil}}
user: {from: people, name: name, role: role}
assignment: {from: tasks, title: title, teacher: owner, closed: {state: [closed, archived]}}
submission:
  from: work
  where: {kind: {not: practice}}
  assignment: task
  student: pupil
  tutor: pupil -> tutors.tutor
  submitted: {sent: present}
  again: sent
grade: {graded: [{mark: {min: 0}, state: released}, {excused: true}], again: [mark, excused], score: mark, hidden: {shown: absent}}
`))
	require.NoError(t, err)
	work := &cdc.Table{OID: 1, Schema: "public", Name: "work", Identity: cdc.IdentityDefault, Columns: []cdc.Column{
		{Name: "id", Type: 20, Key: true}, {Name: "kind", Type: 25}, {Name: "task", Type: 20}, {Name: "pupil", Type: 20}, {Name: "sent", Type: 1184},
		{Name: "mark", Type: 1700}, {Name: "state", Type: 25}, {Name: "excused", Type: 16}, {Name: "shown", Type: 1184},
	}}
	text := func(s string) cdc.Value { return cdc.Value{Kind: cdc.Text, Data: []byte(s)} }
	null := cdc.Value{Kind: cdc.Null}
	row := []cdc.Value{text("7"), null, text("3"), text("12"), text("2026-11-28 10:00:00+00"), text("-1.00"), text("released"), text("t"), null}

	got, err := p.Explain(work, row, time.Time{}, nil)
	require.NoError(t, err)
	require.Equal(t, []profile.Reading{
		{
			Section: "submission",
			Keys: []profile.KeyReading{
				{"assignment", "task", "3"}, {"student", "pupil", "12"}, {"tutor", "pupil -> tutors.tutor", "12"}, {"again", "sent", "2026-11-28 10:00:00+00"},
			},
			Conditions: []profile.ConditionReading{
				{"where", true, [][]profile.TestReading{{{"kind", "NULL", "not practice", true}}}},
				{"submitted", true, [][]profile.TestReading{{{"sent", "2026-11-28 10:00:00+00", "present", true}}}},
			},
		},
		{
			Section: "grade",
			Keys:    []profile.KeyReading{{"score", "mark", "-1.00"}, {"again", "mark", "-1.00"}, {"again", "excused", "t"}},
			Conditions: []profile.ConditionReading{
				{"graded", true, [][]profile.TestReading{
					{{"mark", "-1.00", "at least 0", false}, {"state", "released", "released", true}},
					{{"excused", "t", "true", true}},
				}},
				{"hidden", true, [][]profile.TestReading{{{"shown", "NULL", "absent", true}}}},
			},
		},
	}, got)

	tasks := &cdc.Table{OID: 2, Schema: "public", Name: "tasks", Identity: cdc.IdentityDefault, Columns: []cdc.Column{
		{Name: "id", Type: 20, Key: true}, {Name: "title", Type: 25}, {Name: "owner", Type: 20}, {Name: "state", Type: 25},
	}}
	got, err = p.Explain(tasks, []cdc.Value{text("3"), text("Essay"), null, text("open")}, time.Time{}, nil)
	require.NoError(t, err)
	require.Equal(t, []profile.ConditionReading{{"closed", false, [][]profile.TestReading{{{"state", "open", "one of closed, archived", false}}}}}, got[0].Conditions)

	tasks.Columns = tasks.Columns[:3]
	_, err = p.Explain(tasks, []cdc.Value{text("3"), text("Essay"), null}, time.Time{}, nil)
	require.ErrorContains(t, err, "state")

	got, err = p.Explain(&cdc.Table{Schema: "public", Name: "elsewhere"}, nil, time.Time{}, nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestExplainFollowsPathsAndTheClock(t *testing.T) {
	p := parse(t, `
extends: django
lookup:
  visible: {from: modules, key: instance, where: {kind: assign}}
  parents: {from: groups, key: member, many: true}
assignment: {course: author_id, published: {id -> visible.shown: 1}, closed: {due_date: past}}
member: {from: seats, user: user_id, course: group_id -> parents.course, where: {ends: {not: past}}, student: {kind: [a, b]}}
`)
	s := newSchool(t, p)
	s.put(table("modules", "id", int8s, "instance", int8s, "kind", text, "shown", int4s), row("1", "30", "forum", "1"), row("2", "30", "assign", "0"))
	s.put(table("groups", "id", int8s, "member", int8s, "course", int8s), row("1", "5", "70"), row("2", "5", "71"))

	work := table("assignments_assignment", "id", int8s, "title", text, "description", text, "author_id", int8s, "status", text, "due_date", 1184)
	got, err := p.Explain(work, row("30", "Essay", "", "2", "open", "2020-01-01 00:00:00+00"), s.now, s)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, []profile.ConditionReading{
		{"published", false, [][]profile.TestReading{{{"id -> visible.shown", "0", "1", false}}}},
		{"closed", true, [][]profile.TestReading{{{"due_date", "2020-01-01 00:00:00+00", "past", true}}}},
	}, got[0].Conditions)

	// A row that makes two memberships, and one that makes none: it is read all the same.
	seats := table("seats", "id", int8s, "user_id", int8s, "group_id", int8s, "kind", text, "ends", 1184)
	got, err = p.Explain(seats, row("1", "7", "5", "b", nil), s.now, s)
	require.NoError(t, err)
	require.Len(t, got, 2)
	for i, course := range []string{"70", "71"} {
		require.Equal(t, "member", got[i].Section)
		require.Equal(t, []profile.KeyReading{{"user", "user_id", "7"}, {"course", "group_id -> parents.course", course}}, got[i].Keys)
		require.Equal(t, []profile.ConditionReading{
			{"where", true, [][]profile.TestReading{{{"ends", "NULL", "not past", true}}}},
			{"student", true, [][]profile.TestReading{{{"kind", "b", "one of a, b", true}}}},
		}, got[i].Conditions)
	}
	got, err = p.Explain(seats, row("1", "7", "6", "c", "2020-01-01 00:00:00+00"), s.now, s)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, profile.KeyReading{"course", "group_id -> parents.course", "NULL"}, got[0].Keys[1])
	require.False(t, got[0].Conditions[0].Holds)
}
