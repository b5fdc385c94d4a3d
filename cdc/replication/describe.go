package replication

import (
	"context"
	"fmt"
	"strings"
)

// Describe answers, as JSON, what the server's catalogue says of our slot, its reader, the
// publication, the tables and the settings that concern them: what somebody who helps
// from afar would ask for first. It reads no row of the LMS's, and no query of anybody.
func Describe(ctx context.Context, cfg Config) (string, error) {
	cfg = cfg.withDefaults()
	c, err := connectValid(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer c.close(ctx)
	var names []string
	for _, t := range cfg.Tables {
		names = append(names, "("+literal(t.Schema)+", "+literal(t.Name)+")")
	}
	all := func(what, from string) string {
		return `COALESCE((SELECT pg_catalog.jsonb_agg(` + what + `) FROM ` + from + `), '[]')`
	}
	text, err := c.value(ctx, `SELECT pg_catalog.jsonb_pretty(pg_catalog.jsonb_build_object(
		'server', pg_catalog.version(), 'time', pg_catalog.now(), 'started', pg_catalog.pg_postmaster_start_time(),
		'standby', pg_catalog.pg_is_in_recovery(),
		'log_ends_at', CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
		'database_bytes', pg_catalog.pg_database_size(current_database()),
		'slot', `+all(`pg_catalog.to_jsonb(s)`, `pg_catalog.pg_replication_slots s WHERE s.slot_name = `+literal(cfg.Slot))+`,
		'other_slots', `+all(`pg_catalog.jsonb_build_object('slot_type', s.slot_type, 'plugin', s.plugin, 'active', s.active, 'restart_lsn', s.restart_lsn)`,
		`pg_catalog.pg_replication_slots s WHERE s.slot_name <> `+literal(cfg.Slot))+`,
		'reader', `+all(`pg_catalog.to_jsonb(w) - '{client_addr,client_hostname,client_port,usename,usesysid}'::text[]`,
		`pg_catalog.pg_stat_replication w JOIN pg_catalog.pg_replication_slots s ON s.active_pid = w.pid WHERE s.slot_name = `+literal(cfg.Slot))+`,
		'publication', `+all(`pg_catalog.to_jsonb(p) || pg_catalog.jsonb_build_object('comment', pg_catalog.obj_description(p.oid, 'pg_publication'))`,
		`pg_catalog.pg_publication p WHERE p.pubname = `+literal(cfg.Publication))+`,
		'published', `+all(`pg_catalog.to_jsonb(t)`, `pg_catalog.pg_publication_tables t WHERE t.pubname = `+literal(cfg.Publication))+`,
		'tables', `+all(`pg_catalog.jsonb_build_object('table', n.nspname || '.' || k.relname, 'kind', k.relkind, 'identity', k.relreplident, 'rows', k.reltuples, 'bytes', pg_catalog.pg_total_relation_size(k.oid))`,
		`pg_catalog.pg_class k JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace WHERE (n.nspname, k.relname) IN (VALUES `+strings.Join(names, ", ")+`)`)+`,
		'open_transactions', (SELECT pg_catalog.jsonb_build_object('number', count(*), 'oldest', min(a.xact_start)) FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL),
		'settings', (SELECT pg_catalog.jsonb_object_agg(g.name, g.setting || COALESCE(' ' || g.unit, '')) FROM pg_catalog.pg_settings g WHERE g.name IN (
			'wal_level', 'max_replication_slots', 'max_wal_senders', 'max_slot_wal_keep_size', 'wal_sender_timeout', 'wal_keep_size',
			'idle_replication_slot_timeout', 'sync_replication_slots', 'logical_decoding_work_mem', 'max_connections', 'server_version', 'max_wal_size'))
	))`)
	if err != nil {
		return "", fmt.Errorf("describe the server: %w", err)
	}
	return text, nil
}
