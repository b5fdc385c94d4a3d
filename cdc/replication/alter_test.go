package replication_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
)

// upgradable is a school whose e-mails are optional, and which is looked at often.
func upgradable(t *testing.T) *school {
	t.Helper()
	s := newSchool(t)
	s.cfg.Tables[0].Optional = []string{"email"}
	s.cfg.WatchSlot, s.cfg.WatchHealth = fast, fast
	s.exec(t, "INSERT INTO people (id, email) VALUES (1, 'a@school'), (2, 'b@school')")
	s.exec(t, "INSERT INTO work VALUES ('', 1, 1, '5'), ('', 1, 2, '6')")
	return s
}

// begin and end are what an upgrade of the LMS is put between.
func (s *school) begin(t *testing.T) *replication.Upgrade {
	t.Helper()
	u, err := replication.BeginUpgrade(t.Context(), s.cfg, time.Now())
	require.NoError(t, err)
	require.NoError(t, u.Run(t.Context(), s.cfg, "schoolbell upgrade begin"))
	return u
}

func (s *school) end(t *testing.T) *replication.Upgrade {
	t.Helper()
	u, err := replication.EndUpgrade(t.Context(), s.cfg)
	require.NoError(t, err)
	require.NoError(t, u.Run(t.Context(), s.cfg, "schoolbell upgrade end"))
	return u
}

// following is a reader that follows the school, and is looked after.
func (s *school) following(t *testing.T, k *sink) *replication.Reader {
	t.Helper()
	r, _ := s.run(t, k, k.checkpoint())
	s.watch(t, r)
	until(t, "the stream", streaming(r))
	return r
}

// The LMS is changed while its log is followed, in ways that concern nothing that we
// read. The stream goes on, and not a row is read again.
func TestChangesOfTheTablesThatConcernNothingMappedChangeNothing(t *testing.T) {
	for _, c := range []struct{ name, sql string }{
		{"column added", "ALTER TABLE people ADD COLUMN extra text"},
		{"column added that has to be filled, which rewrites the table", "ALTER TABLE work ADD COLUMN extra text NOT NULL DEFAULT clock_timestamp()::text"},
		{"unmapped column dropped", "ALTER TABLE people DROP COLUMN password"},
		{"unmapped column renamed", "ALTER TABLE people RENAME password TO extra"},
		{"unmapped column retyped", "ALTER TABLE people ALTER password TYPE bytea USING NULL"},
		{"described again", "ALTER TABLE work ALTER mark SET DEFAULT '1', ADD CHECK (assignment >= 0)"},
		{"more in the index of the key", "ALTER TABLE work DROP CONSTRAINT work_pkey, ADD PRIMARY KEY (student, assignment) INCLUDE (mark)"},
		{"emptied", "TRUNCATE work, people"},
		{"rewritten as it was", "VACUUM FULL work"},
		{"mapped column renamed and back, and nothing written", "ALTER TABLE work RENAME mark TO score; ALTER TABLE work RENAME score TO mark"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, k := upgradable(t), newSink()
			r := s.following(t, k)
			s.exec(t, c.sql)
			s.exec(t, "INSERT INTO people (id, email) VALUES (3, 'c@school')")
			s.exec(t, "UPDATE work SET mark = mark || '+' WHERE student = 1")
			s.agree(t, k)
			require.NoError(t, r.Status().Health)
			require.Equal(t, 1, k.snapshots())
			for cause, n := range r.Status().Reconnects {
				require.Zero(t, n, cause)
			}
		})
	}
}

// The same within an upgrade, where more is possible. What the rows say is what it was.
func TestWithinAnUpgradeWhatLooksAlikeIsReadOn(t *testing.T) {
	for _, c := range []struct{ name, sql string }{
		{"a wider integer, in the key", "ALTER TABLE work ALTER assignment TYPE bigint, ALTER student TYPE bigint"},
		{"another text", "ALTER TABLE work ALTER mark TYPE varchar(200)"},
		{"unmapped column dropped", "ALTER TABLE people DROP COLUMN password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, k := upgradable(t), newSink()
			r := s.following(t, k)
			s.begin(t)
			s.exec(t, c.sql)
			s.exec(t, "UPDATE work SET mark = mark || '+' WHERE student = 1")
			s.agree(t, k)
			require.NoError(t, r.Status().Health)
			require.Equal(t, 1, k.snapshots())
			s.ends(t, r, k)
		})
	}
}

// ends ends the upgrade, after which the tables are compared once where they had lists.
func (s *school) ends(t *testing.T, r *replication.Reader, k *sink) {
	t.Helper()
	u := s.end(t)
	if u.NoLists == 0 {
		until(t, "the comparison", func() bool { return k.snapshots() == 2 })
	}
	until(t, "all is well", func() bool {
		st := r.Status()
		return st.State == replication.Streaming && st.Health == nil && st.Upgrade == nil
	})
	s.exec(t, "UPDATE people SET email = 'after' WHERE id = 2")
	s.agree(t, k)
}

// Within an upgrade a mapped column, a key or a table becomes another one. Nothing of it
// is read before all is right again; then the tables are compared, so nothing is lost.
func TestWhatWouldBeMisreadStopsTheStreamUntilItIsMended(t *testing.T) {
	for _, c := range []struct {
		name, sql, writes, says, mends string
		altered                        bool
	}{
		{
			"mapped column retyped", "ALTER TABLE people ALTER number TYPE text USING 'one'", "UPDATE people SET number = 'missed' WHERE id = 1",
			`\(the log has column number of table public\.people with another type\)|\(column number of table public\.people was made anew, or has another type\)`, "", true,
		},
		{
			"mapped column dropped, and another in its place", "ALTER TABLE work DROP COLUMN mark", "UPDATE work SET note = 'x'",
			`\((the log lacks column mark of table public\.work|column mark of table public\.work is missing)\), which waits until this is put right: column mark of table public\.work is missing`,
			"ALTER TABLE work ADD COLUMN mark text DEFAULT 'new'", true,
		},
		{
			"mapped column renamed for a while", "ALTER TABLE work RENAME mark TO score", "UPDATE work SET score = 'missed' WHERE student = 1",
			`\((the log lacks column mark of table public\.work|column mark of table public\.work is missing)\), which waits until this is put right: column mark of table public\.work is missing`,
			"ALTER TABLE work RENAME score TO mark", false,
		},
		{
			"key dropped for a while", "ALTER TABLE work DROP CONSTRAINT work_pkey", "INSERT INTO work VALUES ('', 3, 3, 'missed')",
			regexp.QuoteMeta("(the log has table public.work without a key), which waits until this is put right: replica identity of public.work is missing, for want of a primary key: " +
				`published, the LMS's own UPDATE and DELETE fail now, want a primary key, or a unique index on columns that are NOT NULL; ` +
				`fix: ALTER TABLE "public"."work" ADD PRIMARY KEY (<columns>); until then take the table out: ALTER PUBLICATION "schoolbell" DROP TABLE ONLY "public"."work"`),
			"ALTER TABLE work ADD PRIMARY KEY (student, assignment)", false,
		},
		{
			"another key", "ALTER TABLE work DROP CONSTRAINT work_pkey, ADD PRIMARY KEY (student, assignment, mark)", "UPDATE work SET mark = 'missed' WHERE student = 1",
			regexp.QuoteMeta("key of table public.work is assignment (an integer), student (an integer) and mark (text), by which every row would look new, want assignment (an integer) and student (an integer), as when the table was read; fix: change it back, or begin afresh"),
			"ALTER TABLE work DROP CONSTRAINT work_pkey, ADD PRIMARY KEY (student, assignment)", false,
		},
		{
			"key retyped", "ALTER TABLE work ALTER student TYPE text", "UPDATE work SET mark = 'missed' WHERE student = '1'",
			regexp.QuoteMeta("key of table public.work is assignment (an integer) and student (text), by which every row would look new"),
			"ALTER TABLE work ALTER student TYPE int USING student::int", false,
		},
		{
			"table made anew", "ALTER TABLE work RENAME TO old; CREATE TABLE work (LIKE old INCLUDING ALL); INSERT INTO work SELECT * FROM old; DROP TABLE old", "UPDATE work SET mark = 'missed' WHERE student = 1",
			"", "", false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, k := upgradable(t), newSink()
			r := s.following(t, k)
			u := s.begin(t)
			s.exec(t, c.sql)
			s.exec(t, c.writes)
			had, hadPeople := k.table(work), k.table(people)
			if c.says != "" && (c.mends != "" || u.NoLists == 0) { // without lists nobody waits for the end
				until(t, "it stops and says why", func() bool {
					return r.Status().State == replication.Waiting && regexp.MustCompile(c.says).MatchString(r.Status().Reason)
				})
				require.Equal(t, had, k.table(work), "nothing was misread")
				require.Equal(t, hadPeople, k.table(people), "nothing was misread")
				require.Equal(t, 1, k.snapshots())
				require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot), "no log is held meanwhile")
			}
			if c.mends != "" {
				s.exec(t, c.mends)
			}
			s.ends(t, r, k)
			require.Equal(t, c.altered, k.altered, "marks of before and after cannot be compared")
		})
	}
}

// A title or a name is no reason to tell nothing: without it the rows are read on.
func TestAColumnThatIsOptionalIsDoneWithoutUntilItIsBack(t *testing.T) {
	for _, c := range []struct{ name, vanishes, returns, columns string }{
		{"dropped", "ALTER TABLE people DROP COLUMN email", "ALTER TABLE people ADD COLUMN email text DEFAULT 'new'", "id, at, span, number, raw, email"},
		{"renamed", "ALTER TABLE people RENAME email TO mail", "ALTER TABLE people RENAME mail TO email", peopleColumns},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, k := upgradable(t), newSink()
			var got []string
			k.onChange = func(change *cdc.Change) {
				if change.Table.Name != people.Name {
					return
				}
				for i, column := range change.Table.Columns {
					if column.Name == "email" && change.New != nil {
						got = append(got, fmt.Sprintf("%c %c", change.Op, change.New[i].Kind))
					}
				}
			}
			r := s.following(t, k)
			s.begin(t)
			s.exec(t, c.vanishes)
			s.exec(t, "UPDATE people SET number = 7 WHERE id = 1")
			s.exec(t, "INSERT INTO people (id, number) VALUES (3, 8)")
			s.exec(t, "DELETE FROM people WHERE id = 2")
			s.exec(t, "INSERT INTO work VALUES ('', 9, 9, 'the last')")
			until(t, "the stream goes on", func() bool { return k.table(work)["9/9"] != "" })
			require.Equal(t, []string{"U u", "I n"}, got)
			require.Equal(t, 1, k.snapshots())
			until(t, "it says so", func() bool { return r.Status().Health != nil })
			require.ErrorContains(t, r.Status().Health, "column email of table public.people is missing, want a column of the table; fix: ")
			require.True(t, r.Status().Degraded)

			s.exec(t, c.returns)
			require.NoError(t, replication.Init(t.Context(), s.cfg))
			until(t, "the comparison", func() bool { return k.snapshots() == 2 })
			require.Equal(t, s.rows(t, people, c.columns), k.table(people))
			require.Equal(t, string(replication.TablesReplaced), k.reasons[1])
			until(t, "all is well", func() bool { return r.Status().Health == nil && r.Status().State == replication.Streaming })
			s.exec(t, "UPDATE people SET email = 'after' WHERE id = 1")
			until(t, "and goes on", func() bool { return strings.Contains(k.table(people)["1"], "after") })
		})
	}
}

// It came back while nobody looked: the log tells of the time without it.
func TestThatAColumnWasMissingIsRememberedThroughARestart(t *testing.T) {
	s := upgradable(t)
	k := s.followed(t)
	s.exec(t, "ALTER TABLE people RENAME email TO mail")
	s.exec(t, "UPDATE people SET mail = 'missed' WHERE id = 1")
	s.cfg.Moved = func(source cdc.Source) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.source = source
		k.save()
		return nil
	}
	r, stop := s.run(t, k, k.checkpoint())
	s.exec(t, "INSERT INTO work VALUES ('', 9, 9, 'the last')")
	until(t, "a start without it", func() bool { return k.table(work)["9/9"] != "" })
	require.ErrorContains(t, r.Status().Health, "column email of table public.people is missing")
	require.NoError(t, stop())
	s.exec(t, "ALTER TABLE people RENAME mail TO email")
	s.recovers(t, k, replication.TablesReplaced)
}

// At a first start it is a mistake in the profile, more likely than not.
func TestAFirstStartIsRefusedWithoutAnOptionalColumn(t *testing.T) {
	s := upgradable(t)
	s.exec(t, "ALTER TABLE people RENAME email TO mail")
	require.ErrorContains(t, replication.New(s.cfg).Run(t.Context(), newSink(), cdc.Checkpoint{}), "column email of table public.people is missing")
}

// A slot that is lost meanwhile is no reason to wait for it either.
func TestASnapshotIsTakenWithoutAnOptionalColumn(t *testing.T) {
	s := upgradable(t)
	k := s.followed(t)
	s.dropSlot(t)
	s.exec(t, "ALTER TABLE people RENAME email TO mail")
	s.exec(t, "UPDATE people SET mail = 'missed'")
	r, stop := s.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	require.Equal(t, "1", k.table(people)["1"])
	require.NoError(t, stop())
	s.exec(t, "ALTER TABLE people RENAME mail TO email")
	s.recovers(t, k, replication.TablesReplaced)
}

// What the profile cannot read is refused before it is read, with the profile's words.
func TestWhatTheProfileCannotReadIsRefused(t *testing.T) {
	s, k := upgradable(t), newSink()
	s.cfg.Suits = func(table *cdc.Table) error {
		for _, c := range table.Columns {
			if c.Name == "mark" && c.Type != 25 {
				return errors.New("the mark is not text;\nname another")
			}
		}
		return nil
	}
	r := s.following(t, k)
	s.begin(t)
	s.exec(t, "ALTER TABLE work ALTER mark TYPE varchar(9)")
	s.exec(t, "UPDATE work SET mark = 'missed' WHERE student = 1")
	const want = "table public.work is not what the profile takes it for, want columns of which the profile can read what it says; fix: the mark is not text;; name another"
	until(t, "it stops and says why", func() bool { return strings.HasSuffix(r.Status().Reason, want) })
	require.Equal(t, []string{want}, s.wrong(t))
	s.exec(t, "ALTER TABLE work ALTER mark TYPE text")
	s.ends(t, r, k)
}

// Who may see what follows from such a table. What was taken from somebody meanwhile
// would not be seen, so nobody is told anything.
func TestNothingIsToldWhileTheLogDoesNotTellWhoMaySeeWhat(t *testing.T) {
	for _, c := range []struct{ name, sql, says, mends string }{
		{"out of the publication", "ALTER PUBLICATION schoolbell DROP TABLE people", `publication "schoolbell" is without table public.people`, ""},
		{"dropped", "DROP TABLE people", "table public.people is missing", "CREATE TABLE people (id bigint PRIMARY KEY, email text, at timestamptz, span interval, number float8, raw bytea)"},
		{"renamed", "ALTER TABLE people RENAME TO persons", "table public.people is missing", "ALTER TABLE persons RENAME TO people"},
		{"without its deletions", "ALTER PUBLICATION schoolbell SET (publish = 'insert, update')", `publication "schoolbell" is without delete, truncate`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, k := upgradable(t), newSink()
			r := s.following(t, k)
			s.exec(t, c.sql)
			until(t, "it stops and says why", func() bool {
				return r.Status().State == replication.Waiting && strings.Contains(r.Status().Reason, c.says)
			})
			require.ErrorContains(t, r.Status().Health, c.says)
			require.False(t, r.Status().Degraded)
			s.exec(t, "INSERT INTO work VALUES ('', 9, 9, 'meanwhile')")
			attempts := r.Status().Reconnects[replication.Setup]
			until(t, "more attempts", func() bool { return r.Status().Reconnects[replication.Setup] > attempts+1 })
			require.NotContains(t, k.table(work), "9/9")
			require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot), "no log is held meanwhile")
			if c.mends != "" {
				s.exec(t, c.mends)
			}
			require.NoError(t, replication.Init(t.Context(), s.cfg))
			s.recovered(t, r, k, 1, replication.TablesReplaced)
		})
	}
}

// All is as it was by the time that somebody looks. Only the log tells that it was not.
func TestWhatTheLogTellsOfThePastIsNotMisread(t *testing.T) {
	for _, c := range []struct{ name, sql, says string }{
		{"a column of another name", "ALTER TABLE work RENAME mark TO score; UPDATE work SET score = 'missed' WHERE student = 1; ALTER TABLE work RENAME score TO mark",
			"the log lacks column mark of table public.work"},
		{"a column of another type", "ALTER TABLE work ALTER mark TYPE int USING 7; UPDATE work SET mark = 8 WHERE student = 1; ALTER TABLE work ALTER mark TYPE text",
			"the log has column mark of table public.work with another type"},
		{"another key", "ALTER TABLE work DROP CONSTRAINT work_pkey, ADD PRIMARY KEY (assignment, student, mark); UPDATE work SET mark = 'missed' WHERE student = 1; " +
			"ALTER TABLE work DROP CONSTRAINT work_pkey, ADD PRIMARY KEY (student, assignment)",
			"the log has table public.work with the key assignment (an integer), student (an integer) and mark (text)"},
		{"no key", "ALTER TABLE work DROP CONSTRAINT work_pkey; INSERT INTO work VALUES ('', 3, 3, 'missed'); ALTER TABLE work ADD PRIMARY KEY (student, assignment)",
			"the log has table public.work without a key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := upgradable(t)
			widened := s.begin(t).NoLists == 0
			k := s.followed(t)
			for _, sql := range strings.Split(c.sql, "; ") { // each a transaction of its own
				s.exec(t, sql)
			}
			r, stop := s.run(t, k, k.checkpoint())
			if widened {
				until(t, "it says what it waits for", func() bool { return strings.Contains(r.Status().Reason, "("+c.says+")") })
				require.Equal(t, "1|1|5", k.table(work)["1/1"], "nothing was misread")
				s.end(t)
			}
			s.recovered(t, r, k, 1, replication.TablesAltered)
			require.NoError(t, stop())
		})
	}
}
