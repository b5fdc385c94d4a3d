package replication_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// wrong are the problems that Check finds, as sentences.
func (s *school) wrong(t *testing.T) []string {
	t.Helper()
	return s.found(t, replication.Problem)
}

// advice is what Check says beside the problems.
func (s *school) advice(t *testing.T) []string {
	t.Helper()
	return s.found(t, replication.Advice)
}

func (s *school) found(t *testing.T, severity replication.Severity) []string {
	t.Helper()
	found, err := replication.Check(t.Context(), s.cfg)
	require.NoError(t, err)
	var all []string
	for _, f := range found {
		if f.Severity == severity {
			all = append(all, f.Err.Error())
		}
	}
	return all
}

func TestASoundServerHasNoProblems(t *testing.T) {
	s := newSchool(t)
	require.Empty(t, s.wrong(t))
	want := append([]string{"max_slot_wal_keep_size is -1: a slot that nobody reads fills the disk, want a size that the disk can spare; " +
		"fix: ALTER SYSTEM SET max_slot_wal_keep_size = '10GB', then SELECT pg_reload_conf()"}, lacks(pgtest.Server(t).Major())...)
	require.Equal(t, want, s.advice(t))
	s.exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
	found, err := replication.Check(t.Context(), s.cfg)
	require.NoError(t, err)
	require.Len(t, found, len(want)+1)
	require.Equal(t, "synchronous_commit", found[1].Err.Setting)
}

// Each row breaks a sound database by one statement. Check names it with a remedy;
// Run refuses with the same words; after the remedy nothing is wrong.
func TestWeDoNotAttachToWhatCouldBreakTheLMSOrHidesRows(t *testing.T) {
	for _, c := range []struct{ name, broken, want, fix string }{
		{"no identity", "ALTER TABLE work REPLICA IDENTITY NOTHING",
			`replica identity of public.work is NOTHING: published, the LMS's own UPDATE and DELETE fail now, want the primary key; fix: ALTER TABLE "public"."work" REPLICA IDENTITY DEFAULT; until then take the table out: ALTER PUBLICATION "schoolbell" DROP TABLE ONLY "public"."work"`,
			`ALTER TABLE "public"."work" REPLICA IDENTITY DEFAULT`},
		{"no primary key", "ALTER TABLE work DROP CONSTRAINT work_pkey",
			`replica identity of public.work is missing, for want of a primary key: published, the LMS's own UPDATE and DELETE fail now, want a primary key, or a unique index on columns that are NOT NULL; fix: ALTER TABLE "public"."work" ADD PRIMARY KEY (<columns>)`,
			`ALTER TABLE "public"."work" ADD PRIMARY KEY (student, assignment)`},
		{"a key that is no identity", "ALTER TABLE work DROP CONSTRAINT work_pkey, ADD PRIMARY KEY (student, assignment) DEFERRABLE; CREATE UNIQUE INDEX both_ids ON work (student, assignment)",
			`replica identity of public.work is missing, for want of a primary key: published, the LMS's own UPDATE and DELETE fail now, want a primary key, or a unique index on columns that are NOT NULL; fix: ALTER TABLE "public"."work" REPLICA IDENTITY USING INDEX "both_ids"`,
			`ALTER TABLE "public"."work" REPLICA IDENTITY USING INDEX "both_ids"`},
		{"an identity beside the key", "ALTER TABLE work ALTER mark SET NOT NULL; CREATE UNIQUE INDEX m ON work (mark); ALTER TABLE work REPLICA IDENTITY USING INDEX m",
			`replica identity of public.work is an index without assignment, student of the primary key, want the primary key; fix: ALTER TABLE "public"."work" REPLICA IDENTITY DEFAULT`,
			`ALTER TABLE "public"."work" REPLICA IDENTITY DEFAULT`},
		{"table too many", "ALTER PUBLICATION schoolbell ADD TABLE elsewhere",
			`publication "schoolbell" is publishing table public.elsewhere, want only the profile's tables; fix: ALTER PUBLICATION`, ""},
		{"table too few", "ALTER PUBLICATION schoolbell DROP TABLE work",
			`publication "schoolbell" is without table public.work, want with it; fix: ALTER PUBLICATION`, ""},
		{"recreated table", "DROP TABLE work; CREATE TABLE work (assignment int, student int, mark text, PRIMARY KEY (student, assignment))",
			`publication "schoolbell" is without table public.work, want with it; fix: ALTER PUBLICATION`, ""},
		{"no deletes", "ALTER PUBLICATION schoolbell SET (publish = 'insert, update')",
			`publication "schoolbell" is without delete, truncate, want insert, update, delete, truncate; fix: ALTER PUBLICATION "schoolbell" SET (publish = 'insert, update, delete, truncate')`, ""},
		{"a generated column", "DROP PUBLICATION schoolbell; ALTER TABLE work DROP mark, ADD mark text GENERATED ALWAYS AS (note) STORED",
			`column mark of table public.work is generated, which we do not take from the log, want a column of the table; fix: name the columns that it is computed from in the profile`,
			"ALTER TABLE work DROP mark, ADD mark text"},
		{"not in the log", "ALTER PUBLICATION schoolbell DROP TABLE work; ALTER TABLE work SET UNLOGGED",
			`table public.work is not in the log (UNLOGGED or TEMPORARY), want a logged table; fix: ALTER TABLE "public"."work" SET LOGGED`,
			`ALTER TABLE "public"."work" SET LOGGED`},
		{"misspelt table", "ALTER TABLE work RENAME TO works",
			`table public.work is missing, want the LMS's table; fix: name public.works in the profile if that is what is meant`,
			"ALTER TABLE works RENAME TO work"},
		{"misspelt column", "ALTER TABLE work RENAME mark TO marks",
			`column mark of table public.work is missing, want a column of the table; fix: name column marks in the profile if that is what is meant`,
			"ALTER TABLE work RENAME marks TO mark"},
		{"table of another schema", "CREATE SCHEMA lms; ALTER TABLE work SET SCHEMA lms",
			`table public.work is missing, want the LMS's table; fix: name lms.work in the profile if that is what is meant`,
			"ALTER TABLE lms.work SET SCHEMA public"},
		{"a view", "ALTER TABLE work RENAME TO w; CREATE VIEW work AS SELECT * FROM w",
			`table public.work is a view, want an ordinary table; fix: name the table that holds the rows in the profile`,
			"DROP VIEW work; ALTER TABLE w RENAME TO work"},
	} {
		t.Run(c.name, func(t *testing.T) {
			newSchool(t).refuses(t, c.broken, c.want, c.fix)
		})
	}
}

// refuses breaks the school: Check and Run say so, and the remedy and Init mend it.
func (s *school) refuses(t *testing.T, broken, want, fix string) {
	t.Helper()
	s.exec(t, broken)
	wrong := s.wrong(t)
	require.NotEmpty(t, wrong)
	require.True(t, strings.HasPrefix(wrong[0], want), wrong[0])
	require.Len(t, wrong, 1, "what one statement mends is said once")
	err := replication.New(s.cfg).Run(t.Context(), newSink(), cdc.Checkpoint{})
	require.EqualError(t, err, strings.Join(wrong, "\n"))
	require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot), "a slot was made")
	if fix != "" {
		s.exec(t, fix)
	}
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	require.Empty(t, s.wrong(t), "after the remedy")
}

func TestEveryRightThatTheRoleLacksIsNamed(t *testing.T) {
	s := newSchool(t)
	role := "reader_" + s.cfg.Slot[len(s.cfg.Slot)-8:]
	s.exec(t, "REVOKE USAGE ON SCHEMA public FROM public")
	s.exec(t, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() {
		_, err := s.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
	})
	s.exec(t, "ALTER TABLE people ENABLE ROW LEVEL SECURITY")
	admin := s.cfg
	u, err := url.Parse(s.cfg.URL)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "hunter2")
	s.cfg.URL = u.String()
	wrong := s.wrong(t)
	require.Equal(t, []string{
		`REPLICATION right of role "` + role + `" is missing, want granted; fix: ALTER ROLE "` + role + `" REPLICATION (on Amazon RDS: GRANT rds_replication TO "` + role + `")`,
		`USAGE right of role "` + role + `" on schema public is missing, want granted; fix: GRANT USAGE ON SCHEMA "public" TO "` + role + `"`,
		`SELECT right of role "` + role + `" on id, email, at, span, number, raw of table public.people is missing, want granted; fix: GRANT SELECT ("id", "email", "at", "span", "number", "raw") ON TABLE "public"."people" TO "` + role + `"`,
		`row security of public.people is hiding rows from role "` + role + `", want none for this role, or the snapshot would be short; fix: ALTER ROLE "` + role + `" BYPASSRLS`,
		`USAGE right of role "` + role + `" on schema public is missing, want granted; fix: GRANT USAGE ON SCHEMA "public" TO "` + role + `"`,
		`SELECT right of role "` + role + `" on assignment, student, mark of table public.work is missing, want granted; fix: GRANT SELECT ("assignment", "student", "mark") ON TABLE "public"."work" TO "` + role + `"`,
	}, wrong)
	err = replication.New(s.cfg).Run(t.Context(), newSink(), cdc.Checkpoint{})
	require.EqualError(t, err, wrong[0])

	s.exec(t, "ALTER TABLE people DISABLE ROW LEVEL SECURITY")
	admin.Role = role
	sql, err := replication.InitSQL(t.Context(), admin)
	require.NoError(t, err)
	require.Equal(t, []string{
		`ALTER ROLE "` + role + `" REPLICATION`,
		`GRANT USAGE ON SCHEMA "public" TO "` + role + `"`,
		`GRANT SELECT ("id", "email", "at", "span", "number", "raw") ON TABLE "public"."people" TO "` + role + `"`,
		`GRANT SELECT ("assignment", "student", "mark") ON TABLE "public"."work" TO "` + role + `"`,
	}, sql)
	require.NoError(t, replication.Init(t.Context(), admin))
	require.Empty(t, s.wrong(t))
	k := newSink()
	s.run(t, k, cdc.Checkpoint{})
	s.agree(t, k)
}

func TestInitSQLIsAllThatANewServerNeeds(t *testing.T) {
	s := bareSchool(t, pgtest.Database(t))
	s.cfg.Role = "new " + s.cfg.Slot
	s.cfg.Publication = `the "bell"`
	database := ask[string](t, s.Conn, "SELECT current_database()")
	sql, err := replication.InitSQL(t.Context(), s.cfg)
	require.NoError(t, err)
	role := `"` + s.cfg.Role + `"`
	want := []string{
		`CREATE ROLE ` + role + ` LOGIN REPLICATION`,
		`GRANT CONNECT ON DATABASE "` + database + `" TO ` + role,
		`GRANT USAGE ON SCHEMA "public" TO ` + role,
		`GRANT SELECT ("id", "email", "at", "span", "number", "raw") ON TABLE "public"."people" TO ` + role,
		`GRANT SELECT ("assignment", "student", "mark") ON TABLE "public"."work" TO ` + role,
	}
	if major := pgtest.Server(t).Major(); major < listsFrom {
		want = append(want, fmt.Sprintf("-- PostgreSQL %d has no column lists: every column of these tables is sent, mapped or not\n", major)+
			`CREATE PUBLICATION "the ""bell""" FOR TABLE ONLY "public"."people", ONLY "public"."work"`)
	} else {
		want = append(want, `CREATE PUBLICATION "the ""bell""" FOR TABLE ONLY "public"."people" ("id", "email", "at", "span", "number", "raw"), ONLY "public"."work" ("assignment", "student", "mark")`)
	}
	require.Equal(t, want, sql)
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	t.Cleanup(func() {
		_, err := s.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
	})
	sql, err = replication.InitSQL(t.Context(), s.cfg)
	require.NoError(t, err)
	require.Empty(t, sql, "nothing is left to do")
	s.cfg.Role = ""
	k := newSink()
	s.run(t, k, cdc.Checkpoint{})
	s.agree(t, k)
}

func TestInitRefusesToPublishWhatWouldBreakTheLMS(t *testing.T) {
	s := bareSchool(t, pgtest.Database(t))
	s.exec(t, "ALTER TABLE work DROP CONSTRAINT work_pkey")
	require.ErrorContains(t, replication.Init(t.Context(), s.cfg), "the LMS's own UPDATE and DELETE would fail")
	require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_publication"))
	s.exec(t, "ALTER TABLE work ADD PRIMARY KEY (student, assignment); CREATE PUBLICATION schoolbell FOR ALL TABLES")
	require.ErrorContains(t, replication.Init(t.Context(), s.cfg), "one of all tables")
}

func TestTheWholeRowAsIdentityIsFollowedAndAdvisedAgainst(t *testing.T) {
	s := bareSchool(t, pgtest.Database(t))
	s.exec(t, "ALTER TABLE work REPLICA IDENTITY FULL; INSERT INTO work VALUES ('n', 1, 1, 'a'), ('n', 1, 2, 'a')")
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	require.Empty(t, s.wrong(t))
	found, err := replication.Check(t.Context(), s.cfg)
	require.NoError(t, err)
	require.Equal(t, "replica identity of public.work", found[0].Err.Setting)
	r, _ := s.run(t, newSink(), cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, "UPDATE work SET mark = 'b' WHERE student = 1")
	s.exec(t, "DELETE FROM work WHERE student = 2")
	until(t, "both", func() bool { return r.Status().Transactions == 2 })
}

func TestAServerThatCannotDecodeIsRefused(t *testing.T) {
	server := pgtest.Own(t, map[string]string{"wal_level": "replica", "max_replication_slots": "0", "synchronous_standby_names": "*", "synchronous_commit": "local"})
	s := bareSchool(t, server.URL("postgres"))
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	want := []string{
		`wal_level is "replica", want "logical"; fix: ALTER SYSTEM SET wal_level = 'logical', then restart PostgreSQL (Amazon RDS: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on)`,
		`max_replication_slots is 0, of which 0 are used, want at least 1; fix: ALTER SYSTEM SET max_replication_slots = 4, then restart PostgreSQL`,
		`synchronous_standby_names is "*", by which the LMS's commits would wait for us, want the names of the standbys alone; fix: ALTER SYSTEM SET synchronous_standby_names = '<standby>', then SELECT pg_reload_conf()`,
	}
	require.Equal(t, want, s.wrong(t))
	require.EqualError(t, replication.New(s.cfg).Run(t.Context(), newSink(), cdc.Checkpoint{}), strings.Join(want, "\n"))
}

func TestWhyThereIsNoConnectionIsOneSentenceWithoutThePassword(t *testing.T) {
	s := newSchool(t)
	good, err := url.Parse(s.cfg.URL)
	require.NoError(t, err)
	role := good.User.Username()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := free.Addr().String()
	require.NoError(t, free.Close())
	with := func(change func(*url.URL)) string {
		u := *good
		u.User = url.UserPassword(role, "hunter2")
		change(&u)
		return u.String()
	}
	for _, c := range []struct{ name, url, want string }{
		{"unreadable", "postgres://me:hunter2@host:port:1/x", "database URL is not readable, want postgres://user:password@host:port/database; fix: correct the database URL"},
		{"wrong password", with(func(*url.URL) {}), `password of role "` + role + `" is refused by the server, want the role's password; fix: correct the password in the database URL`},
		{"no such database", with(func(u *url.URL) { u.User, u.Path = good.User, "/nowhere" }), `database "nowhere" is not on this server, want the LMS's database; fix: correct the database name`},
		{"no such role", with(func(u *url.URL) { u.User = url.UserPassword("nobody at all", "hunter2") }), `login of role "nobody at all" is refused by the server (role "nobody at all" does not exist), want an existing role`},
		{"no such host", with(func(u *url.URL) { u.Host = "nowhere.invalid:5432" }), `server at nowhere.invalid:5432 is nowhere: the name "nowhere.invalid" `},
		{"no TLS", with(func(u *url.URL) { u.RawQuery = "sslmode=require" }), "server at " + good.Host + " is not speaking TLS as we ask for it ("},
		{"down", with(func(u *url.URL) { u.Host = nobody }), "server at " + nobody + " is not running, want a PostgreSQL that answers; fix: start PostgreSQL, or correct host and port in the database URL"},
	} {
		s.cfg.URL = c.url
		wrong := s.wrong(t)
		require.Len(t, wrong, 1, c.name)
		require.True(t, strings.HasPrefix(wrong[0], c.want), "%s: %s", c.name, wrong[0])
		require.NotContains(t, wrong[0], "hunter2", c.name)
		require.NotContains(t, fmt.Sprint(s.cfg.LogValue()), "hunter2")
		if c.name != "down" && c.name != "no such host" { // those are waited for
			err := replication.New(s.cfg).Run(t.Context(), newSink(), cdc.Checkpoint{})
			require.EqualError(t, err, wrong[0], c.name)
		}
	}

	// A server that is down is waited for, and Status says so.
	r, _ := s.run(t, newSink(), cdc.Checkpoint{})
	until(t, "attempts", func() bool { return r.Status().Reconnects[replication.ServerGone] > 1 })
	require.Contains(t, r.Status().Reason, "is not running")
	require.Equal(t, replication.Waiting, r.Status().State)
}

func TestNamesInTheConfigurationAreCheckedFirst(t *testing.T) {
	for _, cfg := range []replication.Config{
		{Slot: "School-Bell", Publication: "p", Tables: []cdc.TableSpec{work}},
		{Slot: "s", Publication: "", Tables: []cdc.TableSpec{work}},
		{Slot: "s", Publication: "p"},
	} {
		var setup *replication.SetupError
		require.ErrorAs(t, replication.New(cfg).Run(t.Context(), newSink(), cdc.Checkpoint{}), &setup)
		found, err := replication.Check(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, []replication.Finding{{Severity: replication.Problem, Err: setup}}, found)
		_, err = replication.InitSQL(t.Context(), cfg)
		require.ErrorAs(t, err, &setup)
	}
}
