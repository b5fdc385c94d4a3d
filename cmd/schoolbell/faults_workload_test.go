//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
)

// workload is the LMS at work: one transaction after the other, so that the order of
// the commits is known, over restarts of its server. It goes to the server directly.
type workload struct {
	acts
	url string

	turn sync.Mutex // held for a transaction, and by whoever wants nobody to write
	conn *pgx.Conn  // guarded by turn, as is what follows; nil: lost
	long *longTransaction
	n    int64             // of the last transaction that was tried
	ends map[int64]cdc.LSN // positions after a commit, where they are known
}

// longTransaction is one that is open while others come and go.
type longTransaction struct {
	conn *pgx.Conn
	tx   pgx.Tx
	left int // so many others before it ends
}

const (
	mostAssignments  = 40 // more are removed again
	fewestStudents   = 50
	workloadPace     = 15 * time.Millisecond
	patienceOfFaults = 2 * time.Minute
)

// run works until ctx ends.
func (w *workload) run(ctx context.Context) error {
	defer w.close()
	pace := time.NewTicker(workloadPace)
	defer pace.Stop()
	for ctx.Err() == nil {
		if err := w.next(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-pace.C:
		}
	}
	return nil
}

func (w *workload) next(ctx context.Context) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	switch n := w.rand.IntN(400); {
	case n == 0 && w.long == nil:
		return w.beginLong(ctx)
	case n == 1:
		return w.commit(ctx, w.class(1000+w.rand.IntN(2000)))
	case n < 6:
		return w.commit(ctx, w.prune)
	}
	if w.long != nil {
		if w.long.left--; w.long.left <= 0 {
			return w.endLong(ctx)
		}
	}
	return w.commit(ctx, w.draw())
}

// do is one transaction, which is tried until it is committed, and answers a position
// in the log that is not after its commit.
func (w *workload) do(ctx context.Context, op operation) (cdc.LSN, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	if err := w.commit(ctx, op); err != nil {
		return 0, err
	}
	var before string
	if err := w.conn.QueryRow(ctx, `SELECT before::text FROM truth.transactions WHERE n = $1`, w.n).Scan(&before); err != nil {
		return 0, err
	}
	return cdc.ParseLSN(before)
}

// commit tries until it is done, or was rolled back on purpose.
func (w *workload) commit(ctx context.Context, op operation) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patienceOfFaults, fmt.Errorf("no transaction was committed for %v", patienceOfFaults))
	defer cancel()
	for {
		err := w.try(ctx, op)
		switch {
		case err == nil, errors.Is(err, errRollback):
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		case !away(err):
			return fmt.Errorf("the LMS's own transaction: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond): // the server is starting
		}
	}
}

// away reports whether the server was restarted, rather than a statement wrong.
func away(err error) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || server.Code[:3] == "57P"
}

// try makes one transaction. When the connection is lost during the commit nobody
// knows whether it was committed; the truth's tables do.
func (w *workload) try(ctx context.Context, op operation) (err error) {
	if w.conn == nil || w.conn.IsClosed() {
		w.long = nil // the server took it along
		if w.conn, err = pgx.Connect(ctx, w.url); err != nil {
			return err
		}
	}
	tx, err := w.conn.Begin(ctx)
	if err != nil {
		return err
	}
	if err := op(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	return w.end(ctx, w.conn, tx)
}

// end commits, with what the truth has to know.
func (w *workload) end(ctx context.Context, conn *pgx.Conn, tx pgx.Tx) error {
	w.n++
	_, err := tx.Exec(ctx, `INSERT INTO truth.transactions VALUES ($1, pg_current_xact_id(), pg_current_wal_insert_lsn())`, w.n)
	if err == nil {
		err = tx.Commit(ctx)
	}
	if err != nil {
		return err
	}
	var after string
	if err := conn.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text`).Scan(&after); err != nil {
		return nil // the server went just now: the place is not known, the commit is
	}
	w.ends[w.n], err = cdc.ParseLSN(after)
	return err
}

// beginLong begins a transaction that nobody sees for a while: an import.
func (w *workload) beginLong(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.url)
	if err != nil {
		return ignoring(err, away)
	}
	l := &longTransaction{conn: conn, left: 20 + w.rand.IntN(200)}
	if l.tx, err = conn.Begin(ctx); err == nil {
		err = w.assign("long")(ctx, l.tx)
	}
	if err != nil {
		_ = conn.Close(ctx)
		return ignoring(err, func(err error) bool { return away(err) || errors.Is(err, errRollback) })
	}
	w.long = l
	return nil
}

func (w *workload) endLong(ctx context.Context) error {
	l := w.long
	w.long = nil
	defer l.conn.Close(context.WithoutCancel(ctx))
	return ignoring(w.end(ctx, l.conn, l.tx), func(err error) bool {
		server, ok := errors.AsType[*pgconn.PgError](err)
		return away(err) || ok && server.Code == "23503" // somebody was deleted meanwhile
	})
}

func ignoring(err error, harmless func(error) bool) error {
	if err != nil && harmless(err) {
		return nil
	}
	return err
}

func (w *workload) close() {
	w.turn.Lock()
	defer w.turn.Unlock()
	if w.long != nil {
		_ = w.long.conn.Close(context.Background())
	}
	if w.conn != nil {
		_ = w.conn.Close(context.Background())
	}
}

// class is one large transaction: assignments that everybody has handed in.
func (w *workload) class(rows int) operation {
	return func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `WITH made AS (
				INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
				SELECT 'imported', repeat('long ', 100), (SELECT min(id) FROM accounts_user WHERE role = 'teacher'), 'published', now(), now()
				FROM generate_series(1, greatest(1, $1::int / (SELECT count(*) FROM accounts_studentprofile)))
				RETURNING id)
			INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
			SELECT made.id, user_id, '', 'submitted', now(), '', now() FROM made, accounts_studentprofile`, rows)
		return err
	}
}

// prune keeps the school as large as it was: the newest assignments, and new students
// for those who left.
func (w *workload) prune(ctx context.Context, tx pgx.Tx) error {
	const old = `(SELECT id FROM assignments_assignment ORDER BY id DESC OFFSET $1)`
	for _, sql := range []string{
		`DELETE FROM assignments_assignmentsubmission WHERE assignment_id IN ` + old,
		`DELETE FROM assignments_assignment_assigned_to WHERE assignment_id IN ` + old,
		`DELETE FROM assignments_assignment WHERE id IN ` + old,
	} {
		if _, err := tx.Exec(ctx, sql, mostAssignments); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `WITH made AS (
			INSERT INTO accounts_user (password, is_superuser, email, first_name, last_name, role, is_staff, is_active, date_joined)
			SELECT '', false, 'new' || i || '@school.example', 'New', 'Student ' || i, 'student', false, true, now()
			FROM generate_series((SELECT count(*) FROM accounts_studentprofile) + 1, $1) i
			RETURNING id)
		INSERT INTO accounts_studentprofile (grade, user_id, tutor_id)
		SELECT '7a', id, (SELECT min(id) FROM accounts_user WHERE role = 'tutor') FROM made`, fewestStudents)
	return err
}
