// Package moodle is a fixture: a Moodle of version 4 and the school that works in it, as
// the `moodle` profile describes them.
//
// In go an empty database and a seed; out come a term of work as rows, and then, at a
// rate, the statements that Moodle sends while it is used.
//
// # Promises
//
//   - The tables are Moodle's own: names, types, keys, defaults, indexes.
//   - Every action is the statements that Moodle makes of it, in its order, each a
//     transaction of its own, but for a new activity, which is one transaction.
//   - The same seed and size give the same people, work and sequence of operations;
//     only the times follow the clock.
//   - Live keeps a bounded number of people and of assignments that are not deleted,
//     however long it runs.
//
// Everything runs in the caller's goroutine, on the caller's connection.
package moodle

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"

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
		return fmt.Errorf("create Moodle's tables: %w", err)
	}
	return nil
}

// School is a populated Moodle. It may be used by one goroutine at a time.
type School struct {
	school.People

	rand     school.Random
	courses  []course
	target   int // how many assignments there are in a steady state
	students int // and how many students
	account  int // number of the newest student
}

// course is one course: of one class, taught by one teacher.
type course struct {
	id, context, enrol int64
	path               string // of its context
	groups             [2]int64
	teacher            int64
	students           []int64 // those it began with
}

// Live lets the school work at rate operations a second until ctx ends, which is its
// normal end: then it returns nil. A rate of 0 is as fast as the server goes.
func (s *School) Live(ctx context.Context, conn *pgx.Conn, rate float64, log *slog.Logger) error {
	return school.Live(ctx, rate, log, func(ctx context.Context) (school.Operation, error) { return s.Step(ctx, conn) })
}

// Ids that Moodle's installer gives.
const (
	systemContext = 1
	assignModule  = 1

	manager        = 1
	editingTeacher = 3
	teacher        = 4
	student        = 5
)

// Levels of contexts.
const (
	levelSystem   = 10
	levelUser     = 30
	levelCategory = 40
	levelCourse   = 50
	levelModule   = 70
)
