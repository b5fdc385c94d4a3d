package replication_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// withEchoes has these texts waited for, and answers all that were asked about.
func (s *school) withEchoes(t *testing.T, texts ...string) (asked func() []string) {
	t.Helper()
	if pgtest.Server(t).Major() < 14 {
		t.Skip("before PostgreSQL 14 the log brings no messages; TestAServerThatBringsNoEchoesIsRefused")
	}
	var mu sync.Mutex
	var all []string
	s.cfg.Echo = func(text []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, string(text))
		return slices.Contains(texts, string(text))
	}
	return func() []string { mu.Lock(); defer mu.Unlock(); return all }
}

// echoed are the echoes that the sink was given.
func (s *sink) echoed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.echoes)
}

func (s *school) emit(t *testing.T, texts ...string) {
	t.Helper()
	e := replication.NewEmitter(s.cfg)
	defer e.Close(t.Context())
	for _, text := range texts {
		require.NoError(t, e.Emit(t.Context(), text))
	}
}

func TestAnEchoComesBackOnceIfItIsWaitedForAndCommitted(t *testing.T) {
	s := newSchool(t)
	asked := s.withEchoes(t, "mine", "it's mine", "with a row")
	k := newSink()
	r, stop := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.emit(t, "mine", "another's", "it's mine", "")
	s.exec(t, `SELECT pg_logical_emit_message(false, 'schoolbell.self_check', 'mine'), pg_logical_emit_message(true, 'schoolbell', 'mine'),
		pg_logical_emit_message(true, 'schoolbell.self_check.', 'mine')`)
	s.exec(t, `BEGIN; SELECT pg_logical_emit_message(true, 'schoolbell.self_check', 'mine'); ROLLBACK`)
	s.exec(t, `BEGIN; SELECT pg_logical_emit_message(true, 'schoolbell.self_check', 'with a row'); INSERT INTO work VALUES ('', 1, 1, 'kept'); COMMIT`)
	s.agree(t, k)
	require.Equal(t, []string{"mine", "it's mine", "with a row"}, k.echoed())
	require.Equal(t, []string{"mine", "another's", "it's mine", "", "with a row"}, asked())
	require.Empty(t, k.heard(), "messages were not asked for")
	require.Zero(t, r.Status().Loose)
	require.Len(t, k.ends, 4, "what nobody waits for is nothing")

	// And the log is let go of, with nothing but an echo in it.
	s.emit(t, "mine")
	end, err := cdc.ParseLSN(ask[string](t, s.Conn, "SELECT pg_current_wal_lsn()::text"))
	require.NoError(t, err)
	until(t, "it is confirmed", func() bool { return r.Status().Confirmed >= end })
	require.NoError(t, stop())

	// A start that asks for none goes on where that one ended.
	s.cfg.Echo = nil
	k.answers = 0
	r, _ = s.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	s.emit(t, "mine")
	s.agree(t, k)
	require.Len(t, k.echoed(), 4)
	require.Equal(t, 1, k.resets)
}

func TestAServerThatBringsNoEchoesIsRefused(t *testing.T) {
	s := newSchool(t)
	s.cfg.Echo = func([]byte) bool { return false }
	if pgtest.Server(t).Major() >= 14 {
		require.Empty(t, s.found(t, replication.Problem))
		return
	}
	require.Equal(t, []string{"self_check is on with PostgreSQL 13, which does not pass on what we announce with pg_logical_emit_message, " +
		"want PostgreSQL 14 or later, or 0; fix: leave self_check out, or upgrade PostgreSQL"}, s.found(t, replication.Problem))
}

func TestTheRightToEmitIsAskedForWhereItWasTaken(t *testing.T) {
	s := newSchool(t)
	s.withEchoes(t)
	role := ask[string](t, s.Conn, `SELECT 'emitter_of_' || current_database()`)
	s.exec(t, `CREATE ROLE `+role+` LOGIN REPLICATION; GRANT SELECT ON ALL TABLES IN SCHEMA public TO `+role)
	t.Cleanup(func() {
		_, err := s.Exec(context.WithoutCancel(t.Context()), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(t, err)
	})
	s.cfg.Role = role
	require.Empty(t, s.found(t, replication.Problem))
	more := ""
	if pgtest.Server(t).Major() >= 17 {
		more = ", boolean"
	}
	s.exec(t, `REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text`+more+`) FROM PUBLIC`)
	require.Equal(t, []string{`right of role "` + role + `" to run pg_logical_emit_message is missing, so that self_check can write nothing into the log, want granted; ` +
		`fix: GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO "` + role + `" (from PostgreSQL 17 on: boolean, text, text, boolean), or leave self_check out`}, s.found(t, replication.Problem))
	s.cfg.Echo = nil
	require.Empty(t, s.found(t, replication.Problem), "who emits nothing needs no right")
}
