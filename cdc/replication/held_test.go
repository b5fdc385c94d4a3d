package replication_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

const enough = 2 << 20 // bytes of log that tests call much

// watch lets a reader look at the slot until stop is called.
func watch(t *testing.T, r *replication.Reader) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Watch(ctx) }()
	return func() { cancel(); require.NoError(t, <-ended) }
}

// busy writes three megabytes of log that are none of our business, and lets the server
// note which transactions are open, as it does by itself now and then.
func (s *school) busy(t *testing.T) {
	t.Helper()
	s.exec(t, "INSERT INTO elsewhere (filler) SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
	s.exec(t, "CHECKPOINT")
}

// advised is what check says of open transactions.
func (s *school) advised(t *testing.T) (said []string) {
	t.Helper()
	found, err := replication.Check(t.Context(), s.cfg)
	require.NoError(t, err)
	for _, f := range found {
		if strings.HasPrefix(f.Err.Setting, "log kept for slot") {
			require.Equal(t, replication.Advice, f.Severity)
			said = append(said, f.Err.Error())
		}
	}
	return said
}

func TestTheHeldLogIsExplainedByTheTransactionThatIsOpenOrByUs(t *testing.T) {
	server := pgtest.Own(t, map[string]string{"max_prepared_transactions": "1", "wal_sender_timeout": "900ms"})
	s := bareSchool(t, server.URL("postgres"))
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	var log bytes.Buffer // read when nobody writes into it any more
	s.cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s.cfg.WatchSlot, s.cfg.HeldBytes, s.cfg.HeldFor = 20*time.Millisecond, enough, 500*time.Millisecond
	r, stop := s.run(t, newSink(), cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	stopWatch := watch(t, r)
	held := func() replication.Held { return r.Status().Slot.Held }
	require.Empty(t, s.advised(t))

	lms := open(t, s.cfg.URL)
	for _, sql := range []string{"BEGIN", "INSERT INTO work VALUES ('', 1, 1, 'soon')"} {
		_, err := lms.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	pid := int64(lms.PgConn().PID())
	until(t, "it is held for the open transaction", func() bool {
		s.busy(t)
		return held().ForOpen > enough && held().ForUs < enough/2
	})
	until(t, "that is for long", func() bool { return held().Oldest.Age(time.Now()) > s.cfg.HeldFor })
	require.Equal(t, pid, held().Oldest.PID)
	require.True(t, held().Oldest.Exact)
	require.InDelta(t, time.Since(held().Oldest.Began), held().Oldest.Age(time.Now()), float64(time.Second))
	advice := s.advised(t)
	require.Len(t, advice, 1)
	require.Contains(t, advice[0], fmt.Sprintf("(pid %d)", pid))
	require.Contains(t, advice[0], fmt.Sprintf("fix: let its program end it; if it hangs: SELECT pg_terminate_backend(%d)", pid))

	_, err := lms.Exec(t.Context(), "PREPARE TRANSACTION 'half done'")
	require.NoError(t, err)
	until(t, "it is known to be prepared", func() bool { return held().Oldest.Prepared == "half done" })
	require.Zero(t, held().Oldest.PID)
	require.Contains(t, s.advised(t)[0], `(prepared as "half done")`)
	require.Contains(t, s.advised(t)[0], `fix: COMMIT PREPARED 'half done', or ROLLBACK PREPARED 'half done'`)

	s.exec(t, "COMMIT PREPARED 'half done'")
	until(t, "it is let go", func() bool {
		s.busy(t)
		return held().ForOpen < enough && held().Oldest.XID == 0
	})
	require.Zero(t, held().Oldest.Age(time.Now()))
	require.Empty(t, s.advised(t))

	require.NoError(t, stop())
	until(t, "it waits for us", func() bool {
		s.busy(t)
		return held().ForUs > enough+5*held().ForOpen
	})
	stopWatch()
	require.Contains(t, log.String(), "an open transaction makes the server keep its log")
	require.Equal(t, 1, strings.Count(log.String(), fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid)), "once: %s", log.String())
}

// A role that is no member of pg_monitor sees that somebody has a transaction, but not
// since when.
func TestTheAgeOfATransactionThatWeMayNotSeeIsHowLongWeHaveSeenIt(t *testing.T) {
	s := bareSchool(t, pgtest.Own(t, nil).URL("postgres"))
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	s.exec(t, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", s.cfg.Slot)
	s.exec(t, "CREATE ROLE blind LOGIN")
	lms := open(t, s.cfg.URL)
	for _, sql := range []string{"BEGIN", "INSERT INTO work VALUES ('', 1, 1, 'soon')"} {
		_, err := lms.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	before := time.Now()
	s.cfg.URL = strings.Replace(s.cfg.URL, "postgres://postgres", "postgres://blind", 1)
	s.cfg.WatchSlot = 20 * time.Millisecond
	r := replication.New(s.cfg)
	defer watch(t, r)()
	oldest := func() replication.OpenTransaction { return r.Status().Slot.Held.Oldest }
	until(t, "it is seen", func() bool { return oldest().XID != 0 })
	first := oldest()
	require.False(t, first.Exact)
	require.Equal(t, int64(lms.PgConn().PID()), first.PID)
	require.False(t, first.Began.Before(before))
	seen := r.Status().Slot.Seen
	until(t, "it is seen again", func() bool { return r.Status().Slot.Seen.After(seen) })
	require.Equal(t, first.Began, oldest().Began)
}
