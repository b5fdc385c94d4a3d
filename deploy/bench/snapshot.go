//go:build linux

package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// snapshot is the first start: all rows read into an empty data directory, what that
// takes of us and of PostgreSQL, and what is kept for each thread (the work of one
// student on one assignment); then how long a restart with it takes.
func (b *bench) snapshot(ctx context.Context) error {
	for _, submissions := range b.Snapshots {
		if err := b.snapshotOf(ctx, submissions); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) snapshotOf(ctx context.Context, submissions int) error {
	size := school.Size{Teachers: 300, Tutors: 50, Admins: 3, Students: b.Students, Assignments: 1 + submissions/b.Students}
	l, err := b.newLMS(ctx, size, 1, fast())
	if err != nil {
		return err
	}
	return errors.Join(l.takeSnapshots(ctx, submissions), l.close(ctx))
}

// taken are the figures of one snapshot.
type taken struct{ speed, processor, postgres, peak, resident, disk, perThread, restart float64 }

func (l *lms) takeSnapshots(ctx context.Context, submissions int) error {
	if err := l.handInAll(ctx, submissions); err != nil {
		return err
	}
	threads, err := ask[int](ctx, l, `SELECT count(*)::int FROM assignments_assignmentsubmission`)
	if err != nil {
		return err
	}
	var all []taken
	for range l.Runs {
		one, err := l.takeSnapshot(ctx, threads)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	l.tellSnapshots(threads, all)
	return nil
}

// handInAll writes work until there is so much.
func (l *lms) handInAll(ctx context.Context, submissions int) error {
	l.say("writing %s submissions", number(float64(submissions)))
	// Two references per row need not be looked up.
	if err := l.exec(ctx, `SET session_replication_role = replica`); err != nil {
		return err
	}
	if err := l.exec(ctx, `INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, grade, feedback, updated_at)
		SELECT a.id, u.id, 'An answer.', 'submitted', CASE WHEN u.id % 3 > 0 THEN now() END, CASE WHEN u.id % 3 = 1 THEN 70 END, '', now()
		FROM assignments_assignment a, accounts_user u WHERE u.role = 'student'
			AND NOT EXISTS (SELECT FROM assignments_assignmentsubmission s WHERE s.assignment_id = a.id AND s.student_id = u.id)
		LIMIT greatest(0, $1::bigint - (SELECT count(*) FROM assignments_assignmentsubmission))`, submissions); err != nil {
		return err
	}
	return errors.Join(l.exec(ctx, `SET session_replication_role = origin`), l.exec(ctx, `VACUUM ANALYZE`))
}

func (l *lms) tellSnapshots(threads int, all []taken) {
	what := number(float64(threads)) + " submissions, "
	each := func(value func(taken) float64) (runs []float64) {
		for _, one := range all {
			runs = append(runs, value(one))
		}
		return runs
	}
	l.report(what+"first start", "rows/s", each(func(t taken) float64 { return t.speed })...)
	l.report(what+"our processor", "s", each(func(t taken) float64 { return t.processor })...).
		beside("PostgreSQL's", each(func(t taken) float64 { return t.postgres })...)
	l.report(what+"our memory at most", "MB", each(func(t taken) float64 { return t.peak })...)
	resident := l.report(what+"resident afterwards", "MB", each(func(t taken) float64 { return t.resident })...)
	l.report(what+"resident for each, all of the process", "bytes", each(func(t taken) float64 { return t.perThread })...)
	disk := l.report(what+"on disk for each", "bytes", each(func(t taken) float64 { return t.disk })...)
	restart := l.report(what+"restart until /readyz is 200", "s", each(func(t taken) float64 { return t.restart })...)
	if threads >= 1_000_000 { // with fewer, what does not depend on them weighs too much
		disk.atMost("", 60)
	}
	switch threads {
	case 1_000_000:
		restart.atMost("", 2)
	case 10_000_000:
		resident.atMost("", 256)
	}
}

// takeSnapshot starts a gateway over an empty directory, and once more over what it
// has made.
func (l *lms) takeSnapshot(ctx context.Context, threads int) (taken, error) {
	var t taken
	data := filepath.Join(l.dir, "snapshot-"+strconv.Itoa(threads))
	defer os.RemoveAll(data)
	g, err := l.serve(data)
	if err != nil {
		return t, err
	}
	if err := errors.Join(l.first(ctx, g, threads, &t), g.stop()); err != nil {
		return t, err
	}
	disk, err := sizeOf(data)
	if err != nil {
		return t, err
	}
	t.disk = disk / float64(threads)
	began := time.Now()
	if g, err = l.serve(data); err != nil {
		return t, err
	}
	err = g.ready(ctx)
	t.restart = time.Since(began).Seconds()
	if err := errors.Join(err, g.stop()); err != nil {
		return t, err
	}
	return t, l.exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`)
}

// first waits for the snapshot and looks at what it took.
func (l *lms) first(ctx context.Context, g *gateway, threads int, t *taken) error {
	backends, err := l.backendsUntil(ctx, g)
	if err != nil {
		return err
	}
	t.postgres = backends.Seconds()
	snapshot, err := g.said("took the snapshot")
	if err != nil {
		return err
	}
	took, err := time.ParseDuration(snapshot.Took)
	if err != nil {
		return err
	}
	t.speed = float64(snapshot.Rows) / took.Seconds()
	ours, err := processorOf(g.pid())
	if err != nil {
		return err
	}
	t.processor = ours.total().Seconds()
	peak, err := memoryOf(g.pid(), "VmHWM")
	if err != nil {
		return err
	}
	resident, err := g.resident(ctx)
	t.peak, t.resident, t.perThread = megabytes(peak), megabytes(resident), resident/float64(threads)
	return err
}

// backendsUntil waits until the gateway is ready, and answers how much of the
// processor the server's processes took that served it.
func (l *lms) backendsUntil(ctx context.Context, g *gateway) (all time.Duration, err error) {
	took := map[int]processor{}
	err = until(ctx, 20*time.Millisecond, time.Hour, "the snapshot is taken", func() (bool, error) {
		if g.ended() {
			return false, g.failed("ended")
		}
		if err := l.lookAtBackends(ctx, took); err != nil {
			return false, err
		}
		status, _, err := page(ctx, "http://"+g.address+"/readyz")
		return err == nil && status == http.StatusOK, nil
	})
	for _, p := range took {
		all += p.total()
	}
	return all, err
}

// lookAtBackends notes what the gateway's backends have taken so far.
func (l *lms) lookAtBackends(ctx context.Context, took map[int]processor) error {
	rows, err := l.conn.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE usename = $1`, role)
	if err != nil {
		return err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if p, err := processorOf(pid); err == nil { // it may have ended since
			took[pid] = p
		}
	}
	return nil
}

// sizeOf is what the files of a folder take on the disk, in bytes.
func sizeOf(dir string) (size float64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		i, err := e.Info()
		if err == nil {
			size += float64(i.Size())
		}
		return err
	})
	return size, err
}
