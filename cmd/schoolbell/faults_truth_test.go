//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/cdc"
)

// What is true, the database says: triggers of the test's own write down every row
// that a transaction changes, and the transaction its number and the place in the
// log before its commit. What protocol.md promises about each is worked out from
// that alone. None of it shares code with the gateway.
const truthTables = `
CREATE SCHEMA truth;
CREATE TABLE truth.transactions (n bigint PRIMARY KEY, xid xid8 NOT NULL, before pg_lsn NOT NULL);
CREATE TABLE truth.changes (seq bigserial PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), place text NOT NULL, id bigint NOT NULL, row jsonb);
`

// truthTrigger writes down what one statement does to a table.
const truthTrigger = `
CREATE FUNCTION truth.%[1]s_set() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
	INSERT INTO truth.changes (place, id, row) SELECT '%[1]s', r.id, %[3]s FROM now_there r; RETURN NULL;
END $f$;
CREATE FUNCTION truth.%[1]s_gone() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
	INSERT INTO truth.changes (place, id) SELECT '%[1]s', r.id FROM was_there r; RETURN NULL;
END $f$;
CREATE TRIGGER truth_i AFTER INSERT ON %[2]s REFERENCING NEW TABLE AS now_there FOR EACH STATEMENT EXECUTE FUNCTION truth.%[1]s_set();
CREATE TRIGGER truth_u AFTER UPDATE ON %[2]s REFERENCING NEW TABLE AS now_there FOR EACH STATEMENT EXECUTE FUNCTION truth.%[1]s_set();
CREATE TRIGGER truth_d AFTER DELETE ON %[2]s REFERENCING OLD TABLE AS was_there FOR EACH STATEMENT EXECUTE FUNCTION truth.%[1]s_gone();
`

// The LMS's tables, as the truth calls them, and what of their rows matters.
var truthPlaces = [...]struct{ place, table, row string }{
	{"people", "accounts_user", `jsonb_build_object('role', r.role, 'active', r.is_active, 'email', r.email, 'first', r.first_name, 'last', r.last_name)`},
	{"profiles", "accounts_studentprofile", `jsonb_build_object('user', r.user_id, 'tutor', r.tutor_id)`},
	{"assignments", "assignments_assignment", `jsonb_build_object('title', r.title, 'description', left(r.description, 200), 'author', r.author_id, 'status', r.status, 'due', r.due_date)`},
	{"assigned", "assignments_assignment_assigned_to", `jsonb_build_object('assignment', r.assignment_id, 'user', r.user_id)`},
	{"submissions", "assignments_assignmentsubmission", `jsonb_build_object('assignment', r.assignment_id, 'user', r.student_id, 'submitted', r.submitted_at, 'grade', r.grade)`},
}

// truthRow is a row of any of them.
type truthRow struct {
	Role, Email, First, Last   string
	Active                     bool
	User, Tutor                int64
	Title, Description, Status string
	Author, Assignment         int64
	Due, Submitted             *string
	Grade                      *int
}

type truthKey struct {
	place string
	id    int64
}

type truthChange struct {
	key truthKey
	row *truthRow // nil: deleted
}

// transaction is one that the LMS committed.
type transaction struct {
	n       int64
	before  cdc.LSN // its commit is not before this,
	after   cdc.LSN // and before this
	at      time.Time
	changes []truthChange
}

// truth is the LMS's tables as they were after a transaction.
type truth struct {
	rows     map[truthKey]*truthRow
	profiles map[int64]int64              // of a user
	assigned map[int64]map[int64]struct{} // rows of an assignment
	admins   map[int64]struct{}           // active or not
}

func newTruth() *truth {
	return &truth{rows: map[truthKey]*truthRow{}, profiles: map[int64]int64{}, assigned: map[int64]map[int64]struct{}{}, admins: map[int64]struct{}{}}
}

func (s *truth) clone() *truth {
	c := &truth{rows: maps.Clone(s.rows), profiles: maps.Clone(s.profiles), assigned: map[int64]map[int64]struct{}{}, admins: maps.Clone(s.admins)}
	for a, rows := range s.assigned {
		c.assigned[a] = maps.Clone(rows)
	}
	return c
}

// watchTruth makes the triggers, and reads what there is already.
func watchTruth(ctx context.Context, conn *pgx.Conn) (*truth, error) {
	s := newTruth()
	if _, err := conn.Exec(ctx, truthTables); err != nil {
		return nil, err
	}
	for _, p := range truthPlaces {
		if _, err := conn.Exec(ctx, fmt.Sprintf(truthTrigger, p.place, p.table, p.row)); err != nil {
			return nil, err
		}
		rows, err := conn.Query(ctx, fmt.Sprintf(`SELECT '%s', id, %s FROM %s r`, p.place, p.row, p.table))
		if err != nil {
			return nil, err
		}
		changes, err := pgx.CollectRows(rows, scanChange)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			s.set(c)
		}
	}
	return s, nil
}

func scanChange(row pgx.CollectableRow) (c truthChange, err error) {
	var place *string // NULL where a transaction changed nothing
	var id *int64
	var text []byte
	if err = row.Scan(&place, &id, &text); err != nil || place == nil {
		return c, err
	}
	c.key = truthKey{*place, *id}
	if text != nil {
		c.row = &truthRow{}
		err = json.Unmarshal(text, c.row)
	}
	return c, err
}

// readTransactions answers what was committed after transaction n, and forgets what
// was before. Nobody writes meanwhile.
func readTransactions(ctx context.Context, conn *pgx.Conn, after int64) ([]transaction, error) {
	if _, err := conn.Exec(ctx, `DELETE FROM truth.changes c USING truth.transactions t WHERE c.xid = t.xid AND t.n <= $1`, after); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `DELETE FROM truth.transactions WHERE n <= $1`, after); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `SELECT c.place, c.id, c.row, t.n, t.before::text, pg_xact_commit_timestamp(t.xid::xid)
		FROM truth.transactions t LEFT JOIN truth.changes c USING (xid) ORDER BY t.n, c.seq`)
	if err != nil {
		return nil, err
	}
	var all []transaction
	defer rows.Close()
	for rows.Next() {
		var c truthChange
		var t transaction
		var before string
		if err := rows.Scan(nil, nil, nil, &t.n, &before, &t.at); err != nil {
			return nil, err
		}
		if c, err = scanChange(firstThree{rows}); err != nil {
			return nil, err
		}
		if t.before, err = cdc.ParseLSN(before); err != nil {
			return nil, err
		}
		if len(all) == 0 || all[len(all)-1].n != t.n {
			all = append(all, t)
		}
		if last := &all[len(all)-1]; c.key != (truthKey{}) {
			last.changes = append(last.changes, c)
		}
	}
	return all, rows.Err()
}

// firstThree is a row of which only the first columns are read.
type firstThree struct{ pgx.Rows }

func (r firstThree) Scan(dest ...any) error { return r.Rows.Scan(append(dest, nil, nil, nil)...) }

// set makes one change and answers what the row was before.
func (s *truth) set(c truthChange) (was *truthRow) {
	was = s.rows[c.key]
	switch c.key.place {
	case "people":
		delete(s.admins, c.key.id)
		if c.row != nil && c.row.Role == "admin" {
			s.admins[c.key.id] = struct{}{}
		}
	case "profiles":
		if was != nil && s.profiles[was.User] == c.key.id {
			delete(s.profiles, was.User)
		}
		if c.row != nil {
			s.profiles[c.row.User] = c.key.id
		}
	case "assigned":
		if was != nil {
			delete(s.assigned[was.Assignment], c.key.id)
		}
		if c.row != nil {
			if s.assigned[c.row.Assignment] == nil {
				s.assigned[c.row.Assignment] = map[int64]struct{}{}
			}
			s.assigned[c.row.Assignment][c.key.id] = struct{}{}
		}
	}
	if c.row == nil {
		delete(s.rows, c.key)
	} else {
		s.rows[c.key] = c.row
	}
	return was
}

// step applies transactions and answers what they mean together: the difference
// between what was before the first and what is after the last.
func (s *truth) step(transactions []transaction) []expected {
	was := map[truthKey]*truthRow{}
	for _, t := range transactions {
		for _, c := range t.changes {
			before := s.set(c)
			if _, seen := was[c.key]; !seen {
				was[c.key] = before
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(was), func(a, b truthKey) int { return int(a.id - b.id) })
	var events []expected
	for _, key := range keys {
		now, before := s.rows[key], was[key]
		switch key.place {
		case "assignments":
			events = append(events, s.ofAssignment(key.id, now, before, was)...)
		case "submissions":
			events = append(events, s.ofSubmission(key.id, now, before)...)
		}
	}
	return events
}

func (s *truth) ofAssignment(id int64, now, before *truthRow, was map[truthKey]*truthRow) []expected {
	closes := before != nil && before.Status != "closed"
	switch {
	case now != nil && before == nil:
		fields := map[string]any{"type": "assignment", "assignment_id": id, "title": now.Title, "description": now.Description, "due_date": nil}
		if now.Due != nil {
			fields["due_date"] = *now.Due
		}
		return []expected{{0, canonical(fields), s.audience(now.Author, s.tutorsNow(id))}}
	case now != nil && closes && now.Status == "closed":
		return []expected{{2, canonical(map[string]any{"type": "assignment_closed", "assignment_id": id, "assignment_title": now.Title}), s.audience(now.Author, s.tutorsNow(id))}}
	case now == nil && closes:
		return []expected{{2, canonical(map[string]any{"type": "assignment_closed", "assignment_id": id, "assignment_title": before.Title}), s.audience(before.Author, s.tutorsThen(id, was))}}
	}
	return nil
}

func (s *truth) ofSubmission(id int64, now, before *truthRow) []expected {
	if now == nil {
		return nil
	}
	if before == nil {
		before = &truthRow{}
	}
	assignment, student := s.rows[truthKey{"assignments", now.Assignment}], s.rows[truthKey{"people", now.User}]
	if assignment == nil || student == nil {
		return nil
	}
	people := s.audience(assignment.Author, []int64{s.tutorOf(now.User)})
	fields := map[string]any{
		"type": "submission", "submission_id": id, "assignment_id": now.Assignment, "assignment_title": assignment.Title,
		"student": map[string]any{"id": now.User, "email": student.Email, "first_name": student.First, "last_name": student.Last},
	}
	var events []expected
	if now.Submitted != nil && (before.Submitted == nil || *before.Submitted != *now.Submitted) {
		events = append(events, expected{1, canonical(fields), people})
	}
	if now.Grade != nil && (before.Grade == nil || *before.Grade != *now.Grade) {
		fields["type"], fields["grade"] = "grade", *now.Grade
		events = append(events, expected{1, canonical(fields), people})
	}
	return events
}

// audience is who may see something of one teacher's and some tutors', and all admins.
func (s *truth) audience(author int64, tutors []int64) []int64 {
	var people []int64
	add := func(id int64, role string) {
		if p := s.rows[truthKey{"people", id}]; p != nil && p.Active && p.Role == role && !slices.Contains(people, id) {
			people = append(people, id)
		}
	}
	for id := range s.admins {
		add(id, "admin")
	}
	add(author, "teacher")
	for _, t := range tutors {
		add(t, "tutor")
	}
	return people
}

func (s *truth) tutorOf(student int64) int64 {
	if p := s.rows[truthKey{"profiles", s.profiles[student]}]; p != nil {
		return p.Tutor
	}
	return 0
}

// tutorsNow are the tutors of those whom an assignment is given to.
func (s *truth) tutorsNow(assignment int64) []int64 {
	var tutors []int64
	for id := range s.assigned[assignment] {
		tutors = append(tutors, s.tutorOf(s.rows[truthKey{"assigned", id}].User))
	}
	return tutors
}

// tutorsThen are those, by now, of whom an assignment that is gone was given to.
func (s *truth) tutorsThen(assignment int64, was map[truthKey]*truthRow) []int64 {
	var tutors []int64
	for key, row := range was {
		if key.place == "assigned" && row != nil && row.Assignment == assignment {
			tutors = append(tutors, s.tutorOf(row.User))
		}
	}
	return tutors
}
