package profile_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// Promise: a test that does not fit what a path ends at is told when the table where it
// ends is bound, and one on the row itself when that is.
func TestATestThatCannotFitThePathsEndIsToldWithItsTable(t *testing.T) {
	p := parse(t, `
extends: django
lookup: {mail: {from: mails, key: person_id, first: place}}
submission: {gone: {student_id -> mail.state: closed, x: true}, where: {student_id -> mail.ends: past}}
grade: {hidden: {student_id -> mail.size: {min: 3}}}
`)
	mails := func(state, ends, size int) *cdc.Table {
		return table("mails", "id", int8s, "person_id", int8s, "place", int4s, "state", state, "ends", ends, "size", size)
	}
	_, err := p.Bind(mails(text, tstz, int4s))
	require.NoError(t, err)
	_, err = p.Bind(mails(boolean, int8s, text))
	require.EqualError(t, err, `table public.mails: submission.where is column "student_id -> mail.ends", an integer; if it counts seconds since 1970 the profile needs the line times: unix`+"\n"+
		`table public.mails: submission.gone tests column "student_id -> mail.state" for "closed", but the column is a boolean; write true or false`+"\n"+
		`table public.mails: grade.hidden tests min or below on column "student_id -> mail.size", which is text; write a list of values`)

	works := submissions(number)
	works.Columns = append(works.Columns, cdc.Column{Name: "x", Type: text})
	_, err = p.Bind(works)
	require.NoError(t, err)
	works.Columns[5].Type = int4s
	_, err = p.Bind(works)
	require.EqualError(t, err, `table public.assignments_assignmentsubmission: submission.gone tests column "x" for "true", but the column is a number; write a number, such as 1 for true`)
}

func TestAMissingColumnOfAPathIsAnsweredWithThePath(t *testing.T) {
	p := parse(t, `
extends: django
lookup:
  mail: {from: mails, key: person_id, where: {place -> places.open: true}, first: place}
  pair: {from: pairs, key: [a, b]}
user: {email: id -> mail.path}
submission: {gone: {student_id + (assignment_id -> assignments_assignment.owner_id) -> pair.state: [b, student_id], student_id: 7}}
`)
	for _, c := range []struct{ table, column, near, want string }{
		{"mails", "path", "paths", "names in user.email; it has \"paths\": in school.yaml write `user: {email: id -> mail.paths}`"},
		{"mails", "person_id", "persons_id", "in school.yaml write `lookup: {mail: {key: persons_id}}`"},
		{"mails", "place", "places", "`lookup: {mail: {where: {places -> places.open: true}, first: places}}`"},
		{"places", "open", "opens", "`lookup: {mail: {where: {place -> places.opens: true}}}`"},
		{"accounts_user", "id", "idd", "names in user.email; it has \"idd\": in school.yaml write `user: {email: idd -> mail.path}`"},
		{"assignments_assignment", "owner_id", "owners_id",
			"`submission: {gone: {student_id + (assignment_id -> assignments_assignment.owners_id) -> pair.state: [b, student_id], student_id: 7}}`"},
		{"assignments_assignmentsubmission", "student_id", "pupil_student_id", "name one of pupil_student_id"},
		{"assignments_assignmentsubmission", "student_id", "students_id",
			"gone: {students_id + (assignment_id -> assignments_assignment.owner_id) -> pair.state: [b, student_id], students_id: 7}"},
		{"pairs", "b", "bb", "name one of bb"},
	} {
		err := p.MissingColumn("public", c.table, c.column, []string{c.near})
		require.ErrorContains(t, err, c.want)
	}
}

func TestPrefixNamesTheTablesOfPaths(t *testing.T) {
	p := parse(t, "extends: django\nprefix: x_\nuser: {email: id -> mails.path}\n")
	require.Equal(t, cdc.TableSpec{Schema: "public", Name: "x_mails", Columns: []string{"id", "path"}}, p.Tables()[0])
	require.Equal(t, 2, p.Lookups())
	require.False(t, p.LookupMany(0))
}

func TestATutorMayBeSeveralStepsAway(t *testing.T) {
	for yaml, byStudent := range map[string]bool{
		"submission: {tutor: student_id -> profile.tutor_id}":                                                   true,
		"submission: {tutor: ' student_id  ->profile.tutor_id'}":                                                true,
		"submission: {tutor: student_id -> accounts_user.tutor_id}":                                             true,
		"submission: {tutor: author_id -> profile.tutor_id}":                                                    false,
		"submission: {tutor: student_id -> profile.class_id -> classes.tutor_id}":                               false,
		"lookup: {profile: {first: place}}":                                                                     false,
		"lookup: {profile: {where: {place: 1}}}":                                                                false,
		"lookup: {profile: {key: user_id -> people.id}}":                                                        false,
		"submission: {tutor: student_id -> profile.tutor_id, gone: {student_id -> profile.tutor_id: absent}}":   true,
		"submission: {student: [student_id, year], tutor: student_id -> profile.tutor_id}":                      false,
		"lookup: {profile: {key: [user_id, year]}}\nsubmission: {tutor: student_id + year -> profile.tutor_id}": false,
		"lookup: {profile: {split: ','}}":                                                                       false,
	} {
		p := parse(t, "extends: django\n"+yaml+"\n")
		lookup, column, ok := p.TutorPath()
		require.Equal(t, byStudent, ok, yaml)
		if ok {
			require.Less(t, lookup, p.Lookups())
			require.Zero(t, column)
			for _, d := range p.Derived() {
				require.Contains(t, yaml, "gone", d.Name())
			}
		}
	}
}

func TestAKeyMayBeSeveralColumns(t *testing.T) {
	p := parse(t, "extends: django\nsubmission: {student: [year, student_id], tutor: tutor_id}\nassignment: {teacher: [year, author_id]}\n")
	b := bind(t, p, table("assignments_assignmentsubmission", "id", int8s, "assignment_id", int8s, "student_id", text, "submitted_at", tstz, "grade", number, "year", int4s, "tutor_id", int8s))
	got, ok := b.Submission.Read(row("1", "2", "a:b", nil, nil, "2026", "9"), profile.SubmissionFields{})
	require.True(t, ok)
	require.Equal(t, cdc.TextID(`2026:a\:b`), got.Student)
	again, _ := b.Submission.Read(row("1", "2", cdc.Unchanged, nil, nil, "2026", "9"), got)
	require.Equal(t, got, again)
	got, _ = b.Submission.Read(row("1", "2", nil, nil, nil, "2026", "9"), got)
	require.Zero(t, got.Student, "a part of it is NULL")
}

func TestAMembershipIsMadeForEachCombination(t *testing.T) {
	p := parse(t, `
extends: django
assignment: {course: course_id}
lookup:
  chiefs: {from: chiefs, key: account_id, many: true}
  rooms: {from: rooms, key: account_id, many: true}
member:
  from: accounts
  user: id -> chiefs.person_id
  course: id -> rooms.course_id
  teacher: {id -> chiefs.kind: head}
  tutor: {id -> chiefs.kind: {not: head}, id -> rooms.open: true}
  student: {course_section_id -> chiefs.kind: head}
admin: {from: accounts, user: id -> chiefs.person_id, where: {id -> chiefs.kind: head}}
`)
	s := newSchool(t, p)
	s.put(table("chiefs", "id", int8s, "account_id", int8s, "person_id", int8s, "kind", text),
		row("1", "5", "70", "head"), row("2", "5", "71", "helper"), row("3", "5", nil, "head"), row("4", "6", "70", "helper"))
	s.put(table("rooms", "id", int8s, "account_id", int8s, "course_id", int8s, "open", boolean), row("1", "5", "10", "t"), row("2", "5", "11", "f"))
	s.put(table("accounts", "id", int8s, "course_section_id", int8s), row("5", "6"), row("6", "5"))
	members := func(id string) (out []profile.MemberFields) {
		b, rows, _ := s.rows("member", id)
		for _, r := range rows {
			if m, ok := b.Members[0].Read(r, profile.MemberFields{}); ok {
				out = append(out, m)
			}
		}
		return out
	}
	id := cdc.IntID
	require.Equal(t, []profile.MemberFields{
		{User: id(70), Course: id(10), Teacher: true}, {User: id(70), Course: id(11), Teacher: true},
		{User: id(71), Course: id(10), Tutor: true}, {User: id(71), Course: id(11)},
	}, members("5"), "what an entry says of a found row is said of the one that the membership is of")
	require.Empty(t, members("6"), "of no course")

	b, rows, _ := s.rows("admin", "5")
	require.Len(t, rows, 1)
	who, ok := b.Admins[0].Read(rows[0], nil)
	require.True(t, ok)
	require.Equal(t, []cdc.ID{id(70), id(71)}, who, "one of them is a head, so it holds")
	_, rows, _ = s.rows("admin", "6")
	_, ok = b.Admins[0].Read(rows[0], who)
	require.False(t, ok)
}

// Promise: a column that the log does not carry never changes anything.
func TestARowIsHeldWithWhatTheLogDoesNotCarry(t *testing.T) {
	p := parse(t, "extends: django\nsubmission: {where: {kind: essay, student_id -> pupils.here: true}, gone: {kind: {not: essay}}}\n")
	works := submissions(number)
	works.Columns = append(works.Columns, cdc.Column{Name: "kind", Type: text})
	b := bind(t, p, works)
	require.Nil(t, b.Submission)
	require.Nil(t, b.Grade, "it is read with the row that it stands in")
	f := b.Feeds[0]
	held, ok := f.Hold([]byte("x"), row("1", "2", "3", nil, nil, "essay"), nil)
	require.True(t, ok)
	require.Equal(t, byte('x'), held[0])
	held = held[1:]
	same, ok := f.Hold(nil, row(binary(t, int8s, 1), binary(t, int8s, 2), cdc.Unchanged, nil, nil, cdc.Unchanged), held)
	require.True(t, ok)
	require.Equal(t, held, same, "whatever form the log has")
	_, ok = f.Hold(nil, row("1", "2", "3", nil, nil, "quiz"), held)
	require.False(t, ok, "the row alone says that it is none")
	unknown, ok := f.Hold(nil, row("1", "2", "3", nil, nil, cdc.Unchanged), nil)
	require.True(t, ok)

	s := newSchool(t, p)
	s.put(table("pupils", "id", int8s, "here", boolean), row("3", "t"))
	d := p.Derived()[0]
	section, rows, _, err := d.Rows(held, s.now, s)
	require.NoError(t, err)
	work, ok := section.Submission.Read(rows[0], profile.SubmissionFields{})
	require.True(t, ok)
	require.False(t, work.Gone)
	require.Zero(t, section.Grade.Read(rows[0], 0))
	section, rows, _, err = d.Rows(unknown, s.now, s)
	require.NoError(t, err)
	_, ok = section.Submission.Read(rows[0], profile.SubmissionFields{})
	require.False(t, ok, "unknown, and unknown before")
	for cut := range held {
		_, _, _, err = d.Rows(held[:cut], s.now, s)
		require.EqualError(t, err, "a remembered row is cut short")
	}
	_, _, _, err = d.Rows(append(held, 0), s.now, s)
	require.Error(t, err)
}

// Promise: a Profile may be used from any goroutine.
func TestDerivedSectionsMayBeEvaluatedFromAnyGoroutine(t *testing.T) {
	p := parse(t, "extends: django\nsubmission: {gone: {student_id -> pupils.left: present}}\n")
	var wg sync.WaitGroup
	for _, typ := range []int{int8s, int4s, int2s, text, number, uuid} {
		wg.Go(func() {
			works := submissions(number)
			works.Columns[2].Type = uint32(typ)
			b, err := p.Bind(works)
			if err != nil {
				t.Error(err)
				return
			}
			held, _ := b.Feeds[0].Hold(nil, row("1", "2", "3", nil, nil), nil)
			for range 50 {
				section, rows, _, err := p.Derived()[0].Rows(held, time.Time{}, nothing{})
				if err != nil {
					t.Error(err)
					return
				}
				if work, ok := section.Submission.Read(rows[0], profile.SubmissionFields{}); !ok || work.Student.String() != "3" {
					t.Error("misread")
				}
			}
		})
	}
	wg.Wait()
}

type nothing struct{}

func (nothing) Find(int, cdc.ID) []*profile.LookupRecord { return nil }

// Promise: the hash changes exactly when the meaning of rows does.
func TestTheHashHangsOnPathsAndLookups(t *testing.T) {
	const base = `
extends: django
lookup:
  mail: {from: mails, key: person_id, where: {state: active}, first: place}
user: {email: id -> mail.path}
`
	hash := func(more string) string { return parse(t, base+more+"\n").Hash() }
	want := hash("")
	renamed := parse(t, "extends: django\nlookup: {post: {first: place, where: {state: active}, key: person_id, from: mails}}\nuser: {email: id->post.path}\n")
	require.Equal(t, want, renamed.Hash(), "what a lookup is called means nothing")
	require.Equal(t, want, hash("keep: [tenant_id]"))
	require.Equal(t, want, hash("assignment: {title: title}"))
	seen := map[string]string{want: "base"}
	for _, yaml := range []string{
		"assignment: {by_section: {a: 1}}", "assignment: {anonymous: {a: 1}}", "submission: {group: g}", "submission: {group: g, group_name: n}",
		"submission: {attempt: a}", "grade: {auto: {a: 1}}", "grade: {from: grades, submission: s}", "grade: {from: grades, submission: t}",
		"grade: {from: grades, submission: s, where: {a: 1}}", "grade: {from: grades, assignment: a, student: b}",
		"grade: {from: grades, assignment: a, student: b, attempt: c}", "grade: {from: grades, assignment: a, student: b, group: c}",
		"submission: {gone: {a: past}}", "submission: {gone: {a: future}}", "submission: {gone: {a: {not: future}}}", "submission: {student: [student_id, a]}",
		"submission: {gone: {id -> mail.path: present}}", "submission: {gone: {id -> mail.other: present}}",
	} {
		h := hash(yaml)
		require.Empty(t, seen[h], yaml)
		seen[h] = yaml
	}
	for _, lookup := range []string{
		"{from: posts, key: person_id, where: {state: active}, first: place}", "{from: mails, key: user_id, where: {state: active}, first: place}",
		"{from: mails, key: person_id, where: {state: used}, first: place}", "{from: mails, key: person_id, where: {state: active}}",
		"{from: mails, key: person_id, where: {state: active}, first: place, split: ','}", "{from: mails, key: person_id, first: place}",
		"{from: mails, key: person_id -> people.id, where: {state: active}, first: place}",
	} {
		h := parse(t, "extends: django\nlookup: {mail: "+lookup+"}\nuser: {email: id -> mail.path}\n").Hash()
		require.Empty(t, seen[h], lookup)
		seen[h] = lookup
	}

	_, graded := parse(t, base).Marks()
	for yaml, same := range map[string]bool{
		"grade: {from: grades, submission: s}":        false,
		"grade: {again: id -> mail.path}":             false,
		"grade: {hidden: {id -> mail.path: present}}": true,
		"submission: {again: attempt, group: team}":   true,
	} {
		_, now := parse(t, base+yaml+"\n").Marks()
		require.Equal(t, same, graded == now, yaml)
	}
}
