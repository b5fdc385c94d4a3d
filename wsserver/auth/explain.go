package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// remedies are what to say of a table that cannot be read.
type remedies struct {
	what, table, column string // what is looked up, and where no such table or column is
	grants              []string
}

// explain says what is wrong with a question, and how to put it right.
func (r remedies) explain(pool *pgxpool.Pool, err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting || !ok {
		return fmt.Errorf("the LMS's database cannot be asked (%w); "+
			"fix: start it, or correct the address, role or password in its URL", err)
	}
	switch pgErr.Code {
	case "42P01", "3F000": // undefined_table, invalid_schema_name
		return fmt.Errorf("%s (%w)", r.table, err)
	case "42703": // undefined_column
		return fmt.Errorf("%s (%w)", r.column, err)
	case "42501": // insufficient_privilege
		return fmt.Errorf("the role %s may not look up %s; fix: %s (%w)",
			pgx.Identifier{roleOf(pool)}.Sanitize(), r.what, strings.Join(r.grants, "; ")+";", err)
	}
	return fmt.Errorf("look up %s: %w", r.what, err)
}

func roleOf(pool *pgxpool.Pool) string { return pool.Config().ConnConfig.User }

func (t *Tokens) explain(err error) error {
	return remedies{
		what: "tokens",
		table: fmt.Sprintf("there is no table %s for tokens; fix: name it under auth.token.from in the profile, "+
			"or run the LMS's migrations", t.table),
		column: fmt.Sprintf("table %s has no column %q or no column %q; fix: name them under auth.token.key and "+
			"auth.token.user in the profile", t.table, t.table.Key, t.table.User),
		grants: t.table.columns().grants(roleOf(t.pool)),
	}.explain(t.pool, err)
}

func (s *Sessions) explain(err error) error {
	var all []string
	for _, c := range s.table.columns() {
		all = append(all, c.grants(roleOf(s.pool))...)
	}
	return remedies{
		what: "sessions",
		table: fmt.Sprintf("there is no table %s for sessions, or none %s for accounts; fix: name them under auth.session.from "+
			"and user.from in the profile, run the LMS's migrations, or leave session_secret out", s.table, s.table.users()),
		column: fmt.Sprintf("table %s has no column session_key, session_data or expire_date, or table %s has no column id or password, "+
			"so they are not Django's; fix: name Django's under auth.session.from and user.from in the profile, or leave session_secret out",
			s.table, s.table.users()),
		grants: all,
	}.explain(s.pool, err)
}

// columns are what a role has to be allowed to read.
type columns struct {
	schema, table string
	names         []string
}

func (t TokenTable) columns() columns {
	return columns{t.Schema, t.Table, []string{t.Key, t.User}}
}

func (t SessionTable) columns() []columns {
	return []columns{
		{t.Schema, t.Table, []string{"session_key", "session_data", "expire_date"}},
		{t.UserSchema, t.UserTable, []string{"id", "password"}},
	}
}

// Grants are the statements that a role still lacks to look tokens up, for
// somebody who may run them; the role need not exist yet. "" is the pool's own.
func (t *Tokens) Grants(ctx context.Context, role string) ([]string, error) {
	missing, err := t.table.columns().missing(ctx, t.pool, role)
	if err != nil {
		return nil, t.explain(err)
	}
	return missing, nil
}

// Grants are the statements that a role still lacks to look sessions up, as those of
// Tokens. Among them is the right to read the hashes of passwords: the only way to
// see that one was changed.
func (s *Sessions) Grants(ctx context.Context, role string) ([]string, error) {
	var all []string
	for _, c := range s.table.columns() {
		missing, err := c.missing(ctx, s.pool, role)
		if err != nil {
			return nil, s.explain(err)
		}
		all = append(all, missing...)
	}
	return all, nil
}

// missing are the statements that a role still lacks.
func (c columns) missing(ctx context.Context, pool *pgxpool.Pool, role string) ([]string, error) {
	if role == "" {
		role = roleOf(pool)
	}
	var enough bool
	err := pool.QueryRow(ctx, `
		SELECT COALESCE(bool_and(has_schema_privilege(r.oid, $2, 'USAGE') AND has_column_privilege(r.oid, $3::text::regclass, c.name, 'SELECT')), false)
		FROM pg_catalog.pg_roles r, unnest($4::text[]) c (name) WHERE r.rolname = $1`,
		role, c.schema, pgx.Identifier{c.schema, c.table}.Sanitize(), c.names).Scan(&enough)
	if err != nil || enough {
		return nil, err
	}
	return c.grants(role), nil
}

// grants are the least that lets a role read the columns.
func (c columns) grants(role string) []string {
	to := " TO " + pgx.Identifier{role}.Sanitize()
	names := make([]string, len(c.names))
	for i, name := range c.names {
		names[i] = pgx.Identifier{name}.Sanitize()
	}
	return []string{
		"GRANT USAGE ON SCHEMA " + pgx.Identifier{c.schema}.Sanitize() + to,
		fmt.Sprintf("GRANT SELECT (%s) ON %s", strings.Join(names, ", "), pgx.Identifier{c.schema, c.table}.Sanitize()) + to,
	}
}
