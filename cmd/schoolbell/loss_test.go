package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/deploy/postgres"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// The slot, or what it stands on, is lost, in each way in which that happens. Whatever
// was handed in, graded, created or closed meanwhile is told, as its net effect, and
// then things go on.

// opened gives the first teacher an assignment that is open, and takes all grades away.
func (s *site) opened() *site {
	s.t.Helper()
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = NULL`)
	s.exec(`UPDATE assignments_assignment SET author_id = $1, status = 'published' WHERE id = (SELECT min(id) FROM assignments_assignment)`, s.school.Teachers[0].ID)
	return s
}

// missed lets things happen that nobody tells: one of each kind, and a grade that is
// corrected at once.
func (s *site) missed() {
	s.t.Helper()
	teacher := s.school.Teachers[0].ID
	created := s.ask(`INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
		VALUES ('Missed', '', $1, 'published', now(), now()) RETURNING id::text`, teacher)
	work := s.ask(`INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
		VALUES ($1::text::bigint, $2, '', 'submitted', now(), '', now()) RETURNING id::text`, created, s.school.Students[0].ID)
	for _, grade := range []int{5, 6} {
		s.exec(`UPDATE assignments_assignmentsubmission SET grade = $1, status = 'graded' WHERE id = $2::text::bigint`, grade, work)
	}
	s.exec(`UPDATE assignments_assignment SET status = 'closed' WHERE id = (SELECT min(id) FROM assignments_assignment)`)
}

// recovers waits until the client has been told what was missed, and sees that it goes
// on live from there.
func (s *site) recovers(d *dashboard) {
	s.t.Helper()
	d.await(s.t, "what was missed", func() bool { return len(recovered(d.events)) >= 4 })
	d.mu.Lock()
	events, told := len(d.events), recovered(d.events)
	d.mu.Unlock()
	var kinds []string
	for _, e := range told {
		kinds = append(kinds, e.kind)
	}
	require.Equal(s.t, []string{"assignment", "submission", "grade", "assignment_closed"}, kinds)
	require.Contains(s.t, told[2].fields, `"grade":6,`, "the net effect")
	s.goesOn(d, events)
}

// recoversSome is recovers where a part may have been on its way already.
func (s *site) recoversSome(d *dashboard) {
	s.t.Helper()
	get(s.t, "http://"+s.admin+"/metrics", func(_ int, page string) bool {
		return regexp.MustCompile(`(?m)^schoolbell_resnapshots_total\{reason="\w+"\} 1$`).MatchString(page)
	})
	has := func(part string) bool {
		return slices.ContainsFunc(d.events, func(e received) bool { return strings.Contains(e.fields, part) })
	}
	d.await(s.t, "what was missed", func() bool {
		return has(`"type":"assignment"`) && has(`"type":"submission"`) && has(`"grade":6,`) && has(`"type":"assignment_closed"`)
	})
	d.mu.Lock()
	events := slices.Clone(d.events)
	d.mu.Unlock()
	count := map[string]int{}
	for _, e := range events {
		count[e.kind]++
		count[strings.ReplaceAll(e.fields, `,"recovered":true`, "")]++
	}
	require.Equal(s.t, []int{1, 1, 1}, []int{count["assignment"], count["submission"], count["assignment_closed"]})
	for what, n := range count {
		require.True(s.t, n == 1 || what == "grade", "%s came twice", what)
	}
	grades := slices.DeleteFunc(slices.Clone(events), func(e received) bool { return e.kind != "grade" })
	require.Contains(s.t, grades[len(grades)-1].fields, `"grade":6,`)
	s.goesOn(d, len(events))
}

// goesOn sees that what happens next is told as it happens.
func (s *site) goesOn(d *dashboard, events int) {
	s.t.Helper()
	s.grade(70 + events) // a mark that nobody has
	d.await(s.t, "the next event", func() bool { return len(d.events) > events })
	d.mu.Lock()
	defer d.mu.Unlock()
	require.NotContains(s.t, d.events[events].fields, "recovered")
}

func recovered(events []received) []received {
	return slices.DeleteFunc(slices.Clone(events), func(e received) bool { return !strings.Contains(e.fields, `"recovered":true`) })
}

// eachWay loses the slot while the gateway runs, and while it is down.
func eachWay(t *testing.T, newSite func(t *testing.T) *site, lose func(s *site)) {
	t.Helper()
	t.Parallel()
	t.Run("while it runs", func(t *testing.T) {
		t.Parallel()
		whileItRuns(newSite(t).opened(), lose)
	})
	t.Run("while it is down", func(t *testing.T) {
		t.Parallel()
		whileItIsDown(newSite(t).opened(), lose)
	})
}

// whileItRuns stops the gateway's process, so that it cannot act until all is over.
func whileItRuns(s *site, lose func(s *site)) {
	gateway := s.serve()
	s.ready()
	teacher, admin := s.watch(s.school.Teachers[0]), s.watch(s.school.Admins[0])
	require.NoError(s.t, gateway.cmd.Process.Signal(syscall.SIGSTOP))
	lose(s)
	require.NoError(s.t, gateway.cmd.Process.Signal(syscall.SIGCONT))
	s.recoversSome(admin)
	teacher.await(s.t, "the same", func() bool { return len(teacher.events) > 4 })
}

func whileItIsDown(s *site, lose func(s *site)) {
	gateway := s.serve()
	s.ready()
	teacher, admin := s.watch(s.school.Teachers[0]), s.watch(s.school.Admins[0])
	require.Zero(s.t, gateway.stop(10*time.Second), gateway.text())
	lose(s)
	s.serve()
	s.recovers(admin)
	teacher.await(s.t, "the same", func() bool { return len(teacher.events) > 4 })
}

// free ends whoever reads the slot.
func (s *site) free() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		s.exec(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active`, s.slot)
		return s.ask(`SELECT active::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot) == "false"
	}, time.Minute, 10*time.Millisecond)
}

func TestASlotThatWasDroppedIsNotALoss(t *testing.T) {
	eachWay(t, newSite, func(s *site) {
		s.free()
		s.exec(`SELECT pg_drop_replication_slot($1)`, s.slot)
		s.missed()
	})
}

func TestASlotThatWasInvalidatedIsNotALoss(t *testing.T) {
	tight := func(t *testing.T) *site {
		return siteAt(t, pgtest.Own(t, map[string]string{"max_slot_wal_keep_size": "1MB"}).URL("postgres"))
	}
	eachWay(t, tight, func(s *site) {
		s.missed()
		require.Eventually(t, func() bool {
			s.exec(`SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000)); SELECT pg_switch_wal(); CHECKPOINT`)
			return s.ask(`SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1`, s.slot) == "lost"
		}, time.Minute, 10*time.Millisecond)
	})
}

func TestASlotThatSomebodyElseReadIsNotALoss(t *testing.T) {
	t.Parallel()
	whileItIsDown(newSite(t).opened(), func(s *site) {
		s.missed()
		s.free()
		s.exec(`SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())`, s.slot)
	})
}

func TestAPublicationThatWasMadeAnewIsNotALoss(t *testing.T) {
	eachWay(t, newSite, func(s *site) {
		s.exec(`DROP PUBLICATION schoolbell`)
		s.missed()
		s.init()
	})
}

func TestATableThatWasOutOfThePublicationIsNotALoss(t *testing.T) {
	eachWay(t, newSite, func(s *site) {
		s.exec(`ALTER PUBLICATION schoolbell DROP TABLE assignments_assignmentsubmission`)
		s.missed()
		s.init()
	})
}

func TestATableThatWasMadeAnewIsNotALoss(t *testing.T) {
	eachWay(t, newSite, func(s *site) {
		s.missed()
		s.exec(`BEGIN;
			CREATE TABLE again (LIKE assignments_assignmentsubmission INCLUDING ALL);
			INSERT INTO again SELECT * FROM assignments_assignmentsubmission;
			DROP TABLE assignments_assignmentsubmission;
			ALTER TABLE again RENAME TO assignments_assignmentsubmission;
			COMMIT`)
		s.init()
	})
}

// newServerSite has a server of its own, whose directory may be exchanged.
func newServerSite(server **postgres.Server) func(t *testing.T) *site {
	return func(t *testing.T) *site {
		*server = pgtest.Own(t, nil)
		return siteAt(t, (*server).URL("postgres"))
	}
}

// seen lets one event happen, and waits until the client has it.
func (s *site) seen(d *dashboard) {
	s.t.Helper()
	d.mu.Lock()
	n := len(d.events)
	d.mu.Unlock()
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = 50 WHERE id =
		(SELECT min(id) FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL AND grade IS NULL)`)
	s.sees(d, n+1)
}

// rewind lets the server's directory be as it was when keep was called.
type rewind struct {
	s      *site
	server *postgres.Server
	copied string
}

func keep(s *site, server *postgres.Server) rewind {
	s.t.Helper()
	r := rewind{s, server, filepath.Join(filepath.Dir(server.Dir()), "kept")}
	require.NoError(s.t, server.Halt("fast"))
	r.copy(server.Dir(), r.copied)
	require.NoError(s.t, server.Resume(s.t.Context()))
	s.conn = connectTo(s.t, s.url)
	return r
}

func (r rewind) copy(from, to string) {
	r.s.t.Helper()
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	require.NoError(r.s.t, err, string(out))
}

func (r rewind) back() {
	r.s.t.Helper()
	require.NoError(r.s.t, r.server.Halt("fast"))
	require.NoError(r.s.t, os.RemoveAll(r.server.Dir()))
	r.copy(r.copied, r.server.Dir())
	require.NoError(r.s.t, r.server.Resume(r.s.t.Context()))
	r.s.conn = connectTo(r.s.t, r.s.url)
}

func TestAServerThatWasRestoredFromAnOlderBackupIsNotALoss(t *testing.T) {
	t.Parallel()
	var server *postgres.Server
	s := newServerSite(&server)(t).opened()
	s.serve()
	s.ready()
	admin := s.watch(s.school.Admins[0])
	s.seen(admin)
	backup := keep(s, server)
	s.seen(admin)
	s.seen(admin)
	backup.back()
	s.missed()
	s.recoversSome(admin)
}

// The server was set back like a virtual machine, and wrote on past the position up to
// which we had read: nothing but what is in the log tells.
func TestALogThatWasSetBackAndWrittenOnDifferentlyIsNotALoss(t *testing.T) {
	t.Parallel()
	var server *postgres.Server
	s := newServerSite(&server)(t).opened()
	gateway := s.serve()
	s.ready()
	admin := s.watch(s.school.Admins[0])
	s.seen(admin)
	backup := keep(s, server)
	s.seen(admin)
	require.Zero(t, gateway.stop(10*time.Second))
	end := s.ask(`SELECT pg_current_wal_lsn()::text`)
	backup.back()
	s.missed()
	s.exec(`SELECT pg_logical_emit_message(false, 'x', repeat('x', 10000000))`)
	require.Equal(t, "true", s.ask(`SELECT (pg_current_wal_lsn() > $1::text::pg_lsn)::text`, end), "past where we had read")
	s.serve()
	s.recovers(admin)
}

func TestAPromotedStandbyWithoutTheSlotIsNotALoss(t *testing.T) {
	t.Parallel()
	var server *postgres.Server
	s := newServerSite(&server)(t).opened()
	s.serve()
	s.ready()
	admin := s.watch(s.school.Admins[0])
	s.seen(admin)
	standby := rewind{s, server, filepath.Join(filepath.Dir(server.Dir()), "kept")}
	out, err := exec.Command(filepath.Join(server.Bin(), "pg_basebackup"), "--pgdata", standby.copied, "--dbname", s.url, "--checkpoint", "fast", "--wal-method", "stream").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.WriteFile(filepath.Join(standby.copied, "standby.signal"), nil, 0o600))
	owner := exec.Command("chown", "-R", "--reference", server.Dir(), standby.copied)
	out, err = owner.CombinedOutput()
	require.NoError(t, err, string(out))
	s.seen(admin) // what the standby never got
	standby.back()
	require.Equal(t, "0", s.ask(`SELECT count(*)::text FROM pg_replication_slots`))
	s.exec(`SELECT pg_promote()`)
	s.missed()
	s.recoversSome(admin)
}

func TestAnotherClusterIsAdoptedWhenOneSaysSo(t *testing.T) {
	t.Parallel()
	var server *postgres.Server
	s := newServerSite(&server)(t).opened()
	gateway := s.serve()
	s.ready()
	admin := s.watch(s.school.Admins[0])
	s.exec(`SELECT pg_logical_emit_message(false, 'x', repeat('x', 20000000))`) // the new one counts from lower
	s.seen(admin)
	require.Zero(t, gateway.stop(10*time.Second))
	position := func() cdc.Position { admin.mu.Lock(); defer admin.mu.Unlock(); return admin.position }
	before := position()

	// A major upgrade by dump and restore.
	upgraded := pgtest.Own(t, nil)
	dump, err := exec.Command(filepath.Join(server.Bin(), "pg_dump"), "--no-publications", "--dbname", s.url).Output()
	require.NoError(t, err)
	restore := exec.Command(filepath.Join(server.Bin(), "psql"), "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", upgraded.URL("postgres"))
	restore.Stdin = strings.NewReader(string(dump))
	out, err := restore.CombinedOutput()
	require.NoError(t, err, string(out))
	s.url = upgraded.URL("postgres")
	s.conn = connectTo(t, s.url)
	s.init()
	s.missed()

	p := s.serve()
	require.Equal(t, 1, p.wait(20*time.Second), p.text())
	require.Contains(t, lastLine(p.text()), "--adopt")
	s.serve("--adopt")
	s.recovers(admin)
	require.True(t, position().After(before), "ids grow although the server counts from lower")

	// It was a consent for once: the next start needs none.
	require.Equal(t, http.StatusOK, statusOf(t, s.base()+"/readyz"))
}

func TestAChangedProfileIsNotALoss(t *testing.T) {
	t.Parallel()
	s := newSite(t).opened()
	gateway := s.serve()
	s.ready()
	admin := s.watch(s.school.Admins[0])
	require.Zero(t, gateway.stop(10*time.Second))
	s.missed()
	file := filepath.Join(t.TempDir(), "mine.yaml")
	require.NoError(t, os.WriteFile(file, []byte("profile: mine\nextends: django\ngrade: {graded: {grade: {min: 0}}}\n"), 0o600))
	s.serve("--profile", file)
	s.recovers(admin)
	get(t, "http://"+s.admin+"/metrics", func(_ int, page string) bool {
		return metric(page, `schoolbell_resnapshots_total{reason="profile_changed"}`) == "1"
	})
}

// The third loss within the hour is not mended: something is wrong, and reading all
// tables again and again would harm the LMS. History is served meanwhile.
func TestTooManySnapshotsWaitAndSaySo(t *testing.T) {
	t.Parallel()
	s := newSite(t).opened()
	s.serve("--snapshots-per-hour", "2")
	s.ready()
	admin := s.watch(s.school.Admins[0])
	drop := func() {
		s.free()
		s.exec(`SELECT pg_drop_replication_slot($1)`, s.slot)
	}
	drop()
	s.missed()
	s.recovers(admin)
	drop()
	get(t, s.base()+"/readyz", func(_ int, body string) bool {
		return strings.Contains(body, "snapshots_per_hour") && strings.Contains(body, "missing")
	})
	page := get(t, s.base()+"/api/events?token="+s.school.Admins[0].Token, func(status int, _ string) bool { return status == http.StatusOK })
	require.Contains(t, page, `"recovered":true`)
	s.watch(s.school.Teachers[0])
}
