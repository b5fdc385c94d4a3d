package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres"
)

func TestTheServerEndsWithOurProcessKill9Included(t *testing.T) {
	c := startChild(t, "")
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(c.dir)) })
	require.NoError(t, c.cmd.Process.Kill())
	require.Error(t, c.cmd.Wait())
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), c.url)
		if err == nil {
			conn.Close(t.Context())
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, 10*time.Second, 10*time.Millisecond, "the server runs on")
}

func TestTheServerOutlivesTheThreadThatStartedIt(t *testing.T) {
	var s *postgres.Server
	var err error
	onDyingThread(func() { s, err = postgres.Start(t.Context(), postgres.Options{}) })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	require.Equal(t, 1, one[int](t, connect(t, s.URL("postgres")), "SELECT 1 FROM pg_sleep(0.3)"))
}

// onDyingThread runs f on a thread that ends with it, as one does whose goroutine
// returns locked. The process's first thread never ends, so that one is kept busy
// when it is its turn.
func onDyingThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() {
			defer runtime.UnlockOSThread()
			onDyingThread(f)
			return
		}
		f()
	}()
	<-done
}
