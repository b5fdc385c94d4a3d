package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// department is the LMS of the README's worked example.
func department(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, url: pgtest.Database(t), data: t.TempDir(), address: freePort(t), admin: freePort(t)}
	s.conn = connectTo(t, s.url)
	s.slot = s.ask(`SELECT current_database()`)
	sql, err := os.ReadFile(filepath.Join("testdata", "worked", "schema.sql"))
	require.NoError(t, err)
	s.exec(string(sql))
	return s
}

// The worked example begins with this draft, and what it asks is what has to be edited.
func TestTheWorkedExampleBeginsWithADraftThatSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	s := department(t)
	code, yaml, said := drafted(t, s.url)
	require.Zero(t, code, said)
	yaml = strings.ReplaceAll(yaml, s.ask(`SELECT current_database()`), "department")
	golden := filepath.Join("testdata", "worked", "draft.yaml")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(yaml), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), yaml)
	require.Contains(t, said, "FILE cannot be used yet: answer the questions in it")
	for line := range strings.Lines(said) {
		if _, question, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(line, "question") {
			require.True(t, strings.Contains(read(t, "README.md"), strings.TrimSpace(question)), "the README shows what was asked: %s", question)
		}
	}
}

func TestTheWorkedExamplesProfileStandsInTheREADME(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "worked", "department.yaml"))
	require.NoError(t, err)
	require.True(t, strings.Contains(read(t, "README.md"), "```yaml\n"+string(src)+"```"), "copy testdata/worked/department.yaml into the section")
}

// heard is what somebody received, in a few words each.
func heard(t *testing.T, d *dashboard) []string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	require.NoError(t, d.fault)
	var all []string
	for _, e := range d.events {
		var m struct {
			Title           string
			AssignmentTitle string `json:"assignment_title"`
			Student         struct {
				FirstName string `json:"first_name"`
			}
			Grade     any
			Automatic bool
		}
		require.NoError(t, json.Unmarshal([]byte(e.fields), &m))
		text := fmt.Sprint(e.kind, " ", m.Title, m.AssignmentTitle)
		if m.Student.FirstName != "" {
			text += " of " + m.Student.FirstName
		}
		if m.Grade != nil {
			text += fmt.Sprint(": ", m.Grade)
		}
		if m.Automatic {
			text += " by a machine"
		}
		all = append(all, text)
	}
	return all
}

// A real server, a real gateway, and the profile of the README: each kind of event
// reaches those whom it concerns, and nobody else.
func TestTheWorkedExampleTellsEachKindOfEventToTheRightPeople(t *testing.T) {
	t.Parallel()
	s, sso := department(t), newSingleSignOn(t)
	s.exec(`INSERT INTO account (id, login, first_name, last_name, email, activated) SELECT i, lower(n), n, 'Doe', lower(n) || '@uni.example', true
		FROM unnest('{Chief,Ina,Tim,Ada,Bob,Eve}'::text[]) WITH ORDINALITY p (n, i);
		INSERT INTO account_authority SELECT id, 'USER' FROM account;
		INSERT INTO account_authority VALUES (1, 'ADMIN');
		INSERT INTO course (id, title, short_name, student_group_name, assistant_group_name, instructor_group_name, end_date)
			SELECT i, 'Course ' || i, 'c' || i, 'students-' || i, 'tas-' || i, 'instructors-' || i, now() + interval '1 year' FROM generate_series(1, 2) i;
		INSERT INTO account_group VALUES (2, 'instructors-1'), (3, 'tas-1'), (4, 'students-1'), (5, 'students-1'), (6, 'instructors-2')`)
	profile := filepath.Join("testdata", "worked", "department.yaml")
	flags := []string{"--profile", profile, "--jwt-keys", sso.url, "--jwt-issuer", "https://sso.example", "--jwt-audience", "dashboards", "--jwt-user-claim", "account"}
	code, out := schoolbell(t, "init", "--database", s.url, "--profile", profile)
	require.Zero(t, code, out)
	code, out = s.check(flags...)
	require.Zero(t, code, out)
	require.Contains(t, out, "of profile department")
	gateway := s.serve(append(flags, "--roles", "teacher,tutor,admin,student")...)
	s.ready()

	dashboards := map[string]*dashboard{}
	for i, name := range []string{"Chief", "Ina", "Tim", "Ada", "Bob", "Eve"} {
		id := int64(i + 1)
		dashboards[name] = s.watch(school.Person{ID: id, Token: sso.token(fmt.Sprint(id), time.Now().Add(time.Hour))})
	}
	until := func(text string, who ...string) {
		t.Helper()
		for _, name := range who {
			dashboards[name].await(t, text, func() bool {
				for _, e := range dashboards[name].events {
					if strings.Contains(e.fields, text) {
						return true
					}
				}
				return false
			})
		}
	}

	// An exercise is told of when it is released, which is no change of a row: one that was
	// made after it is told of before it.
	s.exec(`INSERT INTO exercise (id, course_id, title, max_points, release_date) VALUES (1, 1, 'Sorting', 10, clock_timestamp() + interval '3 seconds')`)
	s.exec(`INSERT INTO exercise (id, course_id, title, max_points, assessment_due_date) VALUES (2, 1, 'Hashing', 10, now() + interval '1 week')`)
	until("Sorting", "Chief", "Ina", "Tim", "Ada", "Bob")

	// A draft is nothing; handing in is told to those who teach, in one transaction or in many.
	s.exec(`INSERT INTO participation (id, exercise_id, student_id) VALUES (1, 1, 4), (2, 2, 5)`)
	s.exec(`INSERT INTO submission (id, participation_id, submission_date) VALUES (1, 1, now())`)
	s.exec(`UPDATE submission SET submitted = true, submission_date = now() WHERE id = 1`)
	s.exec(`INSERT INTO submission (id, participation_id, submitted, submission_date) VALUES (2, 2, true, now())`)

	// A grade is told once it is complete and counts; the student hears of it unless the
	// assessment is still going on.
	s.exec(`INSERT INTO result (id, submission_id, assessor_id, score, rated) VALUES (1, 1, 3, 50, true)`)
	s.exec(`UPDATE result SET score = 87.5, completion_date = now() WHERE id = 1`)
	s.exec(`INSERT INTO result (id, submission_id, score, rated, completion_date) VALUES (2, 1, 10, false, now())`)
	s.exec(`INSERT INTO result (id, submission_id, score, rated, completion_date) VALUES (3, 2, 60, true, now())`)

	// Who leaves the group is told nothing any more, from that commit on.
	until(`"automatic":true`, "Tim")
	s.exec(`DELETE FROM account_group WHERE account_id = 3`)
	s.exec(`UPDATE exercise SET due_date = now() WHERE id = 1`)
	until(`"type":"assignment_closed"`, "Chief", "Ina")
	s.exec(`INSERT INTO exercise (id, course_id, title, max_points) VALUES (3, 1, 'The end', 1), (4, 2, 'The end', 1)`)
	until("The end", "Ina", "Ada", "Bob", "Eve")
	dashboards["Chief"].await(t, "both ends", func() bool {
		ends := 0
		for _, e := range dashboards["Chief"].events {
			if strings.Contains(e.fields, "The end") {
				ends++
			}
		}
		return ends == 2
	})

	work := []string{"assignment Hashing", "assignment Sorting"}
	taught := slices.Concat(work, []string{"submission Sorting of Ada", "submission Hashing of Bob", "grade Sorting of Ada: 87.5", "grade Hashing of Bob: 60 by a machine"})
	for name, want := range map[string][]string{
		"Chief": slices.Concat(taught, []string{"assignment_closed Sorting", "assignment The end", "assignment The end"}),
		"Ina":   slices.Concat(taught, []string{"assignment_closed Sorting", "assignment The end"}),
		"Tim":   taught,
		"Ada":   slices.Concat(work, []string{"grade Sorting of Ada: 87.5", "assignment_closed Sorting", "assignment The end"}),
		"Bob":   slices.Concat(work, []string{"assignment_closed Sorting", "assignment The end"}),
		"Eve":   {"assignment The end"},
	} {
		require.Equal(t, want, heard(t, dashboards[name]), name)
	}
	require.Zero(t, gateway.stop(5*time.Second))
}
