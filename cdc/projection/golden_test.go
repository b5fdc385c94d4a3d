package projection_test

// The golden stories: testdata/stories/PROFILE/*.txtar. Each tells, in the rows of one
// LMS, what somebody does, and what is told of it to whom.
//
// # tables.txt
//
// The LMS's tables, a line each. Names, types and keys are those of the real LMS:
//
//	mdl_assign: id int8 key, course int8 = 0, name varchar, duedate int8 = 0
//
// `key` marks the replica identity; `= VALUE` is what a row has that does not name the column,
// which otherwise is NULL. `identity = VALUE` is a column that the replica identity has besides
// the key. Lines that begin with # are notes.
//
// # school.txt
//
// The rows that every story of the folder begins with, as `insert` lines.
//
// # A story
//
// A text archive. First a comment that says what the story is about, then sections:
//
//	-- settings --       `students`: students connect as well
//	-- profile.yaml --   another profile than the folder's, mostly one that extends it
//	-- rows --           more rows to begin with
//	-- commit TITLE --   one transaction, or a moment that passes
//	-- events --         what is told of it
//	-- counts --         what the dashboards of some people say after it
//	-- people --         what some people are, and their e-mail
//
// A commit's lines:
//
//	insert TABLE COLUMN=VALUE …
//	update TABLE KEY COLUMN=VALUE …   the columns that are not named stay as they are
//	delete TABLE KEY
//	truncate TABLE
//	clock 2026-11-23T10:00:00Z        the log's clock moves on to this; before everything else
//
// A commit with nothing but a clock is no transaction. The story begins at 2026-11-23T08:00:00Z,
// and every commit comes a second after what was before. A KEY of several columns is joined with a
// colon. A VALUE is a word, or stands in double quotes as Go has it; NULL is NULL, and ~ a
// value that is stored out of line and does not change, which the log does not carry. A time
// is written as 2026-11-23T10:00:00Z, also where the column has seconds since 1970.
//
// The projection is given what the log would carry: of each table the columns that the profile
// publishes, in an update the whole new row, and of the old row only the key, and only when it
// changes; in a delete the old key alone. Tables that the profile does not read are not there.
//
// Events are lines, in the order in which they are told:
//
//	assignment "Essay 2" due 2026-12-01T10:00:00Z: "Write." to teacher Tom Weber, admins
//	submission of "Essay 2" by Anna Petrova to teacher Tom Weber, tutor Uma Khan, admins
//	grade 78 of "Essay 2" for Anna Petrova to teacher Tom Weber, admins
//	automatic grade 78 of "Essay 2" for the team Red to nobody
//	closing of "Essay 2" to teacher Tom Weber, admins
//	Uma Khan is a teacher now | is nobody now | is shut out      (whose sessions must follow)
//	nothing
//
// Somebody is a teacher or a tutor in these lines by their role in the LMS as a whole. `by
// somebody` is work of which nobody is told whose it is.
//
// Counts are a line for each person of interest:
//
//	Tom Weber: pending 1, ungraded 0, students 2, assignments 3
//
// and so are people, like
//
//	Anna Petrova: student anna@school.example
//
// Every story is run three times: as it is; with the store closed and opened again after each
// commit; and with memory for one row, so that transactions are large. In the end a new
// snapshot of its rows must say the same of everybody as the log did.
//
//	go test ./cdc/projection -run Golden -update    writes events and counts as they are

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/schoolbell/schoolbell/cdc/profile"
)

const goldenStories = "testdata/stories"

func TestGoldenStories(t *testing.T) {
	folders, err := os.ReadDir(goldenStories)
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, folder := range folders {
		t.Run(folder.Name(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(goldenStories, folder.Name())
			files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, file := range files {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
					t.Parallel()
					goldenStory(t, folder.Name(), file)
				})
			}
		})
	}
}

func goldenStory(t *testing.T, profileName, file string) {
	archive, err := txtar.ParseFile(file)
	require.NoError(t, err)
	require.NotEmpty(t, strings.TrimSpace(string(archive.Comment)), "%s begins with a comment that says what it is about", file)
	s := &golden{t: t, file: file, archive: archive, profileName: profileName}
	told := s.tell(goldenRun{})
	if updates() {
		require.NoError(t, os.WriteFile(file, txtar.Format(told), 0o644))
		return
	}
	require.Equal(t, string(txtar.Format(archive)), string(txtar.Format(told)), "%s; -update writes it as it is", file)
	require.Equal(t, string(txtar.Format(told)), string(txtar.Format(s.tell(goldenRun{restarts: true}))), "with restarts")
	require.Equal(t, string(txtar.Format(told)), string(txtar.Format(s.tell(goldenRun{rows: 1}))), "with little memory")
}

// golden is one story.
type golden struct {
	t           *testing.T
	file        string
	archive     *txtar.Archive
	profileName string
}

// goldenRun is how the gateway fares while the story is told.
type goldenRun struct {
	restarts bool // after each commit
	rows     int  // projection.Config.Rows
}

// tell tells the story, and answers it with what happened in place of what it expects.
func (s *golden) tell(run goldenRun) *txtar.Archive {
	p := s.begin(run)
	defer func() { p.gateway.close() }()
	out := &txtar.Archive{Comment: s.archive.Comment}
	for i, section := range s.archive.Files {
		word, title, _ := strings.Cut(section.Name, " ")
		switch word {
		case "settings", "profile.yaml", "rows":
		case "commit":
			require.NotEmpty(s.t, title, "%s: every commit has a title", s.file)
			p.commit(s.lines(section))
			next := i + 1
			require.True(s.t, next < len(s.archive.Files) && s.archive.Files[next].Name == "events", "%s: events follow %q", s.file, section.Name)
			if run.restarts {
				p.restart()
			}
		case "events":
			section.Data = p.events()
		case "counts":
			section.Data = p.counts(s.lines(section))
		case "people":
			section.Data = p.people(s.lines(section))
		default:
			require.Fail(s.t, "unknown section", "%s: %q is none of settings, profile.yaml, rows, commit TITLE, events, counts, people", s.file, section.Name)
		}
		out.Files = append(out.Files, section)
	}
	p.compareWithSnapshot()
	return out
}

// begin reads the school, and takes the first snapshot.
func (s *golden) begin(run goldenRun) *goldenPlay {
	t := s.t
	dir := filepath.Dir(s.file)
	g := &gateway{t: t, dir: t.TempDir(), rows: run.rows}
	db := newGoldenTables(t, filepath.Join(dir, "tables.txt"))
	school, err := os.ReadFile(filepath.Join(dir, "school.txt"))
	require.NoError(t, err)
	g.profile, err = profile.Open(s.profileName)
	require.NoError(t, err)
	rows := [][]string{goldenLines(t, school)}
	for _, section := range s.archive.Files {
		switch section.Name {
		case "settings":
			require.Equal(t, []string{"students"}, s.lines(section), "%s: settings", s.file)
			g.students = true
		case "profile.yaml":
			g.profile, err = profile.Parse(section.Name, section.Data)
			require.NoError(t, err)
		case "rows":
			rows = append(rows, s.lines(section))
		}
	}
	db.publish(g.profile)
	for _, lines := range rows {
		for _, line := range lines {
			require.True(t, strings.HasPrefix(line, "insert "), "%s: rows are inserted: %s", s.file, line)
			db.change(line)
		}
	}
	db.take()
	g.open()
	require.NoError(t, g.reset(db.snapshot(5, goldenStart())))
	g.published = nil
	return &goldenPlay{t: t, gateway: g, db: db}
}

func (s *golden) lines(section txtar.File) []string { return goldenLines(s.t, section.Data) }

// goldenLines are the lines that say something.
func goldenLines(t *testing.T, text []byte) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}
