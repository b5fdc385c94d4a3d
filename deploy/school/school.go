// Package school is a fixture: the LMS of a school that the `django` profile
// describes, and a school that works in it. Its packages moodle and canvas are schools
// with other LMSs, of the same kinds of people (Random) and in the same shape.
//
// In go an empty database and a seed; out come a term of work as rows, and then, at
// a rate, the statements that such a platform sends while it is used: assignments
// appear, students save drafts and hand in, teachers grade one by one and in bulk,
// assignments close, and around that sessions, logins and page views.
//
// # Promises
//
//   - The tables are those of a real platform: its names, types, keys, and the holes
//     that dropped columns leave.
//   - The same seed and size give the same people, work and sequence of operations;
//     only the times follow the clock.
//   - Live keeps a bounded memory and a bounded number of open assignments, however
//     long it runs.
//
// Everything runs in the caller's goroutine, on the caller's connection.
package school

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Schema makes the tables.
//
//go:embed schema.sql
var Schema string

// Create makes the tables in an empty database.
func Create(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, Schema); err != nil {
		return fmt.Errorf("create the school's tables: %w", err)
	}
	return nil
}

// Size is how large a school is.
type Size struct {
	Teachers, Tutors, Admins, Students int
	Assignments                        int // of the term so far
}

// Check says what is wrong with the size.
func (s Size) Check() error {
	if s.Teachers < 1 || s.Students < 1 {
		return fmt.Errorf("a school of %d teachers and %d students, want at least one of each", s.Teachers, s.Students)
	}
	return nil
}

// Person is somebody with an account.
type Person struct {
	ID        int64
	Email     string
	FirstName string
	LastName  string
	Role      string
	Token     string // of the LMS's own, authtoken_token.key; students have none, nor has anybody where the LMS has no such table
}

// People are those of a school.
type People struct{ Teachers, Tutors, Admins, Students []Person }

// Everybody answers the people, so that schools of several LMSs can be asked alike.
func (p People) Everybody() People { return p }

// School is a populated school. It may be used by one goroutine at a time.
type School struct {
	People

	rand     Random
	classes  [][]int       // students (their index) by school class
	open     []*assignment // what the school works on, oldest first
	target   int           // how many are open in a steady state
	sessions []string      // keys of the live sessions, oldest first
}

// assignment is one that is not closed.
type assignment struct {
	id      int64
	draft   bool // its author has not published it yet
	row     assignmentRow
	threads []thread // of every student it is given to
}

// thread is one student's work on one assignment.
type thread struct {
	student int
	row     submissionRow // of the submission; ID 0: none yet
}
