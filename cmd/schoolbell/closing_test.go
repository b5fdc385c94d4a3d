package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// due gives the admin's client an assignment that closes by itself after so long, and
// answers the moment.
func (s *site) due(d *dashboard, after string) time.Time {
	s.t.Helper()
	d.mu.Lock()
	n := len(d.events)
	d.mu.Unlock()
	due, err := time.Parse(time.RFC3339Nano, s.ask(`INSERT INTO assignments_assignment (title, description, author_id, status, due_date, created_at, updated_at)
		VALUES ('Soon', '', $1, 'published', now() + $2::text::interval, now(), now()) RETURNING to_jsonb(due_date)#>>'{}'`, s.school.Teachers[0].ID, after))
	require.NoError(s.t, err)
	s.sees(d, n+1)
	return due
}

func TestAMomentThatPassesClosesAnAssignmentOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "timed.yaml")
	require.NoError(t, os.WriteFile(file, []byte("profile: timed\nextends: django\nassignment: {closes: due_date}\n"), 0o600))
	// What was due long ago is not news.
	s.exec(`UPDATE assignments_assignment SET due_date = now() - interval '1 day'`)
	gateway := s.serve("--profile", file)
	s.ready()
	teacher := s.watch(s.school.Teachers[0])

	// Nothing else happens, and still it closes within about a second.
	due := s.due(teacher, "1 second")
	teacher.await(t, "the closing", func() bool { return len(teacher.events) == 2 })
	require.Less(t, time.Since(due), 30*time.Second)
	last := func() received {
		teacher.mu.Lock()
		defer teacher.mu.Unlock()
		return teacher.events[len(teacher.events)-1]
	}
	require.Equal(t, "assignment_closed", last().kind)
	require.WithinDuration(t, due, last().timestamp, 0, "it is told as of its moment")

	// While we are down it passes as well; and once is once, also after a kill.
	due = s.due(teacher, "2 seconds")
	gateway.kill()
	s.exec(`SELECT pg_sleep_until($1)`, due)
	gateway.restart()
	teacher.await(t, "the closing", func() bool { return len(teacher.events) == 4 })
	require.WithinDuration(t, due, last().timestamp, 0)
	gateway.kill()
	gateway.restart()
	s.ready()
	s.grade(3)
	s.sees(teacher, 5)
	require.Equal(t, "grade", last().kind)
}
