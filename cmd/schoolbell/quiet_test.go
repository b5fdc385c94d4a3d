package main

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// segment is what the slot of a quiet school may hold: one file of the log.
const segment = 16 << 20

// The LMS writes only what is none of our business, and the slot still lets go of the
// log, without a write of ours.
//
// How far a slot can let go is the server's decision: it looks every 15 seconds and
// at every checkpoint, and a transaction that runs at that moment defers it to the
// next look. So a hundred megabytes in twenty seconds go with a checkpoint now and
// then. SCHOOLBELL_TEST_QUIET chooses a longer time, in which 300 KB are written every
// second and the server is left alone: then half a minute of log is what it keeps.
func TestBusyTablesOfOthersDoNotHoldTheLogWhileOursAreQuiet(t *testing.T) {
	s := siteAt(t, pgtest.Own(t, nil).URL("postgres"))
	s.serve()
	s.ready()
	long, err := time.ParseDuration(os.Getenv("SCHOOLBELL_TEST_QUIET"))
	natural := err == nil
	pace := time.NewTicker(100 * time.Millisecond)
	if natural {
		pace.Reset(2 * time.Second)
	}
	defer pace.Stop()

	began := time.Now()
	from := s.ask(`SELECT pg_current_wal_lsn()::text`)
	most, written := int64(0), int64(0)
	for i := 1; natural && time.Since(began) < long || !natural && written < 100<<20; i++ {
		<-pace.C
		s.exec(`INSERT INTO analytics_pageview (path, user_id, took_ms, at)
			SELECT '/courses/' || n || '/' || repeat('x', 150), n, n % 900, now() FROM generate_series(1, 2000) n`)
		if !natural && i%4 == 0 {
			s.exec(`CHECKPOINT`)
		}
		most = max(most, s.number(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint::text FROM pg_replication_slots`))
		written = s.number(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::bigint::text`, from)
	}
	t.Logf("%.1f MB of others' log in %v, at most %.2f MB held", megabytes(written), time.Since(began).Round(time.Second), megabytes(most))
	require.LessOrEqual(t, most, int64(segment))

	// And we are still there.
	d := s.watch(s.school.Admins[0])
	s.grade(77)
	s.sees(d, 1)
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }

// number reads one number.
func (s *site) number(sql string, args ...any) int64 {
	s.t.Helper()
	n, err := strconv.ParseInt(s.ask(sql, args...), 10, 64)
	require.NoError(s.t, err)
	return n
}
