package main

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// upgrade is schoolbell upgrade begin or end.
func (s *site) upgrade(step string, more ...string) (code int, output string) {
	s.t.Helper()
	return schoolbell(s.t, append([]string{"upgrade", step, "--database", s.url, "--slot", s.slot}, more...)...)
}

// steps runs one that has to end well.
func (s *site) steps(step string, more ...string) string {
	s.t.Helper()
	code, out := s.upgrade(step, more...)
	require.Zero(s.t, code, out)
	return out
}

// saying waits until /readyz says this while dashboards are served.
func (s *site) saying(words string) {
	s.t.Helper()
	get(s.t, s.base()+"/readyz", func(status int, body string) bool {
		return status == http.StatusOK && strings.Contains(strings.ReplaceAll(body, `\"`, `"`), words)
	})
}

const nothingElse = "next: upgrade the LMS, then run schoolbell upgrade end\n"

// The LMS is upgraded while its dashboards are open: it renames a title, drops a mapped
// column and makes it anew, retypes the mark. Its migration fails on nothing of ours, and
// whatever happens meanwhile is told.
func TestTheLMSIsUpgradedWhileDashboardsAreOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = 50 WHERE submitted_at IS NOT NULL`)
	s.serve()
	s.ready()
	d := s.watch(s.school.Admins[0])
	listed := pgtest.Server(t).Major() >= 15
	out := s.steps("begin")
	if listed {
		require.Regexp(t, `^publication "schoolbell" is widened since \S+: all columns of its tables are sent, and no column list keeps the LMS from being migrated\n`, out)
		require.Contains(t, out, "serve goes on: ")
		s.reattach()
		s.saying(`"publication":{"ok":true,"advice":"publication "schoolbell" is widened for an upgrade of the LMS since `)
		code, out := s.check()
		require.Zero(t, code, out)
		require.Contains(t, out, `advice: publication "schoolbell" is widened for an upgrade of the LMS since `)
		get(t, "http://"+s.admin+"/metrics", func(_ int, page string) bool {
			return strings.Contains(page, "\nschoolbell_replication_publication_widened 1\n") && strings.Contains(page, "\nschoolbell_replication_problem 0\n")
		})
	} else {
		require.Regexp(t, `^nothing is to be done: PostgreSQL \d+ has no column lists`, out)
	}
	s.grade(61)
	s.sees(d, 1)

	// A title: what happens goes on being told, and that it is missing is said.
	s.exec(`ALTER TABLE assignments_assignment RENAME title TO name`)
	s.exec(`UPDATE assignments_assignment SET updated_at = now()`)
	s.grade(62)
	s.sees(d, 2)
	s.reattach()
	s.saying("column title of table public.assignments_assignment is missing, want a column of the table; fix: ")
	get(t, "http://"+s.admin+"/metrics", func(_ int, page string) bool {
		return strings.Contains(page, "\nschoolbell_replication_problem 1\n")
	})
	s.exec(`ALTER TABLE assignments_assignment RENAME name TO title`)

	// The mark: rather nothing is told than that everybody was graded anew.
	s.exec(`ALTER TABLE assignments_assignmentsubmission ALTER grade TYPE varchar(20) USING 'mark ' || grade::text`)
	s.exec(`UPDATE assignments_assignmentsubmission SET updated_at = now()`)
	if listed {
		s.waiting(`"stream":{"ok":false`, "and the tables have to be read again when it is over (", "column grade of table public.assignments_assignmentsubmission ")
	}
	s.exec(`INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
		VALUES ('Meanwhile', '', $1, 'published', now(), now())`, s.school.Teachers[0].ID)
	out = s.steps("end")
	if listed {
		require.Equal(t, `changed: column grade of table public.assignments_assignmentsubmission is character varying(20), and was integer
publication "schoolbell" sends the profile's columns and no others
serve notices by itself, within seconds: it reads the tables once more, compares them and goes on; nothing is lost
next: schoolbell check
`, out)
	}
	s.sees(d, 3)
	s.ready()
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = 'mark 100' WHERE id = (SELECT min(id) FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL)`)
	s.sees(d, 4)
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Equal(t, []string{"grade", "grade", "assignment", "grade"}, []string{d.events[0].kind, d.events[1].kind, d.events[2].kind, d.events[3].kind})
	require.True(t, !listed || strings.Contains(d.events[2].fields, `"recovered":true`), "it was told when the upgrade was over")
	require.Contains(t, d.events[3].fields, `"grade":"mark 100"`)
	require.NotContains(t, d.events[1].fields, `"title":""`, "it is what it was")
	require.Equal(t, 1, d.welcomes, "nobody was disconnected")
}

func TestTheStepsOfAnUpgradeArePrintedForADBA(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if pgtest.Server(t).Major() < 15 {
		require.Regexp(t, `^-- nothing is to be done: PostgreSQL \d+ has no column lists that a migration could fail on\n$`, s.steps("begin", "--print"))
		require.Regexp(t, `^-- nothing is to be done: PostgreSQL \d+ has no column lists, and publication "schoolbell" is sound\n$`, s.steps("end", "--print"))
		return
	}
	sql := s.steps("begin", "--print")
	require.Regexp(t, `^BEGIN;\nALTER PUBLICATION "schoolbell" SET TABLE ONLY "public"."accounts_studentprofile", .*;\nCOMMENT ON PUBLICATION "schoolbell" IS 'schoolbell: widened for an upgrade of the LMS since .*\n.*';\nCOMMIT;\n-- publication "schoolbell" is widened`, sql)
	_, out := s.upgrade("end", "--print")
	require.Contains(t, out, `-- nothing is to be done: publication "schoolbell" is not widened, and sound`)
	s.exec(sql)
	require.Regexp(t, `^nothing is to be done: publication "schoolbell" has been widened since .*\nserve goes on: `, s.steps("begin"))
	require.True(t, strings.HasSuffix(s.steps("begin"), nothingElse))

	sql = s.steps("end", "--print")
	require.Regexp(t, `^BEGIN;\nALTER PUBLICATION "schoolbell" SET TABLE ONLY .* \("id", .*\nCOMMENT ON PUBLICATION "schoolbell" IS NULL;\nCOMMIT;\n-- the upgrade changed nothing of the profile's columns\n-- publication "schoolbell" sends`, sql)
	s.exec(sql)
	require.Equal(t, "nothing is to be done: publication \"schoolbell\" is not widened, and sound\n", s.steps("end"))
	code, out := s.check()
	require.Zero(t, code, out)
}

func TestAnUpgradeThatCannotBeBegunOrEndedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if pgtest.Server(t).Major() < 15 {
		return
	}
	role := "reader_" + s.slot
	s.exec(`CREATE ROLE ` + role + ` LOGIN`)
	t.Cleanup(func() {
		_, err := s.conn.Exec(context.WithoutCancel(t.Context()), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(t, err)
	})
	code, out := s.upgrade("begin", "--database", s.as(role))
	require.Equal(t, 1, code, out)
	require.Regexp(t, regexp.QuoteMeta("is missing (must be owner of publication schoolbell), want granted; fix: let the owner of the tables or a superuser run what schoolbell upgrade begin --print prints"), out)

	s.steps("begin")
	s.exec(`ALTER TABLE accounts_user DROP COLUMN email`)
	code, out = s.upgrade("end")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "column email of table public.accounts_user is missing")
	require.NotEmpty(t, s.ask(`SELECT COALESCE(obj_description(oid, 'pg_publication'), '') FROM pg_publication`), "it stays widened")
	code, out = s.upgrade("finish")
	require.Equal(t, 2, code, out)
}
