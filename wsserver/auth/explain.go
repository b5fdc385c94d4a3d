package auth

import (
	"errors"
	"fmt"

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
		return fmt.Errorf("the role %s may not look up tokens; fix: %s (%w)", t.role(), t.grant(), err)
	}
	return fmt.Errorf("look up a token in %s: %w", t.table, err)
}

func (t *Tokens) role() string { return pgx.Identifier{t.pool.Config().ConnConfig.User}.Sanitize() }

// grant is the least that lets the role look tokens up.
func (t *Tokens) grant() string {
	return fmt.Sprintf("GRANT USAGE ON SCHEMA %[1]s TO %[2]s; GRANT SELECT (%[3]s, %[4]s) ON %[5]s TO %[2]s;",
		pgx.Identifier{t.table.Schema}.Sanitize(), t.role(),
		pgx.Identifier{t.table.Key}.Sanitize(), pgx.Identifier{t.table.User}.Sanitize(), t.table)
}
