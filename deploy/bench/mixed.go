//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// mixed is a school day: thousands of people connected, marks at a rate, with ticks of
// metrics and heartbeats as they are by default. What the gateway takes of the
// processor, whether its memory grows, how late messages are, and what it asks the
// LMS's database, which should be nothing but credentials and how its slot is.
func (b *bench) mixed(ctx context.Context) error {
	people := b.bound(b.People)
	admins := min(10, people/5)
	tutors := people / 50
	l, err := b.newLMS(ctx, school.Size{Teachers: people - admins - tutors, Tutors: tutors, Admins: admins, Students: 1000}, 1, nil)
	if err != nil {
		return err
	}
	return errors.Join(l.day(ctx), l.close(ctx))
}

// sample is what the gateway holds at a moment.
type sample struct {
	after    time.Duration
	resident float64 // bytes
}

func (l *lms) day(ctx context.Context) error {
	q, err := l.countQueries(ctx)
	if err != nil {
		return err
	}
	return l.withGateway(ctx, l.dir+"/mixed", nil, func(g *gateway) (err error) {
		everybody := slices.Concat(l.people.Teachers, l.people.Tutors, l.people.Admins)
		c, err := l.gather(g.address, tokens(everybody))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.stop()) }()
		before, err := q.count(ctx)
		if err != nil {
			return err
		}
		var samples []sample
		var delays []time.Duration
		began := time.Now()
		took, err := spent(g.pid(), func() error {
			samples, delays, err = l.live(ctx, g, c)
			return err
		})
		if err != nil {
			return err
		}
		lasted := time.Since(began)
		after, err := q.count(ctx)
		if err != nil {
			return err
		}
		l.tellDay(len(everybody), took.total().Seconds()/lasted.Seconds(), samples, delays)
		q.tell(before, after, len(delays))
		return nil
	})
}

// live commits for as long as mixed lasts, and looks at the memory meanwhile.
func (l *lms) live(ctx context.Context, g *gateway, c *crowd) ([]sample, []time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	samples := make(chan []sample, 1)
	go func() { samples <- sampleMemory(ctx, g, min(time.Second, l.Mixed/20)) }()
	// In parts, each of which is waited for, so that the clients do not keep all of it.
	const part = 10 * time.Second
	var delays []time.Duration
	mark := 1_000_000
	for left := l.Mixed; left > 0; left -= part {
		n := max(1, int(min(part, left).Seconds()*float64(l.Rate)))
		commits, err := l.atRate(ctx, l.Rate, n, mark)
		if err != nil {
			return nil, nil, err
		}
		mark += n
		late, err := c.settled(ctx, commits)
		if err != nil {
			return nil, nil, err
		}
		delays = append(delays, late...)
	}
	cancel()
	return <-samples, delays, nil
}

// settled waits until every commit is at somebody and nothing more comes, and answers
// how late the last of its receivers had it. How many these are depends on whether the
// student has a tutor.
func (c *crowd) settled(ctx context.Context, commits []commit) ([]time.Duration, error) {
	all := map[int]arrival{}
	err := until(ctx, 100*time.Millisecond, patience, "every mark has come", func() (bool, error) {
		came, err := c.report()
		for mark, a := range came {
			known, again := all[mark]
			if again {
				a = arrival{mark, min(known.First, a.First), max(known.Last, a.Last), known.N + a.N}
			}
			all[mark] = a
		}
		return len(came) == 0 && len(all) >= len(commits), err
	})
	if err != nil {
		return nil, fmt.Errorf("%w (%d of %d)", err, len(all), len(commits))
	}
	return between(commits, all, commit.whenAcked, arrival.last), nil
}

// sampleMemory looks again and again until ctx ends.
func sampleMemory(ctx context.Context, g *gateway, every time.Duration) (samples []sample) {
	began := time.Now()
	looks := time.NewTicker(every)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return samples
		case <-looks.C:
			if resident, err := memoryOf(g.pid(), "VmRSS"); err == nil {
				samples = append(samples, sample{time.Since(began), resident})
			}
		}
	}
}

func (l *lms) tellDay(people int, cores float64, samples []sample, delays []time.Duration) {
	what := fmt.Sprintf("%s people, %d commits/s, %v, ", number(float64(people)), l.Rate, l.Mixed)
	l.report(what+"our processor", "% of a core", 100*cores)
	var resident []float64
	for _, s := range samples {
		resident = append(resident, megabytes(s.resident))
	}
	l.report(what+"resident in the middle", "MB", median(resident)).beside("most", slices.Max(resident))
	l.report(what+"growth of it in the second half", "MB/minute", growth(samples[len(samples)/2:]))
	l.reportParts(what+"from the COMMIT's acknowledgement to the last receiver", "ms", percentileNames, [][]float64{percentiles(delays)})
}

// growth is the slope of a line through the samples, in MB a minute.
func growth(samples []sample) float64 {
	n := float64(len(samples))
	var x, y, xx, xy float64
	for _, s := range samples {
		at, size := s.after.Minutes(), megabytes(s.resident)
		x, y, xx, xy = x+at, y+size, xx+at*at, xy+at*size
	}
	if d := n*xx - x*x; d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

// queries count what the gateway asks the database.
type queries struct {
	*lms
	statements bool // pg_stat_statements is there
}

// countQueries begins to count: by statement where pg_stat_statements is installed,
// which needs a restart of the server.
func (l *lms) countQueries(ctx context.Context) (*queries, error) {
	q := &queries{lms: l}
	installed, err := ask[bool](ctx, l, `SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')`)
	if err != nil {
		return nil, err
	}
	if _, err := l.conn.Exec(ctx, `LOAD 'pg_stat_statements'`); !installed || err != nil {
		l.say("no pg_stat_statements in this PostgreSQL: transactions are counted by pg_stat_database, not statements")
		return q, nil
	}
	q.statements = true
	if err := l.exec(ctx, `ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`); err != nil {
		return nil, err
	}
	_ = l.conn.Close(ctx)
	if err := l.server.Restart(ctx, "fast"); err != nil {
		return nil, err
	}
	if l.conn, err = pgx.Connect(ctx, l.url); err != nil {
		return nil, err
	}
	return q, l.exec(ctx, `CREATE EXTENSION pg_stat_statements`)
}

// count is how often each statement of the gateway's has been run, or all
// transactions of the database under the name "".
func (q *queries) count(ctx context.Context) (map[string]int64, error) {
	if !q.statements {
		n, err := ask[int64](ctx, q.lms, `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`)
		return map[string]int64{"": n}, err
	}
	rows, err := q.conn.Query(ctx, `SELECT query, calls FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = $1`, role)
	if err != nil {
		return nil, err
	}
	calls := map[string]int64{}
	var query string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&query, &n}, func() error {
		calls[query] += n
		return nil
	})
	return calls, err
}

// tell reports what came between two counts, while the LMS gave so many marks.
func (q *queries) tell(before, after map[string]int64, marks int) {
	if !q.statements {
		n := float64(after[""] - before[""] - int64(marks))
		q.report("transactions of all in the LMS's database after the snapshot, but for the marks: credentials, monitoring, and our own connecting", "", n).Note = "pg_stat_database: no pg_stat_statements here"
		return
	}
	var credentials, monitoring, others float64
	for query, n := range after {
		n := float64(n - before[query])
		switch {
		case strings.Contains(query, "authtoken_token"):
			credentials += n
		case isMonitoring(query):
			monitoring += n
		case n > 0:
			others += n
			q.say("asked %.0f times: %s", n, query)
		}
	}
	q.report("queries to the LMS's database after the snapshot, but for credentials and monitoring", "", others).
		beside("for credentials", credentials).beside("of the catalogue, for the state of slot and publication,", monitoring).atMost("", 0).Note = "pg_stat_statements"
}

// isMonitoring reports whether a query reads no table of the LMS: it is about the
// catalogue, the settings, or the transaction that such a query is in.
func isMonitoring(query string) bool {
	return !lmsTable.MatchString(query)
}

// lmsTable finds the names of the LMS's tables.
var lmsTable = regexp.MustCompile(`\b(accounts|assignments|authtoken|django|analytics)_`)
