package moodle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// act is something that somebody does: a row of statements. After the first that fails
// the others are not sent.
type act struct {
	ctx  context.Context
	conn *pgx.Conn
	on   interface {
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	}
	school *School
	op     school.Operation
	now    int64
	err    error
}

// with are the arguments of a statement by name; @now is always among them.
type with = pgx.NamedArgs

func (s *School) act(ctx context.Context, conn *pgx.Conn) *act {
	return &act{ctx: ctx, conn: conn, on: conn, school: s, now: time.Now().Unix()}
}

func (a *act) args(args with) with {
	all := with{"now": a.now}
	maps.Copy(all, args)
	return all
}

// exec sends one statement, which is a transaction of its own.
func (a *act) exec(sql string, args with) {
	if a.err != nil {
		return
	}
	tag, err := a.on.Exec(a.ctx, sql, a.args(args))
	a.op.Rows += int(tag.RowsAffected())
	a.err = err
}

// id sends an INSERT that answers the new row's id.
func (a *act) id(sql string, args with) (id int64) {
	if a.err != nil {
		return 0
	}
	a.err = a.on.QueryRow(a.ctx, sql+" RETURNING id", a.args(args)).Scan(&id)
	a.op.Rows++
	return id
}

// ask reads one row; false: there is none.
func (a *act) ask(sql string, args with, into ...any) bool {
	if a.err != nil {
		return false
	}
	err := a.on.QueryRow(a.ctx, sql, a.args(args)).Scan(into...)
	if !errors.Is(err, pgx.ErrNoRows) {
		a.err = err
	}
	return err == nil
}

// pick draws one of a query's rows. What it draws must not depend on the clock, or the
// same seed would not give the same term.
func (a *act) pick(sql string, args with, into ...any) bool {
	all := with{"draw": a.school.rand.Int64N(1 << 40)}
	maps.Copy(all, args)
	return a.ask(`WITH found AS MATERIALIZED (`+sql+`)
		SELECT * FROM found ORDER BY 1, 2 OFFSET (@draw::bigint % greatest((SELECT count(*) FROM found), 1)) LIMIT 1`, all, into...)
}

// many reads a column of ids.
func (a *act) many(sql string, args with) (ids []int64) {
	a.ask(`SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM (`+sql+`) ids (id)`, args, &ids)
	return ids
}

// together sends what do sends as one transaction.
func (a *act) together(do func()) {
	if a.err != nil {
		return
	}
	a.err = pgx.BeginFunc(a.ctx, a.conn, func(tx pgx.Tx) error {
		a.on = tx
		do()
		return a.err
	})
	a.on = a.conn
}

// log leaves a line in the log, as every page does.
func (a *act) log(kind string, user int64) {
	a.exec(`INSERT INTO mdl_logstore_standard_log (eventname, component, action, target, crud, edulevel, contextid, contextlevel, contextinstanceid, userid, timecreated, origin, ip)
		VALUES ('\mod_assign\event\' || @kind::text, 'mod_assign', 'viewed', 'page', 'r', 2, 1, 10, 0, @user, @now, 'web', '127.0.0.1')`, with{"kind": kind, "user": user})
}

// did ends the act.
func (a *act) did(kind string, user int64) (school.Operation, error) {
	a.log(kind, user)
	a.op.Kind, a.op.User = kind, user
	if a.err != nil {
		return a.op, fmt.Errorf("school: %s: %w", kind, a.err)
	}
	return a.op, nil
}
