//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// drain is how fast a gateway reads, classifies, stores and confirms a backlog, beside
// pg_recvlogical, which throws the same bytes away. Both drain the very same backlog
// in turns, each time from a copy of the slot and, for the gateway, of the data
// directory. The gateway's time is from its first look at the log until the server has
// heard that everything is durable; pg_recvlogical's is its life.
func (b *bench) drain(ctx context.Context) error {
	for _, s := range b.shapes() {
		if err := b.drainShape(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// shapes are those of the backlogs that are asked for.
func (o options) shapes() []shape {
	all := []shape{
		{name: "transactions of 1 row", file: backlogRows, each: 1, ratio: 1.6},
		{name: fmt.Sprintf("transactions of %s rows", number(float64(o.Bulk))), file: backlogBulk, each: o.Bulk, ratio: 1.3},
		{name: fmt.Sprintf("one transaction of %s rows", number(float64(o.Rows))), file: backlogOne, peak: 64},
	}
	return slices.DeleteFunc(all, func(s shape) bool { return len(o.backlogs) > 0 && !slices.Contains(o.backlogs, s.file) })
}

// What -backlogs calls them, and their files.
const (
	backlogRows = "1-row"
	backlogBulk = "bulk"
	backlogOne  = "one"
)

// shape is how the rows of a backlog are in transactions.
type shape struct {
	name, file  string
	each        int     // rows of a transaction; 0: all
	ratio, peak float64 // targets: to pg_recvlogical, and MB; 0: none
}

// backlog is work in the log that nobody has read, behind a slot that stays where it is.
type backlog struct {
	*lms
	shape
	rows   int
	data   string         // as it is where the backlog begins
	end    string         // of all but a last transaction
	events map[string]int // that the gateway must find
	plain  string         // pg_recvlogical; "": the server has none
}

func (b *bench) drainShape(ctx context.Context, s shape) error {
	m, err := b.newLMS(ctx, school.Size{Teachers: 20, Tutors: 5, Admins: 2, Students: 500, Assignments: b.Term}, 1, fast())
	if err != nil {
		return err
	}
	l := &backlog{lms: m, shape: s, rows: b.Rows, data: filepath.Join(b.dir, "drain-"+s.file), plain: filepath.Join(m.server.Bin(), "pg_recvlogical")}
	if _, err := os.Stat(l.plain); err != nil {
		b.say("no pg_recvlogical beside the server in %s: nothing to compare with", m.server.Bin())
		l.plain = ""
	}
	return errors.Join(l.compare(ctx), m.close(ctx))
}

func (l *backlog) compare(ctx context.Context) error {
	if err := l.write(ctx); err != nil {
		return err
	}
	var ours, theirs drains
	err := l.inTurns(
		func() error { return ours.add(l.gateway(ctx, len(ours))) },
		func() error {
			if l.plain == "" {
				return nil
			}
			return theirs.add(l.pgRecvlogical(ctx))
		},
	)
	if err != nil {
		return err
	}
	l.tell(ours, theirs)
	return nil
}

func (l *backlog) tell(ours, theirs drains) {
	speed := l.report(l.name, "changes/s", ours.speed(l.rows)...)
	processor := l.reportParts(l.name+", our processor per change", "µs", []string{"all", "user", "system"}, ours.processor(l.rows))
	sender := l.report(l.name+", the walsender's processor per change", "µs", ours.sender(l.rows)...)
	peak := l.report(l.name+", our memory at most", "MB", ours.peaks()...)
	processor.atMost("all", 4)
	if l.peak > 0 {
		peak.atMost("", l.peak)
	}
	if len(theirs) == 0 {
		speed.Note = "the server has no pg_recvlogical"
		return
	}
	speed.beside("pg_recvlogical", theirs.speed(l.rows)...)
	processor.besideParts("pg_recvlogical", theirs.processor(l.rows)).atMostOf("all")
	sender.beside("with pg_recvlogical", theirs.sender(l.rows)...)
	ratio := l.report(l.name+", to pg_recvlogical", "", ratios(ours.speed(l.rows), theirs.speed(l.rows))...)
	if l.ratio > 0 {
		ratio.atLeast(l.ratio)
	}
}

// write makes the backlog, and the slot and the data directory that it begins at.
func (l *backlog) write(ctx context.Context) error {
	if l.each == 0 { // what is to be handed in, in assignments that are there already
		err := l.exec(ctx, `INSERT INTO assignments_assignment (id, title, description, author_id, status, created_at, updated_at)
			SELECT 1000000 + n, 'Entry test ' || n, '', $1::bigint + n % $2, 'published', now(), now() FROM generate_series(1, $3::bigint) n`,
			l.people.Teachers[0].ID, len(l.people.Teachers), l.rows/len(l.people.Students)+1)
		if err != nil {
			return err
		}
	}
	if err := l.withGateway(ctx, l.data, nil, func(*gateway) error { return nil }); err != nil {
		return err
	}
	if err := l.exec(ctx, `SELECT pg_copy_logical_replication_slot('schoolbell', 'kept')`); err != nil {
		return err
	}
	if err := l.change(ctx); err != nil {
		return err
	}
	var err error
	if l.end, err = ask[string](ctx, l.lms, `SELECT pg_current_wal_insert_lsn()::text`); err != nil {
		return err
	}
	// A last transaction, so that something comes after the end.
	return l.exec(ctx, `SET synchronous_commit = on; UPDATE assignments_assignmentsubmission SET grade = 101 WHERE id = 1`)
}

// change makes the changes.
func (l *backlog) change(ctx context.Context) error {
	if l.each == 0 {
		l.events = map[string]int{"submission": l.rows}
		return l.exec(ctx, fmt.Sprintf(handIn, l.rows))
	}
	n := l.rows / l.each
	l.rows = n * l.each
	l.events = map[string]int{"submission": (n + 1) / 2 * l.each, "grade": n / 2 * l.each}
	return l.exec(ctx, fmt.Sprintf(saves, n, l.each))
}

// saves is %[1]d transactions of %[2]d rows each, as an ORM saves them: all columns
// named, whatever changed. Somebody hands in, and is then graded, again and again:
// each row is an event.
const saves = `DO $$
DECLARE
	ids bigint[] := ARRAY(SELECT id FROM assignments_assignmentsubmission ORDER BY id);
	rounds int := cardinality(ids) / %[2]d;
	first int;
BEGIN
	FOR i IN 0 .. %[1]d - 1 LOOP
		first := (i / 2) %% rounds * %[2]d + 1;
		UPDATE assignments_assignmentsubmission SET
			assignment_id = assignment_id, student_id = student_id, content = content, feedback = feedback,
			status = CASE i %% 2 WHEN 0 THEN 'submitted' ELSE 'graded' END,
			submitted_at = CASE i %% 2 WHEN 0 THEN clock_timestamp() ELSE submitted_at END,
			grade = CASE i %% 2 WHEN 0 THEN grade ELSE (coalesce(grade, 0) + 1) %% 101 END,
			updated_at = clock_timestamp()
		WHERE id = ANY (ids[first : first + %[2]d - 1]);
		COMMIT;
	END LOOP;
END $$`

// handIn is one transaction in which every row is somebody's work, handed in.
const handIn = `SET session_replication_role = replica; -- two references per row need not be looked up
	INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
	SELECT a.id, u.id, 'An answer.', 'submitted', now(), '', now() FROM assignments_assignment a, accounts_user u
	WHERE a.id > 1000000 AND u.role = 'student' LIMIT %d;
	SET session_replication_role = origin`

// drained is how one program drained the backlog.
type drained struct {
	took      time.Duration
	processor processor // of its whole life
	sender    processor // of the server's process that sent to it
	peak      float64   // memory in bytes
}

// drains are the runs of one program.
type drains []drained

func (d *drains) add(one drained, err error) error {
	*d = append(*d, one)
	return err
}

func (d drains) each(value func(drained) float64) []float64 {
	var all []float64
	for _, one := range d {
		all = append(all, value(one))
	}
	return all
}

func (d drains) speed(rows int) []float64 {
	return d.each(func(one drained) float64 { return float64(rows) / one.took.Seconds() })
}

func (d drains) sender(rows int) []float64 {
	return d.each(func(one drained) float64 { return microseconds(one.sender.total(), rows) })
}

func (d drains) peaks() []float64 {
	return d.each(func(one drained) float64 { return one.peak / (1 << 20) })
}

// processor is all, user and system per row.
func (d drains) processor(rows int) [][]float64 {
	var all [][]float64
	for _, one := range d {
		p := one.processor
		all = append(all, []float64{microseconds(p.total(), rows), microseconds(p.User, rows), microseconds(p.System, rows)})
	}
	return all
}

// microseconds are per one of n.
func microseconds(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }

// rewind makes the slot of that name stand where the backlog begins.
func (l *backlog) rewind(ctx context.Context, slot string) error {
	if err := l.exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, slot); err != nil {
		return err
	}
	return l.exec(ctx, `SELECT pg_copy_logical_replication_slot('kept', $1)`, slot)
}

// drainLook is the time between two looks at a drain. Each costs a query.
const drainLook = 10 * time.Millisecond

// pgRecvlogical lets PostgreSQL's own client drain the backlog to nowhere.
func (l *backlog) pgRecvlogical(ctx context.Context) (drained, error) {
	var d drained
	if err := l.rewind(ctx, "plain"); err != nil {
		return d, err
	}
	began := time.Now()
	p, err := begin(l.plain, nil, nil, "--dbname", l.gatewayURL(), "--slot", "plain", "--start",
		"--endpos", l.end, "--file", os.DevNull, "--no-loop", "-o", "proto_version=1", "-o", "publication_names=schoolbell")
	if err != nil {
		return d, err
	}
	defer p.kill()
	looks := time.NewTicker(drainLook)
	defer looks.Stop()
	for d.took == 0 {
		select {
		case <-p.done:
			d.took = time.Since(began)
		case <-ctx.Done():
			return d, context.Cause(ctx)
		case <-looks.C:
			pid, err := ask[int](ctx, l.lms, senderOf, "plain")
			if err != nil {
				return d, err
			}
			if sender, err := processorOf(pid); err == nil { // it may have ended since
				d.sender = sender
			}
		}
	}
	state := p.cmd.ProcessState
	if !state.Success() {
		return d, p.failed("failed")
	}
	d.processor = processor{state.UserTime(), state.SystemTime()}
	return d, nil
}

// senderOf is the server's process that sends a slot's log, 0: nobody reads it.
const senderOf = `SELECT coalesce((SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1), 0)`

// gateway lets a gateway drain the backlog, for the n-th time.
func (l *backlog) gateway(ctx context.Context, n int) (drained, error) {
	if err := l.rewind(ctx, "schoolbell"); err != nil {
		return drained{}, err
	}
	data := l.data + "-" + strconv.Itoa(n)
	defer os.RemoveAll(data)
	if err := os.CopyFS(data, os.DirFS(l.data)); err != nil {
		return drained{}, err
	}
	g, err := l.serve(data, "--history-size", "10GB")
	if err != nil {
		return drained{}, err
	}
	d, err := l.follow(ctx, g, n)
	if err := errors.Join(err, g.stop()); err != nil {
		return d, err
	}
	state := g.cmd.ProcessState
	d.processor = processor{state.UserTime(), state.SystemTime()}
	return d, nil
}

// follow waits until the gateway has drained the backlog, and looks that it has done
// what it should.
func (l *backlog) follow(ctx context.Context, g *gateway, n int) (drained, error) {
	var d drained
	wait := func() error { return nil }
	if n == 0 {
		wait = l.profile(ctx, g, "drain-"+l.file, 1)
	}
	err := until(ctx, drainLook, time.Hour, "the backlog is drained", func() (bool, error) {
		if g.ended() {
			return false, g.failed("ended")
		}
		return ask[bool](ctx, l.lms, `SELECT confirmed_flush_lsn > $1::text::pg_lsn FROM pg_replication_slots WHERE slot_name = 'schoolbell'`, l.end)
	})
	confirmed := time.Now()
	if err := errors.Join(err, wait()); err != nil {
		return d, err
	}
	began, err := g.said("following the log")
	if err != nil {
		return d, err
	}
	d.took = confirmed.Sub(began.Time)
	pid, err := ask[int](ctx, l.lms, senderOf, "schoolbell")
	if err != nil {
		return d, err
	}
	if d.sender, err = processorOf(pid); err != nil {
		return d, err
	}
	if d.peak, err = memoryOf(g.pid(), "VmHWM"); err != nil {
		return d, err
	}
	for kind, want := range l.events {
		got, err := g.metric(ctx, `schoolbell_events_total{kind="`+kind+`"}`)
		if err != nil {
			return d, err
		}
		if got < float64(want) {
			return d, fmt.Errorf("the gateway found %.0f events of kind %s, want %d", got, kind, want)
		}
	}
	return d, nil
}
