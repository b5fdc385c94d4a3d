package cdc

import "time"

// Kind is what happened, in the words of the dashboard protocol.
type Kind uint8

const (
	Submission Kind = iota + 1
	Grade
	Assignment
	AssignmentClosed
	Custom // what somebody published; its `type` is in the Body
)

// Kinds are all kinds, in the order in which they happen to one assignment.
var Kinds = [...]Kind{Assignment, Submission, Grade, AssignmentClosed, Custom}

// String is the protocol's `type`, but for Custom.
func (k Kind) String() string {
	switch k {
	case Submission:
		return "submission"
	case Grade:
		return "grade"
	case Assignment:
		return "assignment"
	case AssignmentClosed:
		return "assignment_closed"
	case Custom:
		return "custom"
	}
	return "unknown"
}

// Event is something that happened in the LMS and that somebody should know. It
// is immutable once made, so that all receivers can share it.
type Event struct {
	Position   Position // its id
	Kind       Kind
	Time       time.Time // commit time of the transaction that caused it
	Assignment ID        // what it is about; none for Custom
	Audience   Audience
	// Body is the message as clients receive it: one JSON object (protocol.md).
	Body []byte
}

// Audience is who may see an event, as it was when the event's transaction
// committed.
type Audience struct {
	People []ID // sorted, each once
	Admins bool // everybody who is an admin
}

// Role is what a person may see.
type Role uint8

const (
	NoRole Role = iota
	Student
	Tutor
	Teacher
	Admin
)

// Roles are all roles that have a name.
var Roles = [...]Role{Student, Tutor, Teacher, Admin}

// ParseRole reads the protocol's name of a role; anything else is NoRole.
func ParseRole(s string) Role {
	switch s {
	case "student":
		return Student
	case "tutor":
		return Tutor
	case "teacher":
		return Teacher
	case "admin":
		return Admin
	}
	return NoRole
}

// String is the protocol's `user_role`.
func (r Role) String() string {
	switch r {
	case Student:
		return "student"
	case Tutor:
		return "tutor"
	case Teacher:
		return "teacher"
	case Admin:
		return "admin"
	}
	return "none"
}

// Person is somebody with an account in the LMS.
type Person struct {
	ID        ID
	Email     string
	FirstName string
	LastName  string
	Role      Role
	Active    bool
}

// Counts are the four numbers of the dashboard, within what one person may see
// (protocol.md, "Counts").
type Counts struct {
	PendingSubmissions  int64 // not handed in yet
	UngradedSubmissions int64 // handed in, no grade yet
	ActiveStudents      int64 // distinct students with any submission
	TotalAssignments    int64
}

// AssignmentView is how things stand with one assignment, within what one person may see.
type AssignmentView struct {
	ID, Course ID
	Title      string
	Due        time.Time // zero: none
	Closes     time.Time // by itself; zero: it does not
	Open       bool      // it has been published, and has not closed
	Pending    int64     // submissions not handed in yet
	Ungraded   int64     // handed in, no grade yet
	Graded     int64     // handed in and graded
}
