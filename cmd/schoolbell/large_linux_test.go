package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// usualSchool has 10,000 students and about 200,000 submissions.
var usualSchool = school.Size{Teachers: 300, Tutors: 50, Admins: 3, Students: 10_000, Assignments: 10_500}

// memoryBound is what the gateway's process may ever take, whatever a transaction
// brings.
const memoryBound = 96 << 20

// One statement makes many submissions, each of them an event for a teacher, for most a
// tutor, and for the admins; 20 dashboards are open.
//
// SCHOOLBELL_TEST_LARGE_ROWS is how many. The promise is about a million; by default there
// are 300,000, as the peak is nearly the same, and a million take more than a minute.
func TestALargeTransactionFitsInto96MBAndTheRestOfItIsInTheHistory(t *testing.T) {
	s := largeSite(t)
	authors, bystander := s.school.Teachers[:20], s.school.Teachers[100]
	s.exec(`INSERT INTO assignments_assignment (id, title, description, author_id, status, created_at, updated_at)
		SELECT 1000000 + n, 'Entry test ' || n, '', $1 + n % $2, 'published', now(), now() FROM generate_series(1, $3) n`,
		authors[0].ID, len(authors), number("SCHOOLBELL_TEST_LARGE_ROWS", 300_000)/len(s.school.Students))
	gateway := s.serveDelivered()
	s.ready()
	t.Logf("after the snapshot: %s", memoryOf(t, gateway))
	admin, teacher, other := s.listen(s.school.Admins[0]), s.listen(authors[0]), s.listen(bystander)
	for _, p := range slices.Concat(s.school.Admins[1:], authors[1:9], s.school.Tutors[:7]) {
		s.listen(p)
	}
	s.gradeOf(bystander, 1001)
	other.await(t, "what came before", func() bool { return len(other.grades) == 1 })

	began := time.Now()
	s.exec(`SET session_replication_role = replica`) // two references per row need not be looked up
	s.exec(`INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
		SELECT a.id, u.id, 'An answer.', 'submitted', now(), '', now() FROM assignments_assignment a, accounts_user u
		WHERE a.id > 1000000 AND u.role = 'student'`)
	committed := time.Now()
	s.exec(`SET session_replication_role = origin`)
	s.gradeOf(bystander, 1002)
	graded := time.Now()
	other.await(t, "what came after", func() bool { return len(other.grades) == 2 })
	t.Logf("written in %v; its first event came %v after the commit, what somebody else committed then %v after that", committed.Sub(began).Round(time.Millisecond),
		admin.first().Sub(committed).Round(time.Millisecond), other.grades[1002].Sub(graded).Round(time.Millisecond))
	t.Logf("when it is applied: %s", memoryOf(t, gateway))

	all := s.numbers(`SELECT id FROM assignments_assignmentsubmission WHERE assignment_id > 1000000 ORDER BY id`)
	mine := s.numbers(`SELECT s.id FROM assignments_assignmentsubmission s JOIN assignments_assignment a ON a.id = s.assignment_id
		WHERE a.id > 1000000 AND a.author_id = $1 ORDER BY s.id`, authors[0].ID)
	g := teacher.onlyGap(t)
	require.EqualValues(t, len(mine)-1000, g.Count)
	require.EqualValues(t, len(all)-1000, admin.onlyGap(t).Count)
	pages := 0
	rest := s.readGap(authors[0], g, func() {
		pages++
		s.gradeOf(authors[0], 2000+pages) // life goes on
	})
	teacher.await(t, "life", func() bool { return len(teacher.grades) == pages })
	given := slices.Concat(teacher.submissions, rest)
	slices.Sort(given)
	require.Equal(t, mine, given, "each once, told or read")

	t.Logf("when somebody has read the rest: %s", memoryOf(t, gateway))
	page := get(t, "http://"+s.admin+"/metrics", ready)
	require.LessOrEqual(t, value(page, "schoolbell_router_queue_high_messages"), 1100.0)
	require.Zero(t, value(page, "schoolbell_router_queue_drops_total"))
	require.Less(t, statusOfProcess(t, gateway, "VmHWM"), int64(memoryBound))
}

// largeSite is a school of usual size on a server of its own.
func largeSite(t *testing.T) *site {
	t.Helper()
	server := pgtest.Own(t, map[string]string{"synchronous_commit": "off", "max_wal_size": "8GB"})
	s := &site{t: t, url: server.URL("postgres"), slot: "schoolbell", data: t.TempDir(), address: freePort(t), admin: freePort(t)}
	s.conn = connectTo(t, s.url)
	require.NoError(t, school.Create(t.Context(), s.conn))
	var err error
	s.school, err = school.Populate(t.Context(), s.conn, usualSchool, 1)
	require.NoError(t, err)
	s.exec(`VACUUM ANALYZE`)
	s.init()
	return s
}

// serveDelivered starts the program as it is delivered: the race detector multiplies
// the memory.
func (s *site) serveDelivered() *process {
	s.t.Helper()
	return startProgram(s.t, buildProgram(s.t), "serve", "--database", s.url, "--slot", s.slot, "--data", s.data,
		"--listen", s.address, "--admin-listen", s.admin)
}

// gradeOf gives a mark that nobody has to somebody's work for that teacher.
func (s *site) gradeOf(teacher school.Person, mark int) {
	s.t.Helper()
	s.ask(`UPDATE assignments_assignmentsubmission SET grade = $2 WHERE id =
		(SELECT s.id FROM assignments_assignmentsubmission s JOIN assignments_assignment a ON a.id = s.assignment_id
		WHERE a.author_id = $1 AND s.submitted_at IS NOT NULL ORDER BY s.id LIMIT 1) RETURNING id::text`, teacher.ID, mark)
}

// readGap reads from the history what a gap stands for, and answers the submissions.
// between is called between two pages.
func (s *site) readGap(p school.Person, g gap, between func()) []int64 {
	s.t.Helper()
	var ids []int64
	since := g.From
	for {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.base()+"/api/events?limit=1000&since="+url.QueryEscape(since.String()), nil)
		require.NoError(s.t, err)
		req.Header.Set("Authorization", "Token "+p.Token)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(s.t, err)
		var got struct {
			Events []told
			Cursor position
			More   bool
		}
		require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&got))
		require.NoError(s.t, resp.Body.Close())
		for _, e := range got.Events {
			if e.ID.After(g.To.Position) {
				return ids
			}
			ids = append(ids, e.Submission)
		}
		if !got.More {
			return ids
		}
		since = got.Cursor
		between()
	}
}

// numbers reads a column of them.
func (s *site) numbers(sql string, args ...any) []int64 {
	s.t.Helper()
	rows, err := s.conn.Query(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(s.t, err)
	return all
}

// memoryOf is what the process takes, in words.
func memoryOf(t *testing.T, p *process) string {
	return fmt.Sprintf("%.1f MB, at most %.1f MB", megabytes(statusOfProcess(t, p, "VmRSS")), megabytes(statusOfProcess(t, p, "VmHWM")))
}

// statusOfProcess reads one size from what the system knows of a process.
func statusOfProcess(t *testing.T, p *process, name string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			var kb int64
			_, err := fmt.Sscan(rest, &kb)
			require.NoError(t, err)
			return kb << 10
		}
	}
	t.Fatalf("%s is not in %s", name, text)
	return 0
}
