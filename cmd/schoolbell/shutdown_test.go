package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// PostgreSQL does not end before its walsenders have been answered: a reader that is
// silent costs a DBA a minute. Ours costs what it takes to send what is left, and what
// was committed until then is told once.
func TestAFastShutdownOfPostgreSQLDoesNotWaitForTheGateway(t *testing.T) {
	t.Parallel()
	program := buildProgram(t)
	const quick, asLongAsItTakes = 5 * time.Second, time.Minute
	for _, tt := range []struct {
		name   string
		busy   func(*site)
		within time.Duration
	}{
		{"at rest", func(*site) {}, quick},
		{"while the LMS commits", (*site).commit, quick},
		// PostgreSQL sends the rest of it first, whoever reads.
		{"in a transaction of 200,000 rows", func(s *site) { s.exec(manyUsers, 200_000); s.rowsComing() }, asLongAsItTakes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.Own(t, nil)
			s := siteAt(t, server.URL("postgres"))
			s.exec(`UPDATE assignments_assignmentsubmission SET grade = 0 WHERE submitted_at IS NOT NULL`)
			s.serveAs(program)
			s.ready()
			c, disperse := gather(t, s.address, []school.Person{s.school.Admins[0]}, 1)
			tt.busy(s)

			began := time.Now()
			require.NoError(t, server.Halt("fast"))
			took := time.Since(began)
			t.Logf("the server was down after %v", took.Round(time.Millisecond))
			require.Less(t, took, tt.within)

			require.NoError(t, server.Resume(t.Context()))
			s.conn = connectTo(t, s.url)
			// Every commit gave one grade, one more than the one before.
			last := int(s.number(`SELECT max(grade)::text FROM assignments_assignmentsubmission`))
			c.await("every grade", func() bool { return c.arrived >= last })
			disperse()
			require.Len(t, c.clients[0].grades, last)
			for i, grade := range c.clients[0].grades {
				require.Equal(t, i+1, grade)
			}
		})
	}
}

// commit has grades given as fast as it goes, until the database is gone: 1, 2, 3 and
// so on. It answers when some have been given.
func (s *site) commit() {
	s.t.Helper()
	lms := connectTo(s.t, s.url)
	gone := make(chan struct{})
	s.t.Cleanup(func() { <-gone })
	go func() {
		defer close(gone)
		for i := 1; ; i++ {
			if _, err := lms.Exec(context.Background(), `UPDATE assignments_assignmentsubmission SET grade = $1
				WHERE id = (SELECT min(id) FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL)`, i); err != nil {
				return
			}
		}
	}()
	s.eventually(`SELECT max(grade) > 500 FROM assignments_assignmentsubmission`)
}
