package moodle

import (
	"fmt"
	"slices"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// taking are the enrolments of students.
const taking = ` mdl_user_enrolments ue JOIN mdl_enrol e ON e.id = ue.enrolid
	JOIN mdl_context x ON x.contextlevel = 50 AND x.instanceid = e.courseid
	JOIN mdl_role_assignments ra ON ra.contextid = x.id AND ra.userid = ue.userid AND ra.roleid = 5 `

// enrol enrols somebody who takes no course; where people were deleted, somebody new.
func (a *act) enrol() (string, int64) {
	s := a.school
	var n int
	var person, since int64
	a.ask(`SELECT count(*) FROM mdl_user WHERE username LIKE 'student%' AND deleted = 0`, nil, &n)
	switch {
	case n < s.students:
		s.account++
		p := s.rand.Person(0, "student", s.account)
		person = a.id(`INSERT INTO mdl_user (auth, confirmed, mnethostid, username, firstname, lastname, email, timecreated)
			VALUES ('manual', 1, 1, @name, @first, @last, @email, @now)`,
			with{"name": fmt.Sprintf("student%d", s.account), "first": p.FirstName, "last": p.LastName, "email": p.Email})
		context := a.id(`INSERT INTO mdl_context (contextlevel, instanceid) VALUES (30, @person)`, with{"person": person})
		a.exec(`UPDATE mdl_context SET path = '/1/' || id, depth = 2 WHERE id = @context`, with{"context": context})
	case !a.pick(`SELECT u.id, u.timecreated FROM mdl_user u WHERE u.username LIKE 'student%' AND u.deleted = 0
		AND NOT EXISTS (SELECT FROM mdl_user_enrolments ue WHERE ue.userid = u.id)`, nil, &person, &since):
		return "", 0
	}
	c := &s.courses[s.rand.IntN(len(s.courses))]
	a.exec(`INSERT INTO mdl_user_enrolments (enrolid, userid, timestart, timeend, timecreated) VALUES (@enrol, @person, @now, 0, @now)`, with{"enrol": c.enrol, "person": person})
	a.exec(`INSERT INTO mdl_role_assignments (roleid, contextid, userid, timemodified) VALUES (5, @context, @person, @now)`, with{"context": c.context, "person": person})
	a.exec(`INSERT INTO mdl_groups_members (groupid, userid, timeadded) VALUES (@group, @person, @now)`, with{"group": c.groups[s.rand.IntN(2)], "person": person})
	return Enrol, person
}

// unenrol ends a student's enrolment; what the student has handed in stays.
func (a *act) unenrol() (string, int64) {
	var id, person, context, course int64
	if !a.pick(`SELECT ue.id, ue.userid, x.id, e.courseid FROM`+taking, nil, &id, &person, &context, &course) {
		return "", 0
	}
	of := with{"id": id, "person": person, "context": context, "course": course}
	a.exec(`DELETE FROM mdl_user_enrolments WHERE id = @id`, of)
	a.exec(`DELETE FROM mdl_groups_members WHERE userid = @person AND groupid IN (SELECT id FROM mdl_groups WHERE courseid = @course)`, of)
	a.exec(`DELETE FROM mdl_role_assignments WHERE userid = @person AND contextid = @context`, of)
	return Unenrol, a.teacherOf(course)
}

// suspendEnrolment suspends a student's enrolment, or lets a suspended one go on. The role
// stays.
func (a *act) suspendEnrolment() (string, int64) {
	status := a.school.rand.IntN(2)
	var id, course int64
	if !a.pick(`SELECT ue.id, e.courseid FROM`+taking+`WHERE ue.status = @status`, with{"status": status}, &id, &course) {
		return "", 0
	}
	a.exec(`UPDATE mdl_user_enrolments SET status = @other, timemodified = @now WHERE id = @id`, with{"other": 1 - status, "id": id})
	return SuspendEnrol, a.teacherOf(course)
}

// expireEnrolment has an enrolment end in three seconds, or never.
func (a *act) expireEnrolment() (string, int64) {
	end, condition := a.now+3, "ue.timeend = 0"
	if a.school.rand.IntN(2) == 0 {
		end, condition = 0, "ue.timeend <> 0"
	}
	var id, course int64
	if !a.pick(`SELECT ue.id, e.courseid FROM`+taking+`WHERE `+condition, nil, &id, &course) {
		return "", 0
	}
	a.exec(`UPDATE mdl_user_enrolments SET timeend = @end, timemodified = @now WHERE id = @id`, with{"end": end, "id": id})
	return ExpireEnrol, a.teacherOf(course)
}

// expendable are those who may be locked out: who looks at the demo is not.
func (s *School) expendable() (ids []int64) {
	for _, p := range slices.Concat(s.Teachers[1:], s.Tutors[min(1, len(s.Tutors)):], s.Students) {
		ids = append(ids, p.ID)
	}
	return ids
}

// suspend locks somebody out, or lets them in again. Their roles stay.
func (a *act) suspend() (string, int64) {
	suspended := a.school.rand.IntN(2)
	var person, since int64
	if !a.pick(`SELECT id, timecreated FROM mdl_user WHERE id = ANY (@ids) AND suspended = @suspended AND deleted = 0`,
		with{"ids": a.school.expendable(), "suspended": suspended}, &person, &since) {
		return "", 0
	}
	a.exec(`UPDATE mdl_user SET suspended = @other, timemodified = @now WHERE id = @person`, with{"other": 1 - suspended, "person": person})
	if suspended == 0 {
		a.exec(`DELETE FROM mdl_sessions WHERE userid = @person`, with{"person": person})
	}
	return Suspend, person
}

// deletePerson deletes a student: the account's row stays, with other contents.
func (a *act) deletePerson() (string, int64) {
	var person, since int64
	if !a.pick(`SELECT id, timecreated FROM mdl_user WHERE username LIKE 'student%' AND deleted = 0`, nil, &person, &since) {
		return "", 0
	}
	of := with{"person": person}
	a.exec(`DELETE FROM mdl_groups_members WHERE userid = @person`, of)
	a.exec(`DELETE FROM mdl_user_enrolments WHERE userid = @person`, of)
	a.exec(`DELETE FROM mdl_role_assignments WHERE userid = @person`, of)
	a.exec(`DELETE FROM mdl_sessions WHERE userid = @person`, of)
	a.exec(`UPDATE mdl_user SET deleted = 1, username = email || '.' || @now::bigint, email = md5(username), idnumber = '', picture = 0, timemodified = @now WHERE id = @person`, of)
	return DeletePerson, person
}

// categoryRole has a teacher manage a category of courses, or no longer.
func (a *act) categoryRole() (string, int64) {
	var id, person int64
	if a.pick(`SELECT ra.id, ra.userid FROM mdl_role_assignments ra JOIN mdl_context x ON x.id = ra.contextid AND x.contextlevel = 40`, nil, &id, &person) {
		a.exec(`DELETE FROM mdl_role_assignments WHERE id = @id`, with{"id": id})
		return CategoryRole, person
	}
	teachers := a.school.Teachers
	person = teachers[a.school.rand.IntN(len(teachers))].ID
	a.exec(`INSERT INTO mdl_role_assignments (roleid, contextid, userid, timemodified)
		SELECT 1, id, @person, @now FROM mdl_context WHERE contextlevel = 40 AND instanceid = @category`, with{"person": person, "category": 1 + a.school.rand.IntN(2)})
	return CategoryRole, person
}

// moveGroup moves a student to the other group of a course.
func (a *act) moveGroup() (string, int64) {
	var id, person, other, course int64
	if !a.pick(`SELECT m.id, m.userid, o.id, g.courseid FROM mdl_groups_members m JOIN mdl_groups g ON g.id = m.groupid
		JOIN mdl_groups o ON o.courseid = g.courseid AND o.id <> g.id JOIN mdl_user u ON u.id = m.userid AND u.username LIKE 'student%'
		WHERE NOT EXISTS (SELECT FROM mdl_groups_members n WHERE n.groupid = o.id AND n.userid = m.userid)`, nil, &id, &person, &other, &course) {
		return "", 0
	}
	a.exec(`DELETE FROM mdl_groups_members WHERE id = @id`, with{"id": id})
	a.exec(`INSERT INTO mdl_groups_members (groupid, userid, timeadded) VALUES (@other, @person, @now)`, with{"other": other, "person": person})
	return MoveGroup, a.teacherOf(course)
}

// logIn begins a session, ends the oldest, and writes the account.
func (a *act) logIn() (string, int64) {
	of := with{"person": a.somebody(), "sid": a.school.rand.Hex(26)}
	a.exec(`INSERT INTO mdl_sessions (sid, userid, timecreated, timemodified) VALUES (@sid, @person, @now, @now)`, of)
	a.exec(`UPDATE mdl_user SET lastlogin = currentlogin, currentlogin = @now, lastaccess = @now, lastip = '127.0.0.1' WHERE id = @person`, of)
	a.exec(`DELETE FROM mdl_sessions WHERE id = (SELECT min(id) FROM mdl_sessions)`, nil)
	return LogIn, of["person"].(int64)
}

// browse reads pages.
func (a *act) browse() (string, int64) {
	person := a.somebody()
	for range a.school.rand.IntN(4) {
		a.log(Browse, person)
	}
	a.exec(`UPDATE mdl_user SET lastaccess = @now WHERE id = @person`, with{"person": person})
	return Browse, person
}

// somebody is one of the people.
func (a *act) somebody() int64 {
	s := a.school
	all := [][]school.Person{s.Students, s.Students, s.Teachers, s.Tutors, s.Admins}
	for {
		if some := all[s.rand.IntN(len(all))]; len(some) > 0 {
			return some[s.rand.IntN(len(some))].ID
		}
	}
}
