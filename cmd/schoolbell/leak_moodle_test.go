//go:build linux

package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
	"github.com/schoolbell/schoolbell/deploy/school/moodle"
)

// leakMoodle is Moodle: what people are follows from what their roles may do in the contexts
// of a course, and from enrolments with a beginning and an end; work is a student's or a
// team's, and grades stand in a table of their own.
func leakMoodle(random *rand.Rand) leakSchool {
	return (&moodleActs{acts: acts{rand: random}}).lms()
}

// moodleActs is what happens in Moodle, and the school of the demo that it begins with.
type moodleActs struct {
	acts
	school *moodle.School
}

func (m *moodleActs) lms() leakSchool {
	watched := map[string]string{}
	for _, table := range []string{
		"user", "config", "course", "course_modules", "modules", "assign", "assign_submission", "assign_grades", "assign_user_flags", "context", "role",
		"role_capabilities", "role_assignments", "enrol", "user_enrolments", "groups", "groups_members",
	} {
		watched["mdl_"+table] = "id"
	}
	views := moodleFile("moodle_views.sql")
	return leakSchool{
		name: "moodle", profile: filepath.Join("testdata", "leak", "moodle.yaml"), watched: watched,
		flags: []string{"--roles", "teacher,tutor,admin,student"},
		fill:  m.fill, draw: m.draw, restore: m.restore, touch: m.touch,
		views:  in("was", views) + in("now", views) + moodleFile("moodle_oracle.sql"),
		events: `SELECT stage, fields, people FROM oracle.events`,
		rights: `SELECT person, CASE WHEN NOT active THEN 'account_inactive' WHEN role = 'none' THEN 'role_not_allowed' ELSE '' END AS code FROM @.standing`,
		before: `SELECT oracle.refresh()`, after: `SELECT oracle.remember()`,
		counts: `SELECT * FROM oracle.counts`,
	}
}

func moodleFile(name string) string {
	text, err := os.ReadFile(filepath.Join("testdata", "leak", name))
	if err != nil {
		panic(err) // the test's own file
	}
	return string(text)
}

// moodleSize has two hundred people who are connected.
var moodleSize = school.Size{Teachers: 40, Tutors: 44, Admins: 6, Students: 110, Assignments: 60}

// moodleKept are the tables that say who may what, to be as in the beginning in the end.
func moodleKept() []string {
	return []string{"mdl_context", "mdl_role_capabilities", "mdl_role_assignments", "mdl_enrol", "mdl_user_enrolments"}
}

func (m *moodleActs) fill(ctx context.Context, conn *pgx.Conn) ([]leakPerson, error) {
	if err := moodle.Create(ctx, conn); err != nil {
		return nil, err
	}
	var err error
	if m.school, err = moodle.Populate(ctx, conn, moodleSize, 1); err != nil {
		return nil, err
	}
	sql := `INSERT INTO mdl_external_tokens (token, tokentype, userid, externalserviceid, contextid, timecreated)
		SELECT 'token-of-' || id, 0, id, 1, 1, 0 FROM mdl_user WHERE username <> 'guest';`
	for _, table := range moodleKept() {
		sql += `CREATE TABLE kept_` + table + ` AS SELECT * FROM ` + table + `;`
	}
	if _, err := conn.Exec(ctx, sql); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `SELECT userid, token FROM mdl_external_tokens ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p leakPerson, err error) { return p, row.Scan(&p.id, &p.token) })
}

// restore makes everybody again what they were in the beginning, and nothing else.
func (m *moodleActs) restore(ctx context.Context, tx pgx.Tx) error {
	sql := `UPDATE mdl_user SET suspended = 0, deleted = 0, confirmed = 1;`
	for _, table := range moodleKept() {
		if table == "mdl_context" { // there are new ones, of courses' activities
			sql += `UPDATE mdl_context c SET path = k.path FROM kept_mdl_context k WHERE k.id = c.id AND k.path <> c.path;`
			continue
		}
		sql += `DELETE FROM ` + table + `; INSERT INTO ` + table + ` SELECT * FROM kept_` + table + `;`
	}
	_, err := tx.Exec(ctx, sql)
	return err
}

func (m *moodleActs) touch(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE mdl_assign_submission SET timemodified = timemodified + 1 WHERE id = (SELECT min(id) FROM mdl_assign_submission)`)
	return err
}

// As Moodle itself works: an action is many transactions, and what is between two of them
// is seen as well. When it has worked for a while, everybody is and counts what SQL says.
func TestLeakASchoolThatWorksStatementByStatementIsFollowed(t *testing.T) {
	t.Parallel()
	m := &moodleActs{}
	s := newLeakSuite(t, func(random *rand.Rand) leakSchool {
		m.rand = random
		return m.lms()
	})
	s.begin(t)
	for i := range s.n {
		_, err := m.school.Step(t.Context(), s.conn)
		require.NoError(t, err)
		if i%(s.n/2+1) == s.n/2 {
			s.oracle.commit(t, s.conn, moodleSettle)
			s.checkpoint(t)
		}
	}
	s.oracle.commit(t, s.conn, moodleSettle)
	s.checkpoint(t)
}

// moodleSettle takes back what would come of itself while we look.
func moodleSettle(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE mdl_user_enrolments SET timeend = 0 WHERE timeend > `+moodleSeconds+` - 1`)
	return err
}

const (
	moodleUser       = `SELECT id FROM mdl_user`
	moodleCourse     = `SELECT id FROM mdl_course WHERE id > 1`
	moodleAssignment = `SELECT id FROM mdl_assign`
	moodleSubmission = `SELECT id FROM mdl_assign_submission WHERE latest = 1`
	moodleEnrolment  = `SELECT id FROM mdl_user_enrolments`
	moodleRole       = `SELECT id FROM mdl_role_assignments`
	moodleSeconds    = `extract(epoch FROM now())::bigint`

	// The course of a submission, and its staff.
	moodleItsCourse = `(SELECT a.course FROM mdl_assign a JOIN mdl_assign_submission s ON s.assignment = a.id WHERE s.id = $1)`
	moodleItsStaff  = `(SELECT ra.userid FROM mdl_role_assignments ra JOIN mdl_context x ON x.id = ra.contextid AND x.contextlevel = 50 WHERE ra.roleid IN (3, 4) AND x.instanceid = ` + moodleItsCourse + `)`
	moodleItsOwner  = `(SELECT userid FROM mdl_assign_submission WHERE id = $1)`
	moodleItsEnrol  = `(SELECT id FROM mdl_enrol WHERE courseid = ` + moodleItsCourse + `)`

	// Of a submission, and a number.
	moodleSubmit  = `UPDATE mdl_assign_submission SET status = 'submitted', timemodified = ` + moodleSeconds + ` WHERE id = $1`
	moodleDraft   = `UPDATE mdl_assign_submission SET status = CASE WHEN $2::int % 2 = 0 THEN 'draft' ELSE 'new' END WHERE id = $1`
	moodleReopen  = `UPDATE mdl_assign_submission SET latest = 0 WHERE id = $1;INSERT INTO mdl_assign_submission (assignment, userid, groupid, status, attemptnumber, latest) SELECT assignment, userid, groupid, 'reopened', attemptnumber + 1, 1 FROM mdl_assign_submission s WHERE id = $1 AND NOT EXISTS (SELECT FROM mdl_assign_submission o WHERE o.assignment = s.assignment AND o.userid = s.userid AND o.groupid = s.groupid AND o.attemptnumber > s.attemptnumber)`
	moodleGrade   = `INSERT INTO mdl_assign_grades (assignment, userid, grader, grade, attemptnumber) SELECT assignment, userid, 3, $2::int % 21, attemptnumber FROM mdl_assign_submission WHERE id = $1 AND userid <> 0 ON CONFLICT (assignment, userid, attemptnumber) DO UPDATE SET grade = excluded.grade`
	moodleLook    = `INSERT INTO mdl_assign_grades (assignment, userid, grader, grade, attemptnumber) SELECT assignment, userid, 3, -1, attemptnumber FROM mdl_assign_submission WHERE id = $1 AND userid <> 0 ON CONFLICT DO NOTHING`
	moodleClear   = `UPDATE mdl_assign_grades g SET grade = CASE WHEN $2::int % 2 = 0 THEN -1 END FROM mdl_assign_submission s WHERE s.id = $1 AND g.assignment = s.assignment AND (g.userid = s.userid OR s.userid = 0)`
	moodleState   = `UPDATE mdl_assign_user_flags f SET workflowstate = (array['inmarking', 'readyforrelease', 'released'])[1 + $2::int % 3] FROM mdl_assign_submission s WHERE s.id = $1 AND f.assignment = s.assignment AND f.userid = s.userid;INSERT INTO mdl_assign_user_flags (assignment, userid, workflowstate) SELECT assignment, userid, 'released' FROM mdl_assign_submission s WHERE id = $1 AND userid <> 0 AND NOT EXISTS (SELECT FROM mdl_assign_user_flags f WHERE f.assignment = s.assignment AND f.userid = s.userid)`
	moodleLeaveIt = `DELETE FROM mdl_groups_members WHERE userid = ` + moodleItsOwner + ` AND groupid IN (SELECT id FROM mdl_groups WHERE courseid = ` + moodleItsCourse + `)`
	moodleJoin    = `INSERT INTO mdl_groups_members (groupid, userid) SELECT g.id, s.userid FROM mdl_groups g, mdl_assign_submission s WHERE s.id = $1 AND s.userid <> 0 AND g.courseid = ` + moodleItsCourse + ` AND g.id % 2 = $2::int % 2 ON CONFLICT DO NOTHING`
	moodleStaffIn = `INSERT INTO mdl_groups_members (groupid, userid) SELECT g.id, u.id FROM mdl_groups g, mdl_user u WHERE u.id IN ` + moodleItsStaff + ` AND g.courseid = ` + moodleItsCourse + ` AND g.id % 2 = $2::int % 2 ON CONFLICT DO NOTHING`
	moodleStaffTo = `DELETE FROM mdl_groups_members WHERE userid IN ` + moodleItsStaff + ` AND groupid % 2 = $2::int % 2 AND groupid IN (SELECT id FROM mdl_groups WHERE courseid = ` + moodleItsCourse + `)`
	moodleLeave   = `UPDATE mdl_user_enrolments SET status = 1 - status WHERE enrolid IN ` + moodleItsEnrol + ` AND userid IN ` + moodleItsStaff + ` AND id % 3 = $2::int % 3`
	moodleDropOut = `UPDATE mdl_user_enrolments SET status = 1 - status WHERE enrolid IN ` + moodleItsEnrol + ` AND userid = ` + moodleItsOwner
	moodleStaffUp = `UPDATE mdl_user SET suspended = 1 - suspended WHERE id IN ` + moodleItsStaff + ` AND id % 3 = $2::int % 3`

	// Of an assignment, and a number.
	moodleHide     = `UPDATE mdl_course_modules SET visible = 1 - visible WHERE module = 1 AND instance = $1`
	moodleDelete   = `UPDATE mdl_course_modules SET deletioninprogress = CASE WHEN $2::int % 3 = 0 THEN 1 ELSE 0 END WHERE module = 1 AND instance = $1`
	moodleCron     = `DELETE FROM mdl_assign_submission WHERE assignment = $1;DELETE FROM mdl_assign_grades WHERE assignment = $1;DELETE FROM mdl_assign_user_flags WHERE assignment = $1;DELETE FROM mdl_assign WHERE id = $1;DELETE FROM mdl_course_modules WHERE module = 1 AND instance = $1`
	moodleCutOff   = `UPDATE mdl_assign SET cutoffdate = CASE $2::int % 3 WHEN 0 THEN 0 WHEN 1 THEN ` + moodleSeconds + ` + 86400 ELSE ` + moodleSeconds + ` - 86400 END WHERE id = $1`
	moodleReveal   = `UPDATE mdl_assign SET revealidentities = 1 - revealidentities WHERE id = $1 AND blindmarking = 1`
	moodleMode     = `UPDATE mdl_course_modules SET groupmode = $2::int % 3 WHERE module = 1 AND instance = $1`
	moodleForce    = `UPDATE mdl_course SET groupmodeforce = $2::int / 3 % 2, groupmode = $2::int / 6 % 3 WHERE id = (SELECT course FROM mdl_assign WHERE id = $1)`
	moodleUnlist   = `UPDATE mdl_course SET visible = 1 - visible WHERE id = (SELECT course FROM mdl_assign WHERE id = $1)`
	moodleMarkAll  = `UPDATE mdl_assign_grades SET grade = $2::int + userid WHERE assignment = $1 AND userid % 3 = $2::int % 3`
	moodleTeamMark = `INSERT INTO mdl_assign_grades (assignment, userid, grader, grade, attemptnumber) SELECT s.assignment, gm.userid, 3, $2::int + gm.userid, s.attemptnumber FROM mdl_assign_submission s JOIN mdl_groups_members gm ON gm.groupid = s.groupid JOIN mdl_user u ON u.id = gm.userid AND u.username LIKE 'student%' WHERE s.assignment = $1 AND s.latest = 1 AND s.userid = 0 AND s.groupid % 2 = $2::int % 2 ON CONFLICT (assignment, userid, attemptnumber) DO UPDATE SET grade = excluded.grade`
	moodleOpen     = `INSERT INTO mdl_assign_submission (assignment, userid, status, latest) SELECT a.id, ue.userid, CASE ue.userid % 3 WHEN 0 THEN 'submitted' ELSE 'new' END, 1 FROM mdl_assign a JOIN mdl_enrol e ON e.courseid = a.course JOIN mdl_user_enrolments ue ON ue.enrolid = e.id JOIN mdl_user u ON u.id = ue.userid AND u.username LIKE 'student%' WHERE a.id = $1 AND a.teamsubmission = 0 AND ue.userid % 4 = $2::int % 4 AND NOT EXISTS (SELECT FROM mdl_assign_submission s WHERE s.assignment = a.id AND s.userid = ue.userid)`
	moodleTeams    = `INSERT INTO mdl_assign_submission (assignment, groupid, status, latest) SELECT a.id, g.id, CASE $2::int % 2 WHEN 0 THEN 'submitted' ELSE 'new' END, 1 FROM mdl_assign a JOIN mdl_groups g ON g.courseid = a.course WHERE a.id = $1 AND a.teamsubmission = 1 AND NOT EXISTS (SELECT FROM mdl_assign_submission s WHERE s.assignment = a.id AND s.groupid = g.id)`
	moodleWithIt   = `UPDATE mdl_user_enrolments SET status = 1 - status WHERE id % 4 = $2::int % 4 AND enrolid IN (SELECT e.id FROM mdl_enrol e JOIN mdl_assign a ON a.course = e.courseid WHERE a.id = $1)`
	moodleForbid   = `INSERT INTO mdl_role_capabilities (contextid, roleid, capability, permission) SELECT x.id, 3 + $2::int % 2, (array['mod/assign:grade', 'moodle/site:accessallgroups'])[1 + $2::int / 2 % 2], (array[1, -1, -1000])[1 + $2::int / 4 % 3] FROM mdl_context x JOIN mdl_assign a ON x.contextlevel = 50 AND x.instanceid = a.course WHERE a.id = $1 ON CONFLICT (roleid, contextid, capability) DO UPDATE SET permission = excluded.permission`
	moodleTransfer = `UPDATE mdl_context SET path = '/1/' || (SELECT id FROM mdl_context WHERE contextlevel = 40 ORDER BY id OFFSET $2::int % 2 LIMIT 1) || '/' || id WHERE contextlevel = 50 AND instanceid = (SELECT course FROM mdl_assign WHERE id = $1)`
)

// draw is a right given or taken as often as anything else, and often together with work
// that it is a right to.
func (m *moodleActs) draw() operation {
	n := m.rand.IntN(60)
	one := func(query, statement string) func() operation {
		return func() operation { return m.on(query, statement, n) }
	}
	together := func(query string, statements ...string) func() operation {
		return func() operation {
			m.rand.Shuffle(len(statements), func(i, j int) { statements[i], statements[j] = statements[j], statements[i] })
			return m.on(query, strings.Join(statements, ";"), n)
		}
	}
	choices := []func() operation{
		// Work.
		one(moodleSubmission, moodleSubmit), one(moodleSubmission, moodleSubmit), one(moodleSubmission, moodleDraft), one(moodleSubmission, moodleReopen),
		one(moodleSubmission, moodleGrade), one(moodleSubmission, moodleGrade), one(moodleSubmission, moodleLook), one(moodleSubmission, moodleClear),
		one(moodleSubmission, moodleState), together(moodleSubmission, moodleGrade, moodleState), one(moodleSubmission, `DELETE FROM mdl_assign_submission WHERE id = $1`),
		one(moodleAssignment, moodleOpen), one(moodleAssignment, moodleTeams), one(moodleAssignment, moodleTeamMark), one(moodleAssignment, moodleMarkAll),
		one(moodleCourse, `WITH made AS (INSERT INTO mdl_assign (course, name, intro, duedate, teamsubmission, blindmarking, markingworkflow, grade)
			SELECT $1::bigint, 'New "work" of ' || $1::text, repeat('Ж', 250), $2::int * 30000000, CASE $2::int % 5 WHEN 0 THEN 1 ELSE 0 END,
				CASE $2::int % 7 WHEN 0 THEN 1 ELSE 0 END, CASE $2::int % 6 WHEN 0 THEN 1 ELSE 0 END, 100 RETURNING id)
			INSERT INTO mdl_course_modules (course, module, instance, visible, groupmode) SELECT $1::bigint, 1, id, CASE $2::int % 4 WHEN 0 THEN 0 ELSE 1 END, $2::int % 2 FROM made`),
		one(moodleAssignment, moodleHide), one(moodleAssignment, moodleDelete), one(moodleAssignment, moodleCutOff), one(moodleAssignment, moodleReveal),
		one(moodleAssignment, moodleMode), one(moodleAssignment, moodleForce), one(moodleAssignment, moodleCron),
		one(moodleAssignment, `UPDATE mdl_assign SET name = name || '!' WHERE id = $1`),
		// Rights.
		one(moodleUser, `UPDATE mdl_user SET suspended = 1 - suspended WHERE id = $1`), one(moodleUser, `UPDATE mdl_user SET confirmed = CASE WHEN $2::int % 3 = 0 THEN 0 ELSE 1 END WHERE id = $1`),
		one(moodleUser, `UPDATE mdl_user SET deleted = CASE WHEN $2::int % 4 = 0 THEN 1 ELSE 0 END, firstname = 'Other', email = 'x' WHERE id = $1`),
		one(moodleUser, `UPDATE mdl_config SET value = '2,3,' || $1::bigint WHERE name = 'siteadmins'`), one(moodleUser, `UPDATE mdl_config SET value = $1::bigint::text WHERE name = 'siteadmins' AND $2::int % 2 = 0`),
		one(moodleUser, `INSERT INTO mdl_role_assignments (roleid, contextid, userid) SELECT (array[1, 3, 4, 5])[1 + $2::int % 4], id, $1 FROM mdl_context WHERE contextlevel IN (10, 40, 50) ORDER BY contextlevel = 50, id DESC OFFSET $2::int / 4 LIMIT 1`),
		one(moodleRole, `DELETE FROM mdl_role_assignments WHERE id = $1`), one(moodleRole, `UPDATE mdl_role_assignments SET roleid = (array[1, 3, 4, 5])[1 + $2::int % 4] WHERE id = $1`),
		one(moodleRole, `UPDATE mdl_role_assignments SET userid = 2 + ($2::int * 3) WHERE id = $1`),
		one(moodleRole, `DELETE FROM mdl_role_assignments WHERE id % 11 = $2::int % 11 AND contextid < 5 AND $1::bigint > 0`),
		one(moodleEnrolment, `DELETE FROM mdl_user_enrolments WHERE id = $1`), one(moodleEnrolment, `UPDATE mdl_user_enrolments SET status = 1 - status WHERE id = $1`),
		one(moodleEnrolment, `UPDATE mdl_user_enrolments SET timeend = CASE $2::int % 3 WHEN 0 THEN 0 WHEN 1 THEN `+moodleSeconds+` + 86400 ELSE `+moodleSeconds+` - 86400 END WHERE id = $1`),
		one(moodleEnrolment, `UPDATE mdl_user_enrolments SET timestart = CASE $2::int % 2 WHEN 0 THEN 0 ELSE `+moodleSeconds+` + 86400 END WHERE id = $1`),
		one(moodleUser, `INSERT INTO mdl_user_enrolments (enrolid, userid, timeend) SELECT id, $1, 0 FROM mdl_enrol WHERE id % 9 = $2::int % 9 ON CONFLICT DO NOTHING`),
		one(`SELECT id FROM mdl_enrol`, `UPDATE mdl_enrol SET status = CASE WHEN status = 0 AND $2::int % 3 = 0 THEN 1 ELSE 0 END WHERE id = $1`),
		one(moodleAssignment, moodleForbid), one(moodleAssignment, moodleForbid), one(`SELECT id FROM mdl_role_capabilities WHERE contextid <> 1`, `DELETE FROM mdl_role_capabilities WHERE id = $1`),
		one(`SELECT id FROM mdl_role_capabilities WHERE contextid <> 1`, `DELETE FROM mdl_role_capabilities WHERE id % 2 = $2::int % 2 AND contextid <> 1 AND $1::bigint > 0`),
		one(moodleCourse, `INSERT INTO mdl_role_capabilities (contextid, roleid, capability, permission) SELECT x.id, (array[1, 3, 4])[1 + $2::int % 3], (array['mod/assign:grade', 'moodle/site:accessallgroups', 'moodle/course:view'])[1 + $2::int / 3 % 3], CASE WHEN $2::int % 2 = 0 THEN 1 ELSE -1 END FROM mdl_context x WHERE x.contextlevel = 40 AND x.instanceid = 1 + $1::bigint % 2 ON CONFLICT (roleid, contextid, capability) DO UPDATE SET permission = excluded.permission`),
		one(moodleAssignment, moodleTransfer), one(moodleAssignment, moodleUnlist),
		one(`SELECT id FROM mdl_groups`, `UPDATE mdl_groups SET name = name || $2::int % 10 WHERE id = $1`),
		one(`SELECT id FROM mdl_groups_members`, `DELETE FROM mdl_groups_members WHERE id = $1`),
		// Everybody back at once, as a new term does.
		one(moodleCourse, `UPDATE mdl_user SET suspended = CASE WHEN id % 40 = $2::int % 40 THEN 1 ELSE 0 END, deleted = 0, confirmed = 1 WHERE $1::bigint > 0`),
		one(moodleCourse, `INSERT INTO mdl_user_enrolments SELECT k.* FROM kept_mdl_user_enrolments k JOIN mdl_enrol e ON e.id = k.enrolid WHERE e.courseid % 4 = $1::bigint % 4 AND NOT EXISTS (SELECT FROM mdl_user_enrolments o WHERE o.enrolid = k.enrolid AND o.userid = k.userid) ON CONFLICT DO NOTHING`),
		one(moodleCourse, `UPDATE mdl_user_enrolments SET status = 0, timestart = 0, timeend = 0 WHERE enrolid % 4 = $1::bigint % 4`),
		one(moodleCourse, `INSERT INTO mdl_role_assignments SELECT k.* FROM kept_mdl_role_assignments k WHERE k.id % 4 = $1::bigint % 4 ON CONFLICT (id) DO UPDATE SET roleid = excluded.roleid, contextid = excluded.contextid, userid = excluded.userid`),
		// Both.
		together(moodleSubmission, moodleLeaveIt, moodleJoin, moodleGrade), together(moodleSubmission, moodleStaffIn, moodleGrade, moodleSubmit),
		together(moodleSubmission, moodleStaffTo, moodleSubmit), together(moodleSubmission, moodleLeave, moodleGrade), together(moodleSubmission, moodleReopen, moodleLeave, moodleGrade),
		together(moodleSubmission, moodleDropOut, moodleGrade, moodleState), together(moodleSubmission, moodleStaffUp, moodleSubmit),
		together(moodleAssignment, moodleHide, moodleCutOff), together(moodleAssignment, moodleMode, moodleMarkAll), together(moodleAssignment, moodleForce, moodleMarkAll),
		together(moodleAssignment, moodleForbid, moodleMarkAll), together(moodleAssignment, moodleForbid, moodleForce, moodleMarkAll), together(moodleAssignment, moodleForbid, moodleForce), together(moodleAssignment, moodleTransfer, moodleHide), together(moodleAssignment, moodleTransfer, moodleMarkAll),
		together(moodleAssignment, moodleUnlist, moodleHide), together(moodleAssignment, moodleWithIt, moodleHide), together(moodleAssignment, moodleWithIt, moodleMarkAll),
		together(moodleAssignment, moodleReveal, moodleMarkAll), together(moodleAssignment, moodleMode, moodleTeamMark, moodleTeams),
	}
	return choices[m.rand.IntN(len(choices))]()
}
