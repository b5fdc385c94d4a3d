package school

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// Live lets the school work at rate operations a second until ctx ends, which is
// its normal end: then it returns nil. A rate of 0 is as fast as the server goes.
// What is done is said to log at the level Debug.
func (s *School) Live(ctx context.Context, conn *pgx.Conn, rate float64, log *slog.Logger) error {
	return Live(ctx, rate, log, func(ctx context.Context) (Operation, error) { return s.Step(ctx, conn) })
}

// Live takes steps of any school as School.Live does of this one.
func Live(ctx context.Context, rate float64, log *slog.Logger, step func(context.Context) (Operation, error)) error {
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		op, err := step(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		log.DebugContext(ctx, "school", "kind", op.Kind, "user", op.User, "rows", op.Rows, "took", time.Since(began))
		if rate > 0 {
			next = next.Add(time.Duration(float64(time.Second) / rate))
		}
		// Behind a server that stalled there is nothing to make up for: a school does
		// not work faster because it had to wait.
		if behind := time.Since(next); behind > time.Second {
			next = next.Add(behind)
		}
		timer.Reset(time.Until(next))
	}
}

// Operation is one thing somebody did.
type Operation struct {
	Kind string
	User int64 // who: the key of an account
	Rows int   // how many rows it wrote
}

// Kinds of operations.
const (
	Publish   = "publish"    // a teacher publishes an assignment
	Close     = "close"      // a teacher closes the oldest one
	Draft     = "draft"      // a student saves a first draft
	SaveAgain = "save again" // a student saves, and changes nothing
	HandIn    = "hand in"    // a student hands in
	GradeOne  = "grade"      // a teacher grades one submission
	GradeAll  = "grade all"  // a teacher grades all of an assignment, in one UPDATE
	LogIn     = "log in"     // last_login and a new session
	Browse    = "browse"     // page views, and the session is written again
)

// Step does one operation.
func (s *School) Step(ctx context.Context, conn *pgx.Conn) (Operation, error) {
	op, err := s.choose(ctx, conn)
	if err != nil {
		return op, fmt.Errorf("school: %s: %w", op.Kind, err)
	}
	return op, nil
}

// choose draws an operation. Where there is nothing to do it to, say no work left
// to grade, somebody browses.
func (s *School) choose(ctx context.Context, conn *pgx.Conn) (Operation, error) {
	switch n := s.rand.IntN(100); {
	case n < 3:
		if len(s.open) > s.target {
			return s.close(ctx, conn)
		}
		return s.publish(ctx, conn)
	case n < 20:
		if a, th := s.find(func(r *submissionRow) bool { return r.ID == 0 }); th != nil {
			return s.begin(ctx, conn, a, th)
		}
	case n < 32:
		if _, th := s.find(func(r *submissionRow) bool { return r.ID != 0 }); th != nil {
			return s.save(ctx, conn, SaveAgain, th.row.Student, th)
		}
	case n < 57:
		if _, th := s.find(func(r *submissionRow) bool { return r.Status == "draft" }); th != nil {
			return s.handIn(ctx, conn, th)
		}
	case n < 59: // once more, a better one
		if _, th := s.find(func(r *submissionRow) bool { return r.Status == "submitted" }); th != nil {
			return s.handIn(ctx, conn, th)
		}
	case n < 76:
		if a, th := s.find(func(r *submissionRow) bool { return r.Status == "submitted" }); th != nil {
			s.mark(&th.row)
			return s.save(ctx, conn, GradeOne, a.row.Author, th)
		}
	case n < 78: // the teacher has thought again
		if a, th := s.find(func(r *submissionRow) bool { return r.Grade != nil }); th != nil {
			s.mark(&th.row)
			return s.save(ctx, conn, GradeOne, a.row.Author, th)
		}
	case n < 80:
		if a, th := s.find(func(r *submissionRow) bool { return r.Status == "submitted" }); th != nil {
			return s.gradeAll(ctx, conn, a)
		}
	case n < 86:
		return s.logIn(ctx, conn)
	}
	return s.browse(ctx, conn)
}

// find looks for a thread, beginning anywhere.
func (s *School) find(want func(*submissionRow) bool) (*assignment, *thread) {
	if len(s.open) == 0 {
		return nil, nil
	}
	start, from := s.rand.IntN(len(s.open)), s.rand.IntN(classSize)
	for i := range s.open {
		a := s.open[(start+i)%len(s.open)]
		if a.draft {
			continue
		}
		for j := range a.threads {
			th := &a.threads[(from+j)%len(a.threads)]
			if want(&th.row) {
				return a, th
			}
		}
	}
	return nil, nil
}
