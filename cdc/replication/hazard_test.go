package replication_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// hazard is a way in which a publication makes the LMS's own statements fail.
type hazard struct {
	name   string
	tables string // what the LMS has, before anything of ours
	broken string // what is then done to it, or to the publication
	says   string
	mends  string
	ours   bool // the LMS does it to a table that we have published: PostgreSQL cannot be kept from it
	harms  bool // PostgreSQL really refuses the LMS's statements, once it is published so
	later  bool // only because of the lists, and so only once we have published it
	since  int  // the first version in which it can happen
}

func hazards() []hazard {
	const (
		drop     = "ALTER TABLE work DROP CONSTRAINT work_pkey"
		key      = "ALTER TABLE work ADD PRIMARY KEY (student, assignment)"
		defaults = "ALTER TABLE work REPLICA IDENTITY DEFAULT"
		lists    = "ALTER PUBLICATION schoolbell SET TABLE people (id, email, at, span, number, raw), work "
	)
	return []hazard{
		{name: "no primary key", tables: drop, mends: key, harms: true, says: "replica identity of public.work is missing, for want of a primary key: published, the LMS's own UPDATE and DELETE "},
		{name: "identity nothing", tables: "ALTER TABLE work REPLICA IDENTITY NOTHING", mends: defaults, harms: true, says: "replica identity of public.work is NOTHING"},
		{name: "identity by another index", tables: "ALTER TABLE work ALTER note SET NOT NULL; CREATE UNIQUE INDEX notes ON work (note); ALTER TABLE work REPLICA IDENTITY USING INDEX notes",
			mends: defaults, later: true, says: "replica identity of public.work is an index without assignment, student of the primary key"},
		{name: "identity by an index that is gone", tables: "ALTER TABLE work ALTER note SET NOT NULL; CREATE UNIQUE INDEX notes ON work (note); ALTER TABLE work REPLICA IDENTITY USING INDEX notes; DROP INDEX notes",
			mends: defaults, harms: true, says: "replica identity of public.work is an index that is gone"},
		{name: "a key that can be deferred", tables: drop + ", ADD PRIMARY KEY (student, assignment) DEFERRABLE", mends: drop + "; " + key, harms: true, says: "replica identity of public.work is missing, for want of a primary key"},

		{name: "a list that does not cover the identity", broken: lists + "(student, mark)", harms: true, since: listsFrom,
			says: `publication "schoolbell" is leaving assignment out of public.work, which makes the LMS's own UPDATE and DELETE fail`},
		{name: "a row filter", broken: lists + "(assignment, student, mark) WHERE (mark <> '')", harms: true, since: listsFrom,
			says: `publication "schoolbell" is filtering the rows of public.work, which makes the LMS's own UPDATE and DELETE fail`},

		{name: "key dropped later", broken: drop, mends: key, ours: true, harms: true,
			says: `replica identity of public.work is missing, for want of a primary key: published, the LMS's own UPDATE and DELETE fail now, want a primary key, or a unique index on columns that are NOT NULL; ` +
				`fix: ALTER TABLE "public"."work" ADD PRIMARY KEY (<columns>); until then take the table out: ALTER PUBLICATION "schoolbell" DROP TABLE ONLY "public"."work"`},
		{name: "identity taken away later", broken: "ALTER TABLE work REPLICA IDENTITY NOTHING", mends: defaults, ours: true, harms: true,
			says: `fix: ALTER TABLE "public"."work" REPLICA IDENTITY DEFAULT; until then take the table out: ALTER PUBLICATION "schoolbell" DROP TABLE ONLY "public"."work"`},
		{name: "the whole row as identity later", broken: "ALTER TABLE work REPLICA IDENTITY FULL", mends: defaults, ours: true, harms: true, since: listsFrom,
			says: `publication "schoolbell" is listing columns of public.work, which makes the LMS's own UPDATE and DELETE fail, want no list: the table's identity is the whole row; fix: ALTER PUBLICATION "schoolbell" SET TABLE`},
		{name: "another key later, which the list does not cover", broken: drop + ", ADD COLUMN extra int GENERATED ALWAYS AS IDENTITY, ADD PRIMARY KEY (extra)",
			mends: drop + "; " + key, ours: true, harms: true, since: listsFrom,
			says: `publication "schoolbell" is leaving extra out of public.work, which makes the LMS's own UPDATE and DELETE fail`},
	}
}

// lives is what the LMS does to a table: an error is a statement that failed for us.
func (s *school) lives(t *testing.T) error {
	t.Helper()
	_, err := s.Exec(t.Context(), "UPDATE work SET mark = mark || '+' WHERE student = 1")
	if err == nil {
		_, err = s.Exec(t.Context(), "DELETE FROM work WHERE student = 2")
	}
	if err == nil {
		_, err = s.Exec(t.Context(), "INSERT INTO work VALUES ('2', 1, 2, 'again')")
	}
	return err
}

func (h hazard) skip(t *testing.T) bool { return pgtest.Server(t).Major() < h.since }

// hazardous is a school with a hazard that is older than anything of ours.
func (h hazard) hazardous(t *testing.T) *school {
	t.Helper()
	s := bareSchool(t, pgtest.Database(t))
	s.exec(t, "INSERT INTO work VALUES ('1', 1, 1, 'a'), ('2', 1, 2, 'b')")
	if h.tables != "" {
		s.exec(t, h.tables)
	}
	return s
}

// Whatever the LMS's tables are like: what init makes, and what serve attaches to, fails
// none of its statements. Where it would, nothing is made, and nothing is attached to.
func TestNoStatementOfTheLMSFailsInAnyHazard(t *testing.T) {
	for _, h := range hazards() {
		t.Run(h.name, func(t *testing.T) {
			if h.skip(t) || h.ours {
				return
			}
			s := h.hazardous(t)
			err := replication.Init(t.Context(), s.cfg)
			require.NoError(t, s.lives(t), "with all that init made")
			if h.tables != "" {
				require.ErrorContains(t, err, h.says)
				require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_publication"), "nothing was made")
				s.exec(t, "CREATE PUBLICATION schoolbell FOR TABLE ONLY people, ONLY work") // by somebody who does not ask us
			} else {
				require.NoError(t, err)
				s.exec(t, h.broken)
			}
			// PostgreSQL itself says whether it is a hazard.
			if err := s.lives(t); h.harms {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
			}
			require.Contains(t, fmt.Sprint(s.wrong(t)), h.says)
			r := replication.New(s.cfg)
			require.ErrorContains(t, r.Run(t.Context(), newSink(), cdc.Checkpoint{}), h.says)
			require.Equal(t, replication.Soundness{Identity: !h.harms}, r.Status().Sound)
			require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot), "nothing is attached")

			if h.mends != "" {
				s.exec(t, h.mends)
			}
			require.NoError(t, replication.Init(t.Context(), s.cfg))
			require.NoError(t, s.lives(t), "mended")
			k := newSink()
			s.run(t, k, cdc.Checkpoint{})
			s.agree(t, k)
			require.NoError(t, s.lives(t), "and followed")
		})
	}
}

// An upgrade of the LMS does it to tables that we have published, or somebody to the
// publication. PostgreSQL cannot be kept from refusing the LMS's statements then; it is
// said at once, with the statement that ends it, and that statement ends it.
func TestAHazardThatArisesWhileWeFollowIsSaidAtOnceWithWhatEndsIt(t *testing.T) {
	for _, h := range hazards() {
		t.Run(h.name, func(t *testing.T) {
			if h.skip(t) {
				return
			}
			s := hazard{}.hazardous(t)
			s.cfg.WatchSlot, s.cfg.WatchHealth = fast, fast
			require.NoError(t, replication.Init(t.Context(), s.cfg))
			k := newSink()
			r := s.following(t, k)
			require.NoError(t, s.lives(t))
			s.exec(t, h.tables+h.broken)
			harms := h.harms || h.later && pgtest.Server(t).Major() >= listsFrom
			require.Equal(t, harms, s.lives(t) != nil)
			until(t, "it is said", func() bool { return strings.Contains(fmt.Sprint(r.Status().Health), h.says) })

			// What we name as the remedy is one, for the LMS at once, whatever comes later.
			if harms {
				require.Equal(t, replication.Soundness{}, r.Status().Sound)
				said := r.Status().Health.Error()
				require.Regexp(t, "the LMS's own UPDATE and DELETE fail( now)?[,;]", said)
				_, remedy, ok := strings.Cut(said, "until then take the table out: ")
				if !ok {
					_, remedy, _ = strings.Cut(said, "; fix: ")
				}
				s.exec(t, remedy)
				require.NoError(t, s.lives(t), "after the remedy")
			}
			if h.mends != "" {
				s.exec(t, h.mends)
			}
			require.NoError(t, replication.Init(t.Context(), s.cfg))
			until(t, "all is well", func() bool { return r.Status().Health == nil && r.Status().State == replication.Streaming })
			require.Equal(t, replication.Soundness{Publication: true, Identity: true}, r.Status().Sound)
			require.NoError(t, s.lives(t))
			s.agree(t, k)
		})
	}
}

// What is published besides the profile's tables counts, too: the LMS's statements fail on
// it just the same.
func TestTheSoundnessOfAPublicationIsThatOfAllThatIsInIt(t *testing.T) {
	s := newSchool(t)
	s.cfg.WatchSlot, s.cfg.WatchHealth = fast, fast
	r := replication.New(s.cfg)
	require.Zero(t, r.Status().Sound, "nobody has looked")
	s.watch(t, r)
	becomes := func(publication, identity bool) {
		t.Helper()
		until(t, "it is seen", func() bool {
			return r.Status().Sound == replication.Soundness{Publication: publication, Identity: identity}
		})
	}
	becomes(true, true)
	s.exec(t, "CREATE TABLE diary (line text)")
	s.exec(t, "ALTER PUBLICATION schoolbell ADD TABLE elsewhere")
	becomes(false, true)
	s.exec(t, "ALTER PUBLICATION schoolbell ADD TABLE diary")
	becomes(false, false)
	_, err := s.Exec(t.Context(), "INSERT INTO diary VALUES ('a'); UPDATE diary SET line = 'b'")
	require.ErrorContains(t, err, "replica identity")
	s.exec(t, "ALTER TABLE diary REPLICA IDENTITY FULL")
	becomes(false, true)
	s.exec(t, "DROP PUBLICATION schoolbell")
	becomes(false, true)
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	becomes(true, true)
	if pgtest.Server(t).Major() >= listsFrom { // a filter by the key fails nobody
		s.exec(t, "ALTER PUBLICATION schoolbell SET TABLE people, work WHERE (mark <> '')")
		becomes(false, false)
		s.exec(t, "ALTER PUBLICATION schoolbell SET TABLE people, work WHERE (student > 0)")
		becomes(false, true)
		require.NoError(t, replication.Init(t.Context(), s.cfg))
		becomes(true, true)
	}
	s.exec(t, "ALTER TABLE people DROP COLUMN number CASCADE")
	becomes(false, true)
}
