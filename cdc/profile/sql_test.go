package profile_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// kind is a column of the property's tables: the values that rows draw, as SQL, and the
// tests that fit them.
type kind struct {
	name, typ     string
	values, tests []string
}

const clock = "2026-11-22 21:05:11.123456+00"

func kinds() []kind {
	words := []string{"''", "'a'", "'A'", "'closed'", "'7'", "'7.0'", "'it''s'", "'é'", "'a '", `E'b\\'`}
	texts := []string{"a", "closed", "[a, closed, 'it''s']", "7", "'7.0'", "''", "é", "'b\\'", "true"}
	uuids := []string{"'6f1c8d2e-0000-4000-8000-0123456789ab'", "'00000000-0000-4000-8000-000000000001'"}
	return []kind{
		{"b", "boolean", []string{"true", "false"}, []string{"true", "false"}},
		{"i", "int", []string{"-1", "0", "1", "7"}, []string{"0", "[1, 7]", "'7'", "7.0", "{min: 0}", "{below: 1}", "{min: 0, below: 7}"}},
		{"n", "numeric", []string{"0", "0.00", "78.5", "78.50000", "-1", "'NaN'", "1e20"}, []string{"0", "78.5", "[-1, 78.50]", "{min: 0}", "{below: 78.5}", "'78.500'"}},
		{"f", "float8", []string{"0", "0.1", "1e20", "'Infinity'", "'NaN'", "-2.5"}, []string{"0.1", "-2.5", "{min: 0.1}", "{below: 0}"}},
		{"t", "text", words, texts},
		{"v", "varchar(20)", words, texts},
		{"c", "char(6)", words, texts},
		{"e", "state", []string{"'open'", "'closed'", "'0'", "'t'", "'1.50'"}, []string{"open", "[open, closed]", "0", "true", "'0'", "1.5", "{min: 0}", "{below: 1}"}},
		{"at", "timestamptz", []string{"'" + clock + "'", "'2026-11-22 21:05:11.123457+00'", "'2026-11-22 21:05:11.123455+00'", "'infinity'", "'-infinity'",
			"'0044-03-15 00:00:00+00 BC'", "'0045-06-01 00:00:00+00 BC'", "'0044-03-16 00:00:00+00 BC'", "'2030-01-01 12:00:00+05:30'", "'12000-01-01 00:00:00+00'"}, []string{"past", "future", "present"}},
		{"ts", "timestamp", []string{"'2026-11-22 21:05:11.123456'", "'2027-01-01'", "'infinity'", "'1999-01-01'"}, []string{"past", "future", "present"}},
		{"d", "date", []string{"'2026-11-22'", "'2026-11-23'", "'infinity'"}, []string{"past", "future"}},
		{"u", "uuid", uuids, []string{"6F1C8D2E-0000-4000-8000-0123456789AB", "[00000000-0000-4000-8000-000000000001]", "present"}},
		{"k", "bigint", []string{"1", "2", "3"}, []string{"1", "{min: 2}"}},
		{"k2", "bigint", []string{"1", "2", "3"}, []string{"[1, 2]"}},
		{"csv", "text", []string{"'1,2'", "' 2 , 3,3'", "''", "',,1'", "'2'"}, []string{"'2'"}},
	}
}

func drawTest(t *rapid.T, k kind) string {
	test := rapid.SampledFrom(append([]string{"present", "absent"}, k.tests...)).Draw(t, "test")
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(t, "nots") {
		test = "{not: " + test + "}"
	}
	return test
}

// drawCondition draws a condition on columns and, through the lookups given, on paths.
func drawCondition(t *rapid.T, lookups []string) string {
	var maps []string
	for range rapid.IntRange(1, 3).Draw(t, "maps") {
		tests, seen := []string{}, map[string]bool{}
		for range rapid.IntRange(1, 3).Draw(t, "tests") {
			k := rapid.SampledFrom(kinds()).Draw(t, "column")
			name := k.name
			if len(lookups) > 0 && rapid.Bool().Draw(t, "path") {
				name = rapid.SampledFrom(lookups).Draw(t, "lookup") + "." + k.name
			}
			if !seen[name] {
				seen[name] = true
				tests = append(tests, "\""+name+"\": "+drawTest(t, k))
			}
		}
		maps = append(maps, "{"+strings.Join(tests, ", ")+"}")
	}
	return "[" + strings.Join(maps, ", ") + "]"
}

func drawProfile(t *rapid.T) string {
	first := rapid.SampledFrom(kinds()).Draw(t, "first").name
	many := rapid.SampledFrom([]string{"true", "false"}).Draw(t, "many")
	return `
profile: property
user: {from: people, name: name, role: role}
assignment: {from: tasks, teacher: owner}
lookup:
  one: {from: others, key: k, where: ` + drawCondition(t, nil) + `}
  lowest: {from: others, key: k, first: ` + first + `}
  all: {from: others, key: k, many: true}
  pair: {from: others, key: [k, k2], many: ` + many + `}
  split: {from: others, key: csv, split: ",", many: ` + many + `}
  parted: {from: others, key: k, parts: ",", many: true}
  deep: {from: others, key: [k, k2 -> one.k], where: ` + drawCondition(t, []string{"k -> all", "k2 -> one"}) + `}
  deepest: {from: others, key: k -> lowest.k2, first: k -> one.n, many: ` + many + `, where: {k + k2 -> deep.id: {not: 3}}}
submission:
  from: works
  assignment: a
  student: s
  submitted: {b: true}
  where: ` + drawCondition(t, []string{
		"k -> one", "k -> lowest", "k -> all", "k + k2 -> pair", "k -> split", "csv -> parted", "k -> one.k2 -> all",
		"(k -> all.k2) + k -> pair", "id -> others", "k + k2 -> deep", "k2 -> deepest", "k -> all.csv -> parted",
	}) + "\n"
}

func drawRow(t *rapid.T, id int) string {
	values := []string{fmt.Sprint(id), "1", "2"}
	for _, k := range kinds() {
		values = append(values, rapid.SampledFrom(append([]string{"NULL"}, k.values...)).Draw(t, k.name))
	}
	return "(" + strings.Join(values, ", ") + ")"
}

// Promise: a condition means the same on a row of the log as in SQL, and no row that
// fulfils `where` is left out of the snapshot.
func TestAConditionMeansTheSameInSQL(t *testing.T) {
	ctx := t.Context()
	db, err := pgx.Connect(ctx, pgtest.Database(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(ctx)) }()
	columns := "id bigint PRIMARY KEY, a bigint, s bigint"
	for _, k := range kinds() {
		columns += ", " + k.name + " " + k.typ
	}
	_, err = db.Exec(ctx, "SET timezone = 'Asia/Kolkata'; SET jit = off; CREATE TYPE state AS ENUM ('open', 'closed', '0', 't', '1.50'); CREATE TABLE works ("+
		columns+"); CREATE TABLE others ("+columns+")")
	require.NoError(t, err)
	now, err := time.Parse("2006-01-02 15:04:05.999999-07", clock)
	require.NoError(t, err)

	held := 0
	rapid.Check(t, func(t *rapid.T) {
		p, err := profile.Parse("school.yaml", []byte(drawProfile(t)))
		require.NoError(t, err)
		fill := "DELETE FROM works; DELETE FROM others"
		for _, name := range []string{"works", "others"} {
			for id := range 6 {
				fill += "; INSERT INTO " + name + " VALUES " + drawRow(t, id+1)
			}
		}
		_, err = db.Exec(ctx, fill)
		require.NoError(t, err)
		works, workRows := readTable(t, db, "works")
		others, otherRows := readTable(t, db, "others")

		s := newSchool(t, p)
		s.now = now
		s.put(others, otherRows...)
		sql, err := p.SQL("submission.where", func(name string) *cdc.Table {
			if name == "works" {
				return works
			}
			return others
		}, now)
		require.NoError(t, err)
		want := ids(t, db, "SELECT id FROM works AS r WHERE "+sql)
		snapshot := ids(t, db, "SELECT id FROM works"+whereOf(p, works))
		s.put(works, workRows...)
		for _, r := range workRows {
			got := s.isSubmission(works, r)
			require.Equal(t, want[string(r[0].Data)], got, "row %s, %s", r[0].Data, sql)
			require.False(t, got && !snapshot[string(r[0].Data)], "left out of the snapshot: row %s", r[0].Data)
			if got {
				held++
			}
		}
	})
	require.NotZero(t, held, "the conditions drawn hold now and then")
}

// isSubmission reads the row whichever way the profile wants it.
func (s *school) isSubmission(table *cdc.Table, r []cdc.Value) bool {
	b := bind(s.t, s.p, table)
	if b.Submission != nil {
		_, ok := b.Submission.Read(r, profile.SubmissionFields{})
		return ok
	}
	for _, d := range s.p.Derived() {
		if held, ok := s.held[d.Index()][b.Key(r).String()]; ok && d.Name() == "submission" {
			b, rows, _, err := d.Rows(held, s.now, s)
			require.NoError(s.t, err)
			_, ok := b.Submission.Read(rows[0], profile.SubmissionFields{})
			return ok
		}
	}
	return false
}

func whereOf(p *profile.Profile, t *cdc.Table) string {
	for _, spec := range p.Tables() {
		if spec.Name != t.Name || spec.Where == nil {
			continue
		}
		if sql := spec.Where(func(column string) (uint32, bool) {
			for _, c := range t.Columns {
				if c.Name == column {
					return c.Type, true
				}
			}
			return 0, false
		}); sql != "" {
			return " WHERE " + sql
		}
	}
	return ""
}

func ids(t require.TestingT, db *pgx.Conn, sql string) map[string]bool {
	results, err := db.PgConn().Exec(context.Background(), sql).ReadAll()
	require.NoError(t, err, sql)
	out := map[string]bool{}
	for _, r := range results[0].Rows {
		out[string(r[0])] = true
	}
	return out
}

// readTable reads a table whole, as the snapshot does.
func readTable(t require.TestingT, db *pgx.Conn, name string) (*cdc.Table, [][]cdc.Value) {
	results, err := db.PgConn().Exec(context.Background(), "SELECT * FROM "+name+" ORDER BY id").ReadAll()
	require.NoError(t, err)
	out := &cdc.Table{Schema: "public", Name: name, Identity: cdc.IdentityDefault}
	for i, f := range results[0].FieldDescriptions {
		out.Columns = append(out.Columns, cdc.Column{Name: f.Name, Type: f.DataTypeOID, Key: i == 0})
	}
	var rows [][]cdc.Value
	for _, r := range results[0].Rows {
		values := make([]cdc.Value, len(r))
		for i, v := range r {
			values[i] = cdc.Value{Kind: cdc.Text, Data: v}
			if v == nil {
				values[i] = cdc.Value{Kind: cdc.Null}
			}
		}
		rows = append(rows, values)
	}
	return out, rows
}
