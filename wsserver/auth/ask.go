package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// patience is how long one question may take in all: waiting for a connection,
	// connecting, asking.
	patience = 3 * time.Second

	// most is how many credentials one question is about.
	most = 1000
)

var errSlow = fmt.Errorf("no answer within %v; is the server overloaded, or a firewall dropping packets?", patience)

// ask puts a question to the database, a second time where the connection was found
// dead.
func ask(ctx context.Context, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	err := question(ctx)
	if err != nil && lost(err) && ctx.Err() == nil {
		err = question(ctx)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx) // rather than what it broke
	}
	return err
}

// lost reports whether the connection was found dead: after a restart of the
// server every pooled one is, and the next one works. The question only reads, so
// it may be asked again.
func lost(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code == "57P01" || pgErr.Code == "57P02" // admin_shutdown, crash_shutdown
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return !connecting
}

// unfit reports whether the column cannot hold a value like the one that was asked
// for (a uuid, say): then it is nobody's.
func unfit(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code[:2] == "22"
}

// unknown is the error of a question that got no answer.
func unknown(ctx context.Context, what string, explained error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, explained)
}
