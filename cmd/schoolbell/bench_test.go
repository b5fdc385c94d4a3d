package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// bench is a school with its publication and a gateway of its own.
type bench struct {
	b       *testing.B
	url     string
	conn    *pgx.Conn
	lms     *school.School
	data    string
	address string
	admin   string
}

func newBench(b *testing.B, size school.Size, settings map[string]string) *bench {
	server := pgtest.Own(b, settings)
	s := &bench{b: b, url: server.URL("postgres"), data: filepath.Join(b.TempDir(), "data"), address: freePort(b), admin: freePort(b)}
	s.conn = s.connect()
	require.NoError(b, school.Create(b.Context(), s.conn))
	var err error
	s.lms, err = school.Populate(b.Context(), s.conn, size, 1)
	require.NoError(b, err)
	s.exec(`VACUUM ANALYZE`)
	p, err := profile.Open("django")
	require.NoError(b, err)
	cfg := Config{Database: Secret(s.url), Slot: "schoolbell", Publication: "schoolbell"}
	require.NoError(b, replication.Init(b.Context(), replicationConfig(cfg, p, slog.New(slog.DiscardHandler))))
	return s
}

func (s *bench) connect() *pgx.Conn {
	conn, err := pgx.Connect(s.b.Context(), s.url)
	require.NoError(s.b, err)
	s.b.Cleanup(func() { _ = conn.Close(context.WithoutCancel(s.b.Context())) })
	return conn
}

func (s *bench) exec(sql string) {
	s.b.Helper()
	_, err := s.conn.Exec(s.b.Context(), sql)
	require.NoError(s.b, err)
}

func (s *bench) text(sql string) (value string) {
	s.b.Helper()
	require.NoError(s.b, s.conn.QueryRow(s.b.Context(), sql).Scan(&value))
	return value
}

// serve runs a gateway over a data directory.
func (s *bench) serve(data string, more ...string) *process {
	return start(s.b, append([]string{
		"serve", "--database", s.url, "--data", data, "--listen", s.address, "--admin-listen", s.admin, "--log-format", "json",
	}, more...)...)
}
