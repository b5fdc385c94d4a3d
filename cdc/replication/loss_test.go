package replication_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// followed is a sink that was given the database and some transactions; then its
// gateway was stopped.
func (s *school) followed(t *testing.T) *sink {
	t.Helper()
	k := newSink()
	r, stop := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, "INSERT INTO work VALUES ('', 1, 1, 'seen') ON CONFLICT DO NOTHING")
	s.exec(t, "INSERT INTO people (id, email) VALUES (1, 'seen') ON CONFLICT DO NOTHING")
	s.agree(t, k)
	require.NoError(t, stop())
	return k
}

// missed happens while nobody follows: a change of every kind.
func (s *school) missed(t *testing.T) {
	t.Helper()
	s.exec(t, "INSERT INTO work VALUES ('', 2, 2, 'missed') ON CONFLICT DO NOTHING")
	s.exec(t, "UPDATE people SET email = 'missed'")
	s.exec(t, "DELETE FROM work WHERE student = 1")
}

// recovers starts a gateway where the sink stands, and sees that it gets the database
// anew, once, for the reason given, and then follows the log.
func (s *school) recovers(t *testing.T, k *sink, reason replication.Reason) {
	t.Helper()
	before := k.resets
	r, stop := s.run(t, k, k.checkpoint())
	s.recovered(t, r, k, before, reason)
	require.NoError(t, stop())
	// And that is that: the next start goes on.
	_, stop = s.run(t, k, k.checkpoint())
	s.agree(t, k)
	require.Equal(t, before+1, k.resets)
	require.NoError(t, stop())
}

// recovered waits for a recovery of a gateway that runs.
func (s *school) recovered(t *testing.T, r *replication.Reader, k *sink, before int, reason replication.Reason) {
	t.Helper()
	until(t, "a new snapshot", func() bool { return k.snapshots() > before && r.Status().State == replication.Streaming })
	s.agree(t, k)
	require.Equal(t, before+1, k.resets)
	require.Equal(t, string(reason), k.reasons[before])
	require.Equal(t, int64(1), r.Status().Resnapshots[reason])
	require.Equal(t, replication.Progress{
		Rows: r.Status().Snapshot.Rows, Expected: r.Status().Snapshot.Expected, PerSecond: r.Status().Snapshot.PerSecond, Share: 1, Done: true,
	}, r.Status().Snapshot)
}

func TestASlotThatWasDroppedIsMadeAnew(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	s.dropSlot(t)
	s.missed(t)
	s.recovers(t, k, replication.SlotMissing)

	// While the gateway runs: it lets go of the slot for a moment.
	r, _ := s.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	s.loseSlot(t)
	s.missed(t)
	s.recovered(t, r, k, 2, replication.SlotMissing)
}

func TestASlotThatTheServerGaveUpIsMadeAnew(t *testing.T) {
	server := pgtest.Own(t, map[string]string{"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "48MB"})
	s := bareSchool(t, server.URL("postgres"))
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	k := s.followed(t)
	s.missed(t)
	until(t, "the slot is lost", func() bool {
		s.exec(t, "INSERT INTO elsewhere (filler) VALUES ('')")
		s.exec(t, "SELECT pg_switch_wal()")
		s.exec(t, "CHECKPOINT")
		return ask[string](t, s.Conn, "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot) == "lost"
	})
	r := replication.New(s.cfg)
	stopWatching := s.watch(t, r)
	until(t, "it is seen", func() bool { return r.Status().Slot.Invalidated == "wal_removed" })
	stopWatching()
	require.Empty(t, s.wrong(t), "a gateway mends it")
	require.Contains(t, fmt.Sprint(s.advice(t)), "replication slot "+s.cfg.Slot+" is lost: the server gave up replication slot "+s.cfg.Slot+" (")
	s.recovers(t, k, replication.SlotInvalidated)
}

func TestASlotThatSomebodyElseReadIsMadeAnew(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	s.missed(t)
	s.exec(t, "SELECT count(*) FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'schoolbell')", s.cfg.Slot)
	s.recovers(t, k, replication.SlotAhead)
}

func TestAPublicationThatWasMadeAnewIsNoticed(t *testing.T) {
	s := newSchool(t)
	s.cfg.WatchSlot = 20 * time.Millisecond
	k := s.followed(t)
	again := func() {
		s.exec(t, "DROP PUBLICATION schoolbell")
		s.missed(t)
		require.NoError(t, replication.Init(t.Context(), s.cfg))
	}
	again()
	s.recovers(t, k, replication.TablesReplaced)

	// While the gateway runs, nothing was committed in between that the log could tell of.
	r, stop := s.run(t, k, k.checkpoint())
	stopWatching := s.watch(t, r)
	until(t, "the stream", streaming(r))
	s.exec(t, "DROP PUBLICATION schoolbell")
	until(t, "it is missed", func() bool { // a look may fall in the middle of the change
		return strings.Contains(fmt.Sprint(r.Status().Health), `publication "schoolbell" is missing`)
	})
	until(t, "nothing is told without it", func() bool { return r.Status().State == replication.Waiting })
	require.Contains(t, r.Status().Reason, `which waits until this is put right: publication "schoolbell" is missing`)
	require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot), "no log is held meanwhile")
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	s.recovered(t, r, k, 2, replication.TablesReplaced)
	require.NoError(t, r.Status().Health)

	// And when something was: the server cannot decode that.
	again()
	until(t, "a new snapshot", func() bool { return k.snapshots() == 4 && r.Status().State == replication.Streaming })
	s.agree(t, k)
	require.Contains(t, []string{string(replication.LogUnreadable), string(replication.TablesReplaced)}, k.reasons[3])
	stopWatching()
	require.NoError(t, stop())

	// An action that was left out for a while is missing in the log.
	s.exec(t, "ALTER PUBLICATION schoolbell SET (publish = 'insert')")
	s.missed(t)
	s.exec(t, "ALTER PUBLICATION schoolbell SET (publish = 'insert, update, delete, truncate')")
	s.recovers(t, k, replication.TablesReplaced)
}

func TestATableThatWasMadeAnewIsNoticed(t *testing.T) {
	s := newSchool(t)
	s.cfg.WatchSlot = 20 * time.Millisecond
	k := s.followed(t)
	again := func() {
		s.exec(t, "DROP TABLE work; CREATE TABLE work (note text, assignment int, student int, mark text, PRIMARY KEY (student, assignment))")
		s.exec(t, "INSERT INTO work VALUES ('', 5, 5, 'before')")
		require.NoError(t, replication.Init(t.Context(), s.cfg))
		s.exec(t, "INSERT INTO work VALUES ('', 6, 6, 'after')")
	}
	again()
	s.recovers(t, k, replication.TablesReplaced)

	r, stop := s.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	again() // nobody watches: the log itself tells
	s.recovered(t, r, k, 2, replication.TablesReplaced)
	require.Equal(t, int64(1), r.Status().Reconnects[replication.LogLost])
	require.NoError(t, stop())

	r, _ = s.run(t, k, k.checkpoint())
	s.watch(t, r)
	until(t, "the stream", streaming(r))
	s.exec(t, "DROP TABLE work; CREATE TABLE work (note text, assignment int, student int, mark text, PRIMARY KEY (student, assignment))")
	until(t, "it is missed", func() bool { return r.Status().Health != nil })
	s.exec(t, "INSERT INTO people (id) VALUES (9)")
	until(t, "the rest goes on", func() bool { return k.table(people)["9"] != "" })
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	s.recovered(t, r, k, 3, replication.TablesReplaced)
}

func TestATableThatWasOutOfThePublicationIsNoticed(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	s.exec(t, "ALTER PUBLICATION schoolbell DROP TABLE work")
	s.missed(t)
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	s.recovers(t, k, replication.TablesReplaced)
}

// The log calls a table what it was called when it was written.
func TestATableThatHadAnotherNameIsNoticed(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	s.exec(t, "ALTER TABLE work RENAME TO homework")
	s.exec(t, "INSERT INTO homework VALUES ('', 7, 7, 'under another name')")
	s.exec(t, "ALTER TABLE homework RENAME TO work")
	r, _ := s.run(t, k, k.checkpoint())
	s.recovered(t, r, k, 1, replication.TablesReplaced)
}

// The server reads the log with the catalogue of its moment.
func TestALogWrittenWithoutItsPublicationIsLeft(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	s.exec(t, "DROP PUBLICATION schoolbell")
	s.exec(t, "INSERT INTO elsewhere (filler) VALUES ('any row of the database will do')")
	s.missed(t)
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	from, reason := k.checkpoint(), replication.LogUnreadable
	if pgtest.Server(t).Major() >= 18 {
		reason = replication.TablesReplaced // the server only warns: nothing but the lineage tells
	} else {
		from.Source.Lineage = "" // otherwise that tells
	}
	r, _ := s.run(t, k, from)
	s.recovered(t, r, k, 1, reason)
}

func TestASinkThatAsksForItGetsTheTablesAgain(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	s.cfg.Stale = string(replication.ProfileChanged)
	s.missed(t)
	r, _ := s.run(t, k, k.checkpoint())
	s.recovered(t, r, k, 1, replication.ProfileChanged)
	s.exec(t, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot)
	until(t, "it is noticed", func() bool { return r.Status().Reconnects[replication.Terminated] == 1 })
	s.agree(t, k)
	require.Equal(t, 2, k.resets, "once")
}

func TestASlotOfAnotherNameIsNotLeftBehind(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	old := s.cfg.Slot
	s.cfg.Slot = "new_" + old[:20]
	require.EqualError(t, replication.New(s.cfg).Run(t.Context(), k, k.checkpoint()),
		`slot name is "`+s.cfg.Slot+`", want "`+old+`", which our data directory belongs to and which would keep log that nobody reads; `+
			`fix: configure slot `+old+`, or SELECT pg_drop_replication_slot('`+old+`'): the tables are then compared with what we have, and what happened in between is delivered`)
	s.exec(t, "SELECT pg_drop_replication_slot($1)", old)
	s.missed(t)
	s.recovers(t, k, replication.SlotMissing)
}

func TestNothingIsReadAgainWhileSomethingIsWrongOrTheSlotIsInUse(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	s.missed(t)
	s.exec(t, "SELECT count(*) FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'schoolbell')", s.cfg.Slot)
	other, err := pgconn.Connect(t.Context(), s.cfg.URL+"&replication=database&application_name=somebody")
	require.NoError(t, err)
	require.NoError(t, pglogrepl.StartReplication(t.Context(), other, s.cfg.Slot, 0, pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names 'schoolbell'"},
	}))
	r, stop := s.run(t, k, k.checkpoint())
	until(t, "attempts", func() bool { return r.Status().Reconnects[replication.SlotInUse] > 1 })
	require.NoError(t, stop())
	require.NoError(t, other.Close(t.Context()))

	// At a start a missing publication is told and left to somebody.
	s.exec(t, "DROP PUBLICATION schoolbell")
	until(t, "the slot is free", func() bool {
		err := replication.New(s.cfg).Run(t.Context(), k, k.checkpoint())
		require.Error(t, err)
		return err != nil && !errors.Is(err, context.Canceled)
	})
	require.Equal(t, 1, k.resets)
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	k.onReset = func(context.Context) error {
		s.exec(t, "DROP PUBLICATION schoolbell")
		return errors.New("the disk is full")
	}
	r, stop = s.run(t, k, k.checkpoint())
	until(t, "it waits for the publication", func() bool {
		return r.Status().State == replication.Waiting && r.Status().Reconnects[replication.Setup] > 1
	})
	require.Regexp(t, `^the tables have to be read again \(replication slot \S+ is confirmed up to .*\), which waits until this is put right: publication "schoolbell" is missing, want one of 2 tables; fix: CREATE PUBLICATION`, r.Status().Reason)
	k.onReset = nil
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	until(t, "the stream", streaming(r))
	s.agree(t, k)
	require.Equal(t, []string{"", string(replication.SlotAhead)}, k.reasons)
	require.NoError(t, stop())
}

func TestAfterThreeSnapshotsWithinAnHourItWaitsAndSaysUntilWhen(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	now := time.Now()
	s.cfg.Begun = []time.Time{now.Add(-2 * time.Hour), now.Add(-time.Minute), now.Add(time.Minute)}
	var claimed []time.Time
	s.cfg.Claim = func(began time.Time) error { claimed = append(claimed, began); return nil }
	r, stop := s.run(t, k, k.checkpoint())
	for n := range 3 {
		until(t, "the stream", streaming(r))
		require.Equal(t, int64(n), r.Status().Resnapshots[replication.SlotMissing])
		s.loseSlot(t)
	}
	until(t, "it waits", func() bool { return r.Status().State == replication.Waiting && len(r.Status().Reason) > 200 })
	next := now.Add(-time.Minute).Add(time.Hour).UTC().Format(time.RFC3339)
	require.Equal(t, "number of snapshots within an hour is 3, and another is needed: replication slot "+s.cfg.Slot+" is missing, want at most 3; "+
		"fix: look in the logs of schoolbell and PostgreSQL for what broke the log off each time (max_slot_wal_keep_size, another reader of the slot, a restore, a script that makes the publication anew); "+
		"the next one is taken at "+next+" by itself, or after a restart with a larger snapshots_per_hour", r.Status().Reason)
	require.Equal(t, 3, k.resets, "the first and two more")
	require.Len(t, claimed, 2)
	require.NoError(t, stop())

	// A start is no way round it, and by itself it goes on.
	s.cfg.Begun = append(claimed, time.Now().Add(-time.Hour).Add(2*time.Second))
	r, _ = s.run(t, k, k.checkpoint())
	until(t, "it waits", func() bool { return r.Status().State == replication.Waiting })
	s.recovered(t, r, k, 3, replication.SlotMissing)
}

// loseSlot drops the slot of a gateway that runs.
func (s *school) loseSlot(t *testing.T) {
	t.Helper()
	until(t, "the slot is dropped", func() bool {
		s.exec(t, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL", s.cfg.Slot)
		_, err := s.Exec(t.Context(), "SELECT pg_drop_replication_slot($1)", s.cfg.Slot)
		return err == nil
	})
}

func TestARecoveryThatIsKilledBeginsAgainAndTheSinkKeepsWhatItHas(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	had := k.table(work)
	s.dropSlot(t)
	s.missed(t)
	ctx, cancel := context.WithCancel(t.Context())
	k.onReset = func(context.Context) error {
		cancel()
		return context.Canceled
	}
	require.NoError(t, replication.New(s.cfg).Run(ctx, k, k.checkpoint()))
	require.Equal(t, had, k.table(work))
	require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot))
	k.onReset = nil
	s.recovers(t, k, replication.SlotMissing)

	// A kill gives nobody the time to drop the slot.
	s.dropSlot(t)
	s.exec(t, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", s.cfg.Slot)
	s.recovers(t, k, replication.SlotAhead)
}
