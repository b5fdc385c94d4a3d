//go:build linux

package main

import (
	"context"
	"math/rand/v2"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// leakDjango is the Django platform: one teacher owns an assignment, one tutor has a
// student, and the role is a column.
func leakDjango(random *rand.Rand) leakSchool {
	a := acts{rand: random, manyRows: 1000, mayLose: allStaff}
	return leakSchool{
		name: "django", profile: "django",
		watched: map[string]string{
			"accounts_user": "id", "accounts_studentprofile": "id", "assignments_assignment": "id",
			"assignments_assignment_assigned_to": "id", "assignments_assignmentsubmission": "id",
		},
		fill:    leakDjangoFill,
		draw:    func() operation { return leakDjangoDraw(&a) },
		restore: leakDjangoRestore,
		touch:   saveAgain,
		views: `
			CREATE VIEW oracle.a AS SELECT id, title, author_id, status FROM was.assignments_assignment;
			CREATE VIEW oracle.s AS SELECT id, submitted_at, grade FROM was.assignments_assignmentsubmission;
			CREATE VIEW oracle.g AS SELECT assignment_id, user_id FROM was.assignments_assignment_assigned_to;
			CREATE VIEW oracle.p AS SELECT user_id, tutor_id FROM was.accounts_studentprofile;`,
		events: oracleEvents,
		rights: `SELECT id AS person, CASE WHEN NOT is_active THEN 'account_inactive'
			WHEN role NOT IN ('teacher', 'tutor', 'admin') THEN 'role_not_allowed' ELSE '' END AS code FROM @.accounts_user`,
		counts: oracleCounts,
	}
}

// leakSize has two hundred people who are connected.
var leakSize = school.Size{Teachers: 110, Tutors: 70, Admins: 20, Students: 120, Assignments: 40}

func leakDjangoFill(ctx context.Context, conn *pgx.Conn) ([]leakPerson, error) {
	if err := school.Create(ctx, conn); err != nil {
		return nil, err
	}
	lms, err := school.Populate(ctx, conn, leakSize, 1)
	if err != nil {
		return nil, err
	}
	var people []leakPerson
	for _, list := range [][]school.Person{lms.Admins, lms.Teachers, lms.Tutors} {
		for _, p := range list {
			people = append(people, leakPerson{p.ID, p.Token})
		}
	}
	// Who they are in the beginning, to be restored in the end.
	_, err = conn.Exec(ctx, `CREATE TABLE hired AS SELECT id, role FROM accounts_user`)
	return people, err
}

func leakDjangoRestore(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE accounts_user u SET role = h.role, is_active = true FROM hired h
		WHERE h.id = u.id AND h.role IN ('teacher', 'tutor', 'admin')`)
	return err
}

// The statements of leakDjangoDraw: of one submission or one assignment, and a number.
const (
	djangoMark       = `UPDATE assignments_assignmentsubmission SET grade = $2, submitted_at = coalesce(submitted_at, now()) WHERE id = $1`
	djangoHandIn     = `UPDATE assignments_assignmentsubmission SET submitted_at = clock_timestamp() WHERE id = $1`
	djangoMoveTutor  = `UPDATE accounts_studentprofile SET tutor_id = (SELECT id FROM accounts_user WHERE role = 'tutor' ORDER BY id OFFSET $2 % (SELECT count(*) FROM accounts_user WHERE role = 'tutor') LIMIT 1) WHERE user_id = (SELECT student_id FROM assignments_assignmentsubmission WHERE id = $1)`
	djangoTutorOff   = `UPDATE accounts_user SET is_active = NOT is_active WHERE id = (SELECT tutor_id FROM accounts_studentprofile JOIN assignments_assignmentsubmission s ON s.student_id = user_id WHERE s.id = $1)`
	djangoAuthorRole = `UPDATE accounts_user SET role = CASE role WHEN 'teacher' THEN 'tutor' ELSE 'teacher' END WHERE id = (SELECT author_id FROM assignments_assignment a JOIN assignments_assignmentsubmission s ON s.assignment_id = a.id WHERE s.id = $1)`
	djangoMoveAuthor = `UPDATE assignments_assignment SET author_id = (SELECT id FROM accounts_user WHERE role IN ('teacher', 'tutor') ORDER BY id OFFSET $2 LIMIT 1) WHERE id = $1`
	djangoClose      = `UPDATE assignments_assignment SET status = CASE status WHEN 'closed' THEN 'published' ELSE 'closed' END WHERE id = $1`
	djangoGive       = `INSERT INTO assignments_assignment_assigned_to (assignment_id, user_id) SELECT $1::bigint, user_id FROM accounts_studentprofile WHERE user_id % 30 = $2::int % 30 ON CONFLICT DO NOTHING`
	djangoTake       = `DELETE FROM assignments_assignment_assigned_to WHERE assignment_id = $1 AND user_id % 3 = $2::int % 3`
)

// leakDjangoDraw is a right given or taken as often as anything else, and often together
// with work that it is a right to.
func leakDjangoDraw(a *acts) operation {
	role := []string{"teacher", "tutor", "admin", "student", "parent"}[a.rand.IntN(5)]
	n := a.rand.IntN(50)
	together := func(query string, statements ...string) operation {
		a.rand.Shuffle(len(statements), func(i, j int) { statements[i], statements[j] = statements[j], statements[i] })
		return a.on(query, strings.Join(statements, ";"), n)
	}
	choices := []func() operation{
		a.draw, a.draw, a.draw, a.draw, a.draw, a.draw,
		func() operation { return a.on(allStaff, `UPDATE accounts_user SET role = $2 WHERE id = $1`, role) },
		func() operation {
			return a.on(allStaff, `UPDATE accounts_user SET is_active = NOT is_active WHERE id = $1`)
		},
		func() operation { return together(anySubmission, djangoMoveTutor, djangoMark) },
		func() operation { return together(anySubmission, djangoTutorOff, djangoHandIn) },
		func() operation { return together(anySubmission, djangoAuthorRole, djangoMark, djangoHandIn) },
		func() operation { return together(anyAssignment, djangoMoveAuthor, djangoClose) },
		func() operation { return together(anyAssignment, djangoGive, djangoClose) },
		func() operation { return together(anyAssignment, djangoTake, djangoClose) },
		// Many at once, as a new term has it.
		func() operation {
			return a.on(`SELECT 50::bigint`, `UPDATE accounts_user SET is_active = (id % $1::bigint <> $2::int) WHERE id IN (`+allStaff+`)`, n)
		},
		func() operation {
			return a.on(`SELECT 7::bigint`, `UPDATE accounts_user u SET role = h.role FROM hired h WHERE h.id = u.id AND u.id % $1::bigint = $2::int % 7`, n)
		},
	}
	return choices[a.rand.IntN(len(choices))]()
}

// leakSchools are all LMSs of the leak test.
func leakSchools() []func(*rand.Rand) leakSchool {
	return []func(*rand.Rand) leakSchool{leakDjango, leakCampus, leakCampusRoles, leakMoodle, leakCanvas}
}
