// Package canvas is a fixture: a self-hosted Canvas LMS, as the profile canvas describes
// it, and a school that works in it.
//
// In go an empty database and a seed; out come the rows of a term so far, and then, at a
// rate, the statements that Canvas sends while it is used: an assignment is published and
// a row is made for every student, a due date moves and all of them are written again,
// students hand in and hand in again, teachers grade, excuse, take a grade back and post
// what they kept hidden, quizzes are graded by nobody, courses are copied and concluded,
// people come and go.
//
// # Promises
//
//   - The tables are those of the real Canvas: names, types, defaults, keys, and the
//     replica identities, which are not the primary keys where Canvas has set others.
//   - The same seed and size give the same people, work and sequence of operations; only
//     the times follow the clock.
//   - Live keeps a bounded memory and a bounded number of open assignments, however long
//     it runs.
//
// Everything runs in the caller's goroutine, on the caller's connection.
package canvas

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// Schema makes the tables.
//
//go:embed schema.sql
var Schema string

// Create makes the tables in an empty database.
func Create(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, Schema); err != nil {
		return fmt.Errorf("create the tables of Canvas: %w", err)
	}
	return nil
}

// School is a populated Canvas. It may be used by one goroutine at a time. Nobody's token
// is in the tables: Canvas keeps them under a key of its own, and is asked whose one is.
type School struct {
	school.People // Admins are those of the root account, Tutors the teaching assistants
	// Deans are admins of a sub-account: of its courses they see what a teacher sees.
	Deans []school.Person

	random  school.Random
	courses int64 // how many are taught; their ids begin with 1
	target  int   // how many assignments are open in a steady state
}

// The accounts, and the roles that Canvas comes with.
const (
	rootAccount, lowerSchool, upperSchool = 1, 2, 3

	studentRole, teacherRole, assistantRole, designerRole, observerRole, adminRole = 1, 2, 3, 4, 5, 6
)

// now is the clock as a timestamp without a zone keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// pick chooses one of the ids that a query answers; 0: it answers none. The same rows and
// the same seed give the same id.
func (s *School) pick(ctx context.Context, conn *pgx.Conn, query string, args ...any) (int64, error) {
	var id *int64
	share := s.random.Float64()
	err := conn.QueryRow(ctx, fmt.Sprintf(`WITH q (id) AS MATERIALIZED (%s)
		SELECT (SELECT id FROM q ORDER BY id OFFSET floor($%d::float8 * (SELECT count(*) FROM q)) LIMIT 1)`, query, len(args)+1),
		append(args, share)...).Scan(&id)
	if err != nil || id == nil {
		return 0, err
	}
	return *id, nil
}

// exec runs statements in one transaction, each with the same arguments, and answers how
// many rows they wrote.
func exec(ctx context.Context, conn *pgx.Conn, statements []string, args ...any) (rows int, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range statements {
			tag, err := tx.Exec(ctx, sql, args...)
			if err != nil {
				return err
			}
			rows += int(tag.RowsAffected())
		}
		return nil
	})
	return rows, err
}

// enrol makes the people.
func (s *School) enrol(size school.Size) {
	next := int64(1)
	hire := func(role, login string, n int) []school.Person {
		people := make([]school.Person, n)
		for i := range people {
			people[i] = s.random.Person(next, role, i+1)
			people[i].Email = fmt.Sprintf("%s%d@canvas.example", login, i+1)
			next++
		}
		return people
	}
	s.Admins = hire("admin", "admin", size.Admins)
	s.Deans = hire("teacher", "dean", 2)
	s.Teachers = hire("teacher", "teacher", size.Teachers)
	s.Tutors = hire("tutor", "ta", size.Tutors)
	s.Students = hire("student", "student", size.Students)
}

// everybody is all who have an account, by its id.
func (s *School) everybody() []school.Person {
	return slices.Concat(s.Admins, s.Deans, s.Teachers, s.Tutors, s.Students)
}
