package moodle

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// Kinds of operations.
const (
	SetUp        = "set up"        // an assignment, in one transaction
	Duplicate    = "duplicate"     // one, in several
	Hide         = "hide"          // one from students
	Show         = "show"          // it again
	CutOff       = "cut off"       // hand-in ends in some seconds
	Extend       = "extend"        // hand-in goes on
	Delete       = "delete"        // in the page: cron does it
	Cron         = "cron"          // does it
	Open         = "open"          // a student opens the form
	Draft        = "draft"         // a student saves a draft
	Submit       = "submit"        // a student hands in
	SaveAgain    = "save again"    // a student edits what is handed in
	TeamSubmit   = "team submit"   // a student hands in for the team
	Revert       = "revert"        // a teacher gives back as a draft
	Reopen       = "reopen"        // a teacher allows another attempt
	OpenGrader   = "open grader"   // a teacher looks at who has done nothing yet
	Grade        = "grade"         // a teacher grades
	GradeAgain   = "grade again"   // a teacher thinks again
	ClearGrade   = "clear grade"   // a teacher takes a grade away
	TeamGrade    = "team grade"    // a teacher grades a team
	GradeAll     = "grade all"     // a teacher grades a whole course
	Release      = "release"       // of a grade of the marking workflow
	Reveal       = "reveal"        // the names of an anonymous assignment
	Enrol        = "enrol"         // a new student, or one who was unenrolled
	Unenrol      = "unenrol"       // a student
	SuspendEnrol = "suspend enrol" // or let it go on
	ExpireEnrol  = "expire enrol"  // an enrolment ends in some seconds
	Suspend      = "suspend"       // a person, or no longer
	DeletePerson = "delete person" // whose row stays
	CategoryRole = "category role" // somebody manages a category, or no longer
	MoveGroup    = "move group"    // a student changes groups
	LogIn        = "log in"        // a session, and the account is written
	Browse       = "browse"        // the log, and the account is written
	GroupMode    = "group mode"    // of an assignment: separate groups or none
)

// Step does one operation. Where there is nothing to do it to, somebody browses.
func (s *School) Step(ctx context.Context, conn *pgx.Conn) (school.Operation, error) {
	a := s.act(ctx, conn)
	n := s.rand.IntN(1000)
	for _, choice := range []struct {
		of int // in a thousand
		do func() (kind string, user int64)
	}{
		{35, a.createOrDelete}, {10, a.duplicate}, {20, a.hideOrShow}, {20, a.cutOffOrExtend}, {10, a.groupMode}, {15, a.cron},
		{120, a.open}, {170, a.submit}, {80, a.saveAgain}, {60, a.teamSubmit},
		{15, a.revert}, {15, a.reopen}, {20, a.openGrader},
		{120, a.grade}, {15, a.gradeAgain}, {15, a.clearGrade}, {30, a.teamGrade}, {10, a.gradeAll}, {20, a.release}, {5, a.reveal},
		{20, a.enrol}, {10, a.unenrol}, {20, a.suspendEnrolment}, {10, a.expireEnrolment}, {15, a.suspend}, {5, a.deletePerson},
		{10, a.categoryRole}, {15, a.moveGroup}, {50, a.logIn},
	} {
		if n -= choice.of; n >= 0 {
			continue
		}
		if kind, user := choice.do(); kind != "" || a.err != nil {
			return a.did(kind, user)
		}
		break
	}
	return a.did(a.browse())
}
