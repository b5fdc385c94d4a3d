package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// reattach lets the gateway look again at once; by itself it looks every minute, and
// four times as often while something is wrong.
func (s *site) reattach() {
	s.t.Helper()
	s.exec(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL`, s.slot)
}

// Whatever a DBA or an upgrade of the LMS does to us while we run shows on /readyz
// with its remedy, and the remedy heals it: nobody restarts anything, nobody is
// disconnected, nothing is lost.
func TestWhatBreaksWhileTheGatewayRunsShowsAndHeals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve()
	s.ready()
	d := s.watch(s.school.Admins[0])
	seen := 0
	for _, c := range []struct{ name, breaks, check, says, mends string }{
		{
			"publication dropped", `DROP PUBLICATION schoolbell`, "publication",
			`publication "schoolbell" is missing, want one of 5 tables; fix: CREATE PUBLICATION "schoolbell" FOR TABLE`, "init",
		},
		{
			"publication widened for an upgrade, which drops a column",
			`ALTER PUBLICATION schoolbell DROP TABLE accounts_user; ALTER PUBLICATION schoolbell ADD TABLE accounts_user; ALTER TABLE accounts_user DROP COLUMN email`, "publication",
			`column email of table public.accounts_user is missing, `,
			`ALTER TABLE accounts_user ADD COLUMN email varchar(254) NOT NULL DEFAULT ''; ` + withLists(t,
				`ALTER PUBLICATION schoolbell DROP TABLE accounts_user; ALTER PUBLICATION schoolbell ADD TABLE accounts_user (id, email, first_name, last_name, role, is_active)`),
		},
		{
			"key dropped", `ALTER TABLE assignments_assignmentsubmission DROP CONSTRAINT assignments_assignmentsubmission_pkey`, "identity",
			`replica identity of public.assignments_assignmentsubmission is missing, for want of a primary key: published, the LMS's own UPDATE and DELETE fail now`,
			`ALTER TABLE assignments_assignmentsubmission ADD PRIMARY KEY (id)`,
		},
	} {
		t.Log(c.name)
		s.exec(c.breaks)
		s.reattach()
		s.waiting(`"`+c.check+`":{"ok":false`, c.says)
		if c.mends == "init" {
			s.init()
		} else {
			s.exec(c.mends)
		}
		s.reattach()
		s.ready()
		seen++
		s.grade(seen)
		s.sees(d, seen)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Equal(t, 1, d.welcomes, "nobody was disconnected")
}

// The server reads the log with the catalogue of its moment: what the LMS wrote while
// there was no publication can never be read. The tables still tell.
func TestAChangeWrittenWithoutAPublicationIsDeliveredLate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve()
	s.ready()
	d := s.watch(s.school.Admins[0])
	s.exec(`DROP PUBLICATION schoolbell`)
	s.grade(71)
	if pgtest.Server(t).Major() >= 18 {
		s.reattach() // the server only warns of the publication: without this we look within a minute
	}
	s.waiting(`"publication":{"ok":false`, `publication "schoolbell" is missing`)
	s.init()
	s.reattach()
	s.sees(d, 1)
	s.ready()
	s.grade(72)
	s.sees(d, 2)
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Equal(t, 1, d.welcomes, "nobody was disconnected")
	require.NotContains(t, gateway.text(), "goroutine ")
}

// A column that a mark is made of is renamed, and the LMS writes on: the rows would be
// misread, and the gateway says what to write where.
func TestARenamedColumnInTheLogIsExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve()
	s.ready()
	s.exec(`ALTER TABLE assignments_assignmentsubmission RENAME grade TO score`)
	s.exec(`UPDATE assignments_assignmentsubmission SET score = 3`)
	s.waiting(`"stream":{"ok":false`, "the tables have to be read again (", "), which waits until this is put right: column grade of table public.assignments_assignmentsubmission is missing, but there is score, ",
		"`extends: django` and `grade: {graded: {score: present}, again: score, score: score}`")
}
