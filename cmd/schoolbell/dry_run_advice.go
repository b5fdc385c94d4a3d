package main

import (
	"fmt"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/projection"
)

// advise says what is odd about what would be believed, each with what probably is the
// reason. None of it need be wrong: an LMS may really be like that.
func advise(p *profile.Profile, c *projection.Census) []string {
	all := adviseOnPeople(p, c)
	say := func(when bool, text string) {
		if when {
			all = append(all, text)
		}
	}
	say(c.Assignments == 0, "there are no assignments; likely assignment.from or assignment.where is not what holds them")
	say(c.Assignments > 0 && c.Published == 0, "no assignment is published, so that nothing of them is told; likely assignment.published tests for other values than the column has")
	say(c.Published > 0 && c.Open == 0, "no assignment is open; likely assignment.closed or assignment.closes is not what closes them")
	say(c.Courses > 0 && c.Quiet == c.Courses, "no course is active, so that nothing is told; likely course.active tests for other values than the column has")
	say(c.Submissions == 0, "there are no submissions; likely submission.from or submission.where is not what holds them")
	say(c.Submissions > 0 && c.Submitted == 0, "no submission is submitted; likely submission.submitted tests for other values than the column has")
	say(c.Submitted > 0 && c.Graded == 0, "no submission is graded; likely grade.graded tests for other values than the column has, or the grade is in another column")
	for _, odd := range c.Odd {
		all = append(all, oddText(odd))
	}
	return all
}

func adviseOnPeople(p *profile.Profile, c *projection.Census) []string {
	active := 0
	for _, n := range c.People {
		active += n
	}
	where := "user.role or user.roles names other values than the column has"
	if !p.HasRole() {
		where = "member.teacher tests for other values than the column has, or member.where leaves the rows out"
	}
	switch {
	case active+c.Inactive == 0:
		return []string{"there is nobody; likely user.from or user.where is not what holds the people"}
	case active == 0:
		return []string{"nobody is active, so that nobody may connect; likely user.active tests for other values than the column has"}
	}
	var all []string
	if c.People[cdc.NoRole] == active {
		return []string{"nobody has a role, so that nobody may connect; likely " + where}
	}
	if c.People[cdc.Teacher] == 0 {
		all = append(all, "nobody is a teacher; likely "+where)
	}
	if c.People[cdc.Admin] == 0 {
		likely := "the profile has no section admin, which says by which rows somebody is one"
		if p.Admins() > 0 {
			likely = "admin.where leaves the rows out, or admin.user names another table's key than the people's"
		} else if p.HasRole() {
			likely = "user.roles names another value than the column has for them, or they are admins by another table, for which there is the section admin"
		}
		all = append(all, "nobody is an admin; likely "+likely)
	}
	return all
}

// oddWords are the words for one kind of odd rows.
type oddWords struct {
	rows, are  string // "assignments", "have a teacher who is nobody"
	row, names string // for an example: "assignment", "teacher"
	likely     string
}

func wordsOf(o projection.Oddity) oddWords {
	const otherKey = " names the key of another table than of the people's, or user.where leaves people out"
	switch o {
	case projection.OwnerUnknown:
		return oddWords{"assignments", "have a teacher who is nobody", "assignment", "teacher", "assignment.teacher" + otherKey}
	case projection.OwnerNoTeacher:
		return oddWords{"assignments", "belong to somebody who is neither a teacher nor an admin, and hears nothing", "assignment", "person", "user.roles takes that value of user.role for another role, or assignment.teacher is not who teaches"}
	case projection.AssignmentUnowned:
		return oddWords{"assignments", "have no teacher, by themselves or by their course, so that only admins hear of them", "assignment", "course", "assignment.teacher or assignment.course is another column, or member.teacher tests for other values than the column has"}
	case projection.AssignmentWithoutCourse:
		return oddWords{"assignments", "are of a course that is not there", "assignment", "course", "assignment.course names the key of another table than of the courses'"}
	case projection.SubmissionOfUnknown:
		return oddWords{"submissions", "are of a student who is nobody", "submission", "student", "submission.student" + otherKey}
	case projection.SubmissionWithoutWork:
		return oddWords{"submissions", "are of an assignment that is not there", "submission", "assignment", "submission.assignment names the key of another table than of the assignments', or assignment.where leaves assignments out whose submissions submission.where keeps"}
	case projection.TutorUnknown:
		return oddWords{"submissions", "have a tutor who is nobody", "submission", "tutor", "submission.tutor" + otherKey}
	case projection.TutorNoTutor:
		return oddWords{"submissions", "have a tutor who is neither a tutor nor an admin by their role, and hears nothing", "submission", "person", "user.roles takes that value of user.role for another role, or submission.tutor is not the tutor"}
	case projection.GradedUnsubmitted:
		return oddWords{"graded submissions", "were not handed in, and count as pending", "submission", "assignment", "submission.submitted is not all that counts as handed in, unless teachers grade what is done elsewhere"}
	case projection.GivenToUnknown:
		return oddWords{"rows that give an assignment to a student", "name nobody", "row", "student", "assigned.student" + otherKey}
	case projection.GivenWithoutWork:
		return oddWords{"rows that give an assignment to a student", "name no assignment that is there", "row", "assignment", "assigned.assignment names the key of another table than of the assignments'"}
	case projection.MemberUnknown:
		return oddWords{"memberships", "are of nobody", "row", "person", "member.user" + otherKey}
	case projection.MemberWithoutCourse:
		return oddWords{"memberships", "are of a course that is not there", "row", "course", "member.course names the key of another table than of the courses'"}
	case projection.StaffOfOtherRole:
		return oddWords{"memberships of teachers and tutors", "are of people whose own role is another, and who hear nothing by them", "row", "person", "user.roles takes that value of user.role for another role; without user.role roles follow from the memberships"}
	}
	return oddWords{}
}

// oddText is one sentence: how many of how many, which, why.
func oddText(o projection.Odd) string {
	w := wordsOf(o.What)
	some := make([]string, len(o.Some))
	for i, e := range o.Some {
		some[i] = fmt.Sprintf("%s %v", w.row, e.Row)
		if !e.Names.IsZero() {
			some[i] += fmt.Sprintf(" (%s %v)", w.names, e.Names)
		}
	}
	return fmt.Sprintf("%d of %d %s %s, like %s; likely %s", o.Rows, o.Of, w.rows, w.are, strings.Join(some, ", "), w.likely)
}
