package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// oracle says in SQL, from the LMS's own tables, what protocol.md promises about
// each commit: which events it caused, in what order they may come, and for whom.
// It keeps a copy of the tables as they were at the commit before, in a schema of
// its own, and looks at the difference. It shares no code with the gateway.
type oracle struct {
	conn    *pgx.Conn
	commits []commit
}

// commit is one transaction that caused events.
type commit struct {
	at     time.Time
	events []expected
}

// expected is one event: what a client must read, but for its id, and who.
type expected struct {
	stage  int // created, then handed in and graded, then closed
	fields string
	people []int64
}

const oracleCopies = `
CREATE SCHEMA IF NOT EXISTS oracle;
DROP TABLE IF EXISTS oracle.a, oracle.s, oracle.g, oracle.p;
CREATE UNLOGGED TABLE oracle.a AS SELECT id, title, author_id, status FROM assignments_assignment;
CREATE UNLOGGED TABLE oracle.s AS SELECT id, submitted_at, grade FROM assignments_assignmentsubmission;
CREATE UNLOGGED TABLE oracle.g AS SELECT assignment_id, user_id FROM assignments_assignment_assigned_to;
CREATE UNLOGGED TABLE oracle.p AS SELECT user_id, tutor_id FROM accounts_studentprofile;
ALTER TABLE oracle.a ADD PRIMARY KEY (id);
ALTER TABLE oracle.s ADD PRIMARY KEY (id);
`

const oracleEvents = `
WITH admins AS (
	SELECT array_agg(id) AS people FROM accounts_user WHERE is_active AND role = 'admin'
), teacher AS (
	SELECT id FROM accounts_user WHERE is_active AND role = 'teacher'
), tutor AS (
	SELECT id FROM accounts_user WHERE is_active AND role = 'tutor'
), reach AS (
	SELECT g.assignment_id, array_agg(DISTINCT p.tutor_id) AS tutors
	FROM assignments_assignment_assigned_to g JOIN accounts_studentprofile p USING (user_id) JOIN tutor ON tutor.id = p.tutor_id
	GROUP BY 1
), reached AS (
	SELECT g.assignment_id, array_agg(DISTINCT p.tutor_id) AS tutors
	FROM oracle.g g JOIN accounts_studentprofile p USING (user_id) JOIN tutor ON tutor.id = p.tutor_id
	GROUP BY 1
), work AS (
	SELECT s.*, o.submitted_at AS was_submitted, o.grade AS was_graded,
		(SELECT people FROM admins) || array(SELECT id FROM teacher WHERE id = a.author_id)
			|| array(SELECT tutor.id FROM accounts_studentprofile p JOIN tutor ON tutor.id = p.tutor_id WHERE p.user_id = s.student_id) AS people,
		a.title AS assignment_title, jsonb_build_object('id', u.id, 'email', u.email, 'first_name', u.first_name, 'last_name', u.last_name) AS student
	FROM assignments_assignmentsubmission s
		JOIN assignments_assignment a ON a.id = s.assignment_id
		JOIN accounts_user u ON u.id = s.student_id
		LEFT JOIN oracle.s o ON o.id = s.id
	WHERE o.id IS NULL OR (s.submitted_at, s.grade) IS DISTINCT FROM (o.submitted_at, o.grade)
)
SELECT 0, jsonb_build_object('type', 'assignment', 'assignment_id', a.id, 'title', a.title,
		'description', left(a.description, 200), 'due_date', a.due_date),
	(SELECT people FROM admins) || array(SELECT id FROM teacher WHERE id = a.author_id) || r.tutors
FROM assignments_assignment a LEFT JOIN reach r ON r.assignment_id = a.id
WHERE NOT EXISTS (SELECT FROM oracle.a o WHERE o.id = a.id)
UNION ALL
SELECT 1, jsonb_build_object('type', 'submission', 'submission_id', id, 'assignment_id', assignment_id, 'assignment_title', assignment_title, 'student', student), people
FROM work WHERE submitted_at IS NOT NULL AND submitted_at IS DISTINCT FROM was_submitted
UNION ALL
SELECT 1, jsonb_build_object('type', 'grade', 'submission_id', id, 'assignment_id', assignment_id, 'assignment_title', assignment_title, 'student', student, 'grade', grade), people
FROM work WHERE grade IS NOT NULL AND grade IS DISTINCT FROM was_graded
UNION ALL
SELECT 2, jsonb_build_object('type', 'assignment_closed', 'assignment_id', o.id, 'assignment_title', coalesce(a.title, o.title)),
	(SELECT people FROM admins) || array(SELECT id FROM teacher WHERE id = coalesce(a.author_id, o.author_id))
		|| CASE WHEN a.id IS NULL THEN was.tutors ELSE now.tutors END
FROM oracle.a o LEFT JOIN assignments_assignment a ON a.id = o.id
	LEFT JOIN reach now ON now.assignment_id = o.id LEFT JOIN reached was ON was.assignment_id = o.id
WHERE o.status <> 'closed' AND (a.id IS NULL OR a.status = 'closed')
`

// oracleCounts defines the four counts of everybody who may connect.
const oracleCounts = `
SELECT u.id,
	count(DISTINCT s.id) FILTER (WHERE s.submitted_at IS NULL),
	count(DISTINCT s.id) FILTER (WHERE s.submitted_at IS NOT NULL AND s.grade IS NULL),
	count(DISTINCT s.student_id),
	(SELECT count(*) FROM assignments_assignment a WHERE u.role = 'admin' OR u.role = 'teacher' AND a.author_id = u.id
		OR u.role = 'tutor' AND EXISTS (SELECT FROM assignments_assignment_assigned_to g JOIN accounts_studentprofile p USING (user_id)
			WHERE g.assignment_id = a.id AND p.tutor_id = u.id))
FROM accounts_user u LEFT JOIN (
	assignments_assignmentsubmission s JOIN assignments_assignment a ON a.id = s.assignment_id
		LEFT JOIN accounts_studentprofile p ON p.user_id = s.student_id
) ON u.role = 'admin' OR u.role = 'teacher' AND a.author_id = u.id OR u.role = 'tutor' AND p.tutor_id = u.id
WHERE u.is_active AND u.role IN ('teacher', 'tutor', 'admin')
GROUP BY u.id
`

// newOracle begins with the database as it is. It has a connection of its own,
// because those of the scenario are inside transactions.
func newOracle(t *testing.T, url string) *oracle {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	o := &oracle{conn: conn}
	o.copyTables(t)
	return o
}

func (o *oracle) copyTables(t *testing.T) {
	t.Helper()
	_, err := o.conn.Exec(t.Context(), oracleCopies)
	require.NoError(t, err)
}

// committed looks at what the transaction xid, which has just committed, did.
// Nobody else may have committed since the call before.
func (o *oracle) committed(t *testing.T, xid string) {
	t.Helper()
	var c commit
	require.NoError(t, o.conn.QueryRow(t.Context(), `SELECT pg_xact_commit_timestamp($1::text::xid)`, xid).Scan(&c.at))
	rows, err := o.conn.Query(t.Context(), oracleEvents)
	require.NoError(t, err)
	c.events, err = pgx.CollectRows(rows, scanExpected)
	require.NoError(t, err)
	if len(c.events) > 0 {
		o.commits = append(o.commits, c)
	}
	o.copyTables(t)
}

// scanExpected reads a row of oracleEvents.
func scanExpected(row pgx.CollectableRow) (e expected, err error) {
	var fields map[string]any
	err = row.Scan(&e.stage, &fields, &e.people)
	e.fields = canonical(fields)
	return e, err
}

// counts answers the counts by definition, of everybody who may connect.
func (o *oracle) counts(t *testing.T) map[int64]counts {
	t.Helper()
	rows, err := o.conn.Query(t.Context(), oracleCounts)
	require.NoError(t, err)
	return countsOf(t, rows)
}

// countsOf reads people and their counts.
func countsOf(t *testing.T, rows pgx.Rows) map[int64]counts {
	t.Helper()
	all := map[int64]counts{}
	var id int64
	var c counts
	_, err := pgx.ForEachRow(rows, []any{&id, &c.Pending, &c.Ungraded, &c.Active, &c.Total}, func() error {
		all[id] = c
		return nil
	})
	require.NoError(t, err)
	return all
}

// canonical writes a message's fields so that equal ones are equal texts.
func canonical(fields map[string]any) string {
	if due, ok := fields["due_date"].(string); ok {
		if at, err := time.Parse(time.RFC3339Nano, due); err == nil {
			fields["due_date"] = at.UTC().Format(time.RFC3339Nano)
		}
	}
	out, err := json.Marshal(fields)
	if err != nil {
		panic(err) // it came from JSON
	}
	return string(out)
}

// check compares everything a person received with what they should have, and
// notes the ids, which must be the same for everybody.
func (o *oracle) check(t *testing.T, person int64, got []received, ids map[string]string) {
	t.Helper()
	rest := got
	for n, c := range o.commits {
		var want []expected
		for _, e := range c.events {
			if slices.Contains(e.people, person) {
				want = append(want, e)
			}
		}
		if len(want) == 0 {
			continue
		}
		require.GreaterOrEqual(t, len(rest), len(want), "person %d lost events: commit %d wants %v, there is %v", person, n, first(want), first(rest))
		have := rest[:len(want)]
		rest = rest[len(want):]
		checkCommit(t, person, n, c, want, have, ids)
	}
	require.Empty(t, rest, "person %d received what nobody expected", person)
}

func checkCommit(t *testing.T, person int64, n int, c commit, want []expected, have []received, ids map[string]string) {
	t.Helper()
	lsn, _, _ := strings.Cut(have[0].id, ".")
	stage := 0
	texts := make([]string, 0, len(have))
	for _, m := range have {
		at, _, _ := strings.Cut(m.id, ".")
		require.Equal(t, lsn, at, "person %d, commit %d: events of two commits: %v", person, n, first(have))
		require.WithinDuration(t, c.at, m.timestamp, 0, "person %d, commit %d: %s", person, n, m.fields)
		require.GreaterOrEqual(t, m.stage(), stage, "person %d, commit %d: created, then handed in and graded, then closed", person, n)
		stage = m.stage()
		texts = append(texts, m.fields)
		key := fmt.Sprint(n, " ", m.fields)
		require.Equal(t, cmp.Or(ids[key], m.id), m.id, "the id of %s differs from person to person", m.fields)
		ids[key] = m.id
	}
	wanted := make([]string, 0, len(want))
	for _, e := range want {
		wanted = append(wanted, e.fields)
	}
	slices.Sort(texts)
	slices.Sort(wanted)
	require.Equal(t, wanted, texts, "person %d, commit %d", person, n)
}

// first keeps failures readable: of 100,000 events, the first few.
func first[T any](list []T) []T { return list[:min(len(list), 5)] }
