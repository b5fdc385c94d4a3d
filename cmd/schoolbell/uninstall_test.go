package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// catalogue is everything in a database, and of the server what is about it, that
// schoolbell could have left behind.
func (s *site) catalogue(role string) string {
	s.t.Helper()
	return s.ask(`SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM (
		SELECT 'publication ' || pubname AS line FROM pg_publication
		UNION ALL SELECT 'published ' || tablename FROM pg_publication_tables
		UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
		UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname = $1
		UNION ALL SELECT 'table ' || relname || ' ' || coalesce(x.grantee::regrole::text, '') || ' ' || x.privilege_type
			FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x WHERE c.relnamespace = 'public'::regnamespace AND relkind = 'r'
		UNION ALL SELECT 'column ' || attname || ' ' || x.grantee::regrole::text FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl) x
			WHERE c.relnamespace = 'public'::regnamespace
		UNION ALL SELECT 'schema ' || nspname || ' ' || x.grantee::regrole::text || ' ' || x.privilege_type
			FROM pg_namespace n, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) x WHERE nspname = 'public'
		UNION ALL SELECT 'database ' || x.grantee::regrole::text || ' ' || x.privilege_type
			FROM pg_database d, aclexplode(coalesce(datacl, acldefault('d', datdba))) x WHERE datname = current_database()
		UNION ALL SELECT 'description ' || description FROM pg_description WHERE classoid = 'pg_publication'::regclass
	) t`, role)
}

func TestUninstallLeavesTheCatalogueAsItWas(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	role := s.ask(`SELECT 'gateway_of_' || current_database()`)
	before := s.catalogue(role)
	code, sql := schoolbell(t, "init", "--print", "--database", s.url, "--role", role)
	require.Zero(t, code, sql)
	s.exec(sql)
	gateway := s.serve("--database", s.as(role))
	s.ready()
	require.Zero(t, gateway.stop(10*time.Second))
	require.NotEqual(t, before, s.catalogue(role))

	flags := []string{"--database", s.url, "--slot", s.slot, "--role", role, "--data", s.data}
	code, sql = schoolbell(t, append([]string{"uninstall", "--print"}, flags...)...)
	require.Zero(t, code, sql)
	require.True(t, strings.HasPrefix(sql, "SELECT pg_drop_replication_slot('"+s.slot+"');\nDROP PUBLICATION \"schoolbell\";\n"), sql)
	code, out := schoolbell(t, append([]string{"uninstall"}, flags...)...)
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "nobody can be asked")
	require.Contains(t, s.catalogue(role), "slot "+s.slot, "nothing was done so far")

	code, out = schoolbell(t, append([]string{"uninstall", "--yes"}, flags...)...)
	require.Zero(t, code, out)
	for _, want := range []string{
		`dropped replication slot "` + s.slot + `"`, `dropped publication "schoolbell"`, "SELECT (id, user_id, tutor_id) ON public.accounts_studentprofile",
		"the data directory " + s.data + ",", "wal_level is logical",
	} {
		require.Contains(t, out, want)
	}
	// What it may not do itself, a DBA does as it is printed.
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "DROP ") {
			s.exec(line)
		}
	}
	require.Equal(t, before, s.catalogue(role))

	code, out = schoolbell(t, append([]string{"uninstall"}, flags...)...)
	require.Zero(t, code, out)
	require.Contains(t, out, "nothing is to be dropped", "and again is no mistake")
}

func TestUninstallRefusesWhatIsInUseOrNotOurs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	uninstall := func(database string) (int, string) {
		return schoolbell(t, "uninstall", "--yes", "--database", database, "--slot", s.slot)
	}
	gateway := s.serve()
	s.ready()
	pid := s.ask(`SELECT active_pid::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot)
	code, out := uninstall(s.url)
	require.Equal(t, 1, code, out)
	require.Contains(t, lastLine(out), "replication slot "+s.slot+" is in use by pid "+pid+" (schoolbell), want read by nobody; fix: stop its reader")
	require.Contains(t, s.catalogue(""), "publication schoolbell", "nothing was dropped")
	require.Zero(t, gateway.stop(10*time.Second))

	// A role that may do neither is told who may, and nothing is half done.
	role := s.role("LOGIN")
	code, out = uninstall(s.as(role))
	require.Equal(t, 1, code, out)
	require.Equal(t, []string{
		`replication slot "` + s.slot + `" is still there: this role has no REPLICATION; fix: let a DBA run SELECT pg_drop_replication_slot('` + s.slot + `')`,
		`publication "schoolbell" is still there: its owner is role ` + s.ask(`SELECT current_user::text`) + `; fix: let a DBA run DROP PUBLICATION "schoolbell"`,
	}, said(out))

	// A role that owns something is none that init made: DROP OWNED BY would drop it.
	s.exec(`CREATE TABLE precious (id int); ALTER TABLE precious OWNER TO ` + role)
	_, out = schoolbell(t, "uninstall", "--print", "--database", s.url, "--slot", s.slot, "--role", role)
	require.NotContains(t, out, "DROP OWNED BY \"")
	require.NotContains(t, out, "DROP ROLE")
	require.Contains(t, out, "it is to stay: it owns tables or other objects")

	for _, c := range []struct{ name, do, undo, want string }{
		{"a publication of other tables", `ALTER PUBLICATION schoolbell ADD TABLE precious`, `ALTER PUBLICATION schoolbell DROP TABLE precious`,
			`publication "schoolbell" is also one of public.precious, want one of the profile's tables alone`},
		{"a publication of all", `DROP PUBLICATION schoolbell; CREATE PUBLICATION schoolbell FOR ALL TABLES`, `DROP PUBLICATION schoolbell`,
			`publication "schoolbell" is one of all tables`},
		{"a physical slot", `SELECT pg_drop_replication_slot('` + s.slot + `'); SELECT pg_create_physical_replication_slot('` + s.slot + `')`, `SELECT pg_drop_replication_slot('` + s.slot + `')`,
			`plugin of replication slot ` + s.slot + ` is "none: it is physical", want "pgoutput"; fix: the slot is somebody else's`},
	} {
		s.exec(c.do)
		before := s.catalogue("")
		code, out := uninstall(s.url)
		require.Equal(t, 1, code, c.name+out)
		require.Contains(t, lastLine(out), c.want)
		require.Equal(t, before, s.catalogue(""), c.name)
		s.exec(c.undo)
	}
}
