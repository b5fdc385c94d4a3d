package profile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

const (
	boolean, int8s, int2s, int4s, text      = 16, 20, 21, 23, 25
	float8s, bpchar, date, ts, tstz, number = 701, 1042, 1082, 1114, 1184, 1700
	uuid, enum                              = 2950, 70001
)

// table describes a table as "name type, …"; the first column is the key.
func table(name string, columns ...any) *cdc.Table {
	t := &cdc.Table{Schema: "public", Name: name, Identity: cdc.IdentityDefault}
	for i := 0; i < len(columns); i += 2 {
		t.Columns = append(t.Columns, cdc.Column{
			Name: columns[i].(string), Type: uint32(columns[i+1].(int)), Key: i == 0,
		})
	}
	return t
}

// row reads values as tests write them: nil is NULL, a string is text, bytes are
// binary, a cdc.ValueKind is itself.
func row(values ...any) []cdc.Value {
	out := make([]cdc.Value, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case nil:
			out[i] = cdc.Value{Kind: cdc.Null}
		case string:
			out[i] = cdc.Value{Kind: cdc.Text, Data: []byte(v)}
		case []byte:
			out[i] = cdc.Value{Kind: cdc.Binary, Data: v}
		case cdc.ValueKind:
			out[i] = cdc.Value{Kind: v}
		}
	}
	return out
}

// binary encodes a value as PostgreSQL does.
func binary(t testing.TB, oid uint32, v any) []byte {
	t.Helper()
	out, err := pgtype.NewMap().Encode(oid, pgtype.BinaryFormatCode, v, []byte{})
	require.NoError(t, err)
	return out
}

// tester is a test, or one try of a property.
type tester interface {
	require.TestingT
	Helper()
}

func bind(t tester, p *profile.Profile, table *cdc.Table) *profile.Binding {
	t.Helper()
	b, err := p.Bind(table)
	require.NoError(t, err)
	return b
}

func submissions(score int) *cdc.Table {
	return table("assignments_assignmentsubmission",
		"id", int8s, "assignment_id", int8s, "student_id", int8s, "submitted_at", tstz, "grade", score)
}

func TestAPersonIsRead(t *testing.T) {
	people := table("accounts_user", "id", int8s, "email", text, "first_name", text, "last_name", text,
		"role", text, "is_active", boolean)
	b := bind(t, open(t, "django"), people)
	r := row("7", "ann@school.test", "Ann", "Lee", "teacher", "t")
	got, ok := b.User.Read(r, cdc.Person{})
	require.True(t, ok)
	ann := cdc.Person{
		ID: cdc.IntID(7), Email: "ann@school.test", FirstName: "Ann", LastName: "Lee",
		Role: cdc.Teacher, Active: true,
	}
	require.Equal(t, ann, got)
	require.Equal(t, cdc.IntID(7), b.Key(r))

	got, _ = b.User.Read(row("7", "ann@school.test", "Ann", "Lee", "parent", "f"), ann)
	require.False(t, got.Active)
	require.Equal(t, cdc.NoRole, got.Role)

	got, _ = b.User.Read(row("7", nil, nil, "Lee", nil, nil), ann)
	require.Equal(t, cdc.Person{ID: cdc.IntID(7), LastName: "Lee"}, got)

	got, _ = b.User.Read(row(binary(t, int8s, 7), []byte("a"), []byte("A"), []byte("L"), []byte("admin"), []byte{1}), ann)
	require.Equal(t, cdc.Person{ID: cdc.IntID(7), Email: "a", FirstName: "A", LastName: "L", Role: cdc.Admin, Active: true}, got)
}

func TestRolesMapTheColumnsValues(t *testing.T) {
	p := parse(t, "extends: django\nuser: {role: kind, roles: {1: teacher, 9: admin}, where: {kind: {not: 5}}}\n")
	b := bind(t, p, table("accounts_user", "id", int8s, "email", text, "first_name", text, "last_name", text,
		"kind", int4s, "is_active", boolean))
	for value, want := range map[any]cdc.Role{"1": cdc.Teacher, "9": cdc.Admin, "2": cdc.NoRole, nil: cdc.NoRole} {
		got, ok := b.User.Read(row("1", "", "", "", value, "t"), cdc.Person{})
		require.True(t, ok)
		require.Equal(t, want, got.Role, value)
	}
	got, _ := b.User.Read(row("1", "", "", "", binary(t, int4s, 9), "t"), cdc.Person{})
	require.Equal(t, cdc.Admin, got.Role)
	_, ok := b.User.Read(row("1", "", "", "", "5", "t"), cdc.Person{})
	require.False(t, ok, "where does not hold: nobody of ours")
}

func assignments() *cdc.Table {
	return table("assignments_assignment", "id", int8s, "title", text, "description", text,
		"author_id", int8s, "status", text, "due_date", tstz)
}

func TestAnAssignmentIsRead(t *testing.T) {
	b := bind(t, open(t, "django"), assignments())
	long := strings.Repeat("é", 199) + "語語"
	got, ok := b.Assignment.Read(row("1", "Essay", long, "7", "published", "2026-11-22 21:05:11.123456+00"), profile.AssignmentFields{})
	require.True(t, ok)
	essay := profile.AssignmentFields{
		Title: "Essay", Description: strings.Repeat("é", 199) + "語", Teacher: cdc.IntID(7), Published: true, BySection: true,
		Due: time.Date(2026, 11, 22, 21, 5, 11, 123456000, time.UTC),
	}
	require.Equal(t, essay, got)

	got, _ = b.Assignment.Read(row("1", "Essay", strings.Repeat("x", 201), nil, "closed", nil), essay)
	require.Equal(t, strings.Repeat("x", 200), got.Description)
	got, _ = b.Assignment.Read(row("1", "Essay", "", nil, "closed", nil), essay)
	require.Equal(t, profile.AssignmentFields{Title: "Essay", Published: true, Closed: true, BySection: true}, got)
}

// Promise: a column that the log does not carry never changes anything.
func TestAColumnThatTheLogDoesNotCarryKeepsWhatWasKnown(t *testing.T) {
	const u = cdc.Unchanged
	p := open(t, "django")
	essay := profile.AssignmentFields{
		Title: "Essay", Description: "Write.", Teacher: cdc.IntID(7), Published: true, BySection: true, Closed: true,
		Due: time.Unix(1, 0).UTC(), Closes: time.Unix(2, 0).UTC(),
	}
	closes := parse(t, "extends: django\nassignment: {closes: closes_at}\n")
	got, ok := bind(t, closes, closing(tstz)).Assignment.Read(row("1", u, u, u, u, u, u), essay)
	require.True(t, ok)
	require.Equal(t, essay, got)

	b := bind(t, p, submissions(number))
	was := profile.SubmissionFields{Assignment: cdc.IntID(1), Student: cdc.IntID(2), Submitted: 99}
	sub, _ := b.Submission.Read(row("1", u, u, u, u), was)
	require.Equal(t, was, sub, "present holds on it, and the mark stays")
	require.Equal(t, profile.Mark(5), b.Grade.Read(row("1", "1", "2", nil, u), 5))
	require.NotZero(t, b.Grade.Read(row("1", "1", "2", nil, u), 0), "what is stored out of line is not NULL")
	require.Equal(t, "null", string(b.Grade.AppendScore(nil, row("1", "1", "2", nil, u))))

	states := submissions(number)
	states.Columns = append(states.Columns, cdc.Column{Name: "state", Type: text})
	g := bind(t, parse(t, "extends: django\ngrade: {graded: {state: done}}\n"), states).Grade
	require.Equal(t, profile.Mark(5), g.Read(row("1", "1", "2", nil, "9", u), 5))
	require.Zero(t, g.Read(row("1", "1", "2", nil, "9", u), 0))

	hidden := parse(t, "extends: django\nassignment: {where: {kind: essay}, published: {kind: essay}}\n")
	a := bind(t, hidden, table("assignments_assignment", "id", int8s, "title", text, "description", text,
		"author_id", int8s, "status", text, "due_date", tstz, "kind", text)).Assignment
	_, ok = a.Read(row("1", "", "", "7", "", nil, u), profile.AssignmentFields{})
	require.False(t, ok, "unknown, and unknown before")
	got, ok = a.Read(row("1", "", "", "7", "", nil, u), profile.AssignmentFields{Published: true})
	require.True(t, ok)
	require.True(t, got.Published)
}

func TestLookupsAndAssignedRowsAreRead(t *testing.T) {
	p := open(t, "django")
	l := bind(t, p, table("accounts_studentprofile", "id", int8s, "user_id", int8s, "tutor_id", int8s)).Lookups[0]
	require.Equal(t, 0, l.Index())
	record, ok := l.Read(row("1", "20", "30"), nil)
	require.True(t, ok)
	require.Equal(t, []cdc.ID{cdc.IntID(20)}, record.Keys())
	require.Equal(t, cdc.IntID(30), record.ID(0))
	none, ok := l.Read(row("1", "20", nil), record)
	require.True(t, ok)
	require.Zero(t, none.ID(0))
	same, ok := l.Read(row("1", "20", cdc.Unchanged), record)
	require.True(t, ok)
	require.Same(t, record, same)
	_, ok = l.Read(row("1", nil, "30"), record)
	require.False(t, ok, "nothing can find it")

	a := bind(t, p, table("assignments_assignment_assigned_to", "id", int8s, "assignment_id", int8s, "user_id", int8s)).Assigned
	assignment, student := a.Read(row("1", "2", "3"))
	require.Equal(t, []cdc.ID{cdc.IntID(2), cdc.IntID(3)}, []cdc.ID{assignment, student})
}

func TestTheKeyOfARowIsItsReplicaIdentity(t *testing.T) {
	p := open(t, "django")
	pair := table("assignments_assignment_assigned_to", "assignment_id", int8s, "user_id", text, "id", int8s)
	pair.Columns[1].Key = true
	require.Equal(t, cdc.TextID(`1:a\:b\\`), bind(t, p, pair).Key(row("1", `a:b\`, nil)))

	pair.Identity = cdc.IdentityFull
	require.Equal(t, cdc.IntID(9), bind(t, p, pair).Key(row("1", "a", "9")))

	pair.Columns[2].Name = "nr"
	_, err := p.Bind(pair)
	require.ErrorContains(t, err, `its replica identity is full and it has no column "id"`)
	_, err = p.Bind(&cdc.Table{Schema: "public", Name: "assignments_assignment_assigned_to", Identity: cdc.IdentityNothing})
	require.ErrorContains(t, err, "it has no replica identity to know a row by; give it a primary key")

	one := table("assignments_assignment_assigned_to", "id", uuid, "assignment_id", uuid, "user_id", uuid)
	const u = "6f1c8d2e-0000-4000-8000-0123456789ab"
	var parsed pgtype.UUID
	require.NoError(t, parsed.Scan(u))
	bin := binary(t, uuid, parsed)
	require.Equal(t, cdc.TextID(u), bind(t, p, one).Key(row(bin, bin, bin)), "a uuid is the same in both forms")
	require.Equal(t, cdc.TextID(u), bind(t, p, one).Key(row(u, u, u)))
}

func TestATableThatIsNotMappedConcernsNobody(t *testing.T) {
	b := bind(t, open(t, "django"), table("django_session", "session_key", text))
	require.Nil(t, b.User)
	require.Nil(t, b.Submission)
}

// closing is the table of assignments, each with a moment at which it closes.
func closing(typ int) *cdc.Table {
	t := without(assignments(), "due_date", "due_date", typ)
	t.Columns = append(t.Columns, cdc.Column{Name: "closes_at", Type: uint32(typ)})
	return t
}

func TestAnAssignmentMaySayWhenItClosesByItself(t *testing.T) {
	p := parse(t, "extends: django\nassignment: {closes: closes_at}\n")
	require.Equal(t, []string{"status", "title", "description", "author_id", "due_date", "closes_at"}, p.Tables()[2].Columns)
	a := bind(t, p, closing(tstz)).Assignment
	got, ok := a.Read(row("1", "Essay", "", "7", "published", nil, "2026-11-22 21:05:11.123456+00"), profile.AssignmentFields{})
	require.True(t, ok)
	essay := profile.AssignmentFields{
		Title: "Essay", Teacher: cdc.IntID(7), Published: true, BySection: true, Closes: time.Date(2026, 11, 22, 21, 5, 11, 123456000, time.UTC),
	}
	require.Equal(t, essay, got, "that the moment has passed or not is none of the row's business")
	again, _ := a.Read(row("1", "Essay", "", "7", "published", nil, "2026-11-23 02:35:11.123456+05:30"), essay)
	require.True(t, essay == again, "the same moment in another zone is no change")
	got, _ = a.Read(row("1", "Essay", "", "7", "published", nil, nil), essay)
	require.Zero(t, got.Closes)
	got, _ = bind(t, open(t, "django"), closing(tstz)).Assignment.Read(
		row("1", "Essay", "", "7", "published", nil, "2026-11-22 21:05:11+00"), essay)
	require.Zero(t, got.Closes, "a profile that names no column knows no moment")
}

// Promise: a time is read in UTC and whole microseconds; what is none of these, is none.
func TestTimesAreRead(t *testing.T) {
	at := time.Date(2026, 11, 22, 21, 5, 11, 123456000, time.UTC)
	micros := at.UnixMicro() - 946684800_000_000
	raw := make([]byte, 8)
	for i := range raw {
		raw[i] = byte(micros >> (56 - 8*i))
	}
	infinity := []byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	minusInfinity := []byte{0x80, 0, 0, 0, 0, 0, 0, 0}
	last := time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	for _, c := range []struct {
		times string
		typ   int
		value any
		want  time.Time
	}{
		{"utc", tstz, "2026-11-22 21:05:11.123456+00", at},
		{"utc", tstz, "2026-11-23 02:35:11.123456+05:30", at},
		{"utc", tstz, "2026-11-22 17:35:11.123456-03:30", at},
		{"utc", tstz, "2026-11-22 21:05:11.123456+00:00:00", at},
		{"utc", tstz, raw, at},
		{"utc", ts, "2026-11-22 21:05:11.123456", at},
		{"Europe/Berlin", ts, "2026-11-22 22:05:11.123456", at},
		{"Europe/Berlin", ts, raw, at.Add(-time.Hour)},
		{"Europe/Berlin", tstz, raw, at},
		{"Europe/Berlin", tstz, "2026-11-22 21:05:11.123456+00", at},
		{"utc", date, "2026-11-22", time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)},
		{"utc", date, binary(t, date, at), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)},
		{"Europe/Berlin", date, "2026-11-22", time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC)},
		{"unix", int8s, "1795381511", time.Unix(1795381511, 0).UTC()},
		{"unix", int4s, binary(t, int4s, 1795381511), time.Unix(1795381511, 0).UTC()},
		{"unix", int8s, "0", time.Time{}},
		{"unix", int8s, "-5", time.Time{}},
		{"unix", int8s, "253402300799", last.Truncate(time.Second)},
		{"unix", int8s, "253402300800", time.Time{}},
		{"unix", int8s, "9223372036854775807", time.Time{}},
		{"unix", ts, "2026-11-22 21:05:11.123456", at},
		{"unix", tstz, "2026-11-22 21:05:11.123456+00", at},
		{"utc", tstz, "infinity", time.Time{}},
		{"utc", tstz, "-infinity", time.Time{}},
		{"utc", tstz, infinity, time.Time{}},
		{"utc", tstz, minusInfinity, time.Time{}},
		{"utc", ts, "infinity", time.Time{}},
		{"utc", ts, "-infinity", time.Time{}},
		{"Europe/Berlin", ts, infinity, time.Time{}},
		{"Europe/Berlin", ts, minusInfinity, time.Time{}},
		{"utc", date, "infinity", time.Time{}},
		{"utc", date, []byte{0x7f, 0xff, 0xff, 0xff}, time.Time{}},
		{"utc", date, []byte{0x80, 0, 0, 0}, time.Time{}},
		{"utc", tstz, "9999-12-31 23:59:59.999999+00", last},
		{"utc", tstz, "10000-01-01 00:00:00+00", time.Time{}},
		{"utc", ts, "294276-12-31 23:59:59.999999", time.Time{}},
		{"utc", tstz, "2026-11-22 21:05:11.123456789+00", at},
		{"utc", tstz, "0044-03-15 12:00:00+00 BC", time.Time{}},
		{"utc", tstz, "2026-11-22", time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)},
		{"utc", tstz, "2026-13-22 00:00:00+00", time.Time{}},
		{"utc", tstz, "2026-11-22 21:05", time.Time{}},
		{"utc", tstz, "", time.Time{}},
		{"utc", tstz, raw[:7], time.Time{}},
		{"utc", tstz, nil, time.Time{}},
		{"utc", enum, "2026-11-22 21:05:11.123456+00", at},
	} {
		p := parse(t, "extends: django\nassignment: {closes: closes_at}\ntimes: "+c.times+"\n")
		got, _ := bind(t, p, closing(c.typ)).Assignment.Read(row("1", "", "", "7", "", c.value, c.value), profile.AssignmentFields{})
		require.Equal(t, c.want, got.Due, "%s, type %d, %v", c.times, c.typ, c.value)
		require.Equal(t, c.want, got.Closes, "%s, type %d, %v", c.times, c.typ, c.value)
	}
}

func TestAGradeIsWrittenAsANumberWhereItIsOne(t *testing.T) {
	for _, c := range []struct {
		typ   int
		value any
		want  string
	}{
		{number, "78.50000", "78.50000"},
		{number, "0", "0"},
		{number, "-0.5", "-0.5"},
		{number, "NaN", `"NaN"`},
		{number, "Infinity", `"Infinity"`},
		{number, nil, "null"},
		{float8s, "1e+20", "1e+20"},
		{float8s, binary(t, float8s, 2.5), "2.5"},
		{int4s, binary(t, int4s, -3), "-3"},
		{text, "A-", `"A-"`},
		{text, "12", `"12"`},
		{text, []byte(`say "A"`), `"say \"A\""`},
		{bpchar, "A  ", `"A"`},
		{enum, "passed", `"passed"`},
		{boolean, "t", "true"},
		{boolean, []byte{0}, "false"},
	} {
		b := bind(t, open(t, "django"), submissions(c.typ))
		require.Equal(t, c.want, string(b.Grade.AppendScore(nil, row("1", "1", "1", nil, c.value))), "%v", c.value)
	}

	p := parse(t, "extends: django\ngrade: {text: letter}\n")
	letters := submissions(number)
	letters.Columns = append(letters.Columns, cdc.Column{Name: "letter", Type: text})
	b := bind(t, p, letters)
	require.Equal(t, `"A-"`, string(b.Grade.AppendScore(nil, row("1", "1", "1", nil, nil, "A-"))))
	require.Equal(t, `1`, string(b.Grade.AppendScore(nil, row("1", "1", "1", nil, "1", "A-"))))
}

func TestBinaryNumericsAreWrittenAsPostgreSQLPrintsThem(t *testing.T) {
	b := bind(t, open(t, "django"), submissions(number))
	for _, s := range []string{
		"0", "1", "-1", "78.50000", "0.00", "10000", "9999.9999", "0.0001", "0.00000001", "123456789012345678901234567890.123456",
		"-100000000.5", "20000", "0.10", "-0.00012", "1000000000000",
	} {
		var n pgtype.Numeric
		require.NoError(t, n.Scan(s))
		raw := binary(t, number, n)
		got := string(b.Grade.AppendScore(nil, row("1", "1", "1", nil, raw)))
		require.Equal(t, s, got)
		require.Equal(t, b.Grade.Read(row("1", "1", "1", nil, s), 0), b.Grade.Read(row("1", "1", "1", nil, raw), 0))
	}
	require.Equal(t, `"NaN"`, string(b.Grade.AppendScore(nil, row("1", "1", "1", nil, binary(t, number, pgtype.Numeric{NaN: true, Valid: true})))))
	for _, cut := range [][]byte{{}, {0, 1, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 1, 2, 0, 0}, {255, 255, 0, 0, 0, 0, 0, 0}} {
		require.NotPanics(t, func() { b.Grade.AppendScore(nil, row("1", "1", "1", nil, cut)) })
	}
}
