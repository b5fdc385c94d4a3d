package profile_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// FuzzParse: whatever is in a file, it gives a profile or sentences with places,
// and a profile can be bound to any table without a panic.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/mistakes/*.yaml", "builtin/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			src, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := profile.Parse("fuzz.yaml", src)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				require.Regexp(t, `^\S.*:\d+:\d+: .`, line)
			}
			_, ok := errors.AsType[*profile.Mistake](err)
			require.True(t, ok)
			return
		}
		require.Len(t, p.Hash(), 16)
		find := records{p: p, found: map[int][]*profile.LookupRecord{}}
		held := map[int][][]byte{}
		for _, spec := range p.Tables() {
			table := &cdc.Table{Schema: spec.Schema, Name: spec.Name, Identity: cdc.IdentityDefault}
			_, _ = p.Bind(table)
			for i, name := range spec.Columns {
				table.Columns = append(table.Columns, cdc.Column{Name: name, Type: 25, Key: i == 0})
			}
			if b, err := p.Bind(table); err == nil {
				for _, v := range []cdc.Value{{Kind: cdc.Null}, {Kind: cdc.Unchanged}, {Kind: cdc.Text, Data: []byte("1,2")}} {
					row := slices.Repeat([]cdc.Value{v}, len(table.Columns))
					find.add(t, readAll(t, p, b, row))
					for _, f := range b.Feeds {
						if h, ok := f.Hold(nil, row, nil); ok {
							again, _ := f.Hold(nil, row, h)
							require.Equal(t, h, again)
							held[f.Index()] = append(held[f.Index()], h)
						}
					}
				}
			}
		}
		for _, d := range p.Derived() {
			for _, h := range held[d.Index()] {
				b, rows, _, err := d.Rows(h, time.Unix(1_800_000_000, 0), find)
				if err != nil {
					continue // a path ends at a text where the profile wants a number
				}
				require.NotEmpty(t, rows)
				for _, row := range rows[:min(len(rows), 20)] {
					find.add(t, readAll(t, p, b, row))
				}
			}
		}
	})
}

// records are found under any key.
type records struct {
	p     *profile.Profile
	found map[int][]*profile.LookupRecord
}

func (r records) Find(lookup int, _ cdc.ID) []*profile.LookupRecord {
	if r.p.LookupMany(lookup) {
		return r.found[lookup]
	}
	return r.found[lookup][:min(len(r.found[lookup]), 1)]
}

func (r records) add(t *testing.T, read map[int]*profile.LookupRecord) {
	for i, record := range read {
		require.Less(t, i, r.p.Lookups())
		back, err := profile.ReadLookupRecord(record.Append(nil))
		require.NoError(t, err)
		require.Equal(t, record, back)
		if len(r.found[i]) < 2 {
			r.found[i] = append(r.found[i], record)
		}
	}
}

// FuzzHeld: whatever was stored in a row's or a record's place, reading it gives a row,
// a record or an error, and a record comes back the same.
func FuzzHeld(f *testing.F) {
	p, err := profile.Parse("school.yaml", []byte("extends: django\nsubmission: {where: {submitted_at: past, student_id -> pupils.left: {not: past}}}\n"))
	require.NoError(f, err)
	b := bind(f, p, submissions(number))
	held, _ := b.Feeds[0].Hold(nil, row("1", "2", "3", "2026-11-22 21:05:11+05:30", nil), nil)
	f.Add(held)
	l := bind(f, p, table("pupils", "id", int8s, "left", tstz)).Lookups[0]
	record, _ := l.Read(row("3", "infinity"), nil)
	f.Add(record.Append(nil))
	f.Add([]byte{1, 2, 'a', 0, 0, 0, 'n', 1, 25, 't', 3, 'a', 'b', 'c'})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _, _ = p.Derived()[0].Rows(b, time.Unix(1_800_000_000, 0), nothing{})
		record, err := profile.ReadLookupRecord(b)
		if err != nil {
			return
		}
		first := record.Append(nil)
		again, err := profile.ReadLookupRecord(first)
		require.NoError(t, err)
		require.Equal(t, first, again.Append(nil))
		require.Zero(t, record.Compare(record))
	})
}

// readAll reads a row by everything that concerns its table, and again with what was
// read before.
func readAll(t *testing.T, p *profile.Profile, b *profile.Binding, row []cdc.Value) (read map[int]*profile.LookupRecord) {
	t.Helper()
	b.Key(row)
	read = map[int]*profile.LookupRecord{}
	for _, l := range b.Lookups {
		record, ok := l.Read(row, nil)
		if !ok {
			continue
		}
		require.NotEmpty(t, record.Keys())
		again, ok := l.Read(row, record)
		require.True(t, ok)
		require.Same(t, record, again)
		read[l.Index()] = record
	}
	if b.User != nil {
		person, _ := b.User.Read(row, cdc.Person{})
		require.False(t, !p.HasRole() && person.Role != cdc.NoRole)
	}
	if b.Course != nil {
		course, ok := b.Course.Read(row, profile.CourseFields{})
		require.True(t, ok)
		again, _ := b.Course.Read(row, course)
		require.Equal(t, course, again)
	}
	if b.Assignment != nil {
		was, _ := b.Assignment.Read(row, profile.AssignmentFields{})
		require.False(t, !p.HasCourses() && !was.Course.IsZero())
	}
	if b.Assigned != nil {
		require.True(t, p.HasAssigned())
		b.Assigned.Read(row)
	}
	if b.Submission != nil {
		b.Submission.Read(row, profile.SubmissionFields{})
	}
	if b.Grade != nil {
		b.Grade.Read(row, 0)
		b.Grade.Hidden(row, false)
		b.Grade.Auto(row, false)
		require.True(t, json.Valid(b.Grade.AppendScore(nil, row)))
		was, ok := b.Grade.ReadRow(row, profile.GradeFields{})
		again, _ := b.Grade.ReadRow(row, was)
		require.True(t, !ok || was == again)
	}
	for _, m := range b.Members {
		require.Less(t, m.Index(), p.Members())
		was, ok := m.Read(row, profile.MemberFields{})
		require.Equal(t, ok, !was.User.IsZero() && !was.Course.IsZero())
		again, _ := m.Read(row, was)
		require.Equal(t, was, again)
	}
	for _, a := range b.Admins {
		require.Less(t, a.Index(), p.Admins())
		was, ok := a.Read(row, nil)
		require.Equal(t, ok, len(was) > 0)
		require.True(t, slices.IsSortedFunc(was, cdc.ID.Compare))
		again, _ := a.Read(row, was)
		require.Equal(t, was, again)
	}
	return read
}

// FuzzAdmins: whatever a value that holds several ids is made of, reading it does not
// panic, and the ids are those of its parts, sorted, each once.
func FuzzAdmins(f *testing.F) {
	for _, value := range []string{"2,3,5", " 5, 3,\t2,,3 ", "", ",", "007,-0,+1,9223372036854775808", "anna;2", "\xff\x00,é\u00a0", "a::b:::c"} {
		for _, split := range []string{",", ";", " ", "::", "é"} {
			f.Add([]byte(value), split)
		}
	}
	f.Fuzz(func(t *testing.T, value []byte, split string) {
		text, err := json.Marshal(split) // JSON's strings are YAML's, where both are plain
		require.NoError(t, err)
		p, err := profile.Parse("school.yaml", []byte("extends: django\nadmin: {from: config, user: value, split: "+string(text)+"}\n"))
		if err != nil {
			return
		}
		a := bind(t, p, table("config", "id", int8s, "value", 25)).Admins[0]
		r := []cdc.Value{{Kind: cdc.Text, Data: []byte("1")}, {Kind: cdc.Text, Data: value}}
		got, ok := a.Read(r, nil)
		require.Equal(t, ok, len(got) > 0)
		want := map[cdc.ID]bool{}
		if utf8.ValidString(split) {
			for part := range strings.SplitSeq(string(value), split) {
				if part = strings.TrimSpace(part); part != "" {
					want[cdc.ParseID(part)] = true
				}
			}
			require.Len(t, got, len(want))
		}
		for i, id := range got {
			require.False(t, id.IsZero())
			require.False(t, i > 0 && got[i-1].Compare(id) >= 0)
			require.False(t, utf8.ValidString(split) && !want[id], "%v", id)
		}
		again, _ := a.Read(r, got)
		require.Equal(t, got, again)
	})
}

// FuzzValue: whatever bytes the log carries in a column, in either form and of any
// type, reading them does not panic, a grade is valid JSON, a mark is not zero, and
// a time comes back the same from whoever keeps its microseconds.
func FuzzValue(f *testing.F) {
	for _, s := range []string{
		"78.50000", "-0", "NaN", "1e+20", "t", "2026-11-22 21:05:11.123456+05:30", "infinity", "-infinity", "0044-03-15 BC", "100000-01-01 00:00:00+00", "\xff\x00",
		"\x00\x02\x00\x00\x00\x00\x00\x05\x00\x4e\x13\x88",
	} {
		for _, typ := range []int{boolean, int8s, int2s, int4s, text, float8s, bpchar, date, ts, tstz, number, uuid, enum} {
			f.Add([]byte(s), uint32(typ), len(s)%2 == 0)
		}
	}
	p, err := profile.Parse("school.yaml", []byte("extends: django\ntimes: unix\nassignment: {closes: closes_at, course: author_id}\nsubmission: {gone: {odd: absent}}\n"+
		"member: {from: works, user: odd, course: odd, section: odd, teacher: {odd: present}, tutor: {odd: {not: absent}}, own_section_only: {odd: absent}}\n"+
		"admin: {from: works, user: odd}\n"))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte, typ uint32, isText bool) {
		v := cdc.Value{Kind: cdc.Binary, Data: b}
		if isText {
			v.Kind = cdc.Text
		}
		sub := submissions(int(typ))
		sub.Columns[3].Type = enum // a time may be behind a domain, whose type we do not know
		sub.Columns = append(sub.Columns, cdc.Column{Name: "odd", Type: typ})
		bound, err := p.Bind(sub)
		require.NoError(t, err)
		r := []cdc.Value{v, v, v, v, v, v}
		bound.Key(r)
		bound.Submission.Read(r, profile.SubmissionFields{})
		require.NotZero(t, bound.Grade.Read(r, 0))
		require.Truef(t, json.Valid(bound.Grade.AppendScore(nil, r)), "%q of type %d", b, typ)

		rows := bind(t, p, table("works", "id", int8s, "odd", int(typ)))
		member, ok := rows.Members[0].Read([]cdc.Value{v, v}, profile.MemberFields{})
		require.True(t, ok)
		chief, ok := rows.Admins[0].Read([]cdc.Value{v, v}, nil)
		require.True(t, ok)
		require.Equal(t, []cdc.ID{member.User}, chief)
		require.True(t, member.Teacher && !member.OwnSection)

		work := closing(enum)
		if slices.Contains([]uint32{int2s, int4s, int8s, date, ts, tstz}, typ) {
			work = closing(int(typ))
		}
		bound, err = p.Bind(work)
		require.NoError(t, err)
		read, _ := bound.Assignment.Read([]cdc.Value{v, v, v, v, v, v, v}, profile.AssignmentFields{})
		if !read.Closes.IsZero() {
			require.Equal(t, time.UnixMicro(read.Closes.UnixMicro()).UTC(), read.Closes, "%q of type %d", b, typ)
			require.LessOrEqual(t, read.Closes.Year(), 9999, "%q of type %d", b, typ)
		}
	})
}
