package replication_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// The server's sender stands still, as it does for the sake of us while it reads something
// large: nothing says so on the connection, and yet there is something newer.
func TestTheLagIsTheTimeSinceTheLastCommitWhileTheServerHasNewerOnes(t *testing.T) {
	s := newSchool(t)
	s.cfg.WatchSlot = fast
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	s.watch(t, r)
	until(t, "the stream", streaming(r))
	s.exec(t, "INSERT INTO work VALUES ('', 1, 1, 'before')")
	s.agree(t, k)
	until(t, "all is applied", func() bool { return r.Status().CaughtUp })
	require.Zero(t, r.Status().Lag)

	sender := ask[int](t, s.Conn, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot)
	require.NoError(t, syscall.Kill(sender, syscall.SIGSTOP))
	goOn := func() { _ = syscall.Kill(sender, syscall.SIGCONT) }
	t.Cleanup(goOn)
	stopped := time.Now()
	s.exec(t, "INSERT INTO work VALUES ('', 1, 2, 'after')")
	until(t, "it shows", func() bool { return r.Status().Lag > 0 })
	require.False(t, r.Status().CaughtUp)
	gone := time.Since(stopped)
	require.GreaterOrEqual(t, r.Status().Lag, gone-time.Second) // a word of before may have been on its way
	was := r.Status().Lag
	until(t, "it grows", func() bool { return r.Status().Lag > was+200*time.Millisecond })

	goOn()
	s.agree(t, k)
	until(t, "it is over", func() bool { return r.Status().CaughtUp && r.Status().Lag == 0 })
}
