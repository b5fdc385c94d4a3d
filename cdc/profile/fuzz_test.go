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
		for _, spec := range p.Tables() {
			table := &cdc.Table{Schema: spec.Schema, Name: spec.Name, Identity: cdc.IdentityDefault}
			_, _ = p.Bind(table)
			for i, name := range spec.Columns {
				table.Columns = append(table.Columns, cdc.Column{Name: name, Type: 25, Key: i == 0})
			}
			if b, err := p.Bind(table); err == nil {
				_ = b.Key(make([]cdc.Value, len(table.Columns)))
			}
		}
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
	p, err := profile.Parse("school.yaml", []byte("extends: django\ntimes: unix\nassignment: {closes: closes_at}\nsubmission: {gone: {odd: absent}}\n"))
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
