package profile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// school is a small projection: it holds rows, finds lookups' records, and evaluates.
type school struct {
	t       tester
	p       *profile.Profile
	now     time.Time
	records map[lookupKey]map[string]*profile.LookupRecord // by row
	asked   map[lookupKey]bool
	held    map[int]map[string][]byte // by Derived.Index
}

type lookupKey struct {
	lookup int
	key    cdc.ID
}

func newSchool(t tester, p *profile.Profile) *school {
	return &school{
		t: t, p: p, now: time.Unix(1_800_000_000, 0).UTC(), records: map[lookupKey]map[string]*profile.LookupRecord{},
		asked: map[lookupKey]bool{}, held: map[int]map[string][]byte{},
	}
}

// Find orders rows by `first` and then by id; ids in these tests are of one length.
func (s *school) Find(lookup int, key cdc.ID) []*profile.LookupRecord {
	k := lookupKey{lookup, key}
	s.asked[k] = true
	var ids []string
	for id := range s.records[k] {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var out []*profile.LookupRecord
	for _, id := range ids {
		out = append(out, s.records[k][id])
	}
	slices.SortStableFunc(out, (*profile.LookupRecord).Compare)
	if !s.p.LookupMany(lookup) {
		out = out[:min(len(out), 1)]
	}
	return out
}

// put folds rows of a table in, the lookups that others need first.
func (s *school) put(table *cdc.Table, rows ...[]cdc.Value) {
	s.t.Helper()
	b := bind(s.t, s.p, table)
	for _, r := range rows {
		id := b.Key(r).String()
		for _, l := range b.Lookups {
			s.record(l, id, r)
		}
		for _, f := range b.Feeds {
			if s.held[f.Index()] == nil {
				s.held[f.Index()] = map[string][]byte{}
			}
			held, ok := f.Hold(nil, r, s.held[f.Index()][id])
			if !ok {
				delete(s.held[f.Index()], id)
				continue
			}
			s.held[f.Index()][id] = held
		}
	}
	s.settle()
}

// settle evaluates the derived lookups, in their order.
func (s *school) settle() {
	for _, d := range s.p.Derived() {
		for id, held := range s.held[d.Index()] {
			b, rows, _, err := d.Rows(held, s.now, s)
			require.NoError(s.t, err)
			if len(b.Lookups) > 0 {
				require.Len(s.t, rows, 1)
				s.record(b.Lookups[0], id, rows[0])
			}
		}
	}
}

func (s *school) record(l *profile.LookupRow, id string, r []cdc.Value) {
	for k, rows := range s.records {
		if k.lookup == l.Index() {
			delete(rows, id)
		}
	}
	record, ok := l.Read(r, nil)
	if !ok {
		return
	}
	back, err := profile.ReadLookupRecord(record.Append(nil))
	require.NoError(s.t, err)
	require.Equal(s.t, record, back)
	for _, key := range record.Keys() {
		k := lookupKey{l.Index(), key}
		if s.records[k] == nil {
			s.records[k] = map[string]*profile.LookupRecord{}
		}
		s.records[k][id] = record
	}
}

// rows evaluates what is held of a row for the section of that name.
func (s *school) rows(name, id string) (*profile.Binding, [][]cdc.Value, time.Time) {
	s.t.Helper()
	for _, d := range s.p.Derived() {
		if d.Name() == name {
			b, rows, until, err := d.Rows(s.held[d.Index()][id], s.now, s)
			require.NoError(s.t, err)
			return b, rows, until
		}
	}
	require.Fail(s.t, "no derived section "+name)
	return nil, nil, time.Time{}
}

func TestAPathIsFollowed(t *testing.T) {
	p := parse(t, `
extends: django
lookup: {mail: {from: mails, key: person_id, where: {state: active}, first: place}}
user: {email: id -> mail.path}
`)
	require.Len(t, p.Derived(), 1)
	require.Equal(t, "user", p.Derived()[0].Name())
	s := newSchool(t, p)
	people := table("accounts_user", "id", int8s, "first_name", text, "last_name", text, "role", text, "is_active", boolean)
	mails := table("mails", "id", int8s, "person_id", int8s, "state", text, "place", int4s, "path", text)
	require.Nil(t, bind(t, p, people).User)
	s.put(people, row("7", "Ann", "Lee", "teacher", "t"))
	ann := func() cdc.Person {
		b, rows, until := s.rows("user", "7")
		require.Len(t, rows, 1)
		require.Zero(t, until)
		got, ok := b.User.Read(rows[0], cdc.Person{ID: cdc.IntID(7)})
		require.True(t, ok)
		return got
	}
	want := cdc.Person{ID: cdc.IntID(7), FirstName: "Ann", LastName: "Lee", Role: cdc.Teacher, Active: true}
	require.Equal(t, want, ann())
	require.True(t, s.asked[lookupKey{1, cdc.IntID(7)}] || s.asked[lookupKey{0, cdc.IntID(7)}], "also a key under which there is nothing")

	s.put(mails, row("1", "7", "active", "10", "ten@school.test"), row("2", "7", "active", "9", "nine@school.test"),
		row("3", "7", "retired", "1", "one@school.test"), row("4", "7", "active", nil, "none@school.test"), row("5", "8", "active", "1", "b@school.test"))
	want.Email = "nine@school.test"
	require.Equal(t, want, ann())
}
