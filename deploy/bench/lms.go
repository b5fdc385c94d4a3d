//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/postgres"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// database is where the school's tables are.
const database = "postgres"

// role is whom the gateway connects as, so that its queries can be told from others'.
const role = "schoolbell"

// lms is a school on a server of its own, with its publication.
type lms struct {
	*bench
	server *postgres.Server
	url    string // as superuser
	conn   *pgx.Conn
	people *school.School
	work   []int64 // submissions: one of each teacher in their order, then the second of each, and so on
}

// fast is for work that is only made to be read: nothing of it has to be durable.
func fast() map[string]string {
	return map[string]string{
		"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
		"checkpoint_timeout": "1h", "max_wal_size": "32GB",
	}
}

// newLMS makes a school. Every teacher has one assignment with the work of so many
// students. Without settings its server runs as an LMS's does, with every commit on
// the disk.
func (b *bench) newLMS(ctx context.Context, size school.Size, works int, settings map[string]string) (*lms, error) {
	server, err := postgres.Start(ctx, postgres.Options{Settings: settings, Log: b.log})
	if err != nil {
		return nil, err
	}
	b.result.Machine.PostgreSQL = server.Version()
	l := &lms{bench: b, server: server, url: server.URL(database)}
	if err := l.fill(ctx, size, works); err != nil {
		return nil, errors.Join(err, l.close(ctx))
	}
	return l, nil
}

func (l *lms) fill(ctx context.Context, size school.Size, works int) error {
	var err error
	if l.conn, err = pgx.Connect(ctx, l.url); err != nil {
		return err
	}
	if err := school.Create(ctx, l.conn); err != nil {
		return err
	}
	if l.people, err = school.Populate(ctx, l.conn, size, 1); err != nil {
		return err
	}
	if err := l.giveWork(ctx, works); err != nil {
		return err
	}
	if err := l.exec(ctx, `VACUUM ANALYZE`); err != nil {
		return err
	}
	init := exec.CommandContext(ctx, l.program, "init", "--database", l.url, "--role", role)
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("schoolbell init: %w: %s", err, out)
	}
	return nil
}

// giveWork makes the assignments that the measures grade.
func (l *lms) giveWork(ctx context.Context, works int) error {
	rows, err := l.conn.Query(ctx, `
		WITH given AS (
			INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
			SELECT 'The work of ' || id, '', id, 'published', now(), now() FROM accounts_user WHERE role = 'teacher' ORDER BY id
			RETURNING id, author_id
		), numbered AS (
			SELECT id, row_number() OVER (ORDER BY author_id) AS n FROM given
		), students AS (
			SELECT id, row_number() OVER (ORDER BY id) - 1 AS n, count(*) OVER () AS all FROM accounts_user WHERE role = 'student'
		), done AS (
			INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
			SELECT g.id, s.id, 'An answer.', 'submitted', now(), '', now()
			FROM generate_series(1, $1::bigint) k, numbered g, students s WHERE s.n = (g.n + k) % s.all ORDER BY k, g.n
			RETURNING id
		)
		SELECT id FROM done ORDER BY id`, works)
	if err != nil {
		return fmt.Errorf("give the teachers work: %w", err)
	}
	if l.work, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
		return fmt.Errorf("give the teachers work: %w", err)
	}
	return nil
}

// close ends the server and removes it.
func (l *lms) close(ctx context.Context) error {
	if l.conn != nil {
		_ = l.conn.Close(context.WithoutCancel(ctx))
	}
	return l.server.Stop()
}

// gatewayURL is the gateway's own, which needs no password on this machine.
func (l *lms) gatewayURL() string {
	u, _ := url.Parse(l.url) // we made it
	u.User = url.User(role)
	return u.String()
}

func (l *lms) exec(ctx context.Context, sql string, args ...any) error {
	if _, err := l.conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// ask answers one value of the database.
func ask[T any](ctx context.Context, l *lms, sql string, args ...any) (value T, err error) {
	if err := l.conn.QueryRow(ctx, sql, args...).Scan(&value); err != nil {
		return value, fmt.Errorf("%s: %w", sql, err)
	}
	return value, nil
}

// gradeSQL gives a mark; with marks that nobody has yet each one is an event.
const gradeSQL = `UPDATE assignments_assignmentsubmission SET grade = $2, status = 'graded', updated_at = now() WHERE id = $1`

// commit is one transaction that gives a mark, in nanoseconds since 1970.
type commit struct {
	mark        int
	sent, acked int64
}

// connect opens connections for writers.
func (l *lms) connect(ctx context.Context, n int) ([]*pgx.Conn, error) {
	var conns []*pgx.Conn
	for range n {
		conn, err := pgx.Connect(ctx, l.url)
		if err != nil {
			closeAll(ctx, conns)
			return nil, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

func closeAll(ctx context.Context, conns []*pgx.Conn) {
	for _, conn := range conns {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

// atRate gives n marks, from first on, at a rate that does not depend on how long the
// commits take; each goes to the next teacher's work.
func (l *lms) atRate(ctx context.Context, rate, n, first int) ([]commit, error) {
	conns, err := l.connect(ctx, 16) // as many may be under way
	if err != nil {
		return nil, err
	}
	defer closeAll(ctx, conns)
	commits := make([]commit, n)
	var next atomic.Int64
	began := time.Now()
	return commits, each(conns, func(conn *pgx.Conn) error {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return nil
			}
			select {
			case <-time.After(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate)))):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			commits[i].mark = first + i
			if err := commits[i].run(ctx, conn, l.work[i%len(l.work)]); err != nil {
				return err
			}
		}
	})
}

// each calls a function for every connection at once, and waits for all.
func each(conns []*pgx.Conn, do func(*pgx.Conn) error) error {
	errs := make([]error, len(conns))
	var running sync.WaitGroup
	for i, conn := range conns {
		running.Go(func() { errs[i] = do(conn) })
	}
	running.Wait()
	return errors.Join(errs...)
}

func (c *commit) run(ctx context.Context, conn *pgx.Conn, row int64) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing, once it is committed
	if _, err := tx.Exec(ctx, gradeSQL, row, c.mark); err != nil {
		return err
	}
	c.sent = time.Now().UnixNano()
	err = tx.Commit(ctx)
	c.acked = time.Now().UnixNano()
	return err
}
