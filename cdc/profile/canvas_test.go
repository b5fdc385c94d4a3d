package profile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

func TestPeopleInCanvas(t *testing.T) {
	s := newSchool(t, open(t, "canvas"))
	s.put(table("communication_channels", "id", int8s, "user_id", int8s, "path_type", text, "workflow_state", text, "position", int4s, "path", text),
		row("1", "7", "sms", "active", "1", "555"), row("2", "7", "email", "active", "3", "b@school.test"), row("3", "7", "email", "active", "2", "a@school.test"),
		row("4", "7", "email", "retired", "1", "old@school.test"))
	s.put(table("users", "id", int8s, "name", text, "workflow_state", text), row("7", "Ann Lee", "registered"), row("8", "Bo", "deleted"))
	for id, want := range map[string]cdc.Person{
		"7": {ID: cdc.IntID(7), FirstName: "Ann Lee", Email: "a@school.test", Active: true},
		"8": {ID: cdc.IntID(8), FirstName: "Bo"},
	} {
		b, rows, _ := s.rows("user", id)
		got, ok := b.User.Read(rows[0], cdc.Person{ID: cdc.ParseID(id)})
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

func TestAdminsInCanvas(t *testing.T) {
	s := newSchool(t, open(t, "canvas"))
	s.put(table("accounts", "id", int8s, "parent_account_id", int8s, "workflow_state", text),
		row("1", nil, "active"), row("2", "1", "active"), row("3", nil, "deleted"))
	s.put(table("account_users", "id", int8s, "user_id", int8s, "account_id", int8s, "workflow_state", text),
		row("1", "7", "1", "active"), row("2", "8", "2", "active"), row("3", "9", "1", "deleted"), row("4", "9", "3", "active"))
	for _, d := range s.p.Derived() {
		if d.Name() == "admin 1" {
			require.Len(t, s.held[d.Index()], 3, "of a deleted row nothing is held")
		}
	}
	for id, want := range map[string]bool{"1": true, "2": false, "4": false} {
		b, rows, _ := s.rows("admin 1", id)
		_, ok := b.Admins[0].Read(rows[0], nil)
		require.Equal(t, want, ok, id)
	}

	s.put(table("course_account_associations", "id", int8s, "account_id", int8s, "course_id", int8s, "course_section_id", int8s),
		row("1", "2", "10", nil), row("2", "1", "10", "5"))
	b, rows, _ := s.rows("member 2", "1")
	m, ok := b.Members[0].Read(rows[0], profile.MemberFields{})
	require.True(t, ok)
	require.Equal(t, profile.MemberFields{User: cdc.IntID(8), Course: cdc.IntID(10), Teacher: true}, m)
	b, rows, _ = s.rows("member 2", "2")
	m, _ = b.Members[0].Read(rows[0], profile.MemberFields{})
	require.False(t, m.Teacher, "of a section only")
}

func TestAnAssignmentInCanvasClosesWithItsCourse(t *testing.T) {
	s := newSchool(t, open(t, "canvas"))
	s.put(table("assignments", "id", int8s, "context_type", text, "type", text, "context_id", int8s, "title", text, "workflow_state", text, "due_at", ts, "lock_at", ts),
		row("100", "Course", "Assignment", "10", "Essay", "published", nil, "2026-11-22 21:05:11"))
	courses := table("courses", "id", int8s, "name", text, "workflow_state", text)
	for state, closed := range map[string]bool{"available": false, "completed": true, "deleted": true} {
		s.put(courses, row("10", "Latin", state))
		b, rows, until := s.rows("assignment", "100")
		require.Zero(t, until)
		got, ok := b.Assignment.Read(rows[0], profile.AssignmentFields{})
		require.True(t, ok)
		require.Equal(t, profile.AssignmentFields{
			Title: "Essay", Course: cdc.IntID(10), Published: true, BySection: true, Closed: closed,
			Closes: time.Date(2026, 11, 22, 21, 5, 11, 0, time.UTC),
		}, got)
	}
}

func TestAGradeInCanvas(t *testing.T) {
	b := bind(t, open(t, "canvas"), table("submissions", "id", int8s, "assignment_id", int8s, "user_id", int8s, "workflow_state", text, "submission_type", text,
		"submitted_at", ts, "attempt", int4s, "score", float8s, "grade", text, "graded_at", ts, "excused", boolean, "grader_id", int8s, "posted_at", ts))
	read := func(state string, score, excused, grader, posted any) (graded, auto, hidden bool) {
		r := row("1", "100", "7", state, "online_upload", "2026-11-22 21:05:11", "1", score, nil, nil, excused, grader, posted)
		return b.Grade.Read(r, 0) != 0, b.Grade.Auto(r, false), b.Grade.Hidden(r, false)
	}
	for _, c := range []struct {
		state                            string
		score, excused, grader, posted   any
		wantGraded, wantAuto, wantHidden bool
	}{
		{"graded", "3.5", "f", "70", "2026-11-22 21:05:11", true, false, false},
		{"graded", "3.5", "f", "70", nil, true, false, true},
		{"graded", "0", "f", "-5", nil, true, true, true},
		{"graded", "3.5", "f", nil, nil, true, true, true},
		{"graded", nil, "f", "70", nil, false, false, true},
		{"graded", nil, "t", "70", nil, true, false, true},
		{"pending_review", "3.5", "f", "70", nil, false, false, true},
	} {
		graded, auto, hidden := read(c.state, c.score, c.excused, c.grader, c.posted)
		require.Equal(t, []bool{c.wantGraded, c.wantAuto, c.wantHidden}, []bool{graded, auto, hidden}, "%v", c)
	}
}

// Promise: no row that fulfils `where` is left out of the snapshot.
func TestTheSnapshotLeavesOutWhatTheProfileDoesNotWant(t *testing.T) {
	types := map[string]uint32{
		"contextlevel": int8s, "status": int8s, "capability": text, "permission": int8s, "name": text, "latest": int2s, "userid": int8s,
		"path_type": text, "workflow_state": text, "context_type": text, "type": text,
	}
	wheres := func(name string) map[string]string {
		out := map[string]string{}
		for _, spec := range open(t, name).Tables() {
			if spec.Where != nil {
				out[spec.Name] = spec.Where(func(column string) (uint32, bool) { typ, ok := types[column]; return typ, ok })
			}
		}
		return out
	}
	moodle := wheres("moodle")
	capability := func(name, test string) string {
		return `(("capability"::text COLLATE "C" IN ('` + name + `')) AND ("permission" ` + test + `))`
	}
	require.Equal(t, `((("contextlevel" IN (50)))) OR ((("contextlevel" IN (10))))`, moodle["mdl_context"])
	require.Contains(t, moodle["mdl_role_capabilities"], capability("mod/assign:grade", ">= 1"))
	require.Contains(t, moodle["mdl_role_capabilities"], capability("moodle/course:view", "< 0"))
	require.Equal(t, `((("name"::text COLLATE "C" IN ('siteadmins'))))`, moodle["mdl_config"])
	require.Equal(t, `((("status" IN (0))))`, moodle["mdl_user_enrolments"], "times and paths cannot be asked")
	require.NotContains(t, moodle, "mdl_role_assignments")
	require.NotContains(t, moodle, "mdl_user")

	canvas := wheres("canvas")
	require.Equal(t, `((("context_type"::text COLLATE "C" IN ('Course')) AND ("type"::text COLLATE "C" IN ('Assignment'))))`, canvas["assignments"])
	require.NotContains(t, canvas, "submissions")
	delete(types, "type")
	require.Equal(t, `((("context_type"::text COLLATE "C" IN ('Course'))))`, wheres("canvas")["assignments"], "what the table lacks cannot be asked")
	types["type"] = boolean
	require.NotContains(t, wheres("canvas")["assignments"], `"type"::`, "a test that does not fit is told by Bind")
}
