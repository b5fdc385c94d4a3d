package replication

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// check looks at everything about one table that must hold before it is published:
// publishing a table whose rows cannot be identified makes the LMS's own UPDATE and
// DELETE statements fail.
func (t *table) check(ctx context.Context, c *conn, cfg Config) ([]Finding, error) {
	if t.oid == 0 {
		e, err := t.missing(ctx, c, cfg.Tables)
		if e != nil {
			e.level = t.absent()
		}
		return []Finding{{Problem, e}}, err
	}
	called := "table " + t.String()
	name := qualified(t.spec.Schema, t.spec.Name)
	switch {
	case t.kind != "r":
		return []Finding{{Problem, &SetupError{
			Setting: called, Got: kindName(t.kind), Want: "an ordinary table", Fix: "name the table that holds the rows in the profile",
			level: t.absent(),
		}}}, nil
	case t.persistence != "p":
		return []Finding{{Problem, &SetupError{
			Setting: called, Got: "not in the log (UNLOGGED or TEMPORARY)", Want: "a logged table", Fix: "ALTER TABLE " + name + " SET LOGGED",
			level: t.absent(),
		}}}, nil
	}
	found := t.checkColumns(cfg)
	e := t.checkIdentity()
	switch {
	case e != nil:
		found = append(found, Finding{Problem, e})
	case problems(found) == nil:
		if e := t.suits(cfg); e != nil {
			found = append(found, Finding{Problem, e})
		}
	}
	if e == nil && t.identity == cdc.IdentityFull {
		found = append(found, Finding{Advice, &SetupError{
			Setting: "replica identity of " + t.String(), Got: "FULL: the old row is sent with all its columns, mapped or not", Want: "the primary key",
			Fix: "ALTER TABLE " + name + " REPLICA IDENTITY DEFAULT, then schoolbell init",
		}})
	}
	return found, nil
}

// absent is how bad it is that the log has nothing of the table.
func (t *table) absent() level {
	if t.spec.Aside {
		return serious
	}
	return blind
}

// suits is nil where the profile can read the table's rows.
func (t *table) suits(cfg Config) *SetupError {
	if cfg.Suits == nil {
		return nil
	}
	err := cfg.Suits(t.word())
	if err == nil {
		return nil
	}
	return &SetupError{
		Setting: "table " + t.String(), Got: "not what the profile takes it for", Want: "columns of which the profile can read what it says",
		Fix: oneLine(err), level: blind, cause: err,
	}
}

func kindName(relkind string) string {
	switch relkind {
	case "p":
		return "partitioned"
	case "v", "m":
		return "a view"
	case "f":
		return "a foreign table"
	}
	return "no table (kind " + relkind + ")"
}

func (t *table) missing(ctx context.Context, c *conn, asked []cdc.TableSpec) (*SetupError, error) {
	rows, err := c.query(ctx, `
		SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'`)
	if err != nil {
		return nil, fmt.Errorf("read the names of all tables: %w", err)
	}
	var here, elsewhere []string
	for _, r := range rows {
		switch {
		case slices.ContainsFunc(asked, func(s cdc.TableSpec) bool { return s.Schema == r.text(0) && s.Name == r.text(1) }):
			// The profile names it for something else.
		case r.text(0) == t.spec.Schema:
			here = append(here, r.text(1))
		case r.text(1) == t.spec.Name:
			elsewhere = append(elsewhere, r.text(0)+"."+r.text(1))
		}
	}
	e := &SetupError{Setting: "table " + t.String(), Got: "missing", Want: "the LMS's table", Fix: "correct schema and name in the profile, or the database in the database URL"}
	if t.noSchema {
		e.Got = "missing, and so is its schema " + quoted(t.spec.Schema)
	}
	if n := cdc.Nearest(t.spec.Name, here); n != "" {
		e.Fix = "name " + t.spec.Schema + "." + n + " in the profile if that is what is meant"
	} else if elsewhere != nil {
		e.Fix = "name " + strings.Join(elsewhere, " or ") + " in the profile if that is what is meant"
	}
	return e, nil
}

func (t *table) checkColumns(cfg Config) []Finding {
	var names []string
	for _, c := range t.columns {
		names = append(names, c.Name)
	}
	var found []Finding
	for _, name := range t.spec.Columns {
		c := t.find(name)
		if c != nil && !c.generated {
			continue
		}
		e := t.missingColumn(cfg, name, names)
		if c != nil {
			e.Got, e.Fix = "generated, which we do not take from the log", "name the columns that it is computed from in the profile"
		}
		e.level = t.without(name)
		found = append(found, Finding{Problem, e})
	}
	return found
}

// without is how bad it is that the log does not have a column.
func (t *table) without(name string) level {
	if slices.Contains(t.spec.Optional, name) {
		return bearable
	}
	return blind
}

func (t *table) missingColumn(cfg Config, name string, have []string) *SetupError {
	e := &SetupError{Setting: "column " + name + " of table " + t.String(), Got: "missing", Want: "a column of the table", Fix: "correct the column in the profile; the table has " + strings.Join(have, ", ")}
	if n := cdc.Nearest(name, have); n != "" {
		e.Fix = "name column " + n + " in the profile if that is what is meant"
	}
	if cfg.Remedy == nil {
		return e
	}
	if meant, fix := cfg.Remedy(t.spec.Schema, t.spec.Name, name, have); fix != "" {
		e.Got, e.Fix = "missing, but there is "+meant, "if that is what is meant, "+fix
	}
	return e
}

// checkIdentity is nil when the server can tell each row of the table from the others
// and we get to know which it means.
func (t *table) checkIdentity() *SetupError {
	name := qualified(t.spec.Schema, t.spec.Name)
	e := &SetupError{Setting: "replica identity of " + t.String(), Want: "the primary key", unidentified: t}
	switch t.identity {
	case cdc.IdentityFull:
		return nil
	case cdc.IdentityNothing:
		e.Got = "NOTHING: published, " + wouldFail
		e.Fix = "ALTER TABLE " + name + " REPLICA IDENTITY DEFAULT"
		if t.hasKey {
			return e
		}
	case cdc.IdentityDefault:
		if t.hasKey {
			return nil
		}
		e.Got = "missing, for want of a primary key: published, " + wouldFail
	case cdc.IdentityIndex:
		var beyond []string
		key := false
		for _, c := range t.columns {
			key = key || c.Key
			if c.primary && !c.Key {
				beyond = append(beyond, c.Name)
			}
		}
		if key && beyond == nil {
			return nil
		}
		e.Got = "an index without " + strings.Join(beyond, ", ") + " of the primary key"
		if !key {
			e.Got = "an index that is gone: published, " + wouldFail
		}
		e.Fix = "ALTER TABLE " + name + " REPLICA IDENTITY DEFAULT"
		if t.hasKey {
			return e
		}
	}
	e.Want = "a primary key, or a unique index on columns that are NOT NULL"
	e.Fix = "ALTER TABLE " + name + " ADD PRIMARY KEY (<columns>)"
	if t.candidate != "" {
		e.Fix = "ALTER TABLE " + name + " REPLICA IDENTITY USING INDEX " + ident(t.candidate)
	}
	return e
}

// checkRights looks at what the role needs for the snapshot.
func (t *table) checkRights(role string) []Finding {
	var found []Finding
	if t.oid == 0 {
		return nil
	}
	if !t.usage {
		found = append(found, Finding{Problem, &SetupError{
			Setting: "USAGE right of role " + quoted(role) + " on schema " + t.spec.Schema, Got: "missing", Want: "granted",
			Fix: grantUsage(t, role),
		}})
	}
	if cols := t.unreadable(); cols != nil {
		found = append(found, Finding{Problem, &SetupError{
			Setting: "SELECT right of role " + quoted(role) + " on " + strings.Join(cols, ", ") + " of table " + t.String(), Got: "missing", Want: "granted",
			Fix: grantSelect(t, role),
		}})
	}
	if t.hidden {
		found = append(found, Finding{Problem, &SetupError{
			Setting: "row security of " + t.String(), Got: "hiding rows from role " + quoted(role), Want: "none for this role, or the snapshot would be short",
			Fix: "ALTER ROLE " + ident(role) + " BYPASSRLS",
		}})
	}
	return found
}

// unreadable are the columns that we need and may not read.
func (t *table) unreadable() []string {
	var cols []string
	for _, c := range t.wanted() {
		if !c.readable && !slices.Contains(cols, c.Name) {
			cols = append(cols, c.Name)
		}
	}
	return cols
}

func grantUsage(t *table, role string) string {
	return "GRANT USAGE ON SCHEMA " + ident(t.spec.Schema) + " TO " + ident(role)
}

func grantSelect(t *table, role string) string {
	var names []string
	for _, c := range t.wanted() {
		names = append(names, c.Name)
	}
	return "GRANT SELECT (" + idents(names) + ") ON TABLE " + qualified(t.spec.Schema, t.spec.Name) + " TO " + ident(role)
}

// countsAsStandby reports whether synchronous_standby_names takes a connection of
// this application_name for a standby that commits wait for.
func countsAsStandby(names, application string) bool {
	for _, f := range strings.FieldsFunc(names, func(c rune) bool { return strings.ContainsRune(" ,()\t\n", c) }) {
		if f == "*" || strings.EqualFold(strings.Trim(f, `"`), application) {
			return true
		}
	}
	return false
}
