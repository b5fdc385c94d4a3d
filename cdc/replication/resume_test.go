package replication_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
)

func TestAnotherServerIsRefusedUnlessItIsToBeAdopted(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	good := k.checkpoint()
	const compared = "start once with --adopt: the tables are then compared with what we have, and what happened in between is delivered"
	for _, c := range []struct {
		name, want string
		change     func(*cdc.Checkpoint)
	}{
		{
			"another server", "server is another one (system identifier " + good.Source.System + "), want the one our data directory belongs to (7); fix: correct the database URL, or, if the server was replaced, " + compared,
			func(c *cdc.Checkpoint) { c.Source.System = "7" },
		},
		{
			"another database", `database is "` + good.Source.Database + `", want "x", which our data directory belongs to; fix: correct the database URL, or, if the database was replaced, ` + compared,
			func(c *cdc.Checkpoint) { c.Source.Database = "x" },
		},
	} {
		from := good
		c.change(&from)
		s.cfg.Adopt = false
		err := replication.New(s.cfg).Run(t.Context(), k, from)
		require.ErrorAs(t, err, new(*replication.SetupError), c.name)
		require.EqualError(t, err, c.want, c.name)
		s.cfg.Adopt = true
		before := k.resets
		r, stop := s.run(t, k, from)
		s.recovered(t, r, k, before, replication.OtherServer)
		require.NoError(t, stop())
	}
}

func TestASlotOfAnotherKindIsNotOurs(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	s.dropSlot(t)
	s.exec(t, "SELECT pg_create_logical_replication_slot($1, 'test_decoding')", s.cfg.Slot)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // it may be accepted
	defer cancel()
	for _, from := range []cdc.Checkpoint{{}, k.checkpoint()} {
		require.ErrorContains(t, replication.New(s.cfg).Run(ctx, k, from),
			`is "test_decoding", want "pgoutput"; fix: the slot is somebody else's: choose another slot name in the configuration`)
	}
	require.Equal(t, 1, k.resets)
	require.Equal(t, "test_decoding", ask[string](t, s.Conn, "SELECT plugin::text FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot))
}

func TestASlotInUseIsWaitedFor(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	first, stop := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(first))
	s.agree(t, k)
	require.NoError(t, stop())

	other, err := pgconn.Connect(t.Context(), s.cfg.URL+"&replication=database&application_name=somebody")
	require.NoError(t, err)
	require.NoError(t, pglogrepl.StartReplication(t.Context(), other, s.cfg.Slot, 0, pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names 'schoolbell'"},
	}))
	for _, from := range []cdc.Checkpoint{{}, k.checkpoint()} {
		r, stop := s.run(t, k, from)
		until(t, "attempts", func() bool {
			return r.Status().Reconnects[replication.SlotInUse] > 1 && r.Status().State == replication.Waiting
		})
		require.Equal(t, fmt.Sprintf("replication slot %s is in use by pid %d (somebody), want free for us; "+
			"fix: stop the other reader, or give this one a slot of its own; if it hangs: SELECT pg_terminate_backend(%[2]d)", s.cfg.Slot, other.PID()), r.Status().Reason)
		require.NoError(t, stop())
	}
	require.Contains(t, s.advice(t), fmt.Sprintf("replication slot %s is in use by pid %d (somebody), want free for us; "+
		"fix: stop the other reader, or give this one a slot of its own; if it hangs: SELECT pg_terminate_backend(%[2]d)", s.cfg.Slot, other.PID()))
	r, _ := s.run(t, k, k.checkpoint())
	until(t, "attempts", func() bool { return r.Status().Reconnects[replication.SlotInUse] > 0 })
	require.NoError(t, other.Close(t.Context()))
	until(t, "the stream", streaming(r))
	s.agree(t, k)
}

func TestAGatewayThatRunsIsNoTroubleToCheck(t *testing.T) {
	s := newSchool(t)
	r, _ := s.run(t, newSink(), cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	require.Empty(t, s.wrong(t))
	pid := ask[int](t, s.Conn, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot)
	require.Contains(t, s.advice(t), fmt.Sprintf("replication slot %s is in use by pid %d, a gateway that is running, want no more than this one; "+
		"fix: nothing, unless a second gateway is meant to start: give that one a slot of its own", s.cfg.Slot, pid))
}

func TestATransactionThatNeverEndsIsNamed(t *testing.T) {
	s := newSchool(t)
	s.cfg.LockTimeout = 50 * time.Millisecond
	other := open(t, s.cfg.URL)
	_, err := other.Exec(t.Context(), "BEGIN; INSERT INTO elsewhere (filler) VALUES ('')")
	require.NoError(t, err)
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "attempts", func() bool { return r.Status().Reconnects[replication.Setup] > 1 })
	until(t, "the reason", func() bool { return r.Status().State == replication.Waiting })
	require.Contains(t, r.Status().Reason, "a transaction has been running for more than 50ms")
	_, err = other.Exec(t.Context(), "COMMIT")
	require.NoError(t, err)
	s.agree(t, k)
}

func TestATableRewrittenBetweenSnapshotAndReadingIsReadAgain(t *testing.T) {
	s := newSchool(t)
	s.exec(t, "INSERT INTO people (id) VALUES (1); INSERT INTO work VALUES ('', 1, 1, 'a'), ('', 1, 2, 'b')")
	k := newSink()
	rewrite := sync.OnceFunc(func() {
		// It now looks empty to the snapshot. The timeout is for us: we should not hold a
		// table that we are not reading.
		if _, err := s.Exec(t.Context(), "SET lock_timeout = '10s'; ALTER TABLE work ADD COLUMN extra timestamptz DEFAULT clock_timestamp()"); err != nil {
			t.Errorf("the LMS's upgrade: %v", err)
		}
	})
	r, _ := s.run(t, rewriter{k, rewrite}, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	require.Equal(t, int64(1), r.Status().Reconnects[replication.OtherCause])
	s.agree(t, k)
}

// rewriter does something after the first row of the snapshot.
type rewriter struct {
	*sink
	after func()
}

func (r rewriter) Reset(ctx context.Context, snap *cdc.Snapshot) error {
	rows := snap.Rows
	snap.Rows = func(yield func(cdc.Row, error) bool) {
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
			r.after()
		}
	}
	return r.sink.Reset(ctx, snap)
}

func TestWatchSeesTheSlotAndWhatAnUpgradeOfTheLMSBreaks(t *testing.T) {
	s := newSchool(t)
	s.cfg.WatchSlot, s.cfg.WatchHealth = 20*time.Millisecond, 20*time.Millisecond
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	stopWatching := s.watch(t, r)
	until(t, "the stream", streaming(r))
	until(t, "the slot", func() bool {
		slot := r.Status().Slot
		return slot.WALStatus == "reserved" && slot.ActivePID != 0 && slot.SafeBytes == -1 && slot.HeldBytes > 0
	})
	require.NoError(t, r.Status().Health)

	s.exec(t, "ALTER TABLE work DROP CONSTRAINT work_pkey")
	until(t, "the lost key", func() bool { return r.Status().Health != nil })
	require.ErrorContains(t, r.Status().Health, "replica identity of public.work is missing")
	s.exec(t, "ALTER TABLE work ADD PRIMARY KEY (student, assignment)")
	until(t, "its return", func() bool { return r.Status().Health == nil })

	s.exec(t, "DROP TABLE work; CREATE TABLE work (assignment int, student int, mark text, PRIMARY KEY (student, assignment))")
	until(t, "the table is not published", func() bool { // a look may fall in the middle of the change
		h := r.Status().Health
		return h != nil && strings.Contains(h.Error(), "without table public.work")
	})
	require.ErrorAs(t, r.Status().Health, new(*replication.SetupError))
	stopWatching()
}

func TestAnAddedColumnChangesNothing(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, "INSERT INTO work VALUES ('', 1, 1, 'a')")
	s.exec(t, "ALTER TABLE work ADD COLUMN extra text DEFAULT 'x'")
	s.exec(t, "INSERT INTO work VALUES ('', 1, 2, 'b', 'y')")
	s.agree(t, k)
	require.NoError(t, r.Status().Health)
}

// Whoever comes back with a position must not be told that it lies beyond the log, only
// because little of a backlog has arrived.
func TestHowFarTheServersLogGoesIsKnownBeforeAnyOfItArrives(t *testing.T) {
	s := newSchool(t)
	k := s.followed(t)
	for mark := range 5 {
		s.exec(t, "UPDATE work SET mark = $1 WHERE student = 1", fmt.Sprint(mark))
	}
	end, err := cdc.ParseLSN(ask[string](t, s.Conn, "SELECT pg_current_wal_flush_lsn()::text"))
	require.NoError(t, err)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	k.onApply = func(*cdc.Tx) error {
		select {
		case arrived <- struct{}{}:
			<-goOn
		case <-goOn:
		}
		return nil
	}
	r, stop := s.run(t, k, k.checkpoint())
	<-arrived
	known := r.Status().ServerEnd
	close(goOn)
	require.NoError(t, stop())
	require.GreaterOrEqual(t, known, end)
}
