package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// The whole line, from a commit to what a teacher reads on the page, through a crash
// of the gateway.
func TestATeacherSeesWhatWasCommittedThroughACrashOfTheGateway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve()
	s.ready()
	teacher, anna := s.school.Teachers[0], s.school.Students[0]
	s.exec(`UPDATE accounts_user SET first_name = 'Anna', last_name = 'Petrova' WHERE id = $1`, anna.ID)
	page := webtest.Open(t)
	page.Go(s.base() + "/#token=" + teacher.Token)
	page.WaitState("live")
	require.Equal(t, teacher.Email, page.Text("#email"))
	require.NotContains(t, page.URL(), teacher.Token)
	require.Empty(t, page.Feed())
	page.WaitTile("total_assignments", s.ask(`SELECT count(*)::text FROM assignments_assignment WHERE author_id = $1`, teacher.ID))

	ungraded := func() string {
		return s.ask(`SELECT count(*)::text FROM assignments_assignmentsubmission s JOIN assignments_assignment a ON a.id = s.assignment_id
			WHERE a.author_id = $1 AND s.submitted_at IS NOT NULL AND s.grade IS NULL`, teacher.ID)
	}
	before := ungraded()
	page.WaitTile("ungraded_submissions", before)
	assignment := s.ask(`INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
		VALUES ('Essay 2', 'Two pages.', $1, 'published', now(), now()) RETURNING id::text`, teacher.ID)
	page.WaitRow("New assignment: Essay 2")
	s.exec(`INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
		VALUES ($1::text::bigint, $2, 'It was a dark and stormy night.', 'submitted', now(), '', now())`, assignment, anna.ID)
	page.WaitRow("Anna Petrova handed in Essay 2")
	page.WaitTile("ungraded_submissions", ungraded())
	require.NotEqual(t, before, page.Tile("ungraded_submissions"))

	// The gateway dies; what is committed meanwhile arrives when it is back.
	gateway.kill()
	page.WaitState("waiting")
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = 0 WHERE assignment_id = $1::text::bigint`, assignment)
	gateway.restart()
	page.WaitRow("Anna Petrova got 0 for Essay 2")
	page.WaitState("live")
	page.WaitTile("ungraded_submissions", before)
	s.exec(`UPDATE assignments_assignment SET status = 'closed' WHERE id = $1::text::bigint`, assignment)
	page.WaitRow("Essay 2 was closed")
	require.Equal(t, []string{
		"Essay 2 was closed", "Anna Petrova got 0 for Essay 2", "Anna Petrova handed in Essay 2", "New assignment: Essay 2",
	}, page.Feed(), "everything once")

	// A token that was taken away signs out.
	s.exec(`DELETE FROM authtoken_token WHERE user_id = $1`, teacher.ID)
	page.Reload()
	page.WaitText("body", "This token is not known.")
}
