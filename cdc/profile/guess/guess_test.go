package guess_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/profile/guess"
)

// school is a small LMS, one table a line: columns with their types, * for a column of
// the primary key, > for what it refers to, = for the values that it holds, ! for NOT
// NULL. Tests add tables to it and replace them.
const school = `
users: id bigint *, name text, email text, role text = student teacher tutor admin, active boolean
assignments: id bigint *, title text, description text, author_id bigint > users, due_at timestamp with time zone, status text = draft open closed
assignment_recipients: assignment_id bigint * > assignments, user_id bigint * > users
submissions: id bigint *, assignment_id bigint > assignments, student_id bigint > users, submitted_at timestamp with time zone, score numeric
`

// described reads the lines; a table that comes again replaces the one before.
func described(t *testing.T, lines ...string) guess.Catalogue {
	t.Helper()
	c := guess.Catalogue{Database: "lms", Schema: "public"}
	for line := range strings.Lines(strings.Join(lines, "\n")) {
		name, columns, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found {
			continue
		}
		one := guess.Table{Name: name, Rows: -1}
		for text := range strings.SplitSeq(columns, ",") {
			text, values, _ := strings.Cut(text, "=")
			text, to, refers := strings.Cut(text, ">")
			text, _, key := strings.Cut(text, "*")
			text, _, notNull := strings.Cut(text, "!")
			column, typ, _ := strings.Cut(strings.TrimSpace(text), " ")
			one.Columns = append(one.Columns, guess.Column{Name: column, Type: strings.TrimSpace(typ), NotNull: notNull || key, Values: strings.Fields(values)})
			if key {
				one.Key = append(one.Key, column)
			}
			if refers {
				one.Foreign = append(one.Foreign, guess.Foreign{Columns: []string{column}, Table: strings.TrimSpace(to), To: []string{"id"}})
			}
		}
		replaced := false
		for i := range c.Tables {
			if c.Tables[i].Name == name {
				c.Tables[i], replaced = one, true
			}
		}
		if !replaced {
			c.Tables = append(c.Tables, one)
		}
	}
	return c
}

// draft drafts a profile and, where it says that it is complete, has it read.
func draft(t *testing.T, lines ...string) guess.Draft {
	t.Helper()
	d, err := guess.Profile(described(t, lines...))
	require.NoError(t, err)
	_, err = profile.Parse("draft.yaml", d.YAML)
	if d.Complete {
		require.NoError(t, err, "%s", d.YAML)
	}
	for _, q := range d.Questions {
		require.Contains(t, string(d.YAML), q, "what is asked stands in the file, too")
	}
	return d
}

// has requires lines of the draft, with the comment behind them cut off.
func has(t *testing.T, d guess.Draft, lines ...string) {
	t.Helper()
	var all []string
	for line := range strings.Lines(string(d.YAML)) {
		line, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "- "), " # ")
		all = append(all, line)
	}
	for _, line := range lines {
		require.Contains(t, all, line, "%s", d.YAML)
	}
}

func asks(t *testing.T, d guess.Draft, question string) {
	t.Helper()
	require.Contains(t, d.Questions, question, "%s", d.YAML)
}

// Promise: a draft that is complete is one that profile.Parse accepts.
func TestASchoolThatIsPlainLeavesNothingToAsk(t *testing.T) {
	d := draft(t, school)
	require.True(t, d.Complete)
	require.Empty(t, d.Questions)
	has(t, d, "profile: lms", "from: users", "name: name", "email: email", "active: {active: true}", "role: role",
		"title: title", "description: description", "teacher: author_id", "due: due_at",
		"published: {status: {not: draft}}", "closed: {status: closed}",
		"from: assignment_recipients", "assignment: assignment_id", "student: user_id",
		"from: submissions", "student: student_id", "submitted: {submitted_at: present}", "again: submitted_at",
		"graded: {score: present}", "score: score")
}

// Promise: what is unsure is a comment, never a value.
func TestColumnsThatFitAlikeAreAQuestion(t *testing.T) {
	d := draft(t, school, `assignments: id bigint *, title text, author_id bigint > users, due_at timestamp with time zone, deadline timestamp with time zone, status text = open closed`)
	require.True(t, d.Complete)
	asks(t, d, "assignment.due: is it due_at, or deadline?")
	has(t, d, "# due: due_at")
	require.NotContains(t, string(d.YAML), "\n  due:")

	d = draft(t, school, `submissions: id bigint *, assignment_id bigint > assignments, student_id bigint > users, pupil_id bigint > users, submitted_at timestamp with time zone, score numeric`)
	require.False(t, d.Complete, "nobody can do without the student")
	asks(t, d, "submission.student: is it student_id, or pupil_id?")
	has(t, d, "# student: student_id")
}

func TestTablesThatFitAlikeAreAQuestion(t *testing.T) {
	d := draft(t, school, `submissions_old: id bigint *, assignment_id bigint > assignments, student_id bigint > users, submitted_at timestamp with time zone, score numeric`)
	has(t, d, "from: submissions")
	asks(t, d, "Which table holds the submissions: submissions, as it is written here, or submissions_old?")
}

// Promise: what is missing is named.
func TestWhatIsMissingIsNamed(t *testing.T) {
	d := draft(t, school, `users: id bigint *, email text, active boolean`)
	require.False(t, d.Complete)
	asks(t, d, "user.name is missing: which column of users is a person's name?")
	asks(t, d, "user.role is missing: name the column of a person's role, or tables that say who is what in a course (member)")
	has(t, d, "# name: …")

	d = draft(t, school, `assignments: id bigint *, title text, due_at date`)
	require.False(t, d.Complete)
	asks(t, d, "assignment.teacher is missing: whose is an assignment? Name the column of its teacher, or of its course")

	d = draft(t, school, `submissions: id bigint *, assignment_id bigint > assignments, student_id bigint > users, status text, score numeric`)
	require.False(t, d.Complete)
	asks(t, d, "submission.submitted is missing: which values of submissions.status mean that work is handed in?")
}

func TestWhereSubmissionsAreNotFoundTheRestIsDraftedAndTheyAreAskedFor(t *testing.T) {
	d := draft(t, school, `submissions: id bigint *, note text`, `inbox: id bigint *, assignment_id bigint ! > assignments, sender_id bigint ! > users, body text, at date`)
	require.False(t, d.Complete)
	has(t, d, "from: assignments", "title: title", "from: users", "# submission:", "# from: …")
	asks(t, d, "submission.from is missing: which table holds what students hand in? Perhaps inbox, by what it refers to.")
	require.NotContains(t, string(d.YAML), "grade:")
}

// Promise: the same catalogue gives the same draft, in whatever order its tables come.
func TestTheSameCatalogueGivesTheSameDraft(t *testing.T) {
	c := described(t, school, `roles: id bigint *, name text = teacher pupil`, `api_tokens: key text *, user_id bigint > users`)
	first, err := guess.Profile(c)
	require.NoError(t, err)
	for range 20 {
		rand.Shuffle(len(c.Tables), func(i, j int) { c.Tables[i], c.Tables[j] = c.Tables[j], c.Tables[i] })
		again, err := guess.Profile(c)
		require.NoError(t, err)
		require.Equal(t, string(first.YAML), string(again.YAML))
	}
}

// A database may have a thousand tables, and few of them matter.
func TestAThousandTablesAreLookedThroughAtOnce(t *testing.T) {
	lines := []string{school}
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("module_%d_entries: id bigint *, user_id bigint > users, assignment_id bigint > assignments, entry_%d_id bigint, name text, status text, score numeric", i, i))
	}
	began := time.Now()
	d := draft(t, lines...)
	has(t, d, "from: submissions")
	require.Less(t, time.Since(began), 20*time.Second)
}

func TestWorkIsHandedInByATimeAFlagAStateOrByBeingThere(t *testing.T) {
	const keys = `submissions: id bigint *, assignment_id bigint > assignments, student_id bigint > users, score numeric, `
	for columns, want := range map[string]string{
		"handed_in_at timestamp with time zone":                                            "submitted: {handed_in_at: present}",
		"submitted boolean":                                                                "submitted: {submitted: true}",
		"status text = draft submitted graded":                                             "submitted: {status: [submitted, graded]}",
		"submitted_at timestamp with time zone !, status text = draft submitted":           "submitted: {status: submitted}",
		"submitted_at timestamp with time zone !, status text = submitted graded returned": "submitted: {submitted_at: present}",
	} {
		d := draft(t, school, keys+columns)
		require.True(t, d.Complete, columns)
		has(t, d, want)
		require.Empty(t, d.Questions)
	}
	d := draft(t, school, keys+"created_at timestamp with time zone !")
	require.True(t, d.Complete)
	has(t, d, "submitted: {created_at: present}")
	asks(t, d, "submission.submitted: is work handed in as soon as submissions has a row for it?")
}

func TestWhoIsTheStudentIsToldByTheNamesOfReferences(t *testing.T) {
	d := draft(t, school, `submissions: id bigint *, graded_by bigint > users, reviewer_id bigint > users, assignment_id bigint > assignments, owner_id bigint > users, submitted_at date, score numeric`)
	require.True(t, d.Complete)
	has(t, d, "student: owner_id")
	// Where nothing is declared, columns that are called like keys are keys, if their types fit.
	d = draft(t, `
		people: id uuid *, fullName text, eMail text, userType text = pupil teacher
		homework: id uuid *, title text, teacherId uuid
		homeworkSubmission: id uuid *, homeworkId uuid, pupilId uuid, essay_id bigint, submittedAt timestamp with time zone, score integer`)
	has(t, d, "from: homeworkSubmission", "assignment: homeworkId", "student: pupilId", "submitted: {submittedAt: present}",
		"teacher: teacherId", "role: userType", "roles: {pupil: student, teacher: teacher}", "email: eMail")
}

func TestTheTutorIsTheSubmissionsTheStudentsOrThePersons(t *testing.T) {
	d := draft(t, school, `student_profiles: user_id bigint * > users, tutor_id bigint > users`)
	has(t, d, "profiles: {from: student_profiles, key: user_id}", "tutor: student_id -> profiles.tutor_id")
	d = draft(t, school, `submissions: id bigint *, assignment_id bigint > assignments, student_id bigint > users, tutor_id bigint > users, submitted_at date, score numeric`)
	has(t, d, "student: student_id", "tutor: tutor_id")
}

func TestDeletedAndDisabledRowsAreNotThere(t *testing.T) {
	d := draft(t, school,
		`users: id bigint *, name text, email text, role text = student teacher, blocked boolean, deleted_at timestamp with time zone, deleted_by bigint`,
		`submissions: id bigint *, assignment_id bigint > assignments, student_id bigint > users, submitted_at date, score numeric, is_deleted boolean`,
		`assignments: id bigint *, title text, author_id bigint > users, due_at date, hidden boolean, removed smallint`)
	has(t, d, "active: {blocked: false, deleted_at: absent}", "gone: {is_deleted: true}", "published: {hidden: false, removed: 0}")
}

func TestTokensThatAreHashedCannotBeLookedUp(t *testing.T) {
	d := draft(t, school, `personal_access_tokens: id bigint *, user_id bigint > users, token_hash text, name text`)
	require.Contains(t, string(d.YAML), "personal_access_tokens seems to hold tokens, but not so that schoolbell can look them up")
	d = draft(t, school, `tokens: key text *, user_id bigint > users`, `password_reset_tokens: token text *, user_id bigint > users`)
	has(t, d, "token: {from: tokens, key: key, user: user_id}")
	require.NotContains(t, string(d.YAML), "reset")
}

func TestRolesThatNobodyCanTellAreAQuestion(t *testing.T) {
	d := draft(t, school, `users: id bigint *, name text, email text, role text`)
	require.True(t, d.Complete)
	has(t, d, "role: role")
	asks(t, d, "user.role: are the values of role called teacher, tutor, student and admin? If not, map them: roles: {VALUE: teacher, …}")
	d = draft(t, school, `users: id bigint *, name text, email text, role text = a b c`)
	require.False(t, d.Complete)
	has(t, d, "# role: role")
	d = draft(t, school, `users: id bigint *, name text, email text, role text = head_teacher student not_admin`)
	has(t, d, "roles: {head_teacher: teacher, student: student}")
	require.Contains(t, string(d.YAML), "These values mean no role: not_admin.")
	d = draft(t, school, `users: id bigint *, name text, email text, role text = Lehrer Schueler admin Hausmeister`)
	has(t, d, "roles: {Lehrer: teacher, Schueler: student, admin: admin}")
	require.Contains(t, string(d.YAML), "These values mean no role: Hausmeister.")
}

func TestATableWithoutAPrimaryKeyIsNamed(t *testing.T) {
	d := draft(t, school, `assignment_recipients: assignment_id bigint > assignments, user_id bigint > users`)
	asks(t, d, "assignment_recipients has no primary key: published, the LMS's own UPDATE and DELETE would fail. schoolbell check says what helps")
}

// Promise: a database that is no LMS is refused with a sentence.
func TestADatabaseThatIsNoLMSIsRefused(t *testing.T) {
	for _, lines := range []string{
		"",
		`users: id bigint *, name text, email text`,
		`users: id bigint *, name text, email text
		 posts: id bigint *, author_id bigint > users, title text
		 comments: id bigint *, post_id bigint > posts, user_id bigint > users, submitted_at date, score integer`,
		`customers: id bigint *, name text, email text
		 projects: id bigint *, title text, deadline date, owner_id bigint > customers
		 tickets: id bigint *, project_id bigint > projects, customer_id bigint > customers, status text`,
		`people: id bigint *, name text, email text, role text
		 tasks: id bigint *, title text, due_date date, assignee_id bigint > people
		 time_entries: id bigint *, task_id bigint ! > tasks, person_id bigint ! > people, submitted_at date, status text`,
	} {
		_, err := guess.Profile(described(t, lines))
		require.ErrorIs(t, err, guess.ErrNoLMS, lines)
		require.NotContains(t, err.Error(), "\n")
		require.Contains(t, err.Error(), "name the LMS's database, or its schema with --schema")
	}
}

func TestIntegersThatAreCalledLikeTimesAreSeconds(t *testing.T) {
	d := draft(t, school,
		`assignments: id bigint *, title text, author_id bigint > users, due bigint, closes_at bigint`,
		`submissions: id bigint *, assignment_id bigint > assignments, student_id bigint > users, submitted_at integer, score numeric`)
	require.True(t, d.Complete)
	asks(t, d, "times: are the integers due, closes_at and submitted_at seconds since 1970?")
	has(t, d, "times: unix", "due: due", "closes: closes_at", "submitted: {submitted_at: {min: 1}}")
}

// What other people's LMSs taught: a name that is nearly right is not right.
func TestColumnsThatAreAboutSomethingElseAreNotTaken(t *testing.T) {
	d := draft(t, school,
		`users: id bigint *, name text, sortable_name text, email text, email_verified text, role text = student teacher admin, locked_until timestamp with time zone`,
		`assignments: id bigint *, title text, author_id bigint > users, final_grader_id bigint > users, due_at date, could_be_locked boolean, assessment_due_at date`,
		`submissions: id bigint *, assignment_id bigint ! > assignments, user_id bigint ! > users, proxy_submitter_id bigint > users, graded_by bigint > users, submitted_at date, score numeric, published_score numeric, max_score numeric`)
	require.True(t, d.Complete)
	require.Empty(t, d.Questions)
	has(t, d, "name: name", "email: email", "teacher: author_id", "due: due_at", "student: user_id", "score: score")
	for _, word := range []string{"active:", "published:", "grader", "proxy"} {
		require.NotContains(t, string(d.YAML), "\n  "+word)
	}
	// An assignment that leads to a course only now and then does not belong to it.
	d = draft(t, school, `courses: id bigint *, title text`, `sections: id bigint *, course_id bigint > courses`,
		`assignments: id bigint *, title text, author_id bigint > users, due_at date, lesson_id bigint > lessons`,
		`lessons: id bigint *, course_id bigint ! > courses, title text`)
	asks(t, d, "assignment.course: which column is the key of its course (courses)?")
	d = draft(t, school, `courses: id bigint *, title text`,
		`assignments: id bigint *, title text, author_id bigint > users, due_at date, lesson_id bigint ! > lessons`,
		`lessons: id bigint *, course_id bigint ! > courses, title text`)
	has(t, d, "course: lesson_id -> lessons.course_id")
}

func TestTablesThatABuiltInProfileReadsAreLeftToIt(t *testing.T) {
	django, err := profile.Open("django")
	require.NoError(t, err)
	var lines []string
	for _, spec := range django.Tables() {
		line := spec.Name + ": id bigint *"
		for _, c := range spec.Columns {
			if c != "id" {
				line += ", " + c + map[bool]string{true: " bigint", false: " text"}[strings.HasSuffix(c, "_id")]
			}
		}
		lines = append(lines, line)
	}
	d := draft(t, lines...)
	require.Equal(t, "All that the built-in profile django reads is there. Rather use that: --profile django", d.Fits)
	require.Contains(t, string(d.YAML), "# "+d.Fits)
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "grade text", "mark_given text")
	}
	require.Equal(t, "The built-in profile django fits but for assignments_assignmentsubmission.grade. Rather begin a file with extends: django, and override what reads that",
		draft(t, lines...).Fits)
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "_name text", "_called text")
	}
	require.Empty(t, draft(t, lines...).Fits, "much of it is not there")
	require.Empty(t, draft(t, school).Fits)
}

// Whatever tables are called, and whatever values they hold, the file is YAML.
func TestNamesAndValuesThatYAMLWouldMistakeAreQuoted(t *testing.T) {
	d := draft(t, school,
		`users: id bigint *, full-name text, email text, role text = yes teacher student 1`,
		`assignments: id bigint *, title text, author_id bigint > users, due_at date, status text = draft no new`)
	require.True(t, d.Complete, "%s", d.YAML)
	has(t, d, "published: {status: {not: [draft, new]}}")

	c := described(t, school, `pupil rows: id bigint *, user_id bigint ! > users, tutor_id bigint > users`,
		`submissions: id bigint *, assignment_id bigint ! > assignments, student_id bigint ! > pupil rows, submitted_at date, score numeric`)
	c.Tables[0].Columns[1].Name = "Full Name"
	c.Tables[0].Columns[3].Values = []string{"student", "teacher", "x\ny: z"}
	c.Tables[1].Columns[1].Name = "title\nextends: django"
	c.Tables[2].Name = "given\nextends: django"
	odd, err := guess.Profile(c)
	require.NoError(t, err)
	require.True(t, odd.Complete, "%s", odd.YAML)
	has(t, odd, `name: "Full Name"`, `student: "student_id -> pupil rows.user_id"`, `tutor: "student_id -> pupil rows.tutor_id"`)
	require.NotContains(t, string(odd.YAML), "extends")
	require.NotContains(t, string(odd.YAML), "\ny: z")

	c = described(t, school)
	c.Database = "our: lms # 1"
	strange, err := guess.Profile(c)
	require.NoError(t, err)
	p, err := profile.Parse("draft.yaml", strange.YAML)
	require.NoError(t, err, "%s", strange.YAML)
	require.Equal(t, "our: lms # 1", p.Name())
}

func TestOnlyColumnsThatHoldAStateOrARoleAreLookedAt(t *testing.T) {
	people := guess.Table{Name: "users"}
	for name, want := range map[string]bool{"status": true, "workflow_state": true, "role": true, "kind": true, "name": false, "email": false, "password": false, "body": false, "title": false} {
		require.Equal(t, want, guess.WantsValues(people, guess.Column{Name: name, Type: "text"}), name)
	}
	require.False(t, guess.WantsValues(people, guess.Column{Name: "status", Type: "timestamp with time zone"}))
	require.True(t, guess.WantsValues(guess.Table{Name: "user_roles"}, guess.Column{Name: "name", Type: "text"}))
}

// The list of words is data; what is not understood there would be ignored.
func TestEveryLineOfTheWordsIsUnderstood(t *testing.T) {
	src, err := os.ReadFile("words.txt")
	require.NoError(t, err)
	seen := map[string]bool{}
	var code []byte
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, f := range files {
		src, err := os.ReadFile(f)
		require.NoError(t, err)
		code = append(code, src...)
	}
	for line := range strings.Lines(string(src)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		require.Regexp(t, `^[a-z]+(\.[a-z]+)? -?[0-9]+( [a-z0-9]+(_[a-z0-9]+)*)+$`, line)
		fields := strings.Fields(line)
		for _, word := range fields[2:] {
			require.False(t, seen[fields[0]+" "+word], "%s: %s stands there twice", fields[0], word)
			seen[fields[0]+" "+word] = true
		}
		require.True(t, strings.HasPrefix(fields[0], "value.") || strings.Contains(string(code), strconv.Quote(fields[0])), "nobody asks for %s", fields[0])
	}
}
