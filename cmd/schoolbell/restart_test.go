package main

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// A thousand sockets: fifty people, with as many each as may be connected at once.
const (
	crowdPeople = 50
	crowdEach   = 20
)

// An operator restarts the gateway while the school works, or it dies: every client comes
// back by itself, misses nothing and has nothing twice.
func TestARestartUnderAThousandSocketsLosesNobodyAndNothing(t *testing.T) {
	t.Parallel()
	program := buildProgram(t)
	t.Run("SIGTERM", func(t *testing.T) {
		t.Parallel()
		s := newBusySite(t, program)
		s.survives(func() {
			began := time.Now()
			require.Zero(t, s.gateway.stop(5*time.Second), s.gateway.text())
			t.Logf("exit 0 after %v", time.Since(began).Round(time.Millisecond))
		}, func() {
			confirmed, err := cdc.ParseLSN(s.ask(`SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot))
			require.NoError(t, err)
			require.LessOrEqual(t, s.crowd.furthest, confirmed, "what was told is confirmed")
			out := s.gateway.text()
			var stopped struct{ Msg, Pos string }
			require.NoError(t, json.Unmarshal([]byte(out[strings.LastIndex(out, "{"):]), &stopped), out)
			require.Equal(t, "stopped", stopped.Msg)
			last, err := cdc.ParseLSN(stopped.Pos)
			require.NoError(t, err)
			require.LessOrEqual(t, last, confirmed, "what was applied is confirmed")
		})
		s.saidGoodbye()
	})
	t.Run("kill -9", func(t *testing.T) {
		t.Parallel()
		s := newBusySite(t, program)
		s.survives(s.gateway.kill, func() {})
		for _, a := range s.crowd.absences {
			require.Equal(t, farewell{}, a.farewell, "nobody was told anything")
		}
	})
}

// saidGoodbye sees that everybody was told when to return, at evenly spread moments, and
// came back soon after.
func (s *busySite) saidGoodbye() {
	t := s.t
	var returns []time.Time
	for _, a := range s.crowd.absences {
		require.Equal(t, farewell{status: 1001, Type: "disconnect", Code: 1001, Reason: "going_away", Reconnect: true, After: a.After}, a.farewell)
		asked := a.at.Add(time.Duration(a.After) * time.Millisecond)
		require.Less(t, a.back.Sub(asked), 10*time.Second, "asked to return after %d ms", a.After)
		returns = append(returns, asked)
	}
	slices.SortFunc(returns, time.Time.Compare)
	whole := returns[len(returns)-1].Sub(returns[0])
	t.Logf("asked to return within %v", whole.Round(time.Millisecond))
	busiest := 0
	for i, from := range returns {
		n, _ := slices.BinarySearchFunc(returns[i:], from.Add(whole/10), time.Time.Compare)
		busiest = max(busiest, n)
	}
	require.Less(t, busiest, len(returns)/4, "clients asked to return within a tenth of that time")
}

// busySite is a school that works, with a thousand sockets at its gateway.
type busySite struct {
	*site
	gateway *process
	crowd   *crowd

	told     map[int64][]int // the grades that each person must be told, in order
	commits  int
	disperse func() // ends the clients
	idle     func() // ends the work
}

func newBusySite(t *testing.T, program string) *busySite {
	t.Helper()
	s := &busySite{site: newSite(t), told: map[int64][]int{}}
	people := slices.Concat(s.school.Admins, s.school.Teachers, s.school.Tutors)
	for len(people) < crowdPeople { // the others are tutors of one student each
		p := school.Person{ID: int64(1000 + len(people)), Role: "tutor", Token: "token-" + strconv.Itoa(len(people))}
		s.exec(`INSERT INTO accounts_user (id, email, first_name, last_name, role, is_superuser, is_staff, is_active, date_joined)
			VALUES ($1, 'extra@school.example', 'Ex', 'Tra', 'tutor', false, false, true, now())`, p.ID)
		s.exec(`INSERT INTO authtoken_token (key, created, user_id) VALUES ($1, now(), $2)`, p.Token, p.ID)
		s.exec(`UPDATE accounts_studentprofile SET tutor_id = $1 WHERE user_id = $2`, p.ID, s.school.Students[len(people)%len(s.school.Students)].ID)
		people = append(people, p)
	}
	s.gateway = s.serveAs(program)
	s.ready()
	s.crowd, s.disperse = gather(t, s.address, people, crowdEach)
	s.work()
	return s
}

// work has a grade given fifty times a second, until idle is called.
func (s *busySite) work() {
	rows, err := s.conn.Query(s.t.Context(), `SELECT s.id, array_remove(array[a.author_id, p.tutor_id], NULL)
		FROM assignments_assignmentsubmission s JOIN assignments_assignment a ON a.id = s.assignment_id
		LEFT JOIN accounts_studentprofile p ON p.user_id = s.student_id ORDER BY s.id`)
	require.NoError(s.t, err)
	type submission struct {
		ID     int64
		People []int64
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[submission])
	require.NoError(s.t, err)
	admins := []int64{s.school.Admins[0].ID}
	lms := connectTo(s.t, s.url)
	ctx, cancel := context.WithCancel(s.t.Context())
	var working sync.WaitGroup
	s.idle = func() { cancel(); working.Wait() }
	s.t.Cleanup(s.idle)
	working.Go(func() {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for ctx.Err() == nil {
			<-pace.C
			s.commits++
			one := all[s.commits%len(all)]
			_, err := lms.Exec(context.Background(), `UPDATE assignments_assignmentsubmission SET grade = $1 WHERE id = $2`, s.commits, one.ID)
			if err != nil {
				s.t.Errorf("the LMS: %v", err)
				return
			}
			for _, p := range slices.Concat(admins, one.People) {
				s.told[p] = append(s.told[p], s.commits)
			}
		}
	})
}

// survives ends the gateway, starts it again, and sees that every client comes back and
// has in the end what it should have, in order and once.
func (s *busySite) survives(end, ended func()) {
	t, c := s.t, s.crowd
	all := len(c.clients)
	c.await("work", func() bool { return c.arrived > 5000 })
	end()
	c.await("the connections end", func() bool { return c.live == 0 })
	ended()
	began := time.Now()
	s.gateway.restart()
	s.ready()
	t.Logf("ready %v after the start", time.Since(began).Round(time.Millisecond))
	c.await("everybody is back", func() bool { return c.live == all })
	t.Logf("the last client is back %v after the start; it took at most %v of memory", time.Since(began).Round(time.Millisecond), peak(s.gateway))
	outages := c.outages()
	require.Len(t, outages, all, "each went once")
	t.Logf("clients were away for %v at the median and %v at most; refused meanwhile: %v",
		outages[all/2].Round(time.Millisecond), outages[all-1].Round(time.Millisecond), c.refusals)
	s.idle()
	want := 0
	for _, one := range c.clients {
		want += len(s.told[one.person.ID])
	}
	c.await("everything has been told", func() bool { return c.arrived >= want })
	s.disperse()
	for _, one := range c.clients {
		require.Equal(t, s.told[one.person.ID], one.grades, "person %d", one.person.ID)
	}
	t.Logf("%d commits, %d deliveries", s.commits, want)
}

// peak is the most memory that a process has had, as its system tells.
func peak(p *process) string {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(size)
		}
	}
	return "an unknown amount"
}
