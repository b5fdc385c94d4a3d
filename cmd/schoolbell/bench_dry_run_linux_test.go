package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// BenchmarkDryRun is what check --dry-run costs, and with it a first snapshot, of a school
// with a million submissions: time, the program's memory at most, and PostgreSQL's
// processor, of all backends that served it.
//
// SCHOOLBELL_TEST_BENCH_ROWS is another number of submissions.
func BenchmarkDryRun(b *testing.B) {
	s := newBench(b, school.Size{Teachers: 300, Tutors: 50, Admins: 3, Students: 10_000, Assignments: 2_000}, map[string]string{
		"synchronous_commit": "off", "max_wal_size": "8GB",
	})
	rows := number("SCHOOLBELL_TEST_BENCH_ROWS", 1_000_000)
	s.exec(`SET session_replication_role = replica`) // two references per row need not be looked up
	s.exec(fmt.Sprintf(`INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, grade, feedback, updated_at)
		SELECT a.id, u.id, repeat('An answer. ', 20), 'submitted', CASE WHEN u.id %% 3 > 0 THEN now() END, CASE WHEN u.id %% 3 = 1 THEN 70 END, '', now()
		FROM assignments_assignment a, accounts_user u WHERE u.role = 'student'
		LIMIT %d - (SELECT count(*) FROM assignments_assignmentsubmission) ON CONFLICT DO NOTHING`, rows))
	s.exec(`VACUUM ANALYZE`)
	program := buildProgram(b)
	all, err := strconv.ParseFloat(s.text(`SELECT sum(n)::text FROM (SELECT count(*) AS n FROM assignments_assignmentsubmission UNION ALL SELECT count(*) FROM assignments_assignment
		UNION ALL SELECT count(*) FROM assignments_assignment_assigned_to UNION ALL SELECT count(*) FROM accounts_user UNION ALL SELECT count(*) FROM accounts_studentprofile) n`), 64)
	require.NoError(b, err)
	for b.Loop() {
		p := startProgram(b, program, "check", "--dry-run", "--database", s.url)
		began := time.Now()
		backends := s.backendsUntil(p)
		took := time.Since(began)
		require.Contains(b, p.text(), "schoolbell serve would believe")
		state := p.cmd.ProcessState
		b.ReportMetric(took.Seconds(), "s/run")
		b.ReportMetric(all/took.Seconds(), "rows/s")
		b.ReportMetric(float64(state.SysUsage().(*syscall.Rusage).Maxrss)/1024, "MB-at-most")
		b.ReportMetric((state.UserTime() + state.SystemTime()).Seconds(), "cpu-s")
		b.ReportMetric(backends.Seconds(), "postgres-cpu-s")
		b.Logf("%.0f rows:\n%s", all, p.text())
	}
	b.ReportMetric(0, "ns/op")
}

// backendsUntil waits for the program to end, and answers how much of the processor the
// backends took that served it.
func (s *bench) backendsUntil(p *process) (all time.Duration) {
	took := map[int]time.Duration{}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for running := true; running; {
		select {
		case <-p.done:
			running = false
		case <-poll.C:
			s.look(took)
		}
	}
	for _, d := range took {
		all += d
	}
	return all
}

// look notes what our backends have taken so far.
func (s *bench) look(took map[int]time.Duration) {
	rows, err := s.conn.Query(context.WithoutCancel(s.b.Context()), `SELECT pid FROM pg_stat_activity WHERE application_name = 'schoolbell'`)
	require.NoError(s.b, err)
	defer rows.Close()
	for rows.Next() {
		var pid int
		require.NoError(s.b, rows.Scan(&pid))
		if d, ok := processorOf(pid); ok {
			took[pid] = max(took[pid], d)
		}
	}
	require.NoError(s.b, rows.Err())
}

// processorOf is how much of the processor a process has taken; false: it has ended.
func processorOf(pid int) (time.Duration, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	_, behind, _ := strings.Cut(string(text), ") ") // the name before may hold anything
	fields := strings.Fields(behind)
	user, uerr := strconv.ParseInt(fields[11], 10, 64)
	system, serr := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Linux runs
	return time.Duration(user+system) * tick, uerr == nil && serr == nil
}
