package main

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// tenThousandCommits give ten grades each: 1 to 10, then 11 to 20 and so on.
const tenThousandCommits = `DO $$ BEGIN
	FOR i IN 0 .. 9999 LOOP
		UPDATE assignments_assignmentsubmission s SET grade = i * 10 + ten.n
			FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM assignments_assignmentsubmission ORDER BY id LIMIT 10) ten WHERE s.id = ten.id;
		COMMIT;
	END LOOP;
END $$`

// The gateway is killed, the school works on, and the gateway comes back: it is ready in
// seconds, serves clients while it catches up, and they get every event once.
func TestAfterAKillAndABacklogOf100000RowsTheGatewayIsReadyInSeconds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = 0, submitted_at = coalesce(submitted_at, now())`)
	gateway := s.serveAs(buildProgram(t))
	s.ready()
	c, disperse := gather(t, s.address, []school.Person{s.school.Admins[0]}, 1) // one: it has much to read
	gateway.kill()
	c.await("the connections end", func() bool { return c.live == 0 })
	s.exec(tenThousandCommits)

	began := time.Now()
	since := func() time.Duration { return time.Since(began).Round(time.Millisecond) }
	gateway.restart()
	said := map[string]bool{}
	get(t, s.base()+"/readyz", func(status int, body string) bool { said[body] = true; return status == http.StatusOK })
	t.Logf("ready after %v; before that: %v", since(), said)
	require.Less(t, since(), 30*time.Second)
	arrived := 0
	c.await("the client has been back", func() bool { arrived = c.arrived; return len(c.absences) >= len(c.clients) })
	t.Logf("the client was back after %v, with %d events", since(), arrived)
	const rows = 100_000
	c.await("every event", func() bool { return c.arrived >= rows*len(c.clients) })
	t.Logf("every event was delivered after %v; connections: %v", since(), c.reasons())
	disperse()
	want := make([]int, rows)
	for i := range want {
		want[i] = i + 1
	}
	for _, one := range c.clients {
		require.True(t, slices.IsSortedFunc(one.grades, func(a, b int) int { return (a-1)/10 - (b-1)/10 }), "in the order of the commits")
		require.Equal(t, want, slices.Sorted(slices.Values(one.grades)))
	}
}
