package pgtest_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestATestsDatabaseIsItsOwnAndGoneWithItsSlotsAfterwards(t *testing.T) {
	server := pgtest.Server(t)
	var first string
	t.Run("a test that leaves everything open", func(t *testing.T) {
		first = pgtest.Database(t)
		require.NotEqual(t, first, pgtest.Database(t))
		conn := connect(t, first)
		exec(t, conn, "CREATE TABLE t (id int PRIMARY KEY)")
		exec(t, conn, "CREATE PUBLICATION p FOR TABLE t")
		exec(t, conn, "SELECT pg_create_logical_replication_slot('idle', 'pgoutput')")
		exec(t, conn, "SELECT pg_create_logical_replication_slot('active', 'pgoutput')")
		follow(t, first)
	})
	conn := connect(t, server.URL("postgres"))
	var slots, databases int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_replication_slots").Scan(&slots))
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'").Scan(&databases))
	require.Zero(t, slots)
	require.Zero(t, databases)
}

func TestAServerOfOnesOwnHasItsOwnSettings(t *testing.T) {
	var own *postgres.Server
	t.Run("while the test runs", func(t *testing.T) {
		own = pgtest.Own(t, map[string]string{"wal_level": "replica"})
		require.NotEqual(t, pgtest.Server(t).Port(), own.Port())
		require.Equal(t, "replica", setting(t, own, "wal_level"))
		require.Equal(t, "logical", setting(t, pgtest.Server(t), "wal_level"))
	})
	require.NoDirExists(t, own.Dir())
}

func TestEveryServerIsOfTheVersionAskedFor(t *testing.T) {
	t.Setenv("SCHOOLBELL_TEST_POSTGRES", "15")
	require.Equal(t, 15, pgtest.Own(t, nil).Major())
}

// outcome is a test that writes down how it ended.
type outcome struct {
	testing.TB
	skipped, failed string
}

func (o *outcome) Skipf(format string, args ...any) {
	o.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (o *outcome) Fatalf(format string, args ...any) {
	o.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestWhereNoServerCanBeHadATestIsSkippedAndFailsWhereOneIsRequired(t *testing.T) {
	t.Setenv("SCHOOLBELL_POSTGRES_BIN", t.TempDir())
	end := func() *outcome {
		o := &outcome{TB: t}
		var wg sync.WaitGroup
		wg.Go(func() { pgtest.Own(o, nil) })
		wg.Wait()
		return o
	}
	t.Setenv("SCHOOLBELL_TEST_POSTGRES", "")
	t.Setenv("SCHOOLBELL_TEST_REQUIRE", "")
	o := end()
	require.Contains(t, o.skipped, "this test needs PostgreSQL: ")
	require.Contains(t, o.skipped, "fix: ")
	require.Empty(t, o.failed)

	t.Setenv("SCHOOLBELL_TEST_REQUIRE", "1")
	o = end()
	require.Contains(t, o.failed, "this test needs PostgreSQL: ")
	require.Empty(t, o.skipped)

	// Who asks for a version does not want to hear that all is well without it.
	t.Setenv("SCHOOLBELL_TEST_REQUIRE", "")
	for asked, want := range map[string]string{
		"fifteen": `SCHOOLBELL_TEST_POSTGRES is "fifteen", want a major version; fix: SCHOOLBELL_TEST_POSTGRES=15`,
		"15.18":   `SCHOOLBELL_TEST_POSTGRES is "15.18", want a major version; fix: SCHOOLBELL_TEST_POSTGRES=15`,
		"15":      "SCHOOLBELL_POSTGRES_BIN, ",
	} {
		t.Setenv("SCHOOLBELL_TEST_POSTGRES", asked)
		o = end()
		require.Contains(t, o.failed, want)
		require.Empty(t, o.skipped)
	}
}

func setting(t *testing.T, s *postgres.Server, name string) string {
	t.Helper()
	var value string
	require.NoError(t, connect(t, s.URL("postgres")).QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value))
	return value
}

// follow leaves a replication connection reading the slot "active".
func follow(t *testing.T, url string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), url+"&replication=database")
	require.NoError(t, err)
	conn.Frontend().SendQuery(&pgproto3.Query{String: "START_REPLICATION SLOT active LOGICAL 0/0 (proto_version '1', publication_names 'p')"})
	require.NoError(t, conn.Frontend().Flush())
	_, err = conn.ReceiveMessage(t.Context()) // CopyBothResponse: the slot is active
	require.NoError(t, err)
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}
