package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
)

// A Removal is what is to be done so that nothing of ours stays in the server, to be run
// or to be printed.
type Removal struct {
	Database string
	Steps    []RemovalStep // the slot first: it is what can harm
	InUse    *SetupError   // somebody reads the slot, so that it cannot be dropped; nil: nobody does
	Notes    []string      // what to think of before
	Role     RemovalRole
	Left     []string // settings of the server that were made for us, perhaps
}

// RemovalStep is a statement of ours.
type RemovalStep struct {
	What string // what the statement drops
	More string // what is to be known of it
	SQL  string
	Not  string // why the role in URL may not run it; "": it may
}

// RemovalRole is the role that follows, which a Removal leaves to a DBA.
type RemovalRole struct {
	Name       string   // "": there is none
	Rights     []string // that it was granted in this database
	Kept       string   // why it is not one that Init made, and is to stay; "": it can go
	Statements []string // that drop it with its rights; nil: it is to stay
}

// PlanRemoval finds what Init and a first start made. It refuses what is somebody else's: a
// slot of another plugin or database, a publication of other tables than the profile's.
func PlanRemoval(ctx context.Context, cfg Config) (*Removal, error) {
	cfg = cfg.withDefaults()
	c, err := connectValid(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer c.close(ctx)
	r := &Removal{}
	for _, find := range []func(context.Context, *conn, Config) error{r.findSlot, r.findPublication, r.findRole, r.findSettings} {
		if err := find(ctx, c, cfg); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Run takes the steps that the role may, and says after each what was done.
func (r *Removal) Run(ctx context.Context, cfg Config, done func(RemovalStep)) error {
	if r.InUse != nil {
		return r.InUse
	}
	c, err := connectValid(ctx, cfg.withDefaults())
	if err != nil {
		return err
	}
	defer c.close(ctx)
	for _, s := range r.Steps {
		if s.Not != "" {
			continue
		}
		_, err := c.query(ctx, s.SQL)
		if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.Code == "55006" {
			return (&SetupError{
				Setting: "replication slot " + cfg.Slot, Got: "in use since a moment ago", Want: "read by nobody", Fix: "stop its reader, then run schoolbell uninstall again",
			}).because(err)
		}
		if err != nil {
			return explainSQL(err, "drop "+s.What, "schoolbell uninstall")
		}
		done(s)
	}
	return nil
}

func (r *Removal) findSlot(ctx context.Context, c *conn, cfg Config) error {
	var err error
	if r.Database, err = c.value(ctx, "SELECT current_database()"); err != nil {
		return fmt.Errorf("ask for the database's name: %w", err)
	}
	s, err := readSlot(ctx, c, cfg.Slot)
	if err != nil {
		return err
	}
	if s != nil {
		if s.plugin != "pgoutput" || !s.here {
			return problems(s.check(c, cfg.Slot))
		}
		if s.activePID != 0 {
			r.InUse = s.inUse(cfg.Slot)
			r.InUse.Want, r.InUse.Fix = "read by nobody", "stop its reader, schoolbell serve if it is ours; if nobody knows whose it is, it is not ours to drop"
		}
		step := RemovalStep{What: "replication slot " + quoted(cfg.Slot), More: fmt.Sprintf("which nobody reads, and which holds %.0f MB of log", float64(s.held)/(1<<20)), SQL: "SELECT pg_drop_replication_slot(" + literal(cfg.Slot) + ")"}
		may, err := c.value(ctx, `SELECT rolreplication OR rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_roles s
			WHERE s.rolname = 'rds_replication' AND pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER'))
			FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`)
		if err != nil {
			return fmt.Errorf("read the role: %w", err)
		}
		if may != "t" {
			step.Not = "this role has no REPLICATION"
		}
		r.Steps = append(r.Steps, step)
	}
	rows, err := c.query(ctx, `SELECT s.slot_name, s.active FROM pg_catalog.pg_replication_slots s
		WHERE s.plugin = 'pgoutput' AND s.database = current_database() AND s.slot_name <> `+literal(cfg.Slot)+` ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("read the slots: %w", err)
	}
	for _, row := range rows {
		r.Notes = append(r.Notes, "replication slot "+quoted(row.text(0))+" of the same database stays; whoever reads it needs its publication, which must not be "+quoted(cfg.Publication))
	}
	return nil
}

func (r *Removal) findPublication(ctx context.Context, c *conn, cfg Config) error {
	p, err := readPublication(ctx, c, cfg.Publication)
	if err != nil || p == nil {
		return err
	}
	foreign := func(got string) error {
		return &SetupError{
			Setting: "publication " + quoted(cfg.Publication), Got: got, Want: "one of the profile's tables alone, as init makes it",
			Fix: "it may be somebody else's: name ours with --publication, and the profile that it was made for; or, if nobody needs it, run DROP PUBLICATION " + ident(cfg.Publication),
		}
	}
	switch {
	case p.allTables:
		return foreign("one of all tables")
	case len(p.schemas) > 0:
		return foreign("one of schema " + strings.Join(p.schemas, ", "))
	}
	var others []string
	for _, t := range p.tables {
		if !slices.ContainsFunc(cfg.Tables, func(ours cdc.TableSpec) bool { return ours.Schema == t.schema && ours.Name == t.name }) {
			others = append(others, t.schema+"."+t.name)
		}
	}
	if others != nil {
		slices.Sort(others)
		return foreign("also one of " + enumerate(others))
	}
	step := RemovalStep{What: "publication " + quoted(cfg.Publication), More: "of " + count(len(p.tables), "table"), SQL: "DROP PUBLICATION " + ident(cfg.Publication)}
	rows, err := c.query(ctx, `SELECT pg_catalog.pg_has_role(current_user, pubowner, 'USAGE'), pg_catalog.pg_get_userbyid(pubowner)
		FROM pg_catalog.pg_publication WHERE pubname = `+literal(cfg.Publication))
	if err != nil {
		return fmt.Errorf("read the publication's owner: %w", err)
	}
	if len(rows) == 1 && !rows[0].bool(0) {
		step.Not = "its owner is role " + rows[0].text(1)
	}
	r.Steps = append(r.Steps, step)
	return nil
}

func (r *Removal) findRole(ctx context.Context, c *conn, cfg Config) error {
	rows, err := c.query(ctx, `
		SELECT r.rolname, r.oid, r.rolsuper, EXISTS (SELECT FROM pg_catalog.pg_shdepend d
				WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.refobjid = r.oid AND d.deptype = 'o'),
			ARRAY_TO_STRING(ARRAY(SELECT DISTINCT b.datname FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_database b ON b.oid = d.dbid
				WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.refobjid = r.oid AND b.datname <> current_database()), ', ')
		FROM pg_catalog.pg_roles r WHERE r.rolname = `+roleOr(cfg.Role))
	if err != nil || len(rows) == 0 {
		return err
	}
	row := rows[0]
	r.Role.Name = row.text(0)
	if r.Role.Rights, err = readRights(ctx, c, row.text(1)); err != nil {
		return err
	}
	switch {
	case row.bool(2):
		r.Role.Kept = "it is a superuser, and none that init made"
	case row.bool(3):
		r.Role.Kept = "it owns tables or other objects, and is none that init made: DROP OWNED BY would drop those"
	default:
		r.Role.Statements = []string{"DROP OWNED BY " + ident(r.Role.Name), "DROP ROLE " + ident(r.Role.Name)}
	}
	if others := row.text(4); others != "" && r.Role.Kept == "" {
		r.Notes = append(r.Notes, "role "+quoted(r.Role.Name)+" has rights in other databases, too: run DROP OWNED BY in "+others+" before DROP ROLE")
	}
	return nil
}

// readRights are what a role was granted in this database, as GRANT would write it.
func readRights(ctx context.Context, c *conn, role string) ([]string, error) {
	rows, err := c.query(ctx, `
		SELECT x.privilege_type || ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ') ON ' || quote_ident(n.nspname) || '.' || quote_ident(t.relname)
			FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class t ON t.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace,
				pg_catalog.aclexplode(a.attacl) x
			WHERE x.grantee = `+role+` AND a.attnum > 0 AND NOT a.attisdropped GROUP BY x.privilege_type, n.nspname, t.relname
		UNION ALL
		SELECT x.privilege_type || ' ON ' || quote_ident(n.nspname) || '.' || quote_ident(t.relname)
			FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace, pg_catalog.aclexplode(t.relacl) x
			WHERE x.grantee = `+role+` AND t.relowner <> `+role+`
		UNION ALL
		SELECT x.privilege_type || ' ON SCHEMA ' || quote_ident(n.nspname) FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) x
			WHERE x.grantee = `+role+` AND n.nspowner <> `+role+`
		UNION ALL
		SELECT x.privilege_type || ' ON DATABASE ' || quote_ident(b.datname) FROM pg_catalog.pg_database b, pg_catalog.aclexplode(b.datacl) x
			WHERE x.grantee = `+role+` AND b.datdba <> `+role+` AND b.datname = current_database()
		ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("read the rights: %w", err)
	}
	var all []string
	for _, row := range rows {
		all = append(all, row.text(0))
	}
	return all, nil
}

func (r *Removal) findSettings(ctx context.Context, c *conn, cfg Config) error {
	rows, err := c.query(ctx, `
		SELECT s.setting, (SELECT k.setting FROM pg_catalog.pg_settings k WHERE k.name = 'max_slot_wal_keep_size'),
			ARRAY_TO_STRING(ARRAY(SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE slot_type = 'logical' AND slot_name <> `+literal(cfg.Slot)+` ORDER BY 1), ', ')
		FROM pg_catalog.pg_settings s WHERE s.name = 'wal_level'`)
	if err != nil || len(rows) == 0 {
		return err
	}
	level, keep, others := rows[0].text(0), rows[0].text(1), rows[0].text(2)
	if level == "logical" {
		use := "no other slot needs that; if nothing else does: ALTER SYSTEM RESET wal_level, then restart PostgreSQL"
		if others != "" {
			use = "needed by slots " + others
		}
		r.Left = append(r.Left, "wal_level is logical: "+use)
	}
	if keep != "" && keep != "-1" {
		r.Left = append(r.Left, "max_slot_wal_keep_size is "+keep+" MB: it harms nobody; ALTER SYSTEM RESET max_slot_wal_keep_size, then SELECT pg_reload_conf()")
	}
	return nil
}
