package profile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// A time is past from its own moment on and future before; what is no time is neither.
func TestTimesArePastOrFuture(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 5, 11, 123456000, time.UTC)
	soon := now.Add(time.Microsecond)
	for _, c := range []struct {
		times        string
		typ          int
		value        any
		past, future bool
		until        time.Time
	}{
		{"utc", tstz, "2026-11-22 21:05:11.123456+00", true, false, time.Time{}},
		{"utc", tstz, "2026-11-22 21:05:11.123457+00", false, true, soon},
		{"utc", tstz, "2026-11-23 02:35:11.123457+05:30", false, true, soon},
		{"utc", tstz, "infinity", false, true, time.Time{}},
		{"utc", tstz, "-infinity", true, false, time.Time{}},
		{"utc", tstz, []byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false, true, time.Time{}},
		{"utc", tstz, []byte{0x80, 0, 0, 0, 0, 0, 0, 0}, true, false, time.Time{}},
		{"utc", tstz, "0044-03-15 12:00:00+00 BC", true, false, time.Time{}},
		{"utc", tstz, "12000-01-01 00:00:00+00", false, true, time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"utc", tstz, nil, false, false, time.Time{}},
		{"Europe/Berlin", ts, "2026-11-22 22:05:11.123456", true, false, time.Time{}},
		{"Europe/Berlin", ts, "2026-11-22 22:05:11.123457", false, true, soon},
		{"Europe/Berlin", date, "2026-11-23", false, true, time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)},
		{"unix", int8s, "0", false, false, time.Time{}},
		{"unix", int8s, "-1", false, false, time.Time{}},
		{"unix", int8s, "1795381511", true, false, time.Time{}},
		{"unix", int8s, "1795381512", false, true, time.Unix(1795381512, 0).UTC()},
		{"unix", int8s, "9223372036854775807", false, true, time.Time{}},
	} {
		p := parse(t, "extends: django\ntimes: "+c.times+"\nsubmission: {gone: {x: past}}\ngrade: {hidden: {x: future}, auto: {x: {not: past}}}\n")
		works := submissions(number)
		works.Columns[3].Type = enum // read by nothing here
		works.Columns = append(works.Columns, cdc.Column{Name: "x", Type: uint32(c.typ)})
		b := bind(t, p, works)
		require.Len(t, b.Feeds, 1)
		r := row("1", "2", "3", nil, nil, c.value)
		for i, d := range p.Derived() {
			held, ok := b.Feeds[i].Hold(nil, r, nil)
			require.True(t, ok)
			section, rows, until, err := d.Rows(held, now, nothing{})
			require.NoError(t, err)
			require.Equal(t, c.until, until, "%v", c)
			work, _ := section.Submission.Read(rows[0], profile.SubmissionFields{})
			require.Equal(t, c.past, work.Gone, "%v", c)
			require.Equal(t, c.future, section.Grade.Hidden(rows[0], !c.future), "%v", c)
			require.Equal(t, !c.past, section.Grade.Auto(rows[0], c.past), "%v", c)
		}
	}
}

func TestAGroupMayBeNone(t *testing.T) {
	p := parse(t, "extends: django\nsubmission: {group: grp, group_name: label}\n")
	works := submissions(number)
	works.Columns = append(works.Columns, cdc.Column{Name: "grp", Type: int8s}, cdc.Column{Name: "label", Type: text})
	read := func(grp any) profile.SubmissionFields {
		work, ok := bind(t, p, works).Submission.Read(row("1", "2", "0", nil, nil, grp, "Red"), profile.SubmissionFields{Group: cdc.IntID(9)})
		require.True(t, ok)
		require.Zero(t, work.Student, "where there are teams, 0 is nobody")
		require.Equal(t, "Red", work.GroupName)
		return work
	}
	require.Equal(t, cdc.IntID(5), read("5").Group)
	require.Equal(t, cdc.IntID(9), read(cdc.Unchanged).Group)
	require.Zero(t, read("0").Group)
	require.Zero(t, read(nil).Group)
}

func TestTheTeamsOfAGradeAreSorted(t *testing.T) {
	p := parse(t, `
extends: django
lookup: {teams: {from: members, key: person_id, many: true}}
grade: {from: grades, assignment: work_id, student: person_id, group: person_id -> teams.team_id}
`)
	require.True(t, p.HasGradeTable() && !p.GradeNamesSubmission())
	s := newSchool(t, p)
	s.put(table("members", "id", int8s, "person_id", int8s, "team_id", int8s), row("1", "7", "12"), row("2", "7", "0"), row("3", "7", "3"), row("4", "7", "12"), row("5", "8", "4"))
	s.put(table("grades", "id", int8s, "work_id", int8s, "person_id", int8s, "grade", number), row("1", "100", "7", "3"), row("2", nil, "7", "3"), row("3", "100", "9", "3"))
	read := func(id string) (profile.GradeFields, bool) {
		b, rows, _ := s.rows("grade", id)
		return b.Grade.ReadRow(rows[0], profile.GradeFields{})
	}
	got, ok := read("1")
	require.True(t, ok)
	require.Equal(t, cdc.IntID(100), got.Assignment)
	require.Zero(t, got.Submission)
	require.Equal(t, string(cdc.IntID(12).AppendKey(cdc.IntID(3).AppendKey(nil))), got.Groups, "sorted, each once, 0 is none")
	_, ok = read("2")
	require.False(t, ok, "of no assignment")
	got, ok = read("3")
	require.True(t, ok)
	require.Empty(t, got.Groups)
}

func TestTheSpacesThatFillUpACodeAreNoPartOfIt(t *testing.T) {
	p := parse(t, "extends: django\nlookup: {town: {from: towns, key: code}}\nuser: {last: code -> town.name}\n")
	s := newSchool(t, p)
	s.put(table("towns", "id", int8s, "code", bpchar, "name", text), row("1", "ULM   ", "Ulm"))
	s.put(table("accounts_user", "id", int8s, "email", text, "first_name", text, "role", text, "is_active", boolean, "code", text),
		row("7", "", "Ann", "teacher", "t", "ULM"))
	b, rows, _ := s.rows("user", "7")
	got, ok := b.User.Read(rows[0], cdc.Person{ID: cdc.IntID(7)})
	require.True(t, ok)
	require.Equal(t, "Ulm", got.LastName)
}

func TestATableIsReadWholeWhereAnybodyWantsAllOfIt(t *testing.T) {
	for yaml, whole := range map[string]bool{
		"admin: {from: staff, user: id, where: {chief: true}}":                                                                    false,
		"admin: [{from: staff, user: id, where: {chief: true}}, {from: staff, user: boss_id}]":                                    true,
		"admin: [{from: staff, user: id, where: {chief: true}}, {from: staff, user: boss_id, where: {id -> accounts_user.x: 1}}]": true,
		"admin: {from: staff, user: id, where: [{chief: true}, {id -> accounts_user.x: 1}]}":                                      true,
		"admin: {from: staff, user: id, where: [{chief: true, id -> accounts_user.x: 1}]}":                                        false,
		"admin: {from: staff, user: id, where: {chief: true}}\nuser: {email: id -> staff.mail}":                                   true,
	} {
		found := false
		for _, spec := range parse(t, "extends: django\n"+yaml+"\n").Tables() {
			if spec.Name == "staff" {
				found = true
				require.Equal(t, whole, spec.Where == nil, yaml)
			}
		}
		require.True(t, found)
	}
}
