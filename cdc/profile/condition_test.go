package profile_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// gone binds a condition on the column x of a type and tells whether it holds.
func gone(t testing.TB, condition string, typ int, value any) bool {
	t.Helper()
	p, err := profile.Parse("school.yaml", []byte("extends: django\nsubmission: {gone: "+condition+"}\n"))
	require.NoError(t, err)
	sub := submissions(number)
	sub.Columns = append(sub.Columns, cdc.Column{Name: "x", Type: uint32(typ)})
	got, ok := bind(t, p, sub).Submission.Read(row("1", "1", "1", nil, nil, value), profile.SubmissionFields{})
	require.True(t, ok)
	return got.Gone
}

func TestConditionsHold(t *testing.T) {
	for _, c := range []struct {
		condition string
		typ       int
		value     any
		want      bool
	}{
		{"{x: closed}", text, "closed", true},
		{"{x: closed}", text, "closed ", false},
		{"{x: closed}", text, []byte("closed"), true},
		{"{x: closed}", bpchar, "closed  ", true},
		{"{x: closed}", enum, "closed", true},
		{"{x: closed}", enum, []byte("closed"), true},
		{"{x: closed}", enum, "open", false},
		{"{x: [closed, shut]}", text, "shut", true},
		{"{x: [closed, shut]}", text, "open", false},
		{"{x: 7}", text, "7", true},
		{"{x: 7}", text, "7.0", false},
		{`{x: "present"}`, text, "present", true},
		{`{x: "present"}`, text, "absent", false},
		{"{x: true}", text, "true", true},

		{"{x: true}", boolean, "t", true},
		{"{x: true}", boolean, "f", false},
		{"{x: false}", boolean, "f", true},
		{"{x: true}", boolean, []byte{1}, true},
		{"{x: false}", boolean, []byte{0}, true},
		{"{x: true}", enum, "t", true},

		{"{x: 0}", number, "0.00", true},
		{"{x: 0}", number, "-0.00", true},
		{"{x: 0}", number, "0.01", false},
		{"{x: 78.5}", number, "78.50000", true},
		{"{x: -1}", number, "-1.00000", true},
		{"{x: -1}", number, "1", false},
		{`{x: "7"}`, int4s, "7", true},
		{"{x: 7}", int4s, binary(t, int4s, 7), true},
		{"{x: -7}", int2s, binary(t, int2s, -7), true},
		{"{x: 9007199254740993}", int8s, "9007199254740992", false},
		{"{x: 9007199254740993}", int8s, binary(t, int8s, 9007199254740993), true},
		{"{x: 100000000000000000000}", float8s, "1e+20", true},
		{"{x: 2.5}", float8s, binary(t, float8s, 2.5), true},
		{"{x: 2.5}", float8s, binary(t, float8s, math.NaN()), false},
		{"{x: [1, 2]}", int4s, "2", true},
		{"{x: 0}", enum, "0.00", true},
		{"{x: 0}", enum, "zero", false},

		{"{x: {min: 0}}", number, "0", true},
		{"{x: {min: 0}}", number, "-1.00000", false},
		{"{x: {min: 0}}", number, "10", true},
		{"{x: {min: 9}}", number, "10", true},
		{"{x: {below: 9}}", number, "10", false},
		{"{x: {below: 0}}", number, "-10", true},
		{"{x: {below: -2}}", number, "-10", true},
		{"{x: {below: 0.5}}", number, "0.49999", true},
		{"{x: {min: 1, below: 3}}", int4s, "3", false},
		{"{x: {min: 1, below: 3}}", int4s, "2", true},
		{"{x: {min: 1}}", number, "NaN", true},
		{"{x: {min: 1}}", number, "Infinity", true},
		{"{x: {below: 1}}", number, "-Infinity", true},
		{"{x: {min: 1}}", number, binary(t, int4s, 1), false},

		{"{x: present}", tstz, "2026-11-22", true},
		{"{x: present}", tstz, nil, false},
		{"{x: absent}", tstz, nil, true},
		{"{x: absent}", text, "", false},
		{"{x: present}", text, cdc.Unchanged, true},
		{"{x: absent}", text, cdc.Unchanged, false},

		{"{x: 6F1C8D2E-0000-4000-8000-0123456789AB}", uuid, "6f1c8d2e-0000-4000-8000-0123456789ab", true},

		{"{x: {not: closed}}", text, "open", true},
		{"{x: {not: closed}}", text, "closed", false},
		{"{x: {not: {not: closed}}}", text, "closed", true},
		{"{x: {not: [a, b]}}", text, "b", false},
		{"{x: {not: {min: 3}}}", int4s, "3", false},
		{"{x: {not: present}}", int4s, nil, true},

		{"[{x: a}, {x: b}]", text, "b", true},
		{"[{x: a}, {x: b}]", text, "c", false},
		{"{x: present, id: 1}", text, "c", true},
		{"{x: present, id: 2}", text, "c", false},
		{"[{x: a, id: 2}, {x: a, id: 1}]", text, "a", true},
	} {
		require.Equal(t, c.want, gone(t, c.condition, c.typ, c.value), "%s on %v of type %d", c.condition, c.value, c.typ)
	}
}

// Promise: NULL never equals a value, and `not` of that is true.
func TestNULLNeverEqualsAValueAndNotOfThatIsTrue(t *testing.T) {
	for _, test := range []string{"0", "[0, 1]", "{min: 0}", "{below: 1}", "{min: 0, below: 1}"} {
		require.False(t, gone(t, "{x: "+test+"}", int4s, nil), test)
		require.True(t, gone(t, "{x: {not: "+test+"}}", int4s, nil), test)
	}
	require.False(t, gone(t, "{x: false}", boolean, nil))
	require.True(t, gone(t, "{x: {not: true}}", boolean, nil))
}

func marks(t testing.TB, again string, columns ...any) func(values ...any) profile.Mark {
	t.Helper()
	p, err := profile.Parse("school.yaml", []byte("extends: django\ngrade: {graded: {a: present}, again: "+again+", score: a}\n"))
	require.NoError(t, err)
	sub := submissions(number)
	more := table("", columns...).Columns
	for i := range more {
		more[i].Key = false
	}
	sub.Columns = append(sub.Columns, more...)
	b := bind(t, p, sub)
	return func(values ...any) profile.Mark {
		return b.Grade.Read(append(row("1", "1", "1", nil, nil), row(values...)...), 0)
	}
}

func TestAMarkIsZeroExactlyWhileTheConditionDoesNotHold(t *testing.T) {
	mark := marks(t, "[a, b]", "a", number, "b", text)
	require.Zero(t, mark(nil, "x"))
	seen := map[profile.Mark]string{}
	for _, values := range [][]any{{"0", nil}, {"0", ""}, {"1", ""}, {"-1", ""}, {"1", "1"}, {"11", ""}, {"0.1", ""}, {"1.1", ""}} {
		m := mark(values...)
		require.NotZero(t, m)
		require.Empty(t, seen[m], values)
		seen[m] = fmt.Sprint(values)
	}
	texts := marks(t, "[a, b]", "a", text, "b", text)
	require.NotEqual(t, texts("ab", "c"), texts("a", "bc"), "lengths are part of it")
	const inner = "\x05\x00\x00\x00\x00" // as a hash without lengths would join two values
	require.NotEqual(t, texts("x", "y"+inner+"z"), texts("x"+inner+"y", "z"), "whatever they contain")
	require.NotEqual(t, texts("a", nil), texts("a", ""))
	require.NotZero(t, marks(t, "a", "a", number)("0"), "a grade of 0 is a grade")
}

// Promise: the same value gives the same mark, in text or binary form, in whatever
// zone the server prints times, and whether a number is printed 78.5 or 78.50.
func TestTheSameValueGivesTheSameMarkHoweverItIsPrinted(t *testing.T) {
	for _, c := range []struct {
		typ   int
		equal []any
	}{
		{number, []any{"78.5", "78.50", "78.50000", "078.5"}},
		{number, []any{"0", "0.00", "-0.0"}},
		{int4s, []any{"7", binary(t, int4s, 7)}},
		{int8s, []any{"-7", binary(t, int8s, -7)}},
		{float8s, []any{"1e+20", "100000000000000000000", binary(t, float8s, 1e20)}},
		{tstz, []any{"2000-01-01 00:00:01+00", "2000-01-01 05:30:01+05:30", []byte{0, 0, 0, 0, 0, 15, 66, 64}}},
		{ts, []any{"2000-01-01 00:00:01", []byte{0, 0, 0, 0, 0, 15, 66, 64}}},
		{boolean, []any{"t", []byte{1}}},
		{boolean, []any{"f", []byte{0}}},
		{text, []any{"A", []byte("A")}},
		{tstz, []any{"infinity"}},
	} {
		mark := marks(t, "a", "a", c.typ)
		for _, v := range c.equal {
			require.NotZero(t, mark(v))
			require.Equal(t, mark(c.equal[0]), mark(v), "%v of type %d", v, c.typ)
		}
	}
	require.Equal(t, marks(t, "a", "a", int4s)("78"), marks(t, "a", "a", number)("78.00"), "an altered type is no new grade")
}

// Promise: reading conditions and marks allocates nothing.
func TestReadingConditionsAndMarksAllocatesNothing(t *testing.T) {
	b := bind(t, open(t, "django"), submissions(number))
	r := row("1", "2", "3", "2026-11-22 21:05:11.123456+00", "78.50000")
	var score pgtype.Numeric
	require.NoError(t, score.Scan("78.50000"))
	r2 := row("1", "2", "3", binary(t, int8s, 5), binary(t, number, score))
	was, _ := b.Submission.Read(r, profile.SubmissionFields{})
	dst := make([]byte, 0, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for _, r := range [][]cdc.Value{r, r2} {
			b.Key(r)
			b.Submission.Read(r, was)
			b.Grade.Read(r, 0)
			b.Grade.AppendScore(dst, r)
		}
	}))

	a := bind(t, open(t, "django"), assignments())
	ar := row("1", "Essay", "Write.", "7", "closed", "2026-11-22 21:05:11.123456+00")
	fields, _ := a.Assignment.Read(ar, profile.AssignmentFields{})
	require.Zero(t, testing.AllocsPerRun(100, func() { a.Assignment.Read(ar, fields) }), "a save that changes nothing")
	for _, c := range []string{"{x: {min: 1, below: 3}}", "{x: [1, 2.5]}", "{x: {not: 1}}"} {
		p := parse(t, "extends: django\nsubmission: {gone: "+c+"}\n")
		sub := submissions(number)
		sub.Columns = append(sub.Columns, cdc.Column{Name: "x", Type: float8s})
		b := bind(t, p, sub)
		for _, x := range []any{"2.5", "1e+20", binary(t, float8s, 2.5)} {
			r := row("1", "2", "3", nil, nil, x)
			require.Zero(t, testing.AllocsPerRun(100, func() { b.Submission.Read(r, profile.SubmissionFields{}) }), "%s %v", c, x)
		}
	}
}

// Promise: evaluating a held row allocates nothing where keys are integers.
func TestEvaluatingAHeldRowAllocatesNothing(t *testing.T) {
	p := parse(t, `
extends: django
submission: {where: {student_id -> pupils.here: true, student_id -> pupils.until: {not: past}}, tutor: student_id -> pupils.class -> classes.tutor}
`)
	s := newSchool(t, p)
	s.put(table("pupils", "id", int8s, "here", boolean, "until", tstz, "class", int8s), row("3", "t", "infinity", "9"))
	s.put(table("classes", "id", int8s, "tutor", int8s), row("9", "70"))
	find := records{p: p, found: map[int][]*profile.LookupRecord{}}
	for k, rows := range s.records {
		find.found[k.lookup] = append(find.found[k.lookup], rows[k.key.String()])
	}
	var finder profile.Finder = find
	f := bind(t, p, submissions(number)).Feeds[0]
	r := row("1", "2", "3", "2026-11-22 21:05:11+00", "78.5")
	held, _ := f.Hold(nil, r, nil)
	e, room := p.Derived()[0].Evaluator(), make([]byte, 0, 256)
	var was profile.SubmissionFields
	require.Zero(t, testing.AllocsPerRun(100, func() {
		f.Hold(room, r, held)
		b, rows, _, _ := e.Rows(held, s.now, finder)
		was, _ = b.Submission.Read(rows[0], was)
	}))
	require.Equal(t, cdc.IntID(70), was.Tutor)
}
