package profile_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Promise: all mistakes of a file are told at once, each with its line and column,
// what was found, what is expected, and the nearest known word. What this version
// does not support is refused, never silently ignored.
func TestAllMistakesOfAFileAreToldAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			_, err = profile.Parse(name+".yaml", src)
			require.Error(t, err)
			golden := strings.TrimSuffix(file, ".yaml") + ".want"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644))
			}
			want, readErr := os.ReadFile(golden)
			require.NoError(t, readErr)
			require.Equal(t, string(want), err.Error()+"\n")
		})
	}
}

func TestAFileThatIsNoProfileIsRefusedBeforeItCosts(t *testing.T) {
	_, err := profile.Parse("big.yaml", []byte(strings.Repeat("#", 70_000)))
	require.EqualError(t, err, "big.yaml:1:1: 70000 bytes, want a profile of at most 65536 bytes")
	_, err = profile.Parse("deep.yaml", []byte("user: "+strings.Repeat("[", 30)+strings.Repeat("]", 30)))
	require.ErrorContains(t, err, "deep.yaml:1:19: too much nesting, want at most 12 levels")
	_, err = profile.Parse("deep.yaml", []byte(strings.Repeat("[", 60_000)))
	require.EqualError(t, err, "deep.yaml:1:1: too much nesting, want at most 100 brackets open at once")
}

func open(t *testing.T, name string) *profile.Profile {
	t.Helper()
	p, err := profile.Open(name)
	require.NoError(t, err)
	return p
}

func parse(t *testing.T, yaml string) *profile.Profile {
	t.Helper()
	p, err := profile.Parse("school.yaml", []byte(yaml))
	require.NoError(t, err)
	return p
}

// Promise: `extends: django` begins with the built-in profile, and a deployment
// whose mark is called score needs no more than this file of two lines.
func TestTwoLinesNameTheMarkScore(t *testing.T) {
	p := open(t, "testdata/school-with-score.yaml")
	base := open(t, "django")
	require.Equal(t, "django", p.Name())
	require.NotEqual(t, base.Hash(), p.Hash())

	want := base.Tables()
	got := p.Tables()
	require.Equal(t, want[:4], got[:4])
	require.Equal(t, []string{"assignment_id", "student_id", "submitted_at", "score"}, got[4].Columns)
	require.Equal(t, []string{"assignment_id", "student_id", "submitted_at", "grade"}, want[4].Columns)
}

func TestTheBuiltInDjangoProfileIsTheOneDocumented(t *testing.T) {
	require.Equal(t, []string{"canvas", "django", "moodle"}, profile.BuiltIn())
	p := open(t, "django")
	require.Equal(t, "django", p.Name())
	require.Equal(t, []cdc.TableSpec{
		{Schema: "public", Name: "accounts_studentprofile", Columns: []string{"user_id", "tutor_id"}},
		{Schema: "public", Name: "accounts_user", Columns: []string{"is_active", "first_name", "last_name", "email", "role"}},
		{Schema: "public", Name: "assignments_assignment", Columns: []string{"status", "title", "description", "author_id", "due_date"}},
		{Schema: "public", Name: "assignments_assignment_assigned_to", Columns: []string{"assignment_id", "user_id"}},
		{Schema: "public", Name: "assignments_assignmentsubmission", Columns: []string{"assignment_id", "student_id", "submitted_at", "grade"}},
	}, p.Tables())

	token, ok := p.Token()
	require.True(t, ok)
	require.Equal(t, profile.TokenTable{Schema: "public", Table: "authtoken_token", Key: "key", User: "user_id"}, token)
	schema, accounts := p.Accounts()
	require.Equal(t, "public.accounts_user", schema+"."+accounts)
	session, ok := p.Session()
	require.True(t, ok)
	require.Equal(t, profile.SessionTable{Kind: "django", Schema: "public", Table: "django_session", Cookie: "sessionid"}, session)
	lookup, column, ok := p.TutorPath()
	require.True(t, ok)
	require.Equal(t, 0, lookup)
	require.Equal(t, 0, column)
}

// Promise: the tables of auth are never published, not even the columns of a table
// that is mapped for other reasons.
func TestTablesOfCredentialsAreNeverPublished(t *testing.T) {
	p := parse(t, "extends: django\nauth: {token: {from: accounts_user, key: api_key, user: id}}\n")
	for _, spec := range p.Tables() {
		require.NotContains(t, spec.Columns, "api_key")
		require.NotEqual(t, "django_session", spec.Name)
	}
}

func TestAProfileThatIsNowhereIsAnsweredWithTheNearestName(t *testing.T) {
	_, err := profile.Open("djagno")
	require.EqualError(t, err, `profile "djagno" is neither built in (canvas, django, moodle) nor a file that exists; the nearest is "django"`)
}

func TestSchemaAndPrefixNameTheTables(t *testing.T) {
	p := parse(t, "extends: django\nschema: lms\nprefix: x_\nsubmission: {tutor: student_id -> accounts_user.tutor_id}\n")
	require.Len(t, p.Tables(), 4)
	require.Equal(t, cdc.TableSpec{
		Schema: "lms", Name: "x_accounts_user",
		Columns: []string{"is_active", "first_name", "last_name", "email", "role", "id", "tutor_id"},
	}, p.Tables()[0], "a path may go to a table by its id, and then the table is there once")
	token, _ := p.Token()
	require.Equal(t, "lms", token.Schema)
	require.Equal(t, "x_authtoken_token", token.Table)
}

func TestALookupThatNoPathUsesIsNotPublished(t *testing.T) {
	p := parse(t, "extends: django\nsubmission: {tutor: tutor_id}\n")
	require.Len(t, p.Tables(), 4)
	p2 := parse(t, "extends: django\nlookup: {other: {from: accounts_user, key: guardian}}\n")
	require.Equal(t, open(t, "django").Tables(), p2.Tables())
	_, _, ok := p.TutorPath()
	require.False(t, ok)
}

func TestAWholeNameReplacesFirstAndLastOfTheBase(t *testing.T) {
	p := parse(t, "extends: django\nuser: {name: full_name}\n")
	require.Equal(t, []string{"is_active", "full_name", "email", "role"}, p.Tables()[1].Columns)
}

// Promise: the hash changes exactly when the meaning of rows does.
func TestTheHashChangesExactlyWhenTheMeaningDoes(t *testing.T) {
	base := open(t, "django").Hash()
	same := map[string]string{
		"a comment":            "# hello\nextends: django\n",
		"a name":               "profile: mine\nextends: django\n",
		"the same said again":  "extends: django\ntimes: 'utc'\ngrade: {score: grade, again: [grade]}\n",
		"credentials":          "extends: django\nauth: {token: {from: t, key: k, user: u}}\n",
		"what nothing reads":   "extends: django\ngrade: {at: graded_on}\nsubmission: {at: handed_in_on}\n",
		"a lookup nobody uses": "extends: django\nlookup: {other: {from: t, key: k}}\n",
	}
	for why, yaml := range same {
		require.Equal(t, base, parse(t, yaml).Hash(), why)
	}
	seen := map[string]string{base: "django"}
	for why, yaml := range map[string]string{
		"a moment":    "assignment: {closes: due_date}",
		"a column":    "grade: {score: score}",
		"a mark":      "grade: {again: score}",
		"a condition": "grade: {graded: {score: present}}",
		"a test":      "grade: {graded: {grade: absent}}",
		"a not":       "assignment: {closed: {status: {not: closed}}}",
		"a value":     "assignment: {closed: {status: shut}}",
		"a list":      "assignment: {closed: {status: [shut, closed]}}",
		"a min":       "grade: {graded: {grade: {min: 0}}}",
		"a below":     "grade: {graded: {grade: {below: 0}}}",
		"where":       "submission: {where: {kind: x}}",
		"gone":        "submission: {gone: {kind: x}}",
		"roles":       "user: {roles: {a: admin}}",
		"other roles": "user: {roles: {a: tutor}}",
		"a table":     "user: {from: people}",
		"a schema":    "schema: lms",
		"a prefix":    "prefix: x_",
		"a zone":      "times: Europe/Berlin",
		"unix times":  "times: unix",
		"a path":      "lookup: {profile: {key: student_id}}",
	} {
		h := parse(t, "extends: django\n"+yaml+"\n").Hash()
		require.Empty(t, seen[h], why)
		seen[h] = why
	}
	require.Equal(t,
		parse(t, "extends: django\nassignment: {closed: {status: [a, b], kind: x}}\n").Hash(),
		parse(t, "extends: django\nassignment:\n  closed:\n    kind: x\n    status: [b, a]\n").Hash(),
		"the order of keys and values means nothing")
}

func TestTheHashHangsOnCoursesMembersAndAdmins(t *testing.T) {
	src, err := os.ReadFile("testdata/campus.yaml")
	require.NoError(t, err)
	campus := string(src)
	base := parse(t, campus)
	submitted, graded := base.Marks()
	seen := map[string]string{base.Hash(): "campus"}
	for _, c := range [][2]string{
		{"title: name,", "title: label,"},
		{"{from: courses,", "{from: rooms,"},
		{", active: {state: available}", ""},
		{"course: course_id\n  published", "course: room_id\n  published"},
		{"hidden: {posted_at: absent}", "hidden: {posted_at: present}"},
		{"  hidden: {posted_at: absent}\n", ""},
		{"from: enrolments", "from: people"},
		{"where: {state: active}", "where: {state: [active, ended]}"},
		{"    where: {state: active}\n", ""},
		{"    user: person_id", "    user: owner_id"},
		{"    course: course_id", "    course: room_id"},
		{"section: section_id", "section: group_id"},
		{"limited: true", "limited: false"},
		{"    own_section_only: {limited: true}\n", ""},
		{"    own_section_only: {limited: true}\n    teacher: {kind: teacher}\n    tutor: {kind: ta}\n",
			"    own_section_only: {limited: true}\n    tutor: {kind: teacher}\n    teacher: {kind: ta}\n"},
		{"    tutor: {kind: ta}\n", ""},
		{"student: {kind: student}", "student: {kind: pupil}"},
		{"    student: {kind: student}\n", "    student: {kind: student}\n  - {from: guests, user: u, course: c, student: {kind: student}}\n"},
		{"  - from: enrolments", "  - {from: guests, user: u, course: c, student: {kind: student}}\n  - from: enrolments"},
		{"{from: staff,", "{from: chiefs,"},
		{"user: person_id, where", "user: owner_id, where"},
		{", where: {superuser: true}", ""},
		{"superuser: true}}", "superuser: true}, split: \",\"}"},
		{"superuser: true}}", "superuser: true}, split: \";\"}"},
		{"email: email, active: {active: true}}", "email: email, active: {active: true}, role: kind}"},
	} {
		require.Equal(t, 1, strings.Count(campus, c[0]), c[0])
		p := parse(t, strings.Replace(campus, c[0], c[1], 1))
		require.Empty(t, seen[p.Hash()], c[1])
		seen[p.Hash()] = c[1]
		s, g := p.Marks()
		require.Equal(t, []string{submitted, graded}, []string{s, g}, "no mark hangs on it: %s", c[1])
	}
	one := "admin: {from: staff, user: person_id, where: {superuser: true}}"
	list := "admin: [{user: person_id, where: {superuser: true}, from: staff}]"
	require.Equal(t, base.Hash(), parse(t, strings.Replace(campus, one, list, 1)).Hash(), "one map is a list of one")
}

// Promise: Marks changes exactly when the marks of before cannot be compared with
// new ones.
func TestMarksChangesExactlyWhenOldMarksCannotBeCompared(t *testing.T) {
	submitted, graded := open(t, "django").Marks()
	require.Len(t, submitted, 16)
	require.Len(t, graded, 16)
	require.NotEqual(t, submitted, graded)
	for _, c := range []struct {
		yaml          string
		first, second bool // changed
	}{
		{"assignment: {title: name, description: text, teacher: owner_id, due: until, closes: until}", false, false},
		{"user: {from: people, roles: {a: admin}}", false, false},
		{"schema: lms", false, false},
		{"submission: {where: {kind: essay}, gone: {kind: none}, student: pupil_id, tutor: tutor_id, at: on}", false, false},
		{"submission: {submitted: {status: submitted}}", false, false},
		{"submission: {again: [submitted_at]}", false, false},
		{"grade: {graded: {grade: {min: 0}}, score: points, text: letter, at: on}", false, false},
		{"times: unix", false, false},
		{"times: Europe/Berlin", false, false},
		{"submission: {again: attempt}", true, false},
		{"submission: {again: [submitted_at, attempt]}", true, false},
		{"grade: {again: score}", false, true},
		{"grade: {again: [grade, score]}", false, true},
	} {
		s, g := parse(t, "extends: django\n"+c.yaml+"\n").Marks()
		require.Equal(t, c.first, s != submitted, c.yaml)
		require.Equal(t, c.second, g != graded, c.yaml)
	}
	_, one := parse(t, "extends: django\ngrade: {again: [grade, score]}\n").Marks()
	_, other := parse(t, "extends: django\ngrade: {again: [score, grade]}\n").Marks()
	require.NotEqual(t, one, other, "the order of the columns is part of a mark")
	_, joined := parse(t, "extends: django\ngrade: {again: \"grade, score\"}\n").Marks()
	require.NotEqual(t, one, joined)

	_, none := parse(t, `
profile: plain
user: {from: people, name: name, role: role}
assignment: {from: tasks, teacher: owner_id}
submission: {from: works, assignment: task_id, student: pupil_id, submitted: {done: true}}
`).Marks()
	require.Empty(t, none, "there is nothing to grade")
}

func TestNoMarkHangsOnTheZoneOfAProfile(t *testing.T) {
	for typ, value := range map[int]string{
		ts: "2026-11-22 21:05:11.123456", tstz: "2026-11-22 21:05:11.123456+00", date: "2026-11-22", int8s: "1795381511",
	} {
		seen := map[profile.Mark]bool{}
		for _, times := range []string{"utc", "unix", "Europe/Berlin"} {
			p := parse(t, "extends: django\ntimes: "+times+"\nsubmission: {again: handed_in}\n")
			works := submissions(number)
			works.Columns = append(works.Columns, cdc.Column{Name: "handed_in", Type: uint32(typ)})
			sub, ok := bind(t, p, works).Submission.Read(row("1", "1", "1", "2026-11-22 21:05:11+00", nil, value), profile.SubmissionFields{})
			require.True(t, ok)
			seen[sub.Submitted] = true
		}
		require.Len(t, seen, 1, "type %d: Marks says nothing of times", typ)
	}
}
