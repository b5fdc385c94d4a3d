package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// Promise: who may connect is configured, and holds for open dashboards when a role
// changes in the LMS.
func TestTheRolesThatMayConnectAreConfigured(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve("--roles", "teacher,student,admin")
	s.ready()
	teacher, tutor, student := s.school.Teachers[0], s.school.Tutors[0], s.school.Students[0]
	token := s.ask(`INSERT INTO authtoken_token VALUES ('a-students-own-token', now(), $1) RETURNING key`, student.ID)
	s.requireStatus(403, "dashboards are for teachers, students and admins", s.base(), "Authorization", "Token "+tutor.Token)
	s.requireStatus(200, `"user_role":"student"`, s.base(), "Authorization", "Token "+token)

	conn := s.enterBy(token)
	s.exec(`UPDATE accounts_user SET role = 'teacher' WHERE id = $1`, student.ID)
	require.Contains(t, s.nextOf(conn, "metrics"), "total_assignments", "a teacher has counts")
	s.exec(`UPDATE accounts_user SET role = 'student' WHERE id = $1`, student.ID)
	s.nextOf(conn, "ping") // and goes on as a student

	s.exec(`UPDATE accounts_user SET role = 'tutor' WHERE id = $1`, student.ID)
	end := s.nextOf(conn, "disconnect")
	require.EqualValues(t, 4403, end["code"])
	require.Equal(t, false, end["reconnect"])
	s.requireStatus(403, "role_not_allowed", s.base(), "Authorization", "Token "+token)
	s.requireStatus(200, isUser(teacher), s.base(), "Authorization", "Token "+teacher.Token)
	get(t, "http://"+s.admin+"/metrics", func(_ int, page string) bool {
		return metric(page, `schoolbell_sessions{role="student"}`) == "0"
	})
}

// A student sees nothing of anybody else's, whatever happens around them.
func TestAStudentSeesNothingOfAnybodyElses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve("--roles", "teacher,tutor,admin,student")
	s.ready()
	student, admin := s.school.Students[0], s.watch(s.school.Admins[0])
	token := s.ask(`INSERT INTO authtoken_token VALUES ('a-students-own-token', now(), $1) RETURNING key`, student.ID)
	conn := s.enterBy(token)
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = 17, submitted_at = now() WHERE student_id <> $1`, student.ID)
	s.exec(`INSERT INTO assignments_assignment (title, description, status, author_id, created_at, updated_at)
		VALUES ('Essay', '', 'published', $1, now(), now())`, s.school.Teachers[0].ID)
	admin.await(t, "event", func() bool {
		return slices.ContainsFunc(admin.events, func(e received) bool { return e.kind == "assignment" })
	})

	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
	for {
		_, body, err := conn.Read(t.Context())
		require.NoError(t, err)
		if strings.Contains(string(body), `"type":"pong"`) {
			break
		}
		require.Contains(t, string(body), `"type":"ping"`)
	}
	page := get(t, s.base()+"/api/events?token="+token, ready)
	require.Contains(t, page, `{"events":[],`)
}

// A student hears of their own grade, not of what they have handed in themselves, and of
// an assignment that is given to them.
func TestAStudentHearsOfTheirOwnGradesAndAssignments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve("--roles", "teacher,tutor,admin,student")
	s.ready()
	student := s.school.Students[0]
	conn := s.enterBy(s.ask(`INSERT INTO authtoken_token VALUES ('a-students-own-token', now(), $1) RETURNING key`, student.ID))
	essay := s.ask(`WITH made AS (
			INSERT INTO assignments_assignment (title, description, status, author_id, created_at, updated_at)
			VALUES ('Essay of one', '', 'published', $1, now(), now()) RETURNING id)
		INSERT INTO assignments_assignment_assigned_to (assignment_id, user_id) SELECT id, $2 FROM made RETURNING assignment_id::text`,
		s.school.Teachers[0].ID, student.ID)
	s.exec(`INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, status, submitted_at, content, feedback, updated_at)
		VALUES ($1::text::bigint, $2, 'submitted', now(), '', '', now())`, essay, student.ID)
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = 17, status = 'graded' WHERE assignment_id = $1::text::bigint`, essay)

	require.Equal(t, "Essay of one", s.nextOf(conn, "assignment")["title"])
	_, body, err := conn.Read(t.Context())
	for err == nil && strings.Contains(string(body), `"type":"ping"`) {
		_, body, err = conn.Read(t.Context())
	}
	require.NoError(t, err)
	require.Contains(t, string(body), `"type":"grade"`, "not what they handed in themselves")
	require.Contains(t, string(body), `"grade":17,`)
}
