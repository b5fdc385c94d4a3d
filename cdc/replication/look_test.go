package replication_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// reader is a role that may do nothing but SELECT what the profile names.
func (s *school) reader(t *testing.T) replication.Config {
	t.Helper()
	name := ask[string](t, s.Conn, "SELECT 'reader_' || current_database()")
	s.exec(t, fmt.Sprintf(`CREATE ROLE %q LOGIN`, name))
	s.exec(t, fmt.Sprintf(`GRANT SELECT (id, raw, email, at, span, number) ON people TO %q`, name))
	s.exec(t, fmt.Sprintf(`GRANT SELECT (assignment, student, mark) ON work TO %q`, name))
	cfg := s.cfg
	u, err := url.Parse(cfg.URL)
	require.NoError(t, err)
	u.User = url.User(name)
	cfg.URL = u.String()
	return cfg
}

// seen reads a snapshot, and writes its rows down.
func seen(t *testing.T, snap *cdc.Snapshot) (all []string) {
	t.Helper()
	for row, err := range snap.Rows {
		require.NoError(t, err)
		values := []string{row.Table.Name}
		for i, v := range row.Values {
			values = append(values, row.Table.Columns[i].Name+"="+string(v.Data))
		}
		all = append(all, strings.Join(values, " "))
	}
	return all
}

func TestALookNeedsNothingButSELECTAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := bareSchool(t, pgtest.Database(t))
	s.exec(t, `INSERT INTO people (id, email, number) VALUES (1, 'a@b.example', 1.5), (2, NULL, NULL)`)
	s.exec(t, `INSERT INTO work VALUES ('not ours', 7, 2, 'B')`)
	var rows []string
	var last replication.Progress
	require.NoError(t, replication.Look(t.Context(), s.reader(t), func(snap *cdc.Snapshot, progress func() replication.Progress) error {
		require.Equal(t, int64(3), progress().Expected)
		require.NotZero(t, snap.At)
		require.WithinDuration(t, ask[time.Time](t, s.Conn, "SELECT clock_timestamp()"), snap.Time, time.Minute)
		// What is committed from now on is not in it.
		s.exec(t, `INSERT INTO people (id) VALUES (3)`)
		s.exec(t, `UPDATE work SET mark = 'A'`)
		rows = seen(t, snap)
		last = progress()
		return nil
	}))
	require.Equal(t, []string{
		"people id=1 email=a@b.example at= span= number=1.5 raw=",
		"people id=2 email= at= span= number= raw=",
		"work assignment=7 student=2 mark=B",
	}, rows)
	require.Equal(t, int64(3), last.Rows)
	require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_publication"))
	require.Zero(t, ask[int](t, s.Conn, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"))
	until(t, "a closed connection", func() bool {
		return ask[int](t, s.Conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'schoolbell'") == 0
	})
}

func TestALookSaysWhatIsWrongWithTheTables(t *testing.T) {
	t.Parallel()
	s := bareSchool(t, pgtest.Database(t))
	cfg := s.reader(t)
	look := func() error {
		return replication.Look(t.Context(), cfg, func(*cdc.Snapshot, func() replication.Progress) error {
			t.Error("there is nothing to take")
			return nil
		})
	}
	s.exec(t, `ALTER TABLE people RENAME email TO mail`)
	require.ErrorContains(t, look(), "column email of table public.people is missing")
	s.exec(t, `ALTER TABLE people RENAME mail TO email`)
	s.exec(t, `REVOKE SELECT (mark) ON work FROM `+ask[string](t, s.Conn, "SELECT quote_ident('reader_' || current_database())"))
	require.ErrorContains(t, look(), "on mark of table public.work is missing, want granted; fix: GRANT SELECT")
	s.exec(t, `ALTER TABLE work RENAME TO homework`)
	require.ErrorContains(t, look(), "table public.work is missing")
	cfg.Tables = nil
	require.ErrorContains(t, look(), "list of tables is empty")
}

func TestALookEndsWithItsContextAndWithWhoeverLooks(t *testing.T) {
	t.Parallel()
	s := bareSchool(t, pgtest.Database(t))
	s.exec(t, `INSERT INTO people (id) SELECT generate_series(1, 200000)`)
	enough := errors.New("seen enough")
	require.ErrorIs(t, replication.Look(t.Context(), s.cfg, func(snap *cdc.Snapshot, _ func() replication.Progress) error {
		for range snap.Rows {
			return enough
		}
		return nil
	}), enough)
	ctx, cancel := context.WithCancel(t.Context())
	err := replication.Look(ctx, s.cfg, func(snap *cdc.Snapshot, _ func() replication.Progress) error {
		for _, err := range snap.Rows {
			if err != nil {
				return fmt.Errorf("my own words: %w", err)
			}
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "my own words")
}
