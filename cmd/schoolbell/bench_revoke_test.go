package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// BenchmarkDeactivationToClose is how long after the commit of a deactivation the
// person's client has read the close frame: from the moment COMMIT was sent, and from
// the moment the server had answered it. Two hundred people are connected, and the LMS
// commits a hundred grades a second beside it, each of which an admin and one teacher
// receive. Each iteration is one deactivation; -benchtime=1000x gives enough of them
// for the 99th percentile.
func BenchmarkDeactivationToClose(b *testing.B) {
	s := newBench(b, school.Size{Teachers: 190, Tutors: 5, Admins: 5, Students: 500, Assignments: 200}, map[string]string{"fsync": "on", "full_page_writes": "on"})
	s.serve(s.data)
	get(b, "http://"+s.address+"/readyz", ready)
	people := slices.Concat(s.lms.Teachers, s.lms.Tutors, s.lms.Admins)
	open := make([]chan farewellAt, len(people))
	for i, p := range people {
		open[i] = s.listen(p.Token)
	}
	commits := s.gradeMeanwhile(100)

	var sent, answered []time.Duration
	before := commits.Load()
	for i := 0; b.Loop(); i++ {
		p := people[i%len(people)]
		tx, err := s.conn.Begin(b.Context())
		require.NoError(b, err)
		_, err = tx.Exec(b.Context(), `UPDATE accounts_user SET is_active = false WHERE id = $1`, p.ID)
		require.NoError(b, err)
		began := time.Now()
		require.NoError(b, tx.Commit(b.Context()))
		done := time.Now()
		select {
		case end := <-open[i%len(people)]:
			require.EqualValues(b, 4401, end.status)
			sent, answered = append(sent, end.at.Sub(began)), append(answered, end.at.Sub(done))
		case <-time.After(time.Minute):
			b.Fatalf("the socket of %d was not closed", p.ID)
		}
		_, err = s.conn.Exec(b.Context(), `UPDATE accounts_user SET is_active = true WHERE id = $1`, p.ID)
		require.NoError(b, err)
		open[i%len(people)] = s.listen(p.Token)
	}
	meanwhile := commits.Load() - before
	b.ReportMetric(float64(meanwhile)/b.Elapsed().Seconds(), "commits/s-meanwhile")
	reportPercentiles(b, map[string][]time.Duration{"COMMIT": sent, "answer": answered})
}

// farewellAt is how and when a socket ended.
type farewellAt struct {
	at     time.Time
	status websocket.StatusCode
}

// listen opens a socket, as soon as the person is let in, and tells how it ends.
func (s *bench) listen(token string) chan farewellAt {
	s.b.Helper()
	ended := make(chan farewellAt, 1)
	header := http.Header{"Authorization": {"Token " + token}}
	var conn *websocket.Conn
	for range 3000 {
		var resp *http.Response
		var err error
		if conn, resp, err = websocket.Dial(s.b.Context(), "ws://"+s.address+"/ws/dashboard/", &websocket.DialOptions{HTTPHeader: header}); err == nil {
			break
		}
		// The log has not come so far yet: they are not active again.
		require.NotNil(s.b, resp, err)
		require.Equal(s.b, http.StatusForbidden, resp.StatusCode)
	}
	require.NotNil(s.b, conn)
	_, _, err := conn.Read(s.b.Context())
	require.NoError(s.b, err, "the welcome")
	var reading sync.WaitGroup
	s.b.Cleanup(func() { _ = conn.CloseNow(); reading.Wait() })
	reading.Go(func() {
		for {
			if _, _, err := conn.Read(context.WithoutCancel(s.b.Context())); err != nil {
				ended <- farewellAt{time.Now(), websocket.CloseStatus(err)}
				return
			}
		}
	})
	return ended
}

// gradeMeanwhile commits so many grades a second, of work all over the school, until
// the benchmark ends, and counts them.
func (s *bench) gradeMeanwhile(rate int) *atomic.Int64 {
	rows, err := s.conn.Query(s.b.Context(), `SELECT id FROM assignments_assignmentsubmission ORDER BY md5(id::text)`)
	require.NoError(s.b, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(s.b, err)
	conn := s.connect()
	ctx, cancel := context.WithCancel(s.b.Context())
	var commits atomic.Int64
	var running sync.WaitGroup
	s.b.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := conn.Exec(ctx, `UPDATE assignments_assignmentsubmission SET grade = $2, status = 'graded' WHERE id = $1`, ids[n%len(ids)], n); err != nil {
				return // the benchmark is over
			}
			commits.Add(1)
		}
	})
	return &commits
}

// reportPercentiles reports times by what they are measured from.
func reportPercentiles(b *testing.B, times map[string][]time.Duration) {
	for from, took := range times {
		slices.Sort(took)
		for name, at := range map[string]int{"p50": len(took) / 2, "p99": len(took) * 99 / 100, "max": len(took) - 1} {
			b.ReportMetric(float64(took[at].Microseconds())/1e3, "ms-"+name+"-from-"+from)
		}
	}
	b.ReportMetric(0, "ns/op")
}
