package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Check looks for everything that is wrong with the server, in the order in which
// it should be put right. The error says that the look itself broke off.
func Check(ctx context.Context, cfg Config) ([]Finding, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return []Finding{{Problem, err}}, nil
	}
	c, err := connect(ctx, cfg, forWatching)
	if err != nil {
		return asFinding(err)
	}
	defer c.close(ctx)

	found, err := checkServer(ctx, c, cfg)
	if err != nil {
		return found, err
	}
	if cfg.Role == "" && len(found) == 0 {
		// Rights are one thing, pg_hba.conf another.
		walsender, err := connect(ctx, cfg, forReplication)
		if err != nil {
			more, err := asFinding(err)
			if err != nil {
				return found, err
			}
			found = append(found, more...)
		} else {
			walsender.close(ctx)
		}
	}
	tables, more, _, err := checkTables(ctx, c, cfg)
	found = append(found, more...)
	if err != nil {
		return found, err
	}
	slot, err := readSlot(ctx, c, cfg.Slot)
	if err != nil {
		return found, err
	}
	found = append(found, slot.check(c, cfg.Slot)...)
	held, err := readHeld(ctx, c, cfg.Slot, Held{})
	if err != nil {
		return found, err
	}
	if e := held.explain(cfg); e != nil && (!held.Oldest.Exact || held.Oldest.Age(time.Now()) >= cfg.HeldFor) {
		found = append(found, Finding{Advice, e})
	}
	more, err = advise(ctx, c, cfg, tables)
	return append(found, more...), err
}

func asFinding(err error) ([]Finding, error) {
	if setup, ok := errors.AsType[*SetupError](err); ok {
		return []Finding{{Problem, setup}}, nil
	}
	return nil, err
}

// minVersion is the first server that can be told how much a slot may hold
// (max_slot_wal_keep_size), and the first that this is tested with.
const minVersion = 13

// messagesFrom is the first version that passes on what SQL announces with
// pg_logical_emit_message.
const messagesFrom = 14

// checkServer looks at what belongs to the whole server.
func checkServer(ctx context.Context, c *conn, cfg Config) ([]Finding, error) {
	rows, err := c.query(ctx, `
		SELECT current_setting('server_version'), pg_catalog.pg_is_in_recovery(), current_setting('wal_level'),
			current_setting('max_replication_slots'),
			(SELECT count(*) FROM pg_catalog.pg_replication_slots),
			(SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE slot_name = `+literal(cfg.Slot)+`),
			current_setting('max_wal_senders'),
			(SELECT count(*) FROM pg_catalog.pg_stat_replication),
			(SELECT r.rolreplication OR r.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_roles s
				WHERE s.rolname = 'rds_replication' AND pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER'))
				FROM pg_catalog.pg_roles r WHERE r.rolname = `+roleOr(cfg.Role)+`),
			COALESCE(`+literal(cfg.Role)+`, ''), current_user,
			current_setting('synchronous_standby_names'), current_setting('application_name')`)
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	r := rows[0]
	role := r.text(9)
	if role == "" {
		role = r.text(10)
	}
	var found []Finding
	problem := func(wrong bool, e *SetupError) {
		if wrong {
			found = append(found, Finding{Problem, e})
		}
	}
	problem(c.version < minVersion, &SetupError{
		Setting: "server version", Got: r.text(0), Want: fmt.Sprintf("%d or later", minVersion), Fix: "upgrade PostgreSQL",
	})
	problem(cfg.Messages && c.version < messagesFrom, &SetupError{
		Setting: "sql_messages", Got: fmt.Sprintf("true on PostgreSQL %d, which does not pass on what SQL announces with pg_logical_emit_message", c.version),
		Want: fmt.Sprintf("PostgreSQL %d or later, or false", messagesFrom), Fix: "set sql_messages to false, or upgrade PostgreSQL",
	})
	problem(cfg.Echo != nil && c.version < messagesFrom, &SetupError{
		Setting: "self_check", Got: fmt.Sprintf("on with PostgreSQL %d, which does not pass on what we announce with pg_logical_emit_message", c.version),
		Want: fmt.Sprintf("PostgreSQL %d or later, or 0", messagesFrom), Fix: "leave self_check out, or upgrade PostgreSQL",
	})
	problem(r.bool(1), &SetupError{
		Setting: "server", Got: "a standby", Want: "the primary",
		Fix: "name the primary in the database URL, or all hosts and target_session_attrs=read-write",
	})
	problem(r.text(2) != "logical", &SetupError{
		Setting: "wal_level", Got: quoted(r.text(2)), Want: `"logical"`,
		Fix: "ALTER SYSTEM SET wal_level = 'logical', then restart PostgreSQL (Amazon RDS: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on)",
	})
	problem(r.int(5) == 0 && r.int(4) >= r.int(3), full("max_replication_slots", r.int(3), r.int(4)))
	problem(r.int(5) == 0 && r.int(7) >= r.int(6), full("max_wal_senders", r.int(6), r.int(7)))
	problem(r.null(8), &SetupError{
		Setting: "role " + quoted(role), Got: "missing", Want: "one with LOGIN and REPLICATION",
		Fix: "CREATE ROLE " + ident(role) + " LOGIN REPLICATION PASSWORD '...'",
	})
	problem(!r.null(8) && !r.bool(8), noReplicationRight(role, nil))
	problem(countsAsStandby(r.text(11), r.text(12)), &SetupError{
		Setting: "synchronous_standby_names", Got: quoted(r.text(11)) + ", by which the LMS's commits would wait for us",
		Want: "the names of the standbys alone", Fix: "ALTER SYSTEM SET synchronous_standby_names = '<standby>', then SELECT pg_reload_conf()",
	})
	more, err := checkEmit(ctx, c, cfg)
	return append(found, more...), err
}

func full(setting string, limit, used int64) *SetupError {
	return &SetupError{
		Setting: setting, Got: fmt.Sprintf("%d, of which %d are used", limit, used), Want: fmt.Sprintf("at least %d", used+1),
		Fix: fmt.Sprintf("ALTER SYSTEM SET %s = %d, then restart PostgreSQL", setting, used+4),
	}
}

// checkTables looks at what belongs to the tables and the publication, and says what that
// is worth.
func checkTables(ctx context.Context, c *conn, cfg Config) ([]*table, []Finding, Soundness, error) {
	tables, found, err := sound(ctx, c, cfg, cfg.Role)
	if err != nil {
		return nil, nil, Soundness{}, err
	}
	role, err := c.value(ctx, "SELECT "+roleOr(cfg.Role))
	if err != nil {
		return nil, nil, Soundness{}, fmt.Errorf("ask who we are: %w", err)
	}
	p, err := readPublication(ctx, c, cfg.Publication)
	if err != nil {
		return nil, nil, Soundness{}, err
	}
	p.sayPublished(found, cfg.Publication)
	var published []Finding
	if problems(found) != nil { // what the publication has to be is not known yet
		published = p.upgrade(cfg.Publication, c.version)
	} else {
		published = checkPublication(p, cfg.Publication, tables, c.version)
	}
	worth := p.soundness(slices.Concat(found, published))
	for _, t := range tables {
		found = append(found, t.checkRights(role)...)
	}
	return tables, append(found, published...), worth, nil
}

// sound reads the tables and looks for what must not be published.
func sound(ctx context.Context, c *conn, cfg Config, role string) ([]*table, []Finding, error) {
	tables, err := readTables(ctx, c, cfg.Tables, role)
	if err != nil {
		return nil, nil, err
	}
	var found []Finding
	for _, t := range tables {
		one, err := t.check(ctx, c, cfg)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, one...)
	}
	return tables, found, nil
}

// advise looks at what works and could hurt later.
func advise(ctx context.Context, c *conn, cfg Config, tables []*table) ([]Finding, error) {
	rows, err := c.query(ctx, `
		SELECT current_setting('max_slot_wal_keep_size', true), current_setting('wal_writer_delay'),
			current_setting('synchronous_commit') = 'off' OR EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s
				WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
				AND 'synchronous_commit=off' = ANY (s.setconfig)),
			COALESCE(current_setting('idle_replication_slot_timeout', true), '0')`)
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	var found []Finding
	advice := func(when bool, e *SetupError) {
		if when {
			found = append(found, Finding{Advice, e})
		}
	}
	advice(rows[0].text(0) == "-1", &SetupError{
		Setting: "max_slot_wal_keep_size", Got: "-1: a slot that nobody reads fills the disk", Want: "a size that the disk can spare",
		Fix: "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB', then SELECT pg_reload_conf()",
	})
	advice(rows[0].bool(2), &SetupError{
		Setting: "synchronous_commit", Got: "off: events come up to " + rows[0].text(1) + " (wal_writer_delay) and more after their commit", Want: "on, or a short delay",
		Fix: "ALTER SYSTEM SET wal_writer_delay = '10ms', then SELECT pg_reload_conf()",
	})
	idle := rows[0].text(3) // from 18
	advice(idle != "0", &SetupError{
		Setting: "idle_replication_slot_timeout", Got: idle + ": a slot that nobody reads for that long is lost", Want: "0, or longer than schoolbell is ever stopped",
		Fix: "ALTER SYSTEM SET idle_replication_slot_timeout = 0, then SELECT pg_reload_conf(); it is max_slot_wal_keep_size that protects the disk",
	})
	advice(c.version < messagesFrom && !cfg.Messages, &SetupError{
		Setting: "server version", Got: fmt.Sprintf("%d, which does not pass on what SQL announces with pg_logical_emit_message", c.version),
		Want: fmt.Sprintf("%d or later for custom messages from SQL", messagesFrom), Fix: "upgrade PostgreSQL when you can",
	})
	advice(c.version < listsFrom, &SetupError{
		Setting: "server version", Got: fmt.Sprintf("%d, which sends us every column of the published tables%s", c.version, unasked(tables)),
		Want: fmt.Sprintf("%d or later, which has column lists", listsFrom), Fix: "upgrade PostgreSQL when you can",
	})
	return found, nil
}

// unasked names the columns that come without being asked for where there are no
// column lists, for somebody to see what leaves the server: password hashes, maybe.
func unasked(tables []*table) string {
	const atMost = 8 // of one table; some have a hundred
	var parts []string
	for _, t := range tables {
		wanted := t.wanted()
		var names []string
		for _, c := range t.columns {
			if !c.generated && !slices.ContainsFunc(wanted, func(w column) bool { return w.number == c.number }) {
				names = append(names, c.Name)
			}
		}
		if more := len(names) - atMost; more > 1 {
			names = append(names[:atMost:atMost], fmt.Sprintf("%d more", more))
		}
		if names != nil {
			parts = append(parts, enumerate(names)+" of "+t.String())
		}
	}
	if parts == nil {
		return ""
	}
	return ", also " + strings.Join(parts, "; ")
}

// explainSQL gives the words of a SetupError to what a statement of ours was refused.
func explainSQL(err error, doing, command string) error {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if ok && server.Code == "42501" {
		return &SetupError{
			Setting: "right to " + doing, Got: "missing (" + server.Message + ")", Want: "granted",
			Fix: "let the owner of the tables or a superuser run what " + command + " --print prints", cause: err,
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
