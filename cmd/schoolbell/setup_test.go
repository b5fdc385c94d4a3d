package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// said are the sentences with which the program ended.
func said(output string) []string {
	var all []string
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(line, "schoolbell: "); ok {
			all = append(all, strings.TrimSpace(text))
		}
	}
	return all
}

// wrong are the problems that check listed.
func wrong(output string) []string {
	var all []string
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(line, "wrong: "); ok {
			all = append(all, strings.TrimSpace(text))
		}
	}
	return all
}

// refuses expects serve to end with one sentence, and check to list the same one.
func (s *site) refuses(sentence string, more ...string) {
	s.t.Helper()
	p := s.serve(more...)
	require.Equal(s.t, 1, p.wait(30*time.Second), p.text())
	require.Equal(s.t, []string{sentence}, said(p.text()))

	code, out := s.check(more...)
	require.Equal(s.t, 1, code, out)
	require.Equal(s.t, []string{sentence}, wrong(out))
}

// addressed is the database's URL with one thing changed.
func (s *site) addressed(change func(*url.URL)) string {
	s.t.Helper()
	u, err := url.Parse(s.url)
	require.NoError(s.t, err)
	change(u)
	return u.String()
}

// as is the database's URL for another role; the test's server trusts all but the
// superuser.
func (s *site) as(role string) string {
	return s.addressed(func(u *url.URL) { u.User = url.User(role) })
}

func (s *site) port() string {
	u, _ := url.Parse(s.url)
	return u.Port()
}

func TestADatabaseThatCannotBeReachedIsExplainedInOneSentence(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.refuses("database URL is not readable, want postgres://user:password@host:port/database; "+
		"fix: correct the database URL; characters like @ : / ? # % in the password must be written as %40 %3A %2F %3F %23 %25",
		"--database", "postgres://schoolbell:pass/word@127.0.0.1:5432/lms")
	s.refuses(`password of role "postgres" is refused by the server, want the role's password; `+
		`fix: correct the password in the database URL, or set it: ALTER ROLE "postgres" PASSWORD '...'`,
		"--database", s.addressed(func(u *url.URL) { u.User = url.UserPassword("postgres", "wrong") }))
	s.refuses(`login of role "nobody" is refused by the server (role "nobody" does not exist), want an existing role that pg_hba.conf lets in; `+
		`fix: create the role with LOGIN, or add to pg_hba.conf and reload: host "`+s.ask("SELECT current_database()")+`" "nobody" <our address>/32 scram-sha-256`,
		"--database", s.as("nobody"))
	s.refuses(`database "lsm" is not on this server, want the LMS's database; `+
		`fix: correct the database name in the database URL; psql -l lists the names`,
		"--database", s.addressed(func(u *url.URL) { u.Path = "/lsm" }))
}

// A server that is down may come back by itself, so that is no reason to end.
func TestAServerThatIsDownIsWaitedForAndTheGatewayHeals(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t, nil)
	s := siteAt(t, server.URL("postgres"))
	down := "server at 127.0.0.1:" + s.port() + " is not running, want a PostgreSQL that answers; " +
		"fix: start PostgreSQL, or correct host and port in the database URL"

	require.NoError(t, server.Halt("fast"))
	code, out := s.check()
	require.Equal(t, 1, code, out)
	require.Equal(t, []string{down}, wrong(out))
	gateway := s.serve()
	s.waiting(`"snapshot":{"ok":false`, `"stream":{"ok":false`, down)
	require.Equal(t, http.StatusServiceUnavailable, statusOf(t, s.base()+"/api/session?token="+s.school.Admins[0].Token), "nobody is let in yet")
	require.NoError(t, server.Resume(t.Context()))
	s.ready()

	// The same while it runs: the socket stays, and so does everything that comes.
	d := s.watch(s.school.Admins[0])
	require.NoError(t, server.Halt("immediate"))
	s.waiting(`"snapshot":{"ok":true`, `"stream":{"ok":false`, down)
	require.NoError(t, server.Resume(t.Context()))
	s.conn = connectTo(t, s.url)
	s.ready()
	s.grade(81)
	s.sees(d, 1)
	require.Equal(t, 1, d.welcomes, "the socket was not closed")
	require.Zero(t, gateway.stop(5*time.Second))
}

func TestAServerThatWritesNoLogicalLogIsExplained(t *testing.T) {
	t.Parallel()
	s := siteAt(t, pgtest.Own(t, map[string]string{"wal_level": "replica"}).URL("postgres"))
	s.refuses(`wal_level is "replica", want "logical"; fix: ALTER SYSTEM SET wal_level = 'logical', then restart PostgreSQL ` +
		`(Amazon RDS: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on)`)
}

// Each row breaks a sound LMS by one statement, and mends it by another.
func TestWhatTheDBAHasToMendIsExplainedInOneSentence(t *testing.T) {
	t.Parallel()
	const submissions = "public.assignments_assignmentsubmission"
	for _, c := range []struct{ name, breaks, want, mends string }{
		{
			"publication missing", `DROP PUBLICATION schoolbell`,
			`publication "schoolbell" is missing, want one of 5 tables; fix: CREATE PUBLICATION "schoolbell" FOR TABLE ` +
				`ONLY "public"."accounts_studentprofile" ("id", "user_id", "tutor_id"), ` +
				`ONLY "public"."accounts_user" ("id", "email", "first_name", "last_name", "role", "is_active"), ` +
				`ONLY "public"."assignments_assignment" ("id", "title", "description", "author_id", "status", "due_date"), ` +
				`ONLY "public"."assignments_assignment_assigned_to" ("id", "assignment_id", "user_id"), ` +
				`ONLY "public"."assignments_assignmentsubmission" ("id", "assignment_id", "student_id", "submitted_at", "grade")`, "FIX",
		},
		{
			"table missing", `ALTER TABLE assignments_assignmentsubmission RENAME TO coursework`,
			`table ` + submissions + ` is missing, want the LMS's table; fix: correct schema and name in the profile, or the database in the database URL`,
			`ALTER TABLE coursework RENAME TO assignments_assignmentsubmission`,
		},
		{
			"the mark has its other name", `ALTER TABLE assignments_assignmentsubmission RENAME grade TO score`,
			`column grade of table ` + submissions + ` is missing, but there is score, want a column of the table; fix: if that is what is meant, ` +
				"write a file with the lines `extends: django` and `grade: {graded: {score: present}, again: score, score: score}` and give it as the profile",
			`ALTER TABLE assignments_assignmentsubmission RENAME score TO grade`,
		},
		{
			"column missing", `ALTER TABLE assignments_assignment RENAME due_date TO deadline`,
			`column due_date of table public.assignments_assignment is missing, want a column of the table; ` +
				`fix: correct the column in the profile; the table has id, title, description, author_id, status, deadline, created_at, updated_at`,
			`ALTER TABLE assignments_assignment RENAME deadline TO due_date`,
		},
		{
			"no primary key", `ALTER TABLE assignments_assignmentsubmission DROP CONSTRAINT assignments_assignmentsubmission_pkey`,
			`replica identity of ` + submissions + ` is missing, for want of a primary key: published, the LMS's own UPDATE and DELETE fail now, ` +
				`want a primary key, or a unique index on columns that are NOT NULL; ` +
				`fix: ALTER TABLE "public"."assignments_assignmentsubmission" REPLICA IDENTITY USING INDEX "assignments_assignmentsubmission_assignment_id_student_id_key"; ` +
				`until then take the table out: ALTER PUBLICATION "schoolbell" DROP TABLE ONLY "public"."assignments_assignmentsubmission"`,
			`ALTER TABLE assignments_assignmentsubmission ADD PRIMARY KEY (id)`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.exec(c.breaks)
			c.want = withLists(t, c.want)
			s.refuses(c.want)
			if c.mends == "FIX" {
				_, c.mends, _ = strings.Cut(c.want, "; fix: ")
			}
			s.exec(c.mends)
			code, out := s.check()
			require.Zero(t, code, out)
		})
	}
}

// The two lines that the sentence about the mark tells are all that is needed.
func TestAMarkCalledScoreNeedsTwoLinesOfProfile(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	s.exec(`ALTER TABLE assignments_assignmentsubmission RENAME grade TO score`)
	_, out := schoolbell(t, "init", "--database", s.url)
	var lines []string
	for i, part := range strings.Split(out, "`") {
		if i%2 == 1 {
			lines = append(lines, part)
		}
	}
	require.Len(t, lines, 2, out)
	file := filepath.Join(t.TempDir(), "school.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600))
	code, out := schoolbell(t, "init", "--database", s.url, "--profile", file)
	require.Zero(t, code, out)
	s.serve("--profile", file)
	s.ready()
	d := s.watch(s.school.Admins[0])
	s.exec(`UPDATE assignments_assignmentsubmission SET score = 93 WHERE id = (SELECT min(id) FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL)`)
	s.sees(d, 1)
	require.Contains(t, d.events[0].fields, `"grade":93`)
}

func TestARoleWithoutTheRightToReplicateIsExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	role := s.role("LOGIN")
	s.exec(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ` + role)
	s.refuses(`REPLICATION right of role "`+role+`" is missing, want granted; `+
		`fix: ALTER ROLE "`+role+`" REPLICATION (on Amazon RDS: GRANT rds_replication TO "`+role+`")`, "--database", s.as(role))
	s.exec(`ALTER ROLE ` + role + ` REPLICATION`)
	code, out := s.check("--database", s.as(role))
	require.Zero(t, code, out)
}

// role makes a role that goes with the test; roles belong to the whole server.
func (s *site) role(options string) string {
	s.t.Helper()
	role := s.ask(`SELECT 'role_of_' || current_database()`)
	s.exec(`CREATE ROLE ` + role + ` ` + options)
	s.forget(role)
	return role
}

func (s *site) forget(role string) {
	s.t.Cleanup(func() {
		_, err := s.conn.Exec(context.WithoutCancel(s.t.Context()), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(s.t, err)
	})
}

func TestASlotInUseIsWaitedForAndItsReaderIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.serve()
	s.ready()
	pid := s.ask(`SELECT active_pid::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot)

	second := *s
	second.data, second.address, second.admin = t.TempDir(), freePort(t), freePort(t)
	p := second.serve()
	second.waiting(`replication slot ` + s.slot + ` is in use by pid ` + pid + ` (schoolbell), want free for us; ` +
		`fix: stop the other reader, or give this one a slot of its own; if it hangs: SELECT pg_terminate_backend(` + pid + `)`)
	code, out := s.check()
	require.Zero(t, code, out)
	require.Contains(t, out, "advice: replication slot "+s.slot+" is in use by pid "+pid)

	require.Regexp(t, `"msg":"not following the log","reason":"replication slot `+s.slot+` is in use by pid `+pid+` \(schoolbell\)`, p.text(), "the log says so, too")

	// The first has confirmed what the second never saw, so the second cannot go on.
	require.Zero(t, first.stop(5*time.Second))
	require.Equal(t, 1, p.wait(20*time.Second), p.text())
	require.Equal(t, []string{`replication slot ` + s.slot + ` is there already, and the data directory knows nothing of it, want none before the first start; ` +
		`fix: if nobody else uses it, SELECT pg_drop_replication_slot('` + s.slot + `'); otherwise choose another slot name in the configuration`}, said(p.text()))
}

// The second has a data directory of its own that once stood where the first's does.
// Meanwhile the first has read on, and the second must not pretend to have seen that.
func TestASecondGatewayWaitsForTheSlotTakesOverByItselfAndPretendsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.serve()
	s.ready()
	d := s.watch(s.school.Admins[0])
	s.grade(61)
	s.sees(d, 1)
	require.Zero(t, first.stop(5*time.Second))
	second := *s
	second.data, second.address, second.admin = filepath.Join(t.TempDir(), "data"), freePort(t), freePort(t)
	require.NoError(t, os.CopyFS(second.data, os.DirFS(s.data)))
	first.restart()
	s.ready()
	pid := s.ask(`SELECT active_pid::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot)
	second.serve()
	second.waiting(`replication slot ` + s.slot + ` is in use by pid ` + pid + ` (schoolbell), want free for us`)
	s.grade(62)
	s.sees(d, 2)
	d.mu.Lock()
	since := d.events[0].id
	d.mu.Unlock()
	require.Zero(t, first.stop(5*time.Second))

	second.ready()
	welcome, next := second.comeBack(s.school.Admins[0], since)
	require.Equal(t, true, welcome["resumed"])
	m := next()
	require.InDelta(t, 62, m["grade"], 0, m)
	require.Equal(t, true, m["recovered"], "it comes from a snapshot: the log has gone by")
}

func TestTwoGatewaysNeverShareADataDirectory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve()
	s.ready()
	code, out := schoolbell(t, "serve", "--database", s.url, "--slot", s.slot, "--data", s.data, "--listen", freePort(t), "--admin-listen", freePort(t))
	require.Equal(t, 1, code, out)
	require.Len(t, said(out), 1)
	require.Regexp(t, `^data directory \S+ is in use by another schoolbell \(.*\); stop that one, or choose another directory with --data$`, said(out)[0])
	require.Equal(t, http.StatusOK, statusOf(t, s.base()+"/readyz"), "the first does not mind")
}

func TestADataDirectoryOfAnotherDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve()
	s.ready()
	require.Zero(t, gateway.stop(5*time.Second))
	database := func(s *site) string { return s.ask("SELECT current_database()") }
	system := func(s *site) string { return s.ask("SELECT system_identifier::text FROM pg_control_system()") }

	// Another database of the same cluster.
	other := newSite(t)
	p := other.serve("--data", s.data, "--slot", s.slot)
	require.Equal(t, 1, p.wait(20*time.Second), p.text())
	require.Equal(t, []string{`database is "` + database(other) + `", want "` + database(s) + `", which our data directory belongs to; ` +
		`fix: correct the database URL, or, if the database was replaced, start once with --adopt: the tables are then compared with what we have, and what happened in between is delivered`}, said(p.text()))

	// Another cluster.
	other = siteAt(t, pgtest.Own(t, nil).URL("postgres"))
	p = other.serve("--data", s.data, "--slot", s.slot)
	require.Equal(t, 1, p.wait(20*time.Second), p.text())
	require.Equal(t, []string{`server is another one (system identifier ` + system(other) + `), want the one our data directory belongs to (` + system(s) + `); ` +
		`fix: correct the database URL, or, if the server was replaced, start once with --adopt: the tables are then compared with what we have, and what happened in between is delivered`}, said(p.text()))

	// Nothing was harmed: where it belongs, it goes on.
	s.serve()
	s.ready()
}

func TestAPortInUseIsExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve()
	s.ready()
	for _, c := range []struct{ key, listen, admin, taken string }{
		{"listen", s.address, freePort(t), s.address},
		{"admin_listen", freePort(t), s.admin, s.admin},
	} {
		code, out := schoolbell(t, "serve", "--database", s.url, "--slot", s.slot, "--data", t.TempDir(), "--listen", c.listen, "--admin-listen", c.admin)
		require.Equal(t, 1, code, out)
		require.Equal(t, []string{c.key + ": listen tcp " + c.taken + ": bind: address already in use; " +
			"fix: choose another address, or end the program that has it"}, said(out))
	}
}

func TestAMisspeltSettingIsRefusedWithItsPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "schoolbell.yaml")
	require.NoError(t, os.WriteFile(file, []byte("database: postgres://localhost/lms\nlistn: 127.0.0.1:8080\n"), 0o600))
	for _, command := range []string{"serve", "check", "init"} {
		code, out := schoolbell(t, command, "--config", file)
		require.Equal(t, 2, code, out)
		require.Equal(t, []string{file + ":2:1: unknown key listn, the nearest known is listen"}, said(out))
	}
	t.Setenv("SCHOOLBELL_DATABSE", "postgres://localhost/lms")
	code, out := schoolbell(t, "check")
	require.Equal(t, 2, code, out)
	require.Equal(t, []string{
		"SCHOOLBELL_DATABSE: unknown variable, the nearest known is SCHOOLBELL_DATABASE",
		"database is not set; give it as --database, as SCHOOLBELL_DATABASE, as a file named in SCHOOLBELL_DATABASE_FILE, or as database: in the file",
	}, said(out))
}

// Tokens are looked up in a table that is never published, so that the log would not
// tell. The gateway waits for it, and goes on without a restart.
func TestATableOfTokensThatIsMissingIsExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`ALTER TABLE authtoken_token RENAME TO tokens`)
	const sentence = `there is no table "public"."authtoken_token" for tokens; fix: name it under auth.token.from in the profile, or run the LMS's migrations`
	code, out := s.check()
	require.Equal(t, 1, code, out)
	require.Len(t, wrong(out), 1)
	require.Contains(t, wrong(out)[0], sentence)
	s.serve()
	s.waiting(`"snapshot":{"ok":true`, `"sign_in":{"ok":false`, sentence)
	s.exec(`ALTER TABLE tokens RENAME TO authtoken_token`)
	s.ready()
	s.watch(s.school.Teachers[0])
}
