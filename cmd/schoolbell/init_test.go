package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// The DBA runs what init --print wrote, as it stands, for a role that does not exist.
// That is enough for everything, and nothing more than that.
func TestThePrintedSQLMakesARoleWithTheFewestRightsThatServeNeeds(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	role := s.ask(`SELECT 'gateway_of_' || current_database()`)
	code, sql := schoolbell(t, "init", "--print", "--database", s.url, "--role", role)
	require.Zero(t, code, sql)
	require.Equal(t, "0 0", s.ask(`SELECT (SELECT count(*) FROM pg_publication) || ' ' || (SELECT count(*) FROM pg_roles WHERE rolname = $1)`, role), "printing changes nothing")

	s.exec(sql)
	s.forget(role)
	require.Equal(t, "LOGIN REPLICATION", s.ask(`SELECT concat_ws(' ', CASE WHEN rolcanlogin THEN 'LOGIN' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
		CASE WHEN rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls THEN 'AND MORE' END) FROM pg_roles WHERE rolname = $1`, role))
	require.Equal(t, strings.Join([]string{
		"accounts_studentprofile(id,user_id,tutor_id)",
		"accounts_user(id,email,first_name,last_name,role,is_active)",
		"assignments_assignment(id,title,description,author_id,status,due_date)",
		"assignments_assignment_assigned_to(id,assignment_id,user_id)",
		"assignments_assignmentsubmission(id,assignment_id,student_id,submitted_at,grade)",
		"authtoken_token(key,user_id)",
	}, " "), s.ask(`SELECT string_agg(relname || '(' || columns || ')', ' ' ORDER BY relname) FROM (
		SELECT c.relname, string_agg(a.attname, ',' ORDER BY a.attnum) AS columns FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege($1, c.oid, a.attnum, 'SELECT')
		GROUP BY c.relname) t`, role), "the columns that it may read; not a password among them")
	require.Equal(t, "0", s.ask(`SELECT count(*)::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace
		AND relkind = 'r' AND has_any_column_privilege($1, oid, 'INSERT, UPDATE, REFERENCES')`, role), "and it may write nothing")

	code, out := s.check("--database", s.as(role))
	require.Zero(t, code, out)
	require.Equal(t, "all is well: schoolbell serve can follow 5 tables of profile django", lastLine(out))
	code, out = schoolbell(t, "init", "--print", "--database", s.url, "--role", role)
	require.Zero(t, code, out)
	require.Equal(t, `-- nothing is missing: publication "schoolbell" is ready for profile django`, lastLine(out))

	gateway := s.serve("--database", s.as(role))
	s.ready()
	d := s.watch(s.school.Admins[0])
	s.grade(64)
	s.sees(d, 1)
	require.Zero(t, gateway.stop(5*time.Second))
}

func TestInitMakesWhatServeNeedsAndCanBeRunAgain(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	code, out := s.check()
	require.Equal(t, 1, code, out)
	require.Equal(t, []string{"1 to mend, in this order"}, said(out))
	for range 2 {
		code, out = schoolbell(t, "init", "--database", s.url)
		require.Zero(t, code, out)
		require.Equal(t, `publication "schoolbell" is ready for profile django; next: schoolbell check, then schoolbell serve`, lastLine(out))
	}
	code, out = s.check()
	require.Zero(t, code, out)
	require.Contains(t, out, "advice: max_slot_wal_keep_size is -1: a slot that nobody reads fills the disk")

	// Whoever may not do it is told who may.
	s.exec(`DROP PUBLICATION schoolbell`)
	role := s.role("LOGIN REPLICATION")
	s.exec(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ` + role)
	code, out = schoolbell(t, "init", "--database", s.as(role))
	require.Equal(t, 1, code, out)
	require.Len(t, said(out), 1)
	require.Regexp(t, `^right to prepare the database is missing \(.*\), want granted; fix: let the owner of the tables or a superuser run what schoolbell init --print prints$`, said(out)[0])
}
