//go:build linux

package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// leakCampus is an LMS with courses and sections, where nothing says what people's roles
// are but what they are in their courses, and assignments are given to the whole course.
func leakCampus(random *rand.Rand) leakSchool {
	c := campus{acts{rand: random}}
	return c.school("campus", `
		CREATE FUNCTION oracle.owns(author bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $f$ SELECT NULL::bigint $f$;
		CREATE FUNCTION oracle.given(assignment bigint, there boolean) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $f$ SELECT NULL::bigint[] $f$;
		CREATE FUNCTION oracle.may(who bigint, what text) RETURNS boolean LANGUAGE sql STABLE AS $f$
			SELECT active AND CASE what WHEN 'admin' THEN role = 'admin' WHEN 'student' THEN role <> 'none' ELSE role IN ('admin', 'teacher', 'tutor') END
			FROM oracle.people WHERE person = who
		$f$;`, `SELECT p.id AS person, p.active, CASE
			WHEN EXISTS (SELECT FROM @.staff s WHERE s.person_id = p.id AND s.superuser) THEN 'admin'
			WHEN EXISTS (SELECT FROM @.enrolments e WHERE e.person_id = p.id AND e.state = 'active' AND e.kind = 'teacher') THEN 'teacher'
			WHEN EXISTS (SELECT FROM @.enrolments e WHERE e.person_id = p.id AND e.state = 'active' AND e.kind = 'ta') THEN 'tutor'
			WHEN EXISTS (SELECT FROM @.enrolments e WHERE e.person_id = p.id AND e.state = 'active' AND e.kind = 'student') THEN 'student'
			ELSE 'none' END AS role FROM @.people p`)
}

// leakCampusRoles is another: people have one role each, assignments an author, and a
// table says to whom each is given.
func leakCampusRoles(random *rand.Rand) leakSchool {
	c := campus{acts{rand: random}}
	return c.school("campus_roles", `
		CREATE FUNCTION oracle.owns(author bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $f$ SELECT author $f$;
		CREATE FUNCTION oracle.given(assignment bigint, there boolean) RETURNS bigint[] LANGUAGE sql STABLE AS $f$
			SELECT CASE WHEN there THEN array(SELECT person_id FROM now.assignment_students WHERE assignment_id = assignment)
				ELSE array(SELECT person_id FROM was.assignment_students WHERE assignment_id = assignment) END
		$f$;
		CREATE FUNCTION oracle.may(who bigint, what text) RETURNS boolean LANGUAGE sql STABLE AS $f$
			SELECT active AND role = CASE what WHEN 'ta' THEN 'tutor' ELSE what END FROM oracle.people WHERE person = who
		$f$;`, `SELECT p.id AS person, p.active, CASE p.role WHEN 'ta' THEN 'tutor' WHEN 'guest' THEN 'none' ELSE p.role END AS role FROM @.people p`)
}

// campus is what happens in both.
type campus struct{ acts }

// school joins what the two have in common with how each says who is what.
func (c campus) school(name, differs, standing string) leakSchool {
	common, err := os.ReadFile(filepath.Join("testdata", "leak", "campus_oracle.sql"))
	if err != nil {
		panic(err) // the test's own file
	}
	return leakSchool{
		name: name, profile: filepath.Join("..", "..", "cdc", "profile", "testdata", name+".yaml"),
		watched: map[string]string{
			"people": "id", "staff": "person_id", "courses": "id", "enrolments": "id", "assignments": "id", "assignment_students": "id", "submissions": "id",
		},
		flags: []string{"--roles", "teacher,tutor,admin,student"},
		fill:  c.fill, draw: c.draw, restore: c.restore, touch: c.touch,
		views: `CREATE FUNCTION oracle.students() RETURNS boolean LANGUAGE sql IMMUTABLE AS $f$ SELECT true $f$;
			CREATE VIEW now.standing AS ` + in("now", standing) + `;
			CREATE VIEW was.standing AS ` + in("was", standing) + `;
			CREATE TABLE oracle.people AS SELECT * FROM now.standing;
			` + differs + string(common),
		events: `SELECT stage, fields, people FROM oracle.events`,
		rights: `SELECT person, CASE WHEN NOT active THEN 'account_inactive'
			WHEN role IN ('teacher', 'tutor', 'admin') OR role = 'student' AND oracle.students() THEN '' ELSE 'role_not_allowed' END AS code FROM @.standing`,
		before: `SELECT oracle.refresh()`, after: `SELECT oracle.remember()`,
		counts: `SELECT * FROM oracle.counts`,
	}
}

func (c campus) fill(ctx context.Context, conn *pgx.Conn) ([]leakPerson, error) {
	tables, err := os.ReadFile(filepath.Join("testdata", "leak", "campus.sql"))
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, string(tables)+`;
		CREATE TABLE hired AS SELECT id, role FROM people;
		CREATE TABLE hired_staff AS SELECT * FROM staff;
		CREATE TABLE enrolled AS SELECT * FROM enrolments;`); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `SELECT person_id, key FROM tokens ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p leakPerson, err error) { return p, row.Scan(&p.id, &p.token) })
}

// restore makes everybody again what they were in the beginning, besides what they became.
func (c campus) restore(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE people p SET role = h.role, active = true FROM hired h WHERE h.id = p.id;
		INSERT INTO staff SELECT * FROM hired_staff ON CONFLICT (person_id) DO UPDATE SET superuser = excluded.superuser;
		INSERT INTO enrolments SELECT * FROM enrolled ON CONFLICT (id) DO UPDATE SET person_id = excluded.person_id, kind = excluded.kind, state = excluded.state`)
	return err
}

func (c campus) touch(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE people SET email = email WHERE id = 1`)
	return err
}

const (
	campusPeople      = `SELECT id FROM people`
	campusEnrolment   = `SELECT id FROM enrolments`
	campusStaff       = `SELECT id FROM enrolments WHERE kind IN ('teacher', 'ta')`
	campusCourse      = `SELECT id FROM courses`
	campusAssignment  = `SELECT id FROM assignments`
	campusSubmission  = `SELECT id FROM submissions`
	campusStudentSeat = `SELECT e.id FROM enrolments e JOIN submissions s USING (person_id) JOIN assignments a ON a.id = s.assignment_id AND a.course_id = e.course_id WHERE s.id = $1 AND e.kind = 'student'`
	campusStaffSeats  = `SELECT e.id FROM enrolments e JOIN assignments a USING (course_id) JOIN submissions s ON s.assignment_id = a.id WHERE s.id = $1 AND e.kind IN ('teacher', 'ta')`

	// Of a submission, and a number.
	campusHandIn  = `UPDATE submissions SET handed_in_at = clock_timestamp(), attempt = attempt + 1 WHERE id = $1`
	campusDraft   = `UPDATE submissions SET handed_in_at = NULL WHERE id = $1`
	campusScore   = `UPDATE submissions SET score = $2::int % 21 WHERE id = $1`
	campusUnscore = `UPDATE submissions SET score = NULL WHERE id = $1`
	campusPost    = `UPDATE submissions SET posted_at = CASE WHEN posted_at IS NULL THEN now() END WHERE id = $1`
	campusMove    = `UPDATE enrolments SET section_id = 10 * course_id + $2::int % 3 WHERE id IN (` + campusStudentSeat + `)`
	campusShift   = `UPDATE enrolments SET section_id = 10 * course_id + $2::int % 3, limited = true WHERE id IN (` + campusStaffSeats + `) AND id % 5 = $2::int % 5`
	campusLimit   = `UPDATE enrolments SET limited = NOT limited WHERE id IN (` + campusStaffSeats + `) AND id % 5 = $2::int % 5`
	campusLeave   = `UPDATE enrolments SET state = CASE state WHEN 'active' THEN 'ended' ELSE 'active' END WHERE id IN (` + campusStaffSeats + `) AND id % 5 = $2::int % 5`
	campusDropOut = `UPDATE enrolments SET state = CASE state WHEN 'active' THEN 'ended' ELSE 'active' END WHERE id IN (` + campusStudentSeat + `)`
	campusStaffIn = `UPDATE people SET active = NOT active WHERE id IN (SELECT person_id FROM enrolments WHERE id IN (` + campusStaffSeats + `) AND id % 5 = $2::int % 5)`

	// Of an assignment, and a number.
	campusState    = `UPDATE assignments SET state = CASE $2::int % 4 WHEN 0 THEN 'draft' WHEN 1 THEN 'closed' ELSE 'open' END WHERE id = $1`
	campusClose    = `UPDATE assignments SET state = CASE state WHEN 'open' THEN 'closed' ELSE 'open' END WHERE id = $1`
	campusCloses   = `UPDATE assignments SET closes_at = CASE $2::int % 3 WHEN 0 THEN now() - interval '1 day' WHEN 1 THEN now() + interval '1 day' END WHERE id = $1`
	campusAuthor   = `UPDATE assignments SET author_id = CASE WHEN $2::int % 6 > 0 THEN 9 + $2::int END WHERE id = $1`
	campusRetitle  = `UPDATE assignments SET title = title || '!' WHERE id = $1`
	campusGive     = `INSERT INTO assignment_students (assignment_id, person_id) SELECT $1::bigint, person_id FROM enrolments WHERE kind = 'student' AND course_id = (SELECT course_id FROM assignments WHERE id = $1) AND person_id % 5 = $2::int % 5 ON CONFLICT DO NOTHING`
	campusTake     = `DELETE FROM assignment_students WHERE assignment_id = $1 AND person_id % 3 = $2::int % 3`
	campusMute     = `UPDATE courses SET state = CASE state WHEN 'available' THEN 'archived' ELSE 'available' END WHERE id = (SELECT course_id FROM assignments WHERE id = $1) AND $2::int % 3 = 0`
	campusTransfer = `UPDATE assignments SET course_id = 1 + $2::int % 10 WHERE id = $1`
	campusWithIt   = `UPDATE enrolments SET state = CASE state WHEN 'active' THEN 'ended' ELSE 'active' END WHERE course_id = (SELECT course_id FROM assignments WHERE id = $1) AND id % 4 = $2::int % 4`
	campusSections = `UPDATE enrolments SET section_id = 10 * course_id + $2::int % 3 WHERE course_id = (SELECT course_id FROM assignments WHERE id = $1) AND id % 4 = $2::int % 4`
	campusDelete   = `DELETE FROM submissions WHERE assignment_id = $1; DELETE FROM assignment_students WHERE assignment_id = $1; DELETE FROM assignments WHERE id = $1`
)

// draw is a right given or taken as often as anything else, and often together with work
// that it is a right to.
func (c campus) draw() operation {
	n := c.rand.IntN(60)
	one := func(query, statement string) func() operation {
		return func() operation { return c.on(query, statement, n) }
	}
	together := func(query string, statements ...string) func() operation {
		return func() operation {
			c.rand.Shuffle(len(statements), func(i, j int) { statements[i], statements[j] = statements[j], statements[i] })
			return c.on(query, strings.Join(statements, ";"), n)
		}
	}
	choices := []func() operation{
		// Work.
		one(campusSubmission, campusHandIn), one(campusSubmission, campusDraft), one(campusSubmission, campusScore), one(campusSubmission, campusScore),
		one(campusSubmission, campusUnscore), one(campusSubmission, campusPost), together(campusSubmission, campusScore, campusPost),
		one(campusSubmission, `DELETE FROM submissions WHERE id = $1`),
		one(campusAssignment, `UPDATE submissions SET score = $2 WHERE assignment_id = $1 AND handed_in_at IS NOT NULL`),
		one(campusAssignment, `INSERT INTO submissions (assignment_id, person_id, handed_in_at, attempt, score, posted_at)
			SELECT $1::bigint, person_id, CASE WHEN id % 2 = 0 THEN now() END, 1, CASE WHEN id % 3 = 0 THEN id % 100 END, CASE WHEN id % 5 < 2 THEN now() END
			FROM enrolments WHERE kind = 'student' AND course_id = (SELECT course_id FROM assignments WHERE id = $1) AND id % 7 = $2::int % 7 ON CONFLICT DO NOTHING`),
		one(campusCourse, `INSERT INTO assignments (course_id, author_id, title, body, state, closes_at)
			SELECT $1::bigint, 9 + $2::int, 'New "work" of '|| $1::text, repeat('Ж', 250), CASE $2::int % 4 WHEN 0 THEN 'draft' WHEN 1 THEN 'closed' ELSE 'open' END,
				CASE WHEN $2::int % 7 = 0 THEN now() - interval '1 hour' END`),
		one(campusAssignment, campusState), one(campusAssignment, campusClose), one(campusAssignment, campusCloses), one(campusAssignment, campusRetitle),
		one(campusAssignment, campusDelete),
		// Rights.
		one(campusPeople, `UPDATE people SET active = NOT active WHERE id = $1`),
		one(campusPeople, `UPDATE people SET role = (array['student', 'ta', 'teacher', 'admin', 'guest'])[1 + $2::int % 5] WHERE id = $1`),
		one(campusPeople, `INSERT INTO staff SELECT $1::bigint, true WHERE $2::int % 3 = 0 ON CONFLICT (person_id) DO UPDATE SET superuser = NOT staff.superuser`),
		one(`SELECT person_id FROM staff`, `DELETE FROM staff WHERE person_id = $1`),
		one(campusPeople, `INSERT INTO enrolments (person_id, course_id, section_id, kind, limited, state)
			SELECT $1::bigint, 1 + $2::int % 10, 10 * (1 + $2::int % 10) + $2::int % 3, (array['student', 'student', 'ta', 'ta', 'teacher', 'guest'])[1 + $2::int / 10], $2::int % 4 > 0, 'active'`),
		one(campusEnrolment, `DELETE FROM enrolments WHERE id = $1`),
		one(campusEnrolment, `UPDATE enrolments SET state = CASE state WHEN 'active' THEN 'ended' ELSE 'active' END WHERE id = $1`),
		one(campusEnrolment, `UPDATE enrolments SET kind = (array['student', 'ta', 'teacher', 'guest'])[1 + $2::int % 4] WHERE id = $1`),
		one(campusEnrolment, `UPDATE enrolments SET section_id = CASE WHEN $2::int % 7 > 0 THEN 10 * course_id + $2::int % 3 END WHERE id = $1`),
		one(campusEnrolment, `UPDATE enrolments SET course_id = 1 + $2::int % 10, section_id = 10 * (1 + $2::int % 10) + $2::int % 3 WHERE id = $1`),
		one(campusStaff, `UPDATE enrolments SET limited = NOT limited WHERE id = $1`),
		one(campusStaff, `UPDATE enrolments SET person_id = 1 + ($2::int * 3) WHERE id = $1`),
		one(campusCourse, `UPDATE courses SET state = CASE WHEN $2::int % 4 = 0 THEN 'archived' ELSE 'available' END WHERE id = $1`),
		// Everybody back at once, as a new term does.
		one(campusCourse, `UPDATE people SET active = (id % 40 <> $2::int % 40) WHERE $1::bigint > 0`),
		one(campusCourse, `UPDATE people p SET role = h.role FROM hired h WHERE h.id = p.id AND p.id % 7 = $2::int % 7 AND $1::bigint > 0`),
		one(campusCourse, `INSERT INTO enrolments SELECT * FROM enrolled WHERE course_id = $1 AND $2::int % 2 = 0 ON CONFLICT (id) DO UPDATE SET state = excluded.state, kind = excluded.kind, limited = excluded.limited`),
		// Both.
		together(campusSubmission, campusMove, campusScore), together(campusSubmission, campusShift, campusScore, campusHandIn),
		together(campusSubmission, campusLimit, campusHandIn), together(campusSubmission, campusLeave, campusScore),
		together(campusSubmission, campusDropOut, campusScore, campusPost), together(campusSubmission, campusStaffIn, campusHandIn),
		together(campusAssignment, campusAuthor, campusClose), together(campusAssignment, campusGive, campusClose), together(campusAssignment, campusTake, campusState),
		together(campusAssignment, campusMute, campusClose), together(campusAssignment, campusTransfer, campusClose),
		together(campusAssignment, campusWithIt, campusClose), together(campusAssignment, campusSections, campusState),
		together(campusAssignment, campusWithIt, `UPDATE submissions SET score = $2::int + 30 WHERE assignment_id = $1 AND person_id % 3 = 0`),
		together(campusAssignment, campusTransfer, `UPDATE submissions SET score = $2::int + 40 WHERE assignment_id = $1 AND person_id % 3 = 1`),
	}
	return choices[c.rand.IntN(len(choices))]()
}
