package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// newCollege is the LMS of campus_roles.yaml with few rows, so that a reader can judge
// what is said of them.
func newCollege(t *testing.T) (url string) {
	url = pgtest.Database(t)
	_, err := connectTo(t, url).Exec(t.Context(), `
		CREATE TABLE people (id bigint PRIMARY KEY, email text, name text, role text, active boolean);
		CREATE TABLE courses (id bigint PRIMARY KEY, name text, state text);
		CREATE TABLE enrolments (id bigint PRIMARY KEY, person_id bigint, course_id bigint, section_id bigint, kind text, limited boolean, state text);
		CREATE TABLE assignments (id bigint PRIMARY KEY, course_id bigint, author_id bigint, title text, body text, state text, due_at timestamptz, closes_at timestamptz);
		CREATE TABLE assignment_students (id bigint PRIMARY KEY, assignment_id bigint, person_id bigint);
		CREATE TABLE submissions (id bigint PRIMARY KEY, assignment_id bigint, person_id bigint, handed_in_at timestamptz, attempt int, score numeric(6, 2), posted_at timestamptz);
		INSERT INTO people VALUES (1, 'root@c.example', 'Ada Root', 'admin', true), (2, 'tea@c.example', 'Tea Cher', 'teacher', true),
			(3, 'left@c.example', 'Lef Teacher', 'teacher', false), (4, 'ta@c.example', 'Tim Tutor', 'ta', true), (5, 'tb@c.example', 'Tom Tutor', 'ta', true),
			(6, 'own@c.example', 'Owen Owner', 'guest', true), (7, 'sue@c.example', 'Sue Dent', 'student', true);
		INSERT INTO courses VALUES (70, 'Art', 'available'), (71, 'Old art', 'archived');
		INSERT INTO enrolments VALUES (12, 2, 70, NULL, 'teacher', false, 'active'), (13, 3, 70, NULL, 'teacher', false, 'active'),
			(14, 4, 70, 701, 'ta', true, 'active'), (15, 5, 70, 702, 'ta', true, 'active'), (16, 7, 70, 702, 'student', false, 'active'), (17, 9, 70, NULL, 'teacher', false, 'active'),
			(18, 2, 70, NULL, 'teacher', false, 'ended');
		INSERT INTO assignments VALUES (30, 70, 6, 'Still life', 'Paint.', 'open', NULL, NULL), (31, 71, 2, 'Fresco', '', 'draft', NULL, NULL);
		INSERT INTO assignment_students VALUES (40, 30, 7);
		INSERT INTO submissions VALUES (50, 30, 7, '2026-11-28 10:00:00+00', 1, 0, NULL)`)
	require.NoError(t, err)
	return url
}

// explained is what profile explain says of a row.
func explained(t *testing.T, url, row string, more ...string) string {
	t.Helper()
	file := filepath.Join("..", "..", "cdc", "profile", "testdata", "campus_roles.yaml")
	code, out := schoolbell(t, append([]string{"profile", "explain", file, "--row", row, "--database", url}, more...)...)
	require.Zero(t, code, out)
	return out
}

func TestExplainSaysOfASubmissionWhatIsBelievedAndWhoHearsOfItAndWhy(t *testing.T) {
	t.Parallel()
	url := newCollege(t)
	const before = `row 50 of table public.submissions

section submission reads
  assignment       assignment_id = 30
  student          person_id = 7
  at               handed_in_at = 2026-11-28 10:00:00+00
  again            attempt = 1
  submitted        yes, as handed_in_at = 2026-11-28 10:00:00+00 (present: yes)

section grade reads
  score            score = 0.00
  again            score = 0.00
  graded           yes, as score = 0.00 (present: yes)
  hidden           yes, as posted_at = NULL (absent: yes)

serve would believe, by section submission
  assignment       30 "Still life"
  course           70
  student          7 Sue Dent (student)
  tutor            nobody
  submitted        yes
  graded           yes
  hidden           yes
  gone             no
  counted          as done
`
	const see = `
  admin    1 Ada Root <root@c.example>: admin
  teacher  2 Tea Cher <tea@c.example>: teacher of course 70 by member row 12
  tutor    5 Tom Tutor <tb@c.example>: tutor of course 70 by member row 15
and not
  teacher  3 Lef Teacher <left@c.example>: teacher of course 70 by member row 13, but the person is not active
  teacher  6 Owen Owner <own@c.example>: owner of the assignment, but the person is none, not teacher
  teacher  9: teacher of course 70 by member row 17, but the section user reads nobody of this key
  tutor    4 Tim Tutor <ta@c.example>: tutor of course 70 by member row 14, but sees only section 701 of the course, and student 7 is in section 702
  student  7 Sue Dent <sue@c.example>: the student whose work it is, but `
	require.Equal(t, before+"\nan event submission would reach"+see+"students may not connect (the setting roles)\n"+
		"\nan event grade would reach"+see+"students may not connect (the setting roles)\n", explained(t, url, "submissions:50"))
	require.Equal(t, before+"\nan event submission would reach"+see+"they know that they handed it in\n"+
		"\nan event grade would reach"+see+"the grade is hidden from them yet\n", explained(t, url, "public.submissions:50", "--roles", "teacher,tutor,admin,student"))
}

func TestExplainSaysOfAnyRowWhatItIs(t *testing.T) {
	t.Parallel()
	url := newCollege(t)
	for row, want := range map[string][]string{
		"assignments:30": {
			"section assignment reads\n  title            title = Still life\n", "\n  published        yes, as state = open (not draft: yes)\n", "\n  open             yes\n",
			"\nan event assignment or assignment_closed would reach\n" +
				"  admin    1 Ada Root <root@c.example>: admin\n" +
				"  teacher  2 Tea Cher <tea@c.example>: teacher of course 70 by member row 12\n" +
				"  tutor    5 Tom Tutor <tb@c.example>: tutor of course 70 by member row 15 of student 7, to whom it is given by row 40\n",
			"  tutor    4 Tim Tutor <ta@c.example>: tutor of course 70 by member row 14 of student 7, to whom it is given by row 40, but sees only section 701",
		},
		"assignments:31":         {"\nno event assignment or assignment_closed: it is not published, and has not been; otherwise it would reach\n"},
		"assignment_students:40": {"\nserve would believe, by section assigned\n  assignment       30 \"Still life\"\n  student          7 Sue Dent (student)\n", "an event assignment or assignment_closed would reach"},
		"enrolments:15":          {"  own_section_only yes, as limited = t (true: yes)\n", "\n  is               tutor\n  own section only yes\n"},
		"enrolments:18":          {"  where            no, as state = ended (active: no)\n", "\nsection member leaves the row out: "},
		"courses:71":             {"  active           no, as state = archived (available: no)\n", "\n  active           no\n  assignments      1\n"},
		"courses:70":             {"\n  staff            5 Tom Tutor (tutor) is tutor by member row 15\n"},
		"people:2": {
			"\n  role             teacher: teacher by their own row\n  counts           0 pending, 0 ungraded, 1 active students, 2 assignments\n",
			"\n  staff            teacher of course 70 by member row 12\n",
		},
		"people:6": {"  role             role = guest\n", "\n  role             none: none by their own row\n"},
	} {
		out := explained(t, url, row)
		require.Contains(t, out, "row "+strings.SplitN(row, ":", 2)[1]+" of table public.")
		for _, text := range want {
			require.Contains(t, out, text, "%s", row)
		}
	}
}

func TestExplainSaysOfALookupWhoseTutorItNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	row := s.ask(`SELECT id::text FROM accounts_studentprofile WHERE tutor_id = $1 ORDER BY id LIMIT 1`, s.school.Tutors[0].ID)
	code, out := schoolbell(t, "profile", "explain", "django", "--database", s.url, "--row", "accounts_studentprofile:"+row)
	require.Zero(t, code, out)
	require.Contains(t, out, s.ask(`SELECT format(E'section lookup.profile reads\n  key              user_id = %s\n  column           tutor_id = %s\n', user_id, tutor_id)
		FROM accounts_studentprofile WHERE id = $1::bigint`, row))
	require.Contains(t, out, "\nserve would believe, by section lookup.profile\n")
	require.Contains(t, out, s.ask(`SELECT format(E'\n  tutor            %s %s %s (tutor)\n', id, first_name, last_name) FROM accounts_user WHERE id = $1`, s.school.Tutors[0].ID))
}

func TestExplainRefusesARowThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, c := range []struct {
		code int
		args []string
		want string
	}{
		{1, []string{"django", "--row", "accounts_user:0"}, `table public.accounts_user has no row with the key "0"; fix: give the row's primary key`},
		{2, []string{"django", "--row", "accounts_users:1"}, `--row names table accounts_users, which profile django does not read, the nearest known is accounts_user`},
		{2, []string{"django", "--row", "17"}, `--row is "17", want TABLE:ID, like --row assignments_assignmentsubmission:17`},
		{2, []string{"django"}, `--row is "", want TABLE:ID`},
		{2, []string{"djnago", "--row", "accounts_user:1"}, `profile "djnago" is neither built in`},
		{2, nil, `profile explain takes one profile, a built-in one (`},
	} {
		code, out := schoolbell(t, append(append([]string{"profile", "explain"}, c.args...), "--database", s.url)...)
		require.Equal(t, c.code, code, out)
		require.Contains(t, strings.Join(said(out), "\n"), c.want)
	}
}
