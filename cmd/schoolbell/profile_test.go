package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// campusTables are the tables that the profile campus.yaml reads.
const campusTables = `
CREATE TABLE people (id bigint PRIMARY KEY, email text, name text, active boolean, shoe_size int);
CREATE TABLE courses (id bigint PRIMARY KEY, name text, state text, fee int);
CREATE TABLE enrolments (id bigint PRIMARY KEY, person_id bigint, course_id bigint, section_id bigint, kind text, limited boolean, state text, paid int);
CREATE TABLE staff (person_id bigint PRIMARY KEY, superuser boolean, salary int);
CREATE TABLE assignments (id bigint PRIMARY KEY, course_id bigint, title text, body text, state text, due_at timestamptz, closes_at timestamptz);
CREATE TABLE submissions (id bigint PRIMARY KEY, assignment_id bigint, person_id bigint, handed_in_at timestamptz, attempt int, score numeric, posted_at timestamptz);
CREATE TABLE tokens (key text PRIMARY KEY, person_id bigint);`

func TestInitPublishesCoursesMembersAndAdminsAndCheckNamesTheEntry(t *testing.T) {
	t.Parallel()
	s := &site{t: t, url: pgtest.Database(t)}
	s.conn = connectTo(t, s.url)
	s.exec(campusTables)
	src, err := os.ReadFile("../../cdc/profile/testdata/campus.yaml")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "campus.yaml")
	require.NoError(t, os.WriteFile(file, src, 0o600))

	flags := []string{"--database", s.url, "--profile", file, "--slot", s.ask("SELECT current_database()")}
	code, out := schoolbell(t, append([]string{"init"}, flags...)...)
	require.Zero(t, code, out)
	code, out = schoolbell(t, append([]string{"check"}, flags...)...)
	require.Zero(t, code, out)
	require.Contains(t, out, "can follow 6 tables of profile campus")
	if pgtest.Server(t).Major() >= 15 {
		require.Equal(t, "id, person_id, course_id, section_id, kind, limited, state; person_id, superuser",
			s.ask(`SELECT string_agg(array_to_string(attnames, ', '), '; ' ORDER BY tablename) FROM pg_publication_tables WHERE tablename IN ('enrolments', 'staff')`))
	}

	s.exec(`ALTER TABLE enrolments RENAME person_id TO persons_id`)
	code, out = schoolbell(t, append([]string{"check"}, flags...)...)
	require.Equal(t, 1, code, out)
	require.Equal(t, []string{"column person_id of table public.enrolments is missing, but there is persons_id, want a column of the table; " +
		"fix: if that is what is meant, in " + file + " write in entry 1 of member `user: persons_id`"}, wrong(out))
}
