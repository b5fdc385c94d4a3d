package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// explain says what is wrong with the table of tokens, and how to put it right.
func (t *Tokens) explain(err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting || !ok {
		return fmt.Errorf("the LMS's database cannot be asked (%w); "+
			"fix: start it, or correct the address, role or password in its URL", err)
	}
	switch pgErr.Code {
	case "42P01", "3F000": // undefined_table, invalid_schema_name
		return fmt.Errorf("there is no table %s for tokens; fix: name it under auth.token.from in the profile, "+
			"or run the LMS's migrations (%w)", t.table, err)
	case "42703": // undefined_column
		return fmt.Errorf("table %s has no column %q or no column %q; fix: name them under auth.token.key and "+
			"auth.token.user in the profile (%w)", t.table, t.table.Key, t.table.User, err)
	case "42501": // insufficient_privilege
		return fmt.Errorf("the role %s may not look up tokens; fix: %s (%w)",
			pgx.Identifier{t.role()}.Sanitize(), strings.Join(t.table.grants(t.role()), "; ")+";", err)
	}
	return fmt.Errorf("look up a token in %s: %w", t.table, err)
}

func (t *Tokens) role() string { return t.pool.Config().ConnConfig.User }

// Grants are the statements that a role still lacks to look tokens up, for
// somebody who may run them; the role need not exist yet. "" is the pool's own.
func (t *Tokens) Grants(ctx context.Context, role string) ([]string, error) {
	if role == "" {
		role = t.role()
	}
	var enough bool
	err := t.pool.QueryRow(ctx, `
		SELECT COALESCE(bool_and(has_schema_privilege(r.oid, $2, 'USAGE') AND has_column_privilege(r.oid, $3::text::regclass, $4, 'SELECT')
			AND has_column_privilege(r.oid, $3::text::regclass, $5, 'SELECT')), false)
		FROM pg_catalog.pg_roles r WHERE r.rolname = $1`,
		role, t.table.Schema, t.table.String(), t.table.Key, t.table.User).Scan(&enough)
	switch {
	case err != nil:
		return nil, t.explain(err)
	case enough:
		return nil, nil
	}
	return t.table.grants(role), nil
}

// grants are the least that lets a role look tokens up.
func (t TokenTable) grants(role string) []string {
	to := " TO " + pgx.Identifier{role}.Sanitize()
	return []string{
		"GRANT USAGE ON SCHEMA " + pgx.Identifier{t.Schema}.Sanitize() + to,
		fmt.Sprintf("GRANT SELECT (%s, %s) ON %s", pgx.Identifier{t.Key}.Sanitize(), pgx.Identifier{t.User}.Sanitize(), t) + to,
	}
}
