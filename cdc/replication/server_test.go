package replication_test

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// machine is a school on a server of its own, whose disk can be exchanged.
type machine struct {
	*school
	server *postgres.Server
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	server := pgtest.Own(t, nil)
	m := &machine{bareSchool(t, server.URL("postgres")), server}
	require.NoError(t, replication.Init(t.Context(), m.cfg))
	return m
}

// copy is a copy of the server's disk, as it is when the server was shut down.
func (m *machine) copy(t *testing.T, name string) string {
	t.Helper()
	to := filepath.Join(filepath.Dir(m.server.Dir()), name)
	m.down(t, func() { m.duplicate(t, m.server.Dir(), to) })
	return to
}

// becomes starts the server with a copy of this disk.
func (m *machine) becomes(t *testing.T, disk string) {
	t.Helper()
	m.down(t, func() {
		require.NoError(t, os.RemoveAll(m.server.Dir()))
		m.duplicate(t, disk, m.server.Dir())
	})
}

// down does something while the server is not running.
func (m *machine) down(t *testing.T, do func()) {
	t.Helper()
	require.NoError(t, m.Close(t.Context()))
	require.NoError(t, m.server.Halt("fast"))
	do()
	require.NoError(t, m.server.Resume(context.Background()))
	m.Conn = open(t, m.cfg.URL)
}

func (m *machine) duplicate(t *testing.T, from, to string) {
	t.Helper()
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	require.NoError(t, err, string(out))
}

// takesOver is the server as its standby, which has a copy of this disk, when it was
// promoted.
func (m *machine) takesOver(t *testing.T, disk string, withSlots bool) {
	t.Helper()
	signal := filepath.Join(disk, "standby.signal")
	require.NoError(t, os.WriteFile(signal, nil, 0o644))
	if !withSlots {
		slots, err := filepath.Glob(filepath.Join(disk, "pg_replslot", "*"))
		require.NoError(t, err)
		require.NotEmpty(t, slots)
		for _, s := range slots {
			require.NoError(t, os.RemoveAll(s))
		}
	}
	out, err := exec.Command("chown", "--reference", disk, signal).CombinedOutput()
	require.NoError(t, err, string(out))
	m.becomes(t, disk)
	require.True(t, ask[bool](t, m.Conn, "SELECT pg_is_in_recovery()"))
	require.True(t, ask[bool](t, m.Conn, "SELECT pg_promote()"))
}

// fills writes log that is not ours.
func (s *school) fills(t *testing.T) {
	t.Helper()
	s.exec(t, "INSERT INTO elsewhere (filler) SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
}

func TestAServerRestoredFromAnOlderBackupIsNoticed(t *testing.T) {
	m := newMachine(t)
	k := m.followed(t)
	backup := m.copy(t, "backup")
	r, stop := m.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	m.missed(t) // it is not
	m.fills(t)
	m.agree(t, k)
	require.NoError(t, stop())
	m.becomes(t, backup)
	m.recovers(t, k, replication.ServerRestored)
	require.NotZero(t, k.source.Offset)

	r, _ = m.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	m.missed(t)
	m.fills(t)
	m.agree(t, k)
	m.becomes(t, backup) // while the gateway runs
	m.recovered(t, r, k, 2, replication.ServerRestored)
}

// Identifier, timeline and slot are those of the copy, and its log reaches past where
// the sink stands: only what should come again does not.
func TestAServerThatWasSetBackAndWrittenOnIsNoticed(t *testing.T) {
	m := newMachine(t)
	k := m.followed(t)
	older := m.copy(t, "older")
	r, stop := m.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	m.exec(t, "INSERT INTO work VALUES ('', 3, 3, 'in the log that is gone')")
	m.agree(t, k)
	require.NoError(t, stop())
	m.becomes(t, older)
	m.missed(t)
	m.fills(t)
	m.exec(t, "INSERT INTO work VALUES ('', 4, 4, 'after the end')")
	end, err := cdc.ParseLSN(ask[string](t, m.Conn, "SELECT pg_current_wal_lsn()::text"))
	require.NoError(t, err)
	require.Greater(t, end, k.checkpoint().Applied)
	m.recovers(t, k, replication.ServerRestored)
	require.Zero(t, k.source.Offset, "its positions lie after ours: they need not be raised")

	// The same when nothing of ours was in the part that is gone.
	older = m.copy(t, "older still")
	r, stop = m.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	m.fills(t)
	m.exec(t, "INSERT INTO elsewhere (filler) VALUES ('')")
	end, err = cdc.ParseLSN(ask[string](t, m.Conn, "SELECT pg_current_wal_lsn()::text"))
	require.NoError(t, err)
	until(t, "it has gone past that", func() bool { return r.Status().Confirmed >= end })
	require.NoError(t, stop())
	m.becomes(t, older)
	m.missed(t)
	m.fills(t)
	m.fills(t)
	m.recovers(t, k, replication.ServerRestored)
}

// After a crash the slot stands further back than we do, and everything comes again.
func TestACrashOfTheServerIsNoLoss(t *testing.T) {
	m := newMachine(t)
	k := newSink()
	r, stop := m.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	for range 5 {
		stopWriters := m.writers(t, 10*len(k.ends))
		more := r.Status().Transactions + 50
		until(t, "transactions", func() bool { return r.Status().Transactions > more })
		stopWriters()
		m.fills(t)
		m.agree(t, k)
		require.NoError(t, stop())
		require.NoError(t, m.Close(t.Context()))
		require.NoError(t, m.server.Restart(context.Background(), "immediate"))
		m.Conn = open(t, m.cfg.URL)
		confirmed, err := cdc.ParseLSN(ask[string](t, m.Conn, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots"))
		require.NoError(t, err)
		require.Less(t, confirmed, k.checkpoint().Applied, "otherwise nothing comes again")
		m.missed(t)
		r, stop = m.run(t, k, k.checkpoint())
		m.agree(t, k)
		until(t, "it is confirmed", func() bool { return r.Status().Confirmed >= k.checkpoint().Applied })
	}
	require.Equal(t, 1, k.resets)
}

func TestAServerReplacedByAnotherClusterNeedsConsentAndIdsGrow(t *testing.T) {
	m := newMachine(t)
	for range 5 {
		m.fills(t)
	}
	k := m.followed(t)
	was := k.checkpoint()

	other := newMachine(t)
	other.missed(t)
	other.exec(t, "INSERT INTO people (id, email) VALUES (77, 'of the other one')")
	u, err := url.Parse(m.cfg.URL)
	require.NoError(t, err)
	password, _ := u.User.Password()
	other.exec(t, "ALTER ROLE postgres PASSWORD '"+password+"'")
	require.NoError(t, other.Close(t.Context()))
	require.NoError(t, other.server.Halt("fast"))
	m.becomes(t, other.server.Dir())
	m.exec(t, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", m.cfg.Slot)
	err = replication.New(m.cfg).Run(t.Context(), k, was)
	require.ErrorContains(t, err, "server is another one (system identifier ")
	require.ErrorContains(t, err, "fix: correct the database URL, or, if the server was replaced, start once with --adopt")
	require.Equal(t, 1, k.resets)

	m.cfg.Adopt = true
	m.recovers(t, k, replication.OtherServer)
	now := k.checkpoint()
	require.Equal(t, cdc.LSN(1<<40), now.Source.Offset, "its log is shorter")
	require.Greater(t, now.Applied, was.Applied)
	require.Less(t, now.Applied-now.Source.Offset, was.Applied)
	m.cfg.Adopt = false // once
	r, _ := m.run(t, k, k.checkpoint())
	m.agree(t, k)
	status := r.Status()
	require.Greater(t, status.ServerEnd, now.Source.Offset)
	require.Less(t, status.LagBytes, int64(1<<30))
}

// A major upgrade, too: the rows are the same, and nothing else is.
func TestADumpRestoredIntoANewClusterIsAdopted(t *testing.T) {
	m := newMachine(t)
	k := m.followed(t)
	next := newMachine(t)
	for _, table := range []string{"people", "work"} {
		var dump bytes.Buffer
		_, err := m.PgConn().CopyTo(t.Context(), &dump, "COPY "+table+" TO STDOUT")
		require.NoError(t, err)
		_, err = next.PgConn().CopyFrom(t.Context(), &dump, "COPY "+table+" FROM STDIN")
		require.NoError(t, err)
	}
	next.cfg.Slot = m.cfg.Slot
	require.Error(t, replication.New(next.cfg).Run(t.Context(), k, k.checkpoint()))
	next.cfg.Adopt = true
	next.missed(t)
	next.recovers(t, k, replication.OtherServer)
}

func TestAPromotedStandbyWithoutTheSlotIsNoticed(t *testing.T) {
	m := newMachine(t)
	k := m.followed(t)
	behind := m.copy(t, "behind")
	r, stop := m.run(t, k, k.checkpoint())
	until(t, "the stream", streaming(r))
	m.missed(t)
	m.fills(t)
	m.agree(t, k)
	require.NoError(t, stop())

	m.takesOver(t, m.copy(t, "standby"), false)
	m.missed(t)
	m.recovers(t, k, replication.SlotMissing)
	require.Equal(t, int32(2), k.source.Timeline)
	require.Zero(t, k.source.Offset)

	// One that lacks the end of what was read is another matter, with the slot or without.
	m.takesOver(t, behind, true)
	m.fills(t)
	m.fills(t)
	m.missed(t)
	m.recovers(t, k, replication.ServerRestored)
}

func TestAPromotedStandbyWithTheSlotGoesOnWithoutASnapshot(t *testing.T) {
	m := newMachine(t)
	k := m.followed(t)
	before := k.checkpoint().Source
	m.missed(t)
	m.takesOver(t, m.copy(t, "standby"), true)
	m.exec(t, "INSERT INTO work VALUES ('', 3, 3, 'on the new timeline')")
	var moved []cdc.Source
	m.cfg.Moved = func(to cdc.Source) error { moved = append(moved, to); return nil }
	_, stop := m.run(t, k, k.checkpoint())
	m.agree(t, k)
	require.NoError(t, stop())
	require.Equal(t, 1, k.resets)
	before.Timeline = 2
	require.Equal(t, []cdc.Source{before}, moved)
}
