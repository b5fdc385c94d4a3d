package replication_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// listsFrom is the first version whose publications have column lists, row filters
// and whole schemas.
const listsFrom = 15

// lacks is what check says of a version that lacks something.
func lacks(major int) []string {
	var all []string
	if major < 14 {
		all = append(all, fmt.Sprintf("server version is %d, which does not pass on what SQL announces with pg_logical_emit_message, "+
			"want 14 or later for custom messages from SQL; fix: upgrade PostgreSQL when you can", major))
	}
	if major < listsFrom {
		all = append(all, fmt.Sprintf("server version is %d, which sends us every column of the published tables, also password of public.people; note of public.work, "+
			"want 15 or later, which has column lists; fix: upgrade PostgreSQL when you can", major))
	}
	return all
}

func TestWhatAVersionLacksIsSaid(t *testing.T) {
	s := newSchool(t)
	var said []string
	for _, sentence := range s.advice(t) {
		if strings.HasPrefix(sentence, "server version is ") {
			said = append(said, sentence)
		}
	}
	major := pgtest.Server(t).Major()
	require.Equal(t, lacks(major), said)

	// It is true, and it is not said where it is not.
	s.exec(t, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", s.cfg.Slot)
	s.exec(t, "SELECT pg_logical_emit_message(true, 'schoolbell', '{}')")
	var heard bool
	err := s.QueryRow(t.Context(), `SELECT count(*) > 0 FROM pg_logical_slot_get_binary_changes($1, NULL, NULL,
		'proto_version', '1', 'publication_names', 'schoolbell', 'messages', 'true') WHERE get_byte(data, 0) = ascii('M')`, s.cfg.Slot).Scan(&heard)
	if major < 14 {
		require.ErrorContains(t, err, "unrecognized pgoutput option: messages")
		return
	}
	require.NoError(t, err)
	require.True(t, heard)
}

func TestWithColumnListsOnlyWhatWasAskedForLeavesTheServer(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	r, stop := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, "INSERT INTO people (id, password) VALUES (1, 'secret')")
	s.agree(t, k)
	require.NoError(t, stop())
	sent := slices.ContainsFunc(k.words["people"].Columns, func(c cdc.Column) bool { return c.Name == "password" })
	require.Equal(t, pgtest.Server(t).Major() < listsFrom, sent, "check warns where it has to, and only there")
}

func TestColumnsThatComeUnaskedAreNamedWithMeasure(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "ALTER TABLE people ADD shout text GENERATED ALWAYS AS (upper(email)) STORED") // does not come
	for _, c := range []struct{ added, want string }{
		{"ADD a int, ADD b int, ADD c int, ADD d int, ADD e int, ADD f int, ADD g int", "also password, a, b, c, d, e, f and g of public.people; note of public.work, want"},
		{"ADD h int", "also password, a, b, c, d, e, f, g and h of public.people; note of public.work, want"},
		{"ADD i int", "also password, a, b, c, d, e, f, g and 2 more of public.people; note of public.work, want"},
	} {
		s.exec(t, "ALTER TABLE people "+c.added)
		if said := strings.Join(s.advice(t), "\n"); pgtest.Server(t).Major() < listsFrom {
			require.Contains(t, said, c.want)
		} else {
			require.NotContains(t, said, "password", "column lists keep it on the server")
		}
	}
}

func TestASlotThatALongStopWouldCostUsIsAdvisedAgainst(t *testing.T) {
	if major := pgtest.Server(t).Major(); major < 18 {
		_, err := newSchool(t).Exec(t.Context(), "SHOW idle_replication_slot_timeout")
		require.ErrorContains(t, err, "unrecognized configuration parameter", "before 18 a slot waits for ever")
		return
	}
	s := bareSchool(t, pgtest.Own(t, map[string]string{"idle_replication_slot_timeout": "1d"}).URL("postgres"))
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	require.Contains(t, s.advice(t), "idle_replication_slot_timeout is 1d: a slot that nobody reads for that long is lost, want 0, or longer than schoolbell is ever stopped; "+
		"fix: ALTER SYSTEM SET idle_replication_slot_timeout = 0, then SELECT pg_reload_conf(); it is max_slot_wal_keep_size that protects the disk")
	s.exec(t, "ALTER SYSTEM SET idle_replication_slot_timeout = 0")
	s.exec(t, "SELECT pg_reload_conf()")
	until(t, "the remedy", func() bool {
		return !strings.Contains(strings.Join(s.advice(t), "\n"), "idle_replication_slot_timeout")
	})
}

// Each row breaks a sound publication as one with column lists can be broken. older is
// what is wrong with it before; where that is empty, nobody can write it there.
func TestAPublicationThatFiltersRowsOrSendsOtherColumnsIsRefused(t *testing.T) {
	for _, c := range []struct{ name, broken, want, older string }{
		{"row filter", "ALTER PUBLICATION schoolbell SET TABLE ONLY people (id, email, at, span, number, raw), work (assignment, student, mark) WHERE (student > 1)",
			`publication "schoolbell" is filtering the rows of public.work, which makes the LMS's own UPDATE and DELETE fail, want no filter; fix: ALTER PUBLICATION "schoolbell" SET TABLE ONLY "public"."people" ("id", "email", "at", "span", "number", "raw"), ONLY "public"."work" ("assignment", "student", "mark")`, ""},
		{"list without identity", "ALTER PUBLICATION schoolbell SET TABLE people (id, email, at, span, number, raw), work (student, mark)",
			`publication "schoolbell" is leaving assignment out of public.work, which makes the LMS's own UPDATE and DELETE fail, want the identity in the list; fix: ALTER PUBLICATION "schoolbell" SET TABLE`, ""},
		{"list without a mapped column", "ALTER PUBLICATION schoolbell SET TABLE people (id, email, at, span, number, raw), work (assignment, student)",
			`publication "schoolbell" is leaving mark out of public.work, want the profile's columns in the list; fix: ALTER PUBLICATION`, ""},
		{"passwords", "ALTER PUBLICATION schoolbell SET TABLE people (id, email, password, at, span, number, raw), work (assignment, student, mark)",
			`publication "schoolbell" is sending password of public.people, want only id, email, at, span, number, raw; fix: ALTER PUBLICATION`, ""},
		{"no list", "ALTER PUBLICATION schoolbell SET TABLE people, work (assignment, student, mark)",
			`publication "schoolbell" is sending all columns of public.people, want only id, email, at, span, number, raw; fix: ALTER PUBLICATION`, ""},
		{"a whole schema", "CREATE SCHEMA s; DROP PUBLICATION schoolbell; CREATE PUBLICATION schoolbell FOR TABLES IN SCHEMA s",
			`publication "schoolbell" is publishing all of schema "s"; without table public.people and table public.work, want the profile's tables and columns alone; fix: ALTER PUBLICATION`, ""},
		{"no lists at all", "ALTER PUBLICATION schoolbell SET TABLE people, work",
			`publication "schoolbell" is sending all columns of public.people and public.work, want the profile's tables and columns alone; fix: ALTER PUBLICATION "schoolbell" SET TABLE ONLY "public"."people" ("id", "email", "at", "span", "number", "raw"), ONLY "public"."work" ("assignment", "student", "mark")`,
			"nothing"},
		{"several things", "ALTER PUBLICATION schoolbell SET TABLE people, elsewhere",
			`publication "schoolbell" is sending all columns of public.people; without table public.work; publishing table public.elsewhere, want the profile's tables and columns alone; fix: ALTER PUBLICATION`,
			`publication "schoolbell" is without table public.work; publishing table public.elsewhere, want the profile's tables and columns alone; fix: ALTER PUBLICATION "schoolbell" SET TABLE ONLY "public"."people", ONLY "public"."work"`},
		{"no publication", "DROP PUBLICATION schoolbell",
			`publication "schoolbell" is missing, want one of 2 tables; fix: CREATE PUBLICATION "schoolbell" FOR TABLE ONLY "public"."people" ("id", "email", "at", "span", "number", "raw"), ONLY "public"."work" ("assignment", "student", "mark")`,
			`publication "schoolbell" is missing, want one of 2 tables; fix: CREATE PUBLICATION "schoolbell" FOR TABLE ONLY "public"."people", ONLY "public"."work"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSchool(t)
			switch {
			case pgtest.Server(t).Major() >= listsFrom:
				s.refuses(t, c.broken, c.want, "")
			case c.older == "":
				_, err := s.Exec(t.Context(), c.broken)
				require.ErrorContains(t, err, "SQLSTATE 42601", "a syntax error")
			case c.older == "nothing":
				s.exec(t, c.broken)
				require.Empty(t, s.wrong(t))
			default:
				s.refuses(t, c.broken, c.older, "")
			}
		})
	}
}
