package replication

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// InitSQL answers the statements that are still needed before the first start, for
// somebody who may run them: role, rights, publication. The publication names the
// columns that we need and no other, from PostgreSQL 15; before, a comment says that
// all are sent.
func InitSQL(ctx context.Context, cfg Config) ([]string, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c, err := connect(ctx, cfg, forWatching)
	if err != nil {
		return nil, err
	}
	defer c.close(ctx)
	return initSQL(ctx, c, cfg)
}

// Init runs what InitSQL answers, as one transaction.
func Init(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return err
	}
	c, err := connect(ctx, cfg, forWatching)
	if err != nil {
		return err
	}
	defer c.close(ctx)
	statements, err := initSQL(ctx, c, cfg)
	if err != nil {
		return err
	}
	return runAll(ctx, c, statements, "schoolbell init")
}

// runAll runs statements of ours as one transaction, for a command of that name.
func runAll(ctx context.Context, c *conn, statements []string, command string) error {
	if len(statements) == 0 {
		return nil
	}
	if _, err := c.query(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for _, sql := range append(statements, "COMMIT") {
		if _, err := c.query(ctx, sql); err != nil {
			return explainRun(err, command)
		}
	}
	return nil
}

func explainRun(err error, command string) error {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if ok && server.Code == "55P03" {
		return (&SetupError{
			Setting: "a table of the publication", Got: "locked by somebody", Want: "free for a moment", Fix: "run " + command + " again, or when the LMS is quiet",
		}).because(server)
	}
	return explainSQL(err, "prepare the database", command)
}

func initSQL(ctx context.Context, c *conn, cfg Config) ([]string, error) {
	statements, exists, err := roleSQL(ctx, c, cfg)
	if err != nil {
		return nil, err
	}
	as := cfg.Role
	if !exists {
		as = "" // rights of nobody cannot be asked for
	}
	tables, found, err := sound(ctx, c, cfg, as)
	if err != nil {
		return nil, err
	}
	if err := problems(found); err != nil {
		return nil, err // publishing such a table could break the LMS's statements
	}
	role, err := c.value(ctx, "SELECT "+roleOr(cfg.Role))
	if err != nil {
		return nil, fmt.Errorf("ask who we are: %w", err)
	}
	statements = append(statements, grants(tables, role, !exists)...)
	p, err := readPublication(ctx, c, cfg.Publication)
	if err != nil {
		return nil, err
	}
	note := ""
	if c.version < listsFrom {
		note = fmt.Sprintf("-- PostgreSQL %d has no column lists: every column of these tables is sent, mapped or not\n", c.version)
	}
	switch {
	case p == nil:
		return append(statements, note+createPublication(cfg.Publication, tables, c.version)), nil
	case p.allTables:
		return nil, problems(checkPublication(p, cfg.Publication, tables, c.version))
	}
	if len(p.narrow().differences(tables, c.version)) > 0 {
		statements = append(statements, note+alterPublication(cfg.Publication, tables, c.version))
	}
	if len(p.actions) > 0 {
		statements = append(statements, alterActions(cfg.Publication))
	}
	if !p.widened().IsZero() {
		statements = append(statements, p.unmark(cfg.Publication))
	}
	return statements, nil
}

// roleSQL makes the role fit to follow. exists: there is one already.
func roleSQL(ctx context.Context, c *conn, cfg Config) (statements []string, exists bool, err error) {
	rows, err := c.query(ctx, `
		SELECT r.rolname, r.rolcanlogin, r.rolreplication OR r.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_roles s
				WHERE s.rolname = 'rds_replication' AND pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER')),
			pg_catalog.has_database_privilege(r.oid, current_database(), 'CONNECT')
		FROM pg_catalog.pg_roles r WHERE r.rolname = `+roleOr(cfg.Role))
	if err != nil {
		return nil, false, fmt.Errorf("read the role: %w", err)
	}
	database, err := c.value(ctx, "SELECT current_database()")
	if err != nil {
		return nil, false, fmt.Errorf("ask for the database's name: %w", err)
	}
	// Amazon RDS lets nobody give the attribute; the members of this role may do the same.
	rds, err := c.value(ctx, "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = 'rds_replication'")
	if err != nil {
		return nil, false, fmt.Errorf("ask for the roles of the server: %w", err)
	}
	connect := "GRANT CONNECT ON DATABASE " + ident(database) + " TO "
	switch role := ident(cfg.Role); {
	case len(rows) == 0 && rds != "0":
		return []string{"CREATE ROLE " + role + " LOGIN", "GRANT rds_replication TO " + role, connect + role}, false, nil
	case len(rows) == 0:
		return []string{"CREATE ROLE " + role + " LOGIN REPLICATION", connect + role}, false, nil
	}
	role := ident(rows[0].text(0))
	if !rows[0].bool(1) {
		statements = append(statements, "ALTER ROLE "+role+" LOGIN")
	}
	switch {
	case rows[0].bool(2):
	case rds != "0":
		statements = append(statements, "GRANT rds_replication TO "+role)
	default:
		statements = append(statements, "ALTER ROLE "+role+" REPLICATION")
	}
	if !rows[0].bool(3) {
		statements = append(statements, connect+role)
	}
	return statements, true, nil
}

// grants are the rights that the role lacks; all of them for a new one.
func grants(tables []*table, role string, all bool) []string {
	var statements []string
	schemas := map[string]bool{}
	for _, t := range tables {
		if (all || !t.usage) && !schemas[t.spec.Schema] {
			schemas[t.spec.Schema] = true
			statements = append(statements, grantUsage(t, role))
		}
		if all || t.unreadable() != nil {
			statements = append(statements, grantSelect(t, role))
		}
	}
	return statements
}
