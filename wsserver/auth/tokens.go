package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// patience is how long one question may take in all: waiting for a connection,
// connecting, asking.
const patience = 3 * time.Second

// TokenTable says where the LMS keeps its tokens: names of a schema, a table, and
// of its columns for the token and for the key of the account.
type TokenTable struct{ Schema, Table, Key, User string }

// String is the table's name as SQL writes it.
func (t TokenTable) String() string { return pgx.Identifier{t.Schema, t.Table}.Sanitize() }

// Tokens looks tokens up in the LMS's own table.
type Tokens struct {
	pool  *pgxpool.Pool
	table TokenTable
	query string
}

// NewTokens asks through a pool that OpenPool made; the pool stays the caller's.
func NewTokens(pool *pgxpool.Pool, table TokenTable) *Tokens {
	// A key that stands for two accounts proves neither, so two rows are asked for.
	query := fmt.Sprintf("SELECT %s::text FROM %s WHERE %s = $1 LIMIT 2",
		pgx.Identifier{table.User}.Sanitize(), table, pgx.Identifier{table.Key}.Sanitize())
	return &Tokens{pool, table, query}
}

// String names the table; the pool's address and password stay inside.
func (t *Tokens) String() string { return "tokens in " + t.table.String() }

// Authenticate says whose token the request carries: the key of the account as
// PostgreSQL prints it. An error is ErrUnauthenticated, ErrUnavailable, or the
// cause of ctx's end.
func (t *Tokens) Authenticate(ctx context.Context, r *http.Request) (user string, err error) {
	token, err := fromRequest(r)
	if err != nil {
		return "", err
	}
	found, err := t.ask(ctx, token)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("look up a token: %w", context.Cause(ctx))
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrUnavailable, t.explain(err))
	case len(found) != 1 || found[0] == nil:
		return "", fmt.Errorf("%w: the token is not known; it may have been replaced by a newer login", ErrUnauthenticated)
	}
	return *found[0], nil
}

// Check reports what keeps tokens from being looked up, with the remedy.
func (t *Tokens) Check(ctx context.Context) error {
	// The question is the one that Authenticate asks, so the answer holds for it.
	if _, err := t.ask(ctx, secret{"schoolbell-check"}); err != nil {
		return t.explain(err)
	}
	return nil
}

// ask returns the accounts that a token stands for.
func (t *Tokens) ask(ctx context.Context, token secret) ([]*string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	users, err := t.once(ctx, token)
	if err != nil && lost(err) && ctx.Err() == nil {
		users, err = t.once(ctx, token)
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code[:2] == "22" {
		return nil, nil // the column cannot hold such a value (a uuid, say): nobody's token
	}
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx) // rather than what it broke
	}
	return users, err
}

var errSlow = fmt.Errorf("no answer within %v; is the server overloaded, or a firewall dropping packets?", patience)

func (t *Tokens) once(ctx context.Context, token secret) ([]*string, error) {
	rows, err := t.pool.Query(ctx, t.query, token.key)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[*string])
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
