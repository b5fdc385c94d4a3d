package replication_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// withMessages asks for them, where the server has them.
func (s *school) withMessages(t *testing.T) {
	t.Helper()
	if pgtest.Server(t).Major() < 14 {
		t.Skip("before PostgreSQL 14 the log brings no messages; TestAServerThatBringsNoMessagesIsRefused")
	}
	s.cfg.Messages = true
}

// heard are the messages that the sink was given.
func (s *sink) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

func TestMessagesOfCommittedTransactionsComeWithThemAndNoOthers(t *testing.T) {
	s := newSchool(t)
	s.withMessages(t)
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, `BEGIN;
		SELECT pg_logical_emit_message(true, 'schoolbell', 'first');
		INSERT INTO work VALUES ('', 1, 1, 'kept');
		SAVEPOINT a;
			SELECT pg_logical_emit_message(true, 'schoolbell', 'rolled back to a savepoint');
		ROLLBACK TO a;
		SELECT pg_logical_emit_message(true, 'schoolbell.', 'another prefix'), pg_logical_emit_message(true, 'school', 'another prefix');
		SELECT pg_logical_emit_message(true, 'schoolbell', '');
		SELECT pg_logical_emit_message(true, 'schoolbell', 'second');
		COMMIT;
		BEGIN; SELECT pg_logical_emit_message(true, 'schoolbell', 'rolled back'); ROLLBACK;
		BEGIN; SELECT pg_logical_emit_message(false, 'schoolbell', 'at once'); ROLLBACK`)
	s.exec(t, `SELECT pg_logical_emit_message(true, 'schoolbell', 'alone')`)
	s.exec(t, `SELECT pg_logical_emit_message(true, 'other', 'not ours, alone')`)
	s.exec(t, `SELECT pg_logical_emit_message(false, 'other', 'not ours, at once')`)
	s.agree(t, k)
	require.Equal(t, []string{"first", "", "second", "alone"}, k.heard())
	require.Equal(t, []string{"I work 1/1", "I work 0/0"}, k.log())
	require.Len(t, k.ends, 3, "what is not ours is nothing")
	require.EqualValues(t, 1, r.Status().Loose)
}

func TestMessagesAreNotAskedForUnlessOneSaysSo(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, `SELECT pg_logical_emit_message(true, 'schoolbell', 'x'), pg_logical_emit_message(false, 'schoolbell', 'x')`)
	s.agree(t, k)
	require.Empty(t, k.heard())
	require.Len(t, k.ends, 1)
	require.Zero(t, r.Status().Loose)
}

func TestTheMessagesOfOneTransactionTakeBoundedMemory(t *testing.T) {
	s := newSchool(t)
	s.withMessages(t)
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	s.exec(t, `SELECT pg_logical_emit_message(true, 'schoolbell', repeat('x', 65536)), pg_logical_emit_message(true, 'schoolbell', repeat('x', 65537))`)
	s.exec(t, `SELECT pg_logical_emit_message(true, 'schoolbell', n::text) FROM generate_series(1, 10003) n`)
	s.exec(t, `SELECT pg_logical_emit_message(true, 'schoolbell', repeat('y', 65536)) FROM generate_series(1, 130) n`)
	s.agree(t, k)
	heard := k.heard()
	require.Len(t, heard, 2+10_000+128)
	require.Equal(t, []string{strings.Repeat("x", 65536), "", "1"}, heard[:3])
	require.Equal(t, 3+2, k.left)
}

// Whether messages are asked for may change between two starts. What comes again then is
// still the log that was read.
func TestMessagesThatAreNoLongerAskedForAreNoLoss(t *testing.T) {
	s := newSchool(t)
	s.withMessages(t)
	k := newSink()
	for i, messages := range []bool{true, false, true, false} {
		s.cfg.Messages = messages
		r, stop := s.run(t, k, k.checkpoint())
		until(t, "the stream", streaming(r))
		s.agree(t, k)
		until(t, "it is confirmed", func() bool { return r.Status().Confirmed >= k.checkpoint().Applied })
		k.mu.Lock()
		k.answers = k.saved.from.Applied
		k.mu.Unlock()
		s.exec(t, `INSERT INTO work VALUES ('', 1, $1, 'a row')`, i)
		s.exec(t, `SELECT pg_logical_emit_message(true, 'schoolbell', 'x') FROM generate_series(1, 3)`)
		end, err := cdc.ParseLSN(ask[string](t, s.Conn, "SELECT pg_current_wal_lsn()::text"))
		require.NoError(t, err)
		until(t, "it is durable", func() bool { return k.checkpoint().Applied >= end })
		require.NoError(t, stop())
		k.answers = 0
		until(t, "a slot that nobody reads", func() bool {
			return !ask[bool](t, s.Conn, "SELECT active FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot)
		})
		confirmed, err := cdc.ParseLSN(ask[string](t, s.Conn, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot))
		require.NoError(t, err)
		require.Less(t, confirmed, k.checkpoint().Applied, "otherwise nothing comes again")
	}
	require.Equal(t, 1, k.resets)
	require.Len(t, k.heard(), 6)
}

func TestAServerThatBringsNoMessagesIsRefused(t *testing.T) {
	s := newSchool(t)
	s.cfg.Messages = true
	found, err := replication.Check(t.Context(), s.cfg)
	require.NoError(t, err)
	var said []string
	for _, f := range found {
		if f.Severity == replication.Problem {
			said = append(said, f.Err.Error())
		}
	}
	if pgtest.Server(t).Major() >= 14 {
		require.Empty(t, said)
		return
	}
	require.Equal(t, []string{"sql_messages is true on PostgreSQL 13, which does not pass on what SQL announces with pg_logical_emit_message, " +
		"want PostgreSQL 14 or later, or false; fix: set sql_messages to false, or upgrade PostgreSQL"}, said)
	r := replication.New(s.cfg)
	require.EqualError(t, r.Run(t.Context(), newSink(), cdc.Checkpoint{}), said[0])
}
