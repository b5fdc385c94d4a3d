package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// Operations as an ORM shapes them, and some as no ORM would, against
// thirty people. Everybody receives every event that is theirs, exactly once, in
// the order of the commits, and nothing else; at every checkpoint everybody's
// counts equal their definition in SQL.
//
// SCHOOLBELL_TEST_SEED chooses another course of events, SCHOOLBELL_TEST_OPERATIONS
// another length.
func TestEverybodyReceivesExactlyWhatIsTheirs(t *testing.T) {
	s := newScenario(t, buildProgram(t), number("SCHOOLBELL_TEST_OPERATIONS", 500), 50_000)
	s.play(func(int) {})
	s.finish()
}

// A shorter one in which the program is this test's own binary, so that the race
// detector, if it is on, looks at the whole line.
func TestEverybodyReceivesExactlyWhatIsTheirsWatchedByTheRaceDetector(t *testing.T) {
	s := newScenario(t, os.Args[0], 150, 20_000)
	s.play(func(int) {})
	s.finish()
}

// The same with the gateway killed in the middle, and once in the middle of the
// large transaction: it comes back, the clients resume, and nothing differs.
func TestEverybodyReceivesExactlyWhatIsTheirsThroughKills(t *testing.T) {
	operations := number("SCHOOLBELL_TEST_OPERATIONS", 500)
	s := newScenario(t, buildProgram(t), operations, 50_000)
	kill := func() {
		s.gateway.kill()
		s.gateway.restart()
	}
	s.play(func(i int) {
		s.justCommitted = func() {}
		switch {
		case i == operations/2:
			s.justCommitted = kill // while the large transaction comes in
		case i%(operations/5) == operations/10:
			kill()
		}
	})
	s.finish()
}

func number(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return otherwise
}

type scenario struct {
	t *testing.T
	acts
	operations int
	conns      [3]*pgx.Conn
	lms        *school.School
	oracle     *oracle
	gateway    *process
	dashboards []*dashboard
	staff      []school.Person
	altered    int

	justCommitted func()
}

func newScenario(t *testing.T, program string, operations, manyRows int) *scenario {
	seed := number("SCHOOLBELL_TEST_SEED", 20261123)
	t.Logf("seed %d; run it again with SCHOOLBELL_TEST_SEED=%d", seed, seed)
	s := &scenario{t: t, operations: operations, justCommitted: func() {}}
	s.acts = acts{rand: rand.New(rand.NewPCG(uint64(seed), 1)), manyRows: manyRows, mayLose: allStaff}
	url := pgtest.Own(t, map[string]string{"track_commit_timestamp": "on"}).URL("postgres")
	for i := range s.conns {
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		s.conns[i] = conn
	}
	require.NoError(t, school.Create(t.Context(), s.conns[0]))
	var err error
	s.lms, err = school.Populate(t.Context(), s.conns[0], school.Size{Teachers: 20, Tutors: 5, Admins: 5, Students: 500, Assignments: 20}, uint64(seed))
	require.NoError(t, err)
	p, err := profile.Open("django")
	require.NoError(t, err)
	cfg := Config{Database: Secret(url), Slot: "schoolbell", Publication: "schoolbell"}
	require.NoError(t, replication.Init(t.Context(), replicationConfig(cfg, p, slog.New(slog.DiscardHandler))))

	address := freePort(t)
	s.gateway = startProgram(t, program, append([]string{
		"serve", "--database", url, "--data", t.TempDir(), "--listen", address,
		"--admin-listen", freePort(t), "--metrics-interval", "1s", "--heartbeat", "5s",
	}, forDashboards()...)...)
	s.oracle = newOracle(t, url)
	s.connect("http://" + address)
	return s
}

// connect has all thirty connected before anything happens.
func (s *scenario) connect(base string) {
	get(s.t, base+"/readyz", ready)
	ctx, cancel := context.WithCancel(s.t.Context())
	var running sync.WaitGroup
	s.t.Cleanup(func() { cancel(); running.Wait() })
	s.staff = append(append(append(s.staff, s.lms.Teachers...), s.lms.Tutors...), s.lms.Admins...)
	for _, p := range s.staff {
		d := newDashboard(base, p.ID, p.Token)
		s.dashboards = append(s.dashboards, d)
		running.Go(func() { d.run(ctx) })
	}
	for _, d := range s.dashboards {
		d.await(s.t, "welcome", func() bool { return d.welcomes > 0 })
	}
}

// play lets everything happen; at is called before each operation.
func (s *scenario) play(at func(i int)) {
	for i := range s.operations {
		at(i)
		switch {
		case i == s.operations/3:
			s.alter()
		case i == s.operations/2:
			s.transaction(s.insertManyRows)
		case i == s.operations/2+2:
			s.transaction(s.deleteManyRows)
		case s.rand.IntN(12) == 0:
			s.interleaved()
		default:
			s.transaction(s.draw())
		}
		if i%(s.operations/8) == s.operations/16 {
			s.checkpoint()
		}
	}
}

// finish gives everybody their rights back, so that all can come and fetch what
// they may see, and compares everything.
func (s *scenario) finish() {
	s.transaction(func(ctx context.Context, tx pgx.Tx) error {
		for _, p := range s.staff {
			if _, err := tx.Exec(ctx, `UPDATE accounts_user SET role = $2, is_active = true WHERE id = $1`, p.ID, p.Role); err != nil {
				return err
			}
		}
		return nil
	})
	s.checkpoint()
	ids := map[string]string{}
	total := 0
	for _, d := range s.dashboards {
		d.mu.Lock()
		events := d.events
		d.mu.Unlock()
		s.oracle.check(s.t, d.person, events, ids)
		total += len(events)
	}
	s.t.Logf("%d commits with events, %d different events, %d deliveries", len(s.oracle.commits), len(ids), total)
}

// checkpoint waits until everybody who may connect has everything up to now, and
// compares their counts.
func (s *scenario) checkpoint() {
	s.t.Helper()
	var now string
	require.NoError(s.t, s.oracle.conn.QueryRow(s.t.Context(), `SELECT pg_current_wal_lsn()`).Scan(&now))
	end, err := cdc.ParseLSN(now)
	require.NoError(s.t, err)
	want := s.oracle.counts(s.t)
	s.transaction(saveAgain) // something of ours after the end, so that the cursor passes it
	for _, d := range s.dashboards {
		expected, may := want[d.person]
		if !may {
			continue
		}
		d.await(s.t, "counts after "+now, func() bool { return d.at.LSN >= end && d.refused == "" })
		d.mu.Lock()
		got := d.counts
		d.mu.Unlock()
		require.Equal(s.t, expected, got, "counts of person %d", d.person)
	}
}

// transaction runs one operation in a transaction of its own.
func (s *scenario) transaction(op operation) {
	s.t.Helper()
	s.begin(s.conns[0], op)()
}

// begin runs an operation and leaves it to be committed.
func (s *scenario) begin(conn *pgx.Conn, op operation) (commit func()) {
	s.t.Helper()
	ctx := s.t.Context()
	tx, err := conn.Begin(ctx)
	require.NoError(s.t, err)
	if err := op(ctx, tx); errors.Is(err, errRollback) {
		require.NoError(s.t, tx.Rollback(ctx))
		return func() {}
	} else if err != nil {
		require.NoError(s.t, err)
	}
	var xid *string
	require.NoError(s.t, tx.QueryRow(ctx, `SELECT pg_current_xact_id_if_assigned()::text`).Scan(&xid))
	return func() {
		require.NoError(s.t, tx.Commit(ctx))
		s.justCommitted()
		if xid != nil {
			s.oracle.committed(s.t, *xid)
		}
	}
}

// interleaved has three transactions open at once, each at a different
// assignment, and commits them in another order.
func (s *scenario) interleaved() {
	var ids []int64
	rows, err := s.conns[0].Query(s.t.Context(), `SELECT id FROM assignments_assignment ORDER BY id`)
	require.NoError(s.t, err)
	ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(s.t, err)
	s.rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	commits := make([]func(), len(s.conns))
	for i, conn := range s.conns {
		commits[i] = s.begin(conn, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE assignments_assignmentsubmission SET grade = $2, submitted_at = coalesce(submitted_at, clock_timestamp())
				WHERE assignment_id = $1 AND id % 3 = $2 % 3`, ids[i], s.rand.IntN(101))
			return err
		})
	}
	s.rand.Shuffle(len(commits), func(i, j int) { commits[i], commits[j] = commits[j], commits[i] })
	for _, commit := range commits {
		commit()
	}
}

// alter adds a column in the middle of everything.
func (s *scenario) alter() {
	s.altered++
	_, err := s.conns[0].Exec(s.t.Context(), fmt.Sprintf(`ALTER TABLE assignments_assignmentsubmission ADD COLUMN extra%d text NOT NULL DEFAULT 'x'`, s.altered))
	require.NoError(s.t, err)
}
