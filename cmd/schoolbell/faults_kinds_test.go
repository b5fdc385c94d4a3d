//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// A faultKind is one kind of thing that goes wrong.
type faultKind struct {
	kind   string
	weight int
	// draw fixes what is up to chance; what it answers lets the fault happen, and
	// returns when it is over: what comes then is for the gateway to put right. It
	// answers when the fault began to hurt.
	draw func(r *rand.Rand) happening
}

type happening func(ctx context.Context, s *faultSuite) (began time.Time, err error)

// never is the beginning of a fault that another one has pre-empted.
func never() time.Time { return time.Time{} }

func faultKinds() []faultKind {
	return append(slotFaults(), []faultKind{
		{"killed at any moment", 6, at(func(ctx context.Context, s *faultSuite) (time.Time, error) { return s.kill(s.keeper.now()) })},
		{"killed after the store's commit, before the confirmation", 8, at(killedBeforeConfirming)},
		{"killed in a large transaction", 6, killedInALargeTransaction},
		{"killed in a drain", 4, at(killedInADrain)},
		{"stopped and started", 3, stopped},
		{"frozen", 6, frozen},
		{"disk full", 3, at(diskFull)},
		{"server restarted at once, as after a crash", 4, restarted("immediate")},
		{"server restarted", 3, restarted("fast")},
		{"walsender terminated", 5, terminated(`SELECT pg_terminate_backend(pid) FROM pg_stat_replication`)},
		{"sign-in connections terminated", 4, terminated(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'schoolbell-auth'`)},
		{"link to the server cut", 5, at(linkCut)},
		{"link to the server stalled", 4, stalled(databaseLink, toServer, toClient)},
		{"link to the server half open, to it", 4, stalled(databaseLink, toServer)},
		{"link to the server half open, from it", 4, stalled(databaseLink, toClient)},
		{"link to the server lost, unknown to it", 4, orphaned(databaseLink)},
		{"clients' link cut", 3, at(func(_ context.Context, s *faultSuite) (time.Time, error) { s.clients.cut(); return time.Now(), nil })},
		{"clients' link stalled", 3, stalled(clientsLink, toServer, toClient)},
		{"clients' link half open, to the gateway", 2, stalled(clientsLink, toServer)},
		{"clients' link half open, from the gateway", 2, stalled(clientsLink, toClient)},
		{"clients' link lost, unknown to the gateway", 2, orphaned(clientsLink)},
	}...)
}

func databaseLink(s *faultSuite) *proxy { return s.database }
func clientsLink(s *faultSuite) *proxy  { return s.clients }

// at is a fault with nothing up to chance.
func at(h happening) func(*rand.Rand) happening {
	return func(*rand.Rand) happening { return h }
}

// duration draws how long something lasts: mostly short, so that many fit into an
// hour, now and then as long as timeouts are.
func duration(r *rand.Rand) time.Duration {
	switch n := r.IntN(40); {
	case n == 0:
		return 10 * time.Second
	case n < 4:
		return time.Duration(4000+r.IntN(4000)) * time.Millisecond
	}
	return time.Duration(300+r.IntN(2200)) * time.Millisecond
}

// lasting lets a fault go on for a while.
func lasting(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// kill ends a life, unless it has ended.
func (s *faultSuite) kill(l *life) (time.Time, error) {
	began := time.Now()
	l.signal(syscall.SIGKILL)
	<-l.ended
	return began, nil
}

// killWhenSprung kills the gateway at a moment that is seen on the wire between it and
// the server. What it sent at that moment the server never gets.
func (s *faultSuite) killWhenSprung(ctx context.Context, t *trap) (time.Time, error) {
	s.trapping.Lock() // one at a time
	defer s.trapping.Unlock()
	s.database.set(t)
	defer s.database.clear(t)
	select {
	case <-t.sprung:
		return s.kill(s.keeper.now())
	case <-ctx.Done():
		return never(), fmt.Errorf("the moment to kill the gateway did not come: %w", context.Cause(ctx))
	}
}

// killedBeforeConfirming kills when the gateway has made something durable and the
// server has not been told.
func killedBeforeConfirming(ctx context.Context, s *faultSuite) (time.Time, error) {
	last := map[*link]uint64{}
	return s.killWhenSprung(ctx, newTrap(func(m wireMessage) bool {
		to, ok := m.confirmed()
		if !ok {
			return false
		}
		before, seen := last[m.link]
		last[m.link] = to
		return seen && to > before
	}))
}

// killedInALargeTransaction kills when so many bytes of one transaction have come, and
// its commit has not.
func killedInALargeTransaction(r *rand.Rand) happening {
	rows, bytesIn := 2000+r.IntN(3000), 5_000+r.IntN(60_000)
	return func(ctx context.Context, s *faultSuite) (time.Time, error) {
		in := map[*link]int{}
		t := newTrap(func(m wireMessage) bool {
			record, ok := m.logRecord()
			if !ok {
				return false
			}
			if record[0] == 'B' {
				in[m.link] = 0
			}
			in[m.link] += len(record)
			return record[0] != 'C' && in[m.link] > bytesIn
		})
		wrote := make(chan error, 1)
		go func() {
			_, err := s.lms.do(ctx, s.lms.class(rows))
			wrote <- err
		}()
		began, err := s.killWhenSprung(ctx, t)
		return began, errors.Join(err, <-wrote)
	}
}

// killedInADrain kills when a client has been told that the gateway goes.
func killedInADrain(ctx context.Context, s *faultSuite) (time.Time, error) {
	witness := s.steady[0]
	goodbyes := func() int { return strings.Count(strings.Join(witness.told, " "), "going_away") }
	witness.mu.Lock()
	before := goodbyes()
	witness.mu.Unlock()
	l := s.keeper.now()
	began := time.Now()
	l.signal(syscall.SIGTERM)
	told, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-l.ended: // the witness was away, or another fault was faster
			cancel()
		case <-told.Done():
		}
	}()
	err := witness.until(told, "goodbye", func() bool { return goodbyes() > before })
	if err != nil && (ctx.Err() != nil || told.Err() == nil) {
		return never(), err
	}
	_, err = s.kill(l)
	return began, err
}

// stopped is what an operator does who has something to change.
func stopped(r *rand.Rand) happening {
	d := time.Duration(r.IntN(1000)) * time.Millisecond
	return func(ctx context.Context, s *faultSuite) (time.Time, error) {
		began := time.Now()
		up, err := s.keeper.down(ctx, syscall.SIGTERM)
		lasting(ctx, d)
		return began, errors.Join(err, up())
	}
}

func frozen(r *rand.Rand) happening {
	d := duration(r)
	return func(ctx context.Context, s *faultSuite) (time.Time, error) {
		l := s.keeper.now()
		began := time.Now()
		l.signal(syscall.SIGSTOP)
		lasting(ctx, d)
		l.signal(syscall.SIGCONT)
		return began, nil
	}
}

// diskFull lets the gateway write no more, until it ends; the next one can.
func diskFull(ctx context.Context, s *faultSuite) (time.Time, error) {
	l := s.keeper.now()
	l.explain(1)
	began := time.Now()
	if err := limitFileSize(l.cmd.Process.Pid, 4096); errors.Is(err, syscall.ESRCH) {
		return never(), nil // another fault was faster
	} else if err != nil {
		return never(), err
	}
	select {
	case <-l.ended:
	case <-ctx.Done():
		return never(), fmt.Errorf("the gateway does not notice that the disk is full: %w", context.Cause(ctx))
	}
	if l.cmd.ProcessState.ExitCode() == 1 && !strings.Contains(l.text(), "no room to write") {
		return never(), fmt.Errorf("the gateway does not say that the disk is full:\n%s", lastWordsOf(l.text()))
	}
	return began, nil
}

func restarted(mode string) func(*rand.Rand) happening {
	return at(func(ctx context.Context, s *faultSuite) (time.Time, error) {
		s.restarting.Lock()
		defer s.restarting.Unlock()
		began := time.Now()
		return began, s.server.Restart(ctx, mode)
	})
}

func terminated(sql string) func(*rand.Rand) happening {
	return at(func(ctx context.Context, s *faultSuite) (time.Time, error) {
		began := time.Now()
		return began, s.exec(ctx, sql)
	})
}

func linkCut(_ context.Context, s *faultSuite) (time.Time, error) {
	began := time.Now()
	s.database.cut()
	return began, nil
}

func stalled(which func(*faultSuite) *proxy, ways ...way) func(*rand.Rand) happening {
	return func(r *rand.Rand) happening {
		d := duration(r)
		return func(ctx context.Context, s *faultSuite) (time.Time, error) {
			p := which(s)
			began := time.Now()
			p.hold(ways...)
			lasting(ctx, d)
			p.release()
			return began, nil
		}
	}
}

func orphaned(which func(*faultSuite) *proxy) func(*rand.Rand) happening {
	return func(r *rand.Rand) happening {
		d := duration(r)
		return func(ctx context.Context, s *faultSuite) (time.Time, error) {
			began := time.Now()
			bury := which(s).orphan()
			lasting(ctx, d)
			bury()
			return began, nil
		}
	}
}

func (s *faultSuite) dba(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, s.server.URL("postgres"))
}

// exec runs a statement as the DBA, when the server is there.
func (s *faultSuite) exec(ctx context.Context, sql string) error {
	for {
		conn, err := s.dba(ctx)
		if err == nil {
			_, err = conn.Exec(ctx, sql)
			_ = conn.Close(ctx)
		}
		if err == nil || !away(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A gateway that begins is killed while it reads the snapshot, so often and after so
// many bytes of it as are given; the one after that begins anew.
func (s *faultSuite) killInSnapshots(ctx context.Context, after ...int) error {
	for _, limit := range after {
		began, err := s.killWhenSprung(ctx, newTrap(snapshotBytes(limit)))
		if err != nil {
			return err
		}
		s.tally.happened("killed in the first snapshot", began)
	}
	return nil
}
