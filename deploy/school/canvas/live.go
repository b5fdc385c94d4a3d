package canvas

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// Live lets the school work at rate operations a second until ctx ends, which is its
// normal end: then it returns nil. A rate of 0 is as fast as the server goes. What is
// done is said to log at the level Debug.
func (s *School) Live(ctx context.Context, conn *pgx.Conn, rate float64, log *slog.Logger) error {
	return school.Live(ctx, rate, log, func(ctx context.Context) (school.Operation, error) { return s.Step(ctx, conn) })
}

// Kinds of operations.
const (
	Submit    = "submit"     // a student hands in
	Resubmit  = "resubmit"   // and again: the next attempt, the grade stays
	SaveAgain = "save again" // a job of Canvas saves a submission, and changes nothing that matters
	Grade     = "grade"
	Regrade   = "regrade"
	Ungrade   = "ungrade" // a grade is taken back: the state stays graded
	Excuse    = "excuse"
	Quiz      = "quiz" // a student takes a quiz, which grades itself, or in part
	Post      = "post" // what was hidden is shown, all in one UPDATE

	Publish    = "publish"  // an assignment, and a row for every student
	MoveDue    = "move due" // its due date, on every student's row as well
	Lock       = "lock"     // lock_at is set; that it passes is no row
	Unpublish  = "unpublish"
	Delete     = "delete"  // an assignment, and what was handed in for it; both softly
	Restore    = "restore" // both
	CopyCourse = "copy course"
	Offer      = "offer course" // a copy becomes available
	Conclude   = "conclude"

	Enrol   = "enrol"
	Drop    = "drop"   // a student leaves: their submissions are deleted softly
	Return  = "return" // and are there again
	Limit   = "limit"  // an assistant to their own section, or no longer
	Channel = "channel"
	LogIn   = "log in"
	Browse  = "browse"
)

// Step does one operation.
func (s *School) Step(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	op, err := s.choose(ctx, conn)
	if err != nil {
		return op, fmt.Errorf("canvas: %s: %w", op.Kind, err)
	}
	return op, nil
}

// choose draws an operation. Where there is nothing to do it to, say no quiz is open,
// somebody browses.
func (s *School) choose(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	n := s.random.IntN(200)
	for _, o := range []struct {
		below int
		do    func(context.Context, *pgx.Conn) (school.Operation, error)
	}{
		{40, s.submit}, {46, s.resubmit}, {60, s.saveAgain}, {84, s.grade}, {90, s.regrade}, {93, s.ungrade}, {96, s.excuse},
		{104, s.quiz}, {107, s.post},
		{112, s.publish}, {115, s.moveDue}, {117, s.unpublish}, {119, s.delete}, {122, s.restore},
		{123, s.copyCourse}, {124, s.offer}, {125, s.conclude},
		{128, s.accept}, {131, s.drop}, {134, s.comeBack}, {136, s.limit}, {140, s.channel}, {150, s.logIn},
	} {
		if n >= o.below {
			continue
		}
		op, err := o.do(ctx, conn)
		if err != nil || op.Rows > 0 {
			return op, err
		}
		break
	}
	return s.browse(ctx, conn)
}

// anybody is one of those who have an account.
func (s *School) anybody() int64 {
	n := len(s.Admins) + len(s.Deans) + len(s.Teachers) + len(s.Tutors) + len(s.Students)
	return 1 + s.random.Int64N(int64(n))
}
