//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// Whatever breaks, everybody receives every event that is theirs exactly once, in
// order, and nothing else, and the counts are right. What breaks is drawn by a seed:
//
//	go test ./cmd/schoolbell -run Faults -faults.n=1000 -faults.seed=7 -timeout 0 -v
//
// Without flags each kind of fault happens once.
func TestFaultsLoseNothingAndDoubleNothing(t *testing.T) {
	t.Parallel()
	s := newFaultSuite(t)
	kinds := slices.DeleteFunc(faultKinds(), func(f faultKind) bool { return !strings.Contains(f.kind, s.only) })
	require.NotEmpty(t, kinds, "no fault is called %q", s.only)
	n := s.number
	if n == 0 {
		n = len(kinds)
	}
	order := s.rand.Perm(len(kinds)) // each kind once, then by weight
	for i := 0; i < n; i++ {
		next := pick(s.rand, kinds)
		if i < len(order) {
			next = kinds[order[i]]
		}
		switch second := pick(s.rand, kinds); {
		case i+1 < n && i >= len(order) && s.rand.IntN(6) == 0:
			s.twoAtOnce(next, second)
			i++
		default:
			s.one(next)
		}
		if i%6 == 5 {
			s.checkpoint()
		}
	}
	s.checkpoint()
	t.Logf("seed %d: %v\n%v", s.seed, &s.verdict, s.tally)
}

// faultSuite is a school whose gateway, server and networks fail.
type faultSuite struct {
	t      *testing.T
	ctx    context.Context // ends, with the cause, when something is wrong for good
	number int
	seed   uint64
	only   string
	rand   *rand.Rand

	server   *postgres.Server
	database *proxy // between the gateway and the server
	clients  *proxy // between some clients and the gateway
	keeper   *keeper
	lms      *workload
	truth    *truth
	judged   int64 // the transaction up to which there is a verdict

	dashboards []*dashboard
	steady     []*dashboard // of people whose rights nobody takes
	staff      []school.Person

	trapping   sync.Mutex
	restarting sync.Mutex
	tally      *tally
	verdict    verdict
}

// Of each role the first so many keep their rights.
var faultSchool = school.Size{Teachers: 5, Tutors: 3, Admins: 4, Students: fewestStudents, Assignments: 12}

const steadyOfEach = 2

func newFaultSuite(t *testing.T) *faultSuite {
	s := &faultSuite{t: t, number: flagValue[int](faultsNumber), seed: flagValue[uint64](faultsSeed), only: flagValue[string](faultsOnly), tally: &tally{kinds: map[string]*happened{}}}
	s.rand = rand.New(rand.NewPCG(s.seed, 1))
	t.Cleanup(s.explain)
	ctx, failed := context.WithCancelCause(t.Context())
	s.ctx = ctx
	t.Cleanup(func() { failed(nil) })

	s.server = pgtest.Own(t, map[string]string{"track_commit_timestamp": "on", "wal_sender_timeout": "5s"})
	conn := connectTo(t, s.server.URL("postgres"))
	require.NoError(t, school.Create(ctx, conn))
	people, err := school.Populate(ctx, conn, faultSchool, s.seed)
	require.NoError(t, err)
	s.truth, err = watchTruth(ctx, conn)
	require.NoError(t, err)
	p, err := profile.Open("django")
	require.NoError(t, err)
	cfg := Config{Database: Secret(s.server.URL("postgres")), Slot: "schoolbell", Publication: "schoolbell"}
	require.NoError(t, replication.Init(ctx, replicationConfig(cfg, p, slog.New(slog.DiscardHandler))))

	address := freePort(t)
	u, err := url.Parse(s.server.URL("postgres"))
	require.NoError(t, err)
	s.database = startProxy(t, u.Host, true)
	s.clients = startProxy(t, address, false)
	u.Host = s.database.address()
	s.keeper = &keeper{t: t, failed: failed, program: buildProgram(t), args: append([]string{
		"serve", "--database", u.String(), "--data", t.TempDir(), "--listen", address, "--admin-listen", freePort(t),
		"--metrics-interval", "1s", "--heartbeat", "2s", "--log-format", "json", "--snapshots-per-hour", "100000",
	}, forDashboards()...)}
	t.Cleanup(s.keeper.close)
	require.NoError(t, s.keeper.start())
	require.NoError(t, s.killInSnapshots(ctx, 2_000, 30_000))
	get(t, "http://"+address+"/readyz", ready)
	s.connect(people, "http://"+address)
	s.work(failed)
	return s
}

// flagValue reads a flag that TestMain has defined.
func flagValue[T any](name string) T {
	return flag.Lookup(name).Value.(flag.Getter).Get().(T)
}

// connect has everybody connected before anything happens: one person of each role
// that is busy through the link that will fail.
func (s *faultSuite) connect(people *school.School, base string) {
	ctx, cancel := context.WithCancel(s.ctx)
	var running sync.WaitGroup
	s.t.Cleanup(func() { cancel(); running.Wait() })
	for _, role := range [][]school.Person{people.Admins, people.Teachers, people.Tutors} {
		for i, p := range role {
			address := base
			if i == 1 && p.Role != "teacher" {
				address = "http://" + s.clients.address()
			}
			d := newDashboard(address, p.ID, p.Token)
			d.asks = 200 * time.Millisecond
			s.dashboards, s.staff = append(s.dashboards, d), append(s.staff, p)
			if i < steadyOfEach {
				s.steady = append(s.steady, d)
			}
			running.Go(func() { d.run(ctx) })
		}
	}
	for _, d := range s.dashboards {
		s.must(d.until(s.ctx, "welcome", func() bool { return d.welcomes > 0 }))
	}
}

// work lets the LMS begin.
func (s *faultSuite) work(failed context.CancelCauseFunc) {
	var keep []string
	for _, d := range s.steady {
		keep = append(keep, fmt.Sprint(d.person))
	}
	s.lms = &workload{url: s.server.URL("postgres"), ends: map[int64]cdc.LSN{}, acts: acts{
		rand: rand.New(rand.NewPCG(s.seed, 2)), mayLose: allStaff + ` WHERE user_id NOT IN (` + strings.Join(keep, ", ") + `)`,
	}}
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	s.t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		if err := s.lms.run(ctx); err != nil {
			failed(err)
		}
	}()
}

// must ends the test when something is wrong for good.
func (s *faultSuite) must(err error) {
	s.t.Helper()
	if cause := context.Cause(s.ctx); cause != nil {
		err = cause
	}
	require.NoError(s.t, err)
}

// one lets a fault happen, and waits until everybody has fresh news.
func (s *faultSuite) one(f faultKind) {
	s.t.Helper()
	ctx, cancel := s.patience(f.kind)
	defer cancel()
	began, err := f.draw(s.rand)(ctx, s)
	s.must(err)
	s.fresh(ctx)
	s.tally.happened(f.kind, began)
}

// twoAtOnce lets a second fault begin while the first is not over.
func (s *faultSuite) twoAtOnce(a, b faultKind) {
	s.t.Helper()
	ctx, cancel := s.patience(a.kind + " and " + b.kind)
	defer cancel()
	first, second := a.draw(s.rand), b.draw(s.rand)
	later := time.Duration(s.rand.IntN(1500)) * time.Millisecond
	began := time.Now()
	overlap := make(chan error, 1)
	go func() {
		_, err := first(ctx, s)
		overlap <- err
	}()
	lasting(ctx, later)
	_, err := second(ctx, s)
	s.must(err)
	s.must(<-overlap)
	s.fresh(ctx)
	s.tally.happened("two at once", began)
	s.tally.happened(a.kind, never())
	s.tally.happened(b.kind, never())
}

// patience is for one fault and what comes after it.
func (s *faultSuite) patience(kind string) (context.Context, context.CancelFunc) {
	s.tally.begins(kind)
	return context.WithTimeoutCause(s.ctx, patienceOfFaults, fmt.Errorf("%s was not over after %v", kind, patienceOfFaults))
}

// fresh waits until everybody whose rights nobody takes has news of a transaction
// that was committed now.
func (s *faultSuite) fresh(ctx context.Context) {
	s.t.Helper()
	now, err := s.lms.do(ctx, saveAgain)
	s.must(err)
	for _, d := range s.steady {
		s.must(d.until(ctx, "news after "+now.String(), func() bool { return d.position.LSN >= now }))
	}
}

// explain says how to see a failure again.
func (s *faultSuite) explain() {
	if !s.t.Failed() {
		return
	}
	number := ""
	if s.number > 0 {
		number = fmt.Sprintf(" -faults.n=%d", s.number)
	}
	s.t.Logf("again: go test ./cmd/schoolbell -run Faults%s -faults.only=%q -faults.seed=%d -timeout 0 -v", number, s.only, s.seed)
	s.t.Logf("so far %v\n%v", &s.verdict, s.tally)
	s.t.Logf("the last faults:\n%s", strings.Join(s.tally.last(14), "\n"))
	s.t.Logf("the gateway's last words:\n%s", s.keeper.lastWords())
}

func pick(r *rand.Rand, kinds []faultKind) faultKind {
	total := 0
	for _, f := range kinds {
		total += f.weight
	}
	n := r.IntN(total)
	for _, f := range kinds {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	panic("unreachable")
}

// tally is how often what happened, and for how long somebody was without news.
type tally struct {
	mu    sync.Mutex
	kinds map[string]*happened // guarded by mu, as is
	order []string             // as they began
}

type happened struct {
	times   int
	outages []time.Duration
}

func (t *tally) begins(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.order = append(t.order, time.Now().UTC().Format(clock)+" "+kind)
}

func (t *tally) last(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.order[max(0, len(t.order)-n):]
}

// happened notes that everybody is well after a fault; one without a beginning had no
// outage of its own.
func (t *tally) happened(kind string, began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.kinds[kind]
	if h == nil {
		h = &happened{}
		t.kinds[kind] = h
	}
	h.times++
	if !began.IsZero() {
		h.outages = append(h.outages, time.Since(began))
	}
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\ttimes\tmedian outage\tlongest outage")
	for _, kind := range slices.Sorted(maps.Keys(t.kinds)) {
		h := t.kinds[kind]
		slices.Sort(h.outages)
		median, longest := "", ""
		if len(h.outages) > 0 {
			median, longest = seconds(h.outages[len(h.outages)/2]), seconds(h.outages[len(h.outages)-1])
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", kind, h.times, median, longest)
	}
	_ = w.Flush() // into memory
	return out.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
