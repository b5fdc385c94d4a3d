package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// drafted runs profile new on a database and splits what it wrote: the file, and what
// was said beside it.
func drafted(t *testing.T, url string, more ...string) (code int, yaml, said string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "draft.yaml")
	code, said = schoolbell(t, append([]string{"profile", "new", "--database", url, "--out", file}, more...)...)
	src, err := os.ReadFile(file)
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	return code, string(src), strings.ReplaceAll(said, file, "FILE")
}

// homeGrown is a database of testdata/draft.
func homeGrown(t *testing.T, name string) *site {
	t.Helper()
	s := &site{t: t, url: pgtest.Database(t)}
	s.conn = connectTo(t, s.url)
	s.slot = s.ask(`SELECT current_database()`)
	sql, err := os.ReadFile(filepath.Join("testdata", "draft", name+".sql"))
	require.NoError(t, err)
	s.exec(string(sql))
	return s
}

// unnamed is a text without the name of the test's database.
func (s *site) unnamed(text string) string {
	return strings.ReplaceAll(text, s.ask(`SELECT current_database()`), "DATABASE")
}

// To write the drafts anew: go test ./cmd/schoolbell -run HomeGrown -update
func TestADraftForAHomeGrownLMSIsCompleteAndSaysWhy(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"village", "college", "shkola"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := homeGrown(t, name)
			code, yaml, said := drafted(t, s.url)
			require.Zero(t, code, said)
			yaml = s.unnamed(yaml)
			golden := filepath.Join("testdata", "draft", name+".yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(yaml), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), yaml)
			require.Contains(t, said, "FILE is complete, and a guess", said)

			// As it is, it fits the database: every table, column and type.
			code, out := schoolbell(t, "init", "--database", s.url, "--profile", golden)
			require.Zero(t, code, out)
			code, out = s.check("--profile", golden, "--jwt-keys", newSingleSignOn(t).url)
			require.Zero(t, code, out)
		})
	}
}

// With rows in it the database says what its states are called. Once it has drafts, all
// that the draft and the built-in profile do not share is that nothing is told of those:
// that the platform tells of them, too, no catalogue says.
func TestADraftForTheDjangoPlatformMeansWhatTheBuiltInProfileMeans(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	code, yaml, said := drafted(t, s.url)
	require.Zero(t, code, said)
	require.Contains(t, said, "is complete")
	django, err := profile.Open("django")
	require.NoError(t, err)
	got, err := profile.Parse("draft", []byte(yaml))
	require.NoError(t, err)
	requireSameMeaning(t, django, got)

	s.exec(`UPDATE assignments_assignment SET status = CASE id % 2 WHEN 0 THEN 'draft' ELSE 'published' END WHERE id > 1`)
	_, yaml, _ = drafted(t, s.url)
	want, err := profile.Parse("built in", []byte("extends: django\nassignment: {published: {status: {not: draft}}}\n"))
	require.NoError(t, err)
	got, err = profile.Parse("draft", []byte(yaml))
	require.NoError(t, err)
	requireSameMeaning(t, want, got)

	// Without rows the states are a question; the answer is all that is missing.
	empty := &site{t: t, url: pgtest.Database(t)}
	empty.conn = connectTo(t, empty.url)
	schema, err := os.ReadFile(filepath.Join(repository, "deploy", "school", "schema.sql"))
	require.NoError(t, err)
	empty.exec(string(schema))
	code, yaml, said = drafted(t, empty.url)
	require.Zero(t, code, said)
	require.Contains(t, said, "question 2: assignment: which values of status mean that it is a draft, and which that it is closed?")
	require.Contains(t, yaml, "  # closed: {status: …} #")
	got, err = profile.Parse("draft", []byte(strings.Replace(yaml, "  # closed: {status: …} #", "  closed: {status: closed} #", 1)))
	require.NoError(t, err)
	requireSameMeaning(t, django, got)
}

func requireSameMeaning(t *testing.T, want, got *profile.Profile) {
	t.Helper()
	require.Equal(t, want.Tables(), got.Tables())
	require.Equal(t, want.Hash(), got.Hash())
	wantTable, _ := want.Token()
	gotTable, _ := got.Token()
	require.Equal(t, wantTable, gotTable)
	wantSession, _ := want.Session()
	gotSession, _ := got.Session()
	require.Equal(t, wantSession, gotSession)
}

func TestADatabaseThatIsNoLMSIsRefusedWithASentence(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"shop": `schema "public" of database "DATABASE" has 7 tables, and this does not look like an LMS: users might be the people, ` +
			`no table looks like assignments, no table looks like submissions, and nothing joins the three; ` +
			`name the LMS's database, or its schema with --schema, or write the profile by hand`,
		"tracker": `schema "public" of database "DATABASE" has 7 tables, and this does not look like an LMS: people might be the people, ` +
			`tasks might be the assignments, no table looks like submissions, and nothing joins the three; ` +
			`name the LMS's database, or its schema with --schema, or write the profile by hand`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := homeGrown(t, name)
			code, yaml, output := drafted(t, s.url)
			require.Equal(t, 1, code, output)
			require.Equal(t, []string{want}, said(s.unnamed(output)))
			require.Empty(t, yaml)
		})
	}
}

func TestADraftNeverOverwritesAFile(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	file := filepath.Join(t.TempDir(), "lms.yaml")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
	code, out := schoolbell(t, "profile", "new", "--database", s.url, "--out", file)
	require.Equal(t, 2, code, out)
	require.Equal(t, []string{file + " is there already, and nothing is overwritten; name another file with --out, or move that one away"}, said(out))
	src, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "mine", string(src))
}

func TestADraftForASchemaThatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	code, out := schoolbell(t, "profile", "new", "--database", s.url, "--schema", "lms")
	require.Equal(t, 2, code, out)
	require.Equal(t, []string{`database "` + s.ask(`SELECT current_database()`) + `" has no schema "lms"; name the LMS's with --schema, \dn in psql lists them`}, said(out))
}

// The LMS may hold a table for itself as long as it likes: then its states are not known.
// A role that may only connect sees the tables, and none of the rows.
func TestADraftWaitsForNobodyAndNeedsNoRightToReadRows(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	asked := "question 2: assignment: which values of status mean that it is a draft, and which that it is closed?"
	_, _, said := drafted(t, s.url)
	require.NotContains(t, said, asked)

	tx, err := s.conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `LOCK TABLE assignments_assignment, accounts_user`)
	require.NoError(t, err)
	code, _, said := drafted(t, s.url)
	require.Zero(t, code, said)
	require.Contains(t, said, asked)
	require.NoError(t, tx.Rollback(t.Context()))

	role := s.role("LOGIN")
	code, yaml, said := drafted(t, s.as(role))
	require.Zero(t, code, said)
	require.Contains(t, said, asked)
	require.Contains(t, yaml, "from: assignments_assignmentsubmission")
}

// A person's data is nobody's business: of the rows only states and roles are read.
func TestADraftHoldsNothingOfTheRowsButStatesAndRoles(t *testing.T) {
	t.Parallel()
	s := bareSite(t, pgtest.Database(t))
	s.exec(`ANALYZE`) // so that there are statistics of every column
	code, yaml, said := drafted(t, s.url)
	require.Zero(t, code, said)
	names := s.ask(`SELECT string_agg(DISTINCT n, '|') FROM (SELECT first_name FROM accounts_user UNION SELECT last_name FROM accounts_user
		UNION SELECT email FROM accounts_user UNION SELECT title FROM assignments_assignment UNION SELECT key FROM authtoken_token) t (n) WHERE length(n) > 3`)
	for name := range strings.SplitSeq(names, "|") {
		require.NotRegexp(t, `\b`+regexp.QuoteMeta(name)+`\b`, yaml+said)
	}
}

func TestTheBuiltInProfilesAreListedAndShown(t *testing.T) {
	t.Parallel()
	code, out := schoolbell(t, "profile", "list")
	require.Zero(t, code, out)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, len(profile.BuiltIn()))
	for i, name := range profile.BuiltIn() {
		require.Regexp(t, `^`+name+` +\S.{5,}\.$`, lines[i], "the first line of a built-in profile says which LMS it is for")
		code, shown := schoolbell(t, "profile", "show", name)
		require.Zero(t, code, shown)
		p, err := profile.Parse(name, []byte(shown))
		require.NoError(t, err)
		built, err := profile.Open(name)
		require.NoError(t, err)
		require.Equal(t, built.Hash(), p.Hash())
	}

	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"profile", "show", "jango"}, `no built-in profile is called "jango"; there are ` + strings.Join(profile.BuiltIn(), ", ") + `; the nearest is "django"`},
		{[]string{"profile", "show"}, `schoolbell profile show takes the name of one built-in profile, known are ` + strings.Join(profile.BuiltIn(), ", ")},
		{[]string{"profile", "sho"}, `unknown command schoolbell profile sho, the nearest known is show`},
	} {
		code, out := schoolbell(t, c.args...)
		require.Equal(t, 2, code, out)
		require.Equal(t, []string{c.want}, said(out))
	}
}

func TestTheSchemaForEditorsIsThatOfTheFormat(t *testing.T) {
	t.Parallel()
	code, out := schoolbell(t, "profile", "schema")
	require.Zero(t, code, out)
	require.Equal(t, string(profile.JSONSchema()), out)
	require.True(t, json.Valid([]byte(out)))
}
