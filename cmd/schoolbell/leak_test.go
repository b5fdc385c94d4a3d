//go:build linux

package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// Two hundred people are connected while the LMS gives and takes rights and works at the
// same time, often in the same transaction. Nobody receives what SQL over the LMS's own
// tables, asked at that commit, does not allow them, and everybody receives what it does;
// nothing arrives on a socket after the commit that took its right away; the counts are
// those of SQL.
//
//	go test ./cmd/schoolbell -run Leak -leak.n=20000 -leak.seed=7 -timeout 0 -v
func TestLeakNobodyReceivesWhatIsNotTheirsAndEverybodyWhatIs(t *testing.T) {
	t.Parallel()
	for _, make := range leakSchools() {
		s := newLeakSuite(t, make)
		t.Run(s.lms.name, s.run)
	}
}

// leakSchool is one LMS: what its tables are, what happens in it, and what may be seen.
type leakSchool struct {
	name    string
	profile string            // as the setting has it
	flags   []string          // more settings
	watched map[string]string // its tables, and the key of each
	fill    func(ctx context.Context, conn *pgx.Conn) ([]leakPerson, error)
	draw    func() operation // something that happens; about half of it to rights
	restore operation        // gives everybody a right to be connected
	touch   operation        // writes something that changes nothing

	views string // what the following need; made once
	// In SQL. In each the schema `now` has the tables as they are, `was` as they were
	// when the transaction before committed.
	events        string // stage, fields, people: what the transaction means, and for whom
	rights        string // person, code: of everybody with an account, why they may not connect; '' if they may
	before, after string // what the oracle has to note before it is asked for events, and after; or nothing
	counts        string // person and the four counts, of everybody who is told them
}

// leakPerson is one of those who are connected.
type leakPerson struct {
	id    int64
	token string
}

// leakSuite is one run.
type leakSuite struct {
	lms        leakSchool
	n          int
	seed       uint64
	rand       *rand.Rand
	url, base  string
	conn       *pgx.Conn
	oracle     leakOracle
	dashboards []*dashboard
}

func newLeakSuite(t *testing.T, make func(*rand.Rand) leakSchool) *leakSuite {
	s := &leakSuite{n: flagValue[int](leakNumber), seed: flagValue[uint64](leakSeed)}
	s.rand = rand.New(rand.NewPCG(s.seed, 3))
	s.lms = make(s.rand)
	return s
}

func (s *leakSuite) run(t *testing.T) {
	t.Logf("run it again with -leak.seed=%d -leak.n=%d", s.seed, s.n)
	s.begin(t)
	for i := range s.n {
		s.oracle.commit(t, s.conn, s.several())
		if i%(s.n/4+1) == s.n/8 {
			s.checkpoint(t)
		}
	}
	s.oracle.commit(t, s.conn, s.lms.restore)
	s.checkpoint(t)
	s.judge(t)
}

// begin has everybody connected before anything happens.
func (s *leakSuite) begin(t *testing.T) {
	s.url = pgtest.Own(t, map[string]string{"track_commit_timestamp": "on"}).URL("postgres")
	s.conn = connectTo(t, s.url)
	people, err := s.lms.fill(t.Context(), s.conn)
	require.NoError(t, err)
	s.oracle.begin(t, s.conn, s.lms)
	p, err := profile.Open(s.lms.profile)
	require.NoError(t, err)
	cfg := Config{Database: Secret(s.url), Slot: "schoolbell", Publication: "schoolbell"}
	require.NoError(t, replication.Init(t.Context(), replicationConfig(cfg, p, slog.New(slog.DiscardHandler))))

	address := freePort(t)
	s.base = "http://" + address
	start(t, slices.Concat([]string{
		"serve", "--database", s.url, "--profile", s.lms.profile, "--data", t.TempDir(), "--listen", address, "--admin-listen", freePort(t),
		"--metrics-interval", "1s", "--heartbeat", "10s",
	}, forDashboards(), s.lms.flags)...)
	get(t, s.base+"/readyz", ready)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	rights := s.oracle.rights(t, s.conn)
	for _, p := range people {
		if rights[p.id] != "" {
			continue
		}
		d := newDashboard(s.base, p.id, p.token)
		d.shy, d.asks = 200*time.Millisecond, time.Second
		s.dashboards = append(s.dashboards, d)
		running.Go(func() { d.run(ctx) })
	}
	for _, d := range s.dashboards {
		d.await(t, "welcome", func() bool { return d.welcomes > 0 })
	}
}

// several is a transaction in which one to five things happen, each behind a savepoint.
func (s *leakSuite) several() operation {
	things := make([]operation, 1+s.rand.IntN(5))
	for i := range things {
		things[i] = s.lms.draw()
	}
	return func(ctx context.Context, tx pgx.Tx) error {
		for _, thing := range things {
			inner, err := tx.Begin(ctx)
			if err != nil {
				return err
			}
			switch err := thing(ctx, inner); {
			case errors.Is(err, errRollback):
				err = inner.Rollback(ctx)
				if err != nil {
					return err
				}
			case err != nil:
				return err
			default:
				if err := inner.Commit(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// checkpoint waits until everybody who may connect has everything up to now, and compares
// what they are told with what SQL says: who they are to the gateway, and their counts, on
// the socket that is open and on a new one.
func (s *leakSuite) checkpoint(t *testing.T) {
	t.Helper()
	end := lsnOf(t, s.conn)
	want, rights := s.oracle.counts(t, s.conn), s.oracle.rights(t, s.conn)
	s.oracle.commit(t, s.conn, s.lms.touch) // something after the end, so that the cursor passes it
	refusals := map[*dashboard]string{}
	for _, d := range s.dashboards {
		code, exists := rights[d.person]
		if !exists {
			code = "unauthenticated"
		}
		if code != "" {
			refusals[d] = code
			continue
		}
		counted, isCounted := want[d.person]
		if !isCounted { // a student, who is told none
			d.await(t, "position", func() bool { return d.position.LSN >= end && d.refused == "" })
			continue
		}
		d.await(t, "counts", func() bool { return d.at.LSN >= end && d.refused == "" })
		d.mu.Lock()
		got := d.counts
		d.mu.Unlock()
		require.Equal(t, counted, got, "counts of person %d", d.person)
		other := newDashboard(s.base, d.person, d.token)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = other.connect(ctx); close(done) }()
		other.await(t, "another welcome", func() bool { return other.welcomes > 0 })
		cancel()
		<-done
		require.Equal(t, counted, other.stays[0].counts, "counts in the welcome of person %d", d.person)
	}
	for d, code := range refusals { // now that the gateway has come so far
		d.await(t, "refusal", func() bool { return d.refused != "" })
		status, body := sessionOf(t, s.base, http.Header{"Authorization": {"Token " + d.token}})
		require.NotEqual(t, http.StatusOK, status, "person %d", d.person)
		require.Contains(t, body, `"error":"`+code+`"`, "person %d", d.person)
	}
}

// judge compares everything that everybody received with what SQL allowed.
func (s *leakSuite) judge(t *testing.T) {
	got := map[int64][]received{}
	for _, d := range s.dashboards {
		d.mu.Lock()
		got[d.person] = d.events
		d.mu.Unlock()
	}
	v := compare(s.oracle.units, got)
	closed := 0
	for _, d := range s.dashboards {
		closed += s.judgeStays(&v, d)
	}
	t.Logf("seed %d: %v; %d transactions, %d rights taken away, %d sockets closed by that", s.seed, &v, s.oracle.n, len(s.oracle.revocations), closed)
	require.Zero(t, v.wrong(), "%v\n%s", &v, strings.Join(v.said, "\n"))
	require.NotZero(t, closed)
}

// judgeStays looks at how each of somebody's connections ended: with the right that was
// taken away, with its code, and without an event from then on.
func (s *leakSuite) judgeStays(v *verdict, d *dashboard) (closed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, c := range d.stays {
		last := i == len(d.stays)-1
		r, taken := s.oracle.revoked(d.person, c)
		switch {
		case taken && c.last.LSN >= r.before:
			v.say(&v.leaked, "person %d received %v on a socket whose right was taken away before %v", d.person, c.last, r.after)
		case taken && c.ended != r.code:
			v.say(&v.leaked, "the socket of person %d that began at %v ended with %d, but the commit before %v should have ended it with %d",
				d.person, c.began, c.ended, r.after, r.code)
		case !taken && !last:
			v.say(&v.lost, "the socket of person %d that began at %v ended with %d, and nothing had taken the right", d.person, c.began, c.ended)
		case taken:
			closed++
		}
	}
	return closed
}

// revocation is a right to be connected that a transaction took away.
type revocation struct {
	person        int64
	code          websocket.StatusCode
	before, after cdc.LSN // its commit is not before this, and before that
}
