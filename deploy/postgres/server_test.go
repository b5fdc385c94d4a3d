package postgres_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres"
)

func start(t *testing.T, settings map[string]string) *postgres.Server {
	t.Helper()
	s, err := postgres.Start(t.Context(), postgres.Options{Settings: settings, Log: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(t.Context()) })
	return conn
}

func one[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&v), sql)
	return v
}

func TestAServerIsReadyForLogicalDecoding(t *testing.T) {
	s := start(t, map[string]string{"work_mem": "7MB", "application_name": "it's quoted"})
	conn := connect(t, s.URL("postgres"))
	for setting, want := range map[string]string{
		"wal_level":             "logical",
		"max_replication_slots": "40",
		"max_wal_senders":       "40",
		"server_encoding":       "UTF8",
		"fsync":                 "on",
		"listen_addresses":      "127.0.0.1",
		"work_mem":              "7MB",
		"port":                  fmt.Sprint(s.Port()),
		"data_directory":        s.Dir(),
	} {
		require.Equal(t, want, one[string](t, conn, "SELECT current_setting('"+setting+"')"), setting)
	}
	require.True(t, strings.HasPrefix(one[string](t, conn, "SELECT current_setting('server_version')"), s.Version()))
	require.Equal(t, "s", one[string](t, conn, "SELECT slot_name FROM pg_create_logical_replication_slot('s', 'pgoutput')"))
}

func TestOnlyTheHolderOfTheURLIsSuperuser(t *testing.T) {
	s := start(t, nil)
	_, err := connect(t, s.URL("postgres")).Exec(t.Context(), "CREATE ROLE reader LOGIN")
	require.NoError(t, err)
	u, err := url.Parse(s.URL("postgres"))
	require.NoError(t, err)

	u.User = url.User("reader")
	require.False(t, one[bool](t, connect(t, u.String()), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))

	for _, nobody := range []*url.Userinfo{url.User("postgres"), url.UserPassword("postgres", "postgres")} {
		u.User = nobody
		_, err = pgx.Connect(t.Context(), u.String())
		require.ErrorContains(t, err, "28P01")
	}
}

func TestStopLeavesNeitherAProcessNorAFolder(t *testing.T) {
	s, err := postgres.Start(t.Context(), postgres.Options{})
	require.NoError(t, err)
	require.DirExists(t, s.Dir())
	require.NoError(t, s.Stop())
	require.NoDirExists(t, filepath.Dir(s.Dir()))
	_, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port()))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoError(t, s.Stop(), "the second call does nothing")
}

func TestARestartKeepsThePortAndWhatWasCommitted(t *testing.T) {
	s := start(t, nil)
	_, err := connect(t, s.URL("postgres")).Exec(t.Context(), "CREATE TABLE kept (n int)")
	require.NoError(t, err)
	port := s.Port()
	for _, mode := range []string{"fast", "immediate"} {
		_, err := connect(t, s.URL("postgres")).Exec(t.Context(), "INSERT INTO kept VALUES (1)")
		require.NoError(t, err)
		require.NoError(t, s.Restart(t.Context(), mode))
	}
	require.Equal(t, port, s.Port())
	require.Equal(t, 2, one[int](t, connect(t, s.URL("postgres")), "SELECT count(*) FROM kept"))
	require.ErrorContains(t, s.Restart(t.Context(), "gently"), `mode "gently", want fast or immediate`)
}

func TestAHaltedServerStaysHaltedUntilItIsResumed(t *testing.T) {
	s := start(t, nil)
	require.NoError(t, s.Halt("immediate"))
	_, err := pgx.Connect(t.Context(), s.URL("postgres"))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoError(t, s.Resume(t.Context()))
	require.Equal(t, 1, one[int](t, connect(t, s.URL("postgres")), "SELECT 1"))
}

func TestAServerComesBackWhenItsPortIsFreeAgain(t *testing.T) {
	s := start(t, nil)
	require.NoError(t, s.Halt("fast"))
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port()))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, s.Resume(ctx))
	require.Error(t, ctx.Err(), "it gave up before it was told to")
	require.NoError(t, taken.Close())
	require.NoError(t, s.Resume(t.Context()))
	require.Equal(t, 1, one[int](t, connect(t, s.URL("postgres")), "SELECT 1"))
}

func TestAServerThatDoesNotStartSaysWhyInItsOwnWords(t *testing.T) {
	t.Setenv("TMPDIR", openTempDir(t))
	_, err := postgres.Start(t.Context(), postgres.Options{Settings: map[string]string{"wal_level": "sideways"}})
	require.ErrorContains(t, err, `invalid value for parameter "wal_level": "sideways"`)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRootsTemporaryFolderMayBeClosedToTheServer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs its servers as somebody else")
	}
	closed := t.TempDir() // mode 0700 on the way to it
	t.Setenv("TMPDIR", closed)
	s := start(t, nil)
	require.NotContains(t, s.Dir(), closed)
}

func TestItRunsAsRootAndAsAnOrdinaryUser(t *testing.T) {
	users := []string{""}
	if os.Geteuid() == 0 {
		users = append(users, "nobody")
	}
	for _, name := range users {
		c := startChild(t, name)
		require.Equal(t, 1, one[int](t, connect(t, c.url), "SELECT 1"))
		require.NoError(t, c.stdin.Close())
		require.NoError(t, c.cmd.Wait())
		require.NoDirExists(t, c.dir)
	}
}

func TestTheFoldersOfAServerAreFoundInTheirOrder(t *testing.T) {
	real := start(t, nil).Bin()
	lone := t.TempDir() // nothing but a link, as some put on the PATH
	require.NoError(t, os.Symlink(filepath.Join(real, "postgres"), filepath.Join(lone, "postgres")))
	broken := t.TempDir()
	require.NoError(t, os.Symlink("/nowhere/postgres", filepath.Join(broken, "postgres")))

	t.Setenv("PATH", broken+":relative:"+lone+":"+os.Getenv("PATH"))
	require.Equal(t, real, start(t, nil).Bin(), "a lone link leads to the programs")

	t.Setenv("SCHOOLBELL_POSTGRES_BIN", broken)
	_, err := postgres.Start(t.Context(), postgres.Options{})
	require.ErrorContains(t, err, "SCHOOLBELL_POSTGRES_BIN, "+broken+", does not hold initdb, postgres and pg_ctl")
	require.ErrorContains(t, err, "fix: ")

	s, err := postgres.Start(t.Context(), postgres.Options{Bin: lone})
	require.NoError(t, err, "an explicit folder goes before the variable")
	require.NoError(t, s.Stop())
}

// openTempDir is a temporary folder that the server's account can reach.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "schoolbell-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))
	return dir
}
