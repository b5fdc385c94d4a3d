// Package pgtest gives tests a PostgreSQL: one server for each test binary, started
// when first asked for, and one database for each test.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// # Promises
//
//   - A test's database is its own, and is gone with its replication slots when the
//     test ends.
//   - No server outlives the test binary.
//   - Every server is of the major version that SCHOOLBELL_TEST_POSTGRES names, where
//     it names one; otherwise of the first that is found.
//   - Where no server can be had a test is skipped, and says what to install; with
//     SCHOOLBELL_TEST_REQUIRE=1, or where a version was asked for, it fails instead.
//
// Its functions may be called from parallel tests.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres"
)

// shared is the one server of the test binary. A package variable, because tests
// have nothing else in common.
var shared struct {
	once   sync.Once
	server *postgres.Server
	err    error

	mu        sync.Mutex
	databases int // guarded by mu: how many were made
}

// Main runs the tests, stops the shared server and exits.
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// Server is the shared server.
func Server(t testing.TB) *postgres.Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = start(nil) })
	if shared.err != nil {
		missing(t, shared.err)
	}
	return shared.server
}

// Own is a server for this test alone, stopped when the test ends. Settings are
// lines of postgresql.conf.
func Own(t testing.TB, settings map[string]string) *postgres.Server {
	t.Helper()
	s, err := start(settings)
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// versionVariable asks for a major version of PostgreSQL from outside.
const versionVariable = "SCHOOLBELL_TEST_POSTGRES"

func start(settings map[string]string) (*postgres.Server, error) {
	major := 0
	if asked := os.Getenv(versionVariable); asked != "" {
		var err error
		if major, err = strconv.Atoi(asked); err != nil || major < 1 {
			return nil, fmt.Errorf("%s is %q, want a major version; fix: %[1]s=15", versionVariable, asked)
		}
	}
	// Nothing here has to survive the machine; the promises are about processes.
	all := map[string]string{"fsync": "off", "full_page_writes": "off"}
	maps.Copy(all, settings)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return postgres.Start(ctx, postgres.Options{Major: major, Settings: all, Log: os.Stderr})
}

// missing ends the test that needs a server.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("SCHOOLBELL_TEST_REQUIRE") == "1" || os.Getenv(versionVariable) != "" {
		t.Fatalf("this test needs PostgreSQL: %v", err)
	}
	t.Skipf("this test needs PostgreSQL: %v", err)
}

// Database makes a database in the shared server and returns its URL. It is
// dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	server := Server(t)
	shared.mu.Lock()
	shared.databases++
	name := fmt.Sprintf("test%d", shared.databases)
	shared.mu.Unlock()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	t.Cleanup(func() { drop(t, server, name) })
	return server.URL(name)
}

// drop ends what still uses the database and drops it with its replication slots.
// PostgreSQL drops idle slots with their database and refuses where one is active;
// a walsender that was told to end lets go of its slot only when it has ended.
func drop(t testing.TB, server *postgres.Server, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return // the test halted the shared server, or broke it: it goes as a whole
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
	require.NoError(t, err)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "+
			"WHERE database = $1 AND active_pid IS NOT NULL", name)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		pgErr, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || pgErr.Code != "55006" /* object_in_use */ {
			require.NoError(t, err, "drop the test's database")
			return
		}
		<-poll.C
	}
}
