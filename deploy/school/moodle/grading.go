package moodle

// handedIn are students' own submissions of assignments that are not done in teams.
const handedIn = live + `JOIN mdl_assign_submission s ON s.assignment = a.id AND s.latest = 1 AND s.userid <> 0 AND s.status = 'submitted' AND a.teamsubmission = 0 `

const noGrade = ` NOT EXISTS (SELECT FROM mdl_assign_grades g WHERE g.assignment = a.id AND g.userid = s.userid AND g.attemptnumber = s.attemptnumber AND g.grade >= 0) `

// revert gives work back as a draft.
func (a *act) revert() (string, int64) {
	var id, course int64
	if !a.pick(`SELECT s.id, a.course FROM`+handedIn, nil, &id, &course) {
		return "", 0
	}
	a.status(id, "draft")
	return Revert, a.teacherOf(course)
}

// reopen allows another attempt: the old row is no longer the latest, and there is a new
// one, which is marked as reopened after that.
func (a *act) reopen() (string, int64) {
	var id, assign, person, attempt, course int64
	if !a.pick(`SELECT s.id, a.id, s.userid, s.attemptnumber, a.course FROM`+handedIn+`WHERE a.attemptreopenmethod = 'manual' AND s.attemptnumber < 4`, nil,
		&id, &assign, &person, &attempt, &course) {
		return "", 0
	}
	a.exec(`UPDATE mdl_assign_submission SET latest = 0 WHERE id = @id`, with{"id": id})
	a.status(a.begin(assign, person, 0, attempt+1), "reopened")
	return Reopen, a.teacherOf(course)
}

// openGrader looks at a student who has done nothing yet, which leaves rows that say nothing.
func (a *act) openGrader() (string, int64) {
	var assign, person, course int64
	if !a.pick(`SELECT a.id, ue.userid, a.course FROM`+enrolled+`WHERE a.teamsubmission = 0
		AND NOT EXISTS (SELECT FROM mdl_assign_grades g WHERE g.assignment = a.id AND g.userid = ue.userid)
		AND NOT EXISTS (SELECT FROM mdl_assign_submission s WHERE s.assignment = a.id AND s.userid = ue.userid)`, nil, &assign, &person, &course) {
		return "", 0
	}
	a.begin(assign, person, 0, 0)
	a.noGradeYet(assign, person, 0, a.teacherOf(course))
	return OpenGrader, a.teacherOf(course)
}

func (a *act) noGradeYet(assign, person, attempt, grader int64) {
	a.exec(`INSERT INTO mdl_assign_grades (assignment, userid, timecreated, timemodified, grader, grade, attemptnumber)
		VALUES (@assign, @person, @now, @now, @grader, -1, @attempt)`, with{"assign": assign, "person": person, "grader": grader, "attempt": attempt})
}

// grade grades one student for the first time.
func (a *act) grade() (string, int64) {
	var assign, person, attempt, course int64
	if !a.pick(`SELECT a.id, s.userid, s.attemptnumber, a.course FROM`+handedIn+`WHERE`+noGrade, nil, &assign, &person, &attempt, &course) {
		return "", 0
	}
	a.give(assign, person, attempt)
	return Grade, a.teacherOf(course)
}

// give gives a grade: a row without one, if there is none; the grade; and the gradebook.
// With the marking workflow, and while names are hidden, the gradebook has to wait.
func (a *act) give(assign, person, attempt int64) {
	of := with{"assign": assign, "person": person, "attempt": attempt}
	var course, most, id int64
	var workflow, anonymous bool
	a.ask(`SELECT course, grade, markingworkflow = 1, blindmarking = 1 AND revealidentities = 0 FROM mdl_assign WHERE id = @assign`, of, &course, &most, &workflow, &anonymous)
	if !a.ask(`SELECT id FROM mdl_assign_grades WHERE assignment = @assign AND userid = @person AND attemptnumber = @attempt`, of, &id) {
		a.noGradeYet(assign, person, attempt, a.teacherOf(course))
	}
	of["grade"], of["grader"] = mark(a.school.rand.Rand, most), a.teacherOf(course)
	a.exec(`UPDATE mdl_assign_grades SET grade = @grade, grader = @grader, timemodified = @now
		WHERE assignment = @assign AND userid = @person AND attemptnumber = @attempt`, of)
	switch {
	case workflow:
		a.workflow(assign, person, "readyforrelease")
	case !anonymous:
		a.gradebook(assign, person)
	}
}

// workflow says how far the marking of somebody's work is.
func (a *act) workflow(assign, person int64, state string) {
	of := with{"assign": assign, "person": person, "state": state}
	var id int64
	if a.ask(`SELECT id FROM mdl_assign_user_flags WHERE assignment = @assign AND userid = @person`, of, &id) {
		a.exec(`UPDATE mdl_assign_user_flags SET workflowstate = @state WHERE assignment = @assign AND userid = @person`, of)
		return
	}
	a.exec(`INSERT INTO mdl_assign_user_flags (assignment, userid, workflowstate) VALUES (@assign, @person, @state)`, of)
}

// gradebook copies somebody's grade of the newest attempt into the gradebook.
func (a *act) gradebook(assign, person int64) {
	of := with{"assign": assign, "person": person}
	var item, id int64
	a.ask(`SELECT id FROM mdl_grade_items WHERE itemmodule = 'assign' AND iteminstance = @assign`, of, &item)
	of["item"] = item
	if !a.ask(`SELECT id FROM mdl_grade_grades WHERE itemid = @item AND userid = @person`, of, &id) {
		a.exec(`INSERT INTO mdl_grade_grades (itemid, userid, timecreated, timemodified) VALUES (@item, @person, @now, @now)`, of)
	}
	a.exec(`UPDATE mdl_grade_grades b SET rawgrade = nullif(g.grade, -1), finalgrade = nullif(g.grade, -1), timemodified = @now
		FROM (SELECT grade FROM mdl_assign_grades WHERE assignment = @assign AND userid = @person ORDER BY attemptnumber DESC LIMIT 1) g
		WHERE b.itemid = @item AND b.userid = @person`, of)
}

// graded are the grades that there are.
const graded = live + `JOIN mdl_assign_grades g ON g.assignment = a.id AND g.grade >= 0 `

// gradeAgain gives another grade.
func (a *act) gradeAgain() (string, int64) {
	var assign, person, attempt, course int64
	if !a.pick(`SELECT a.id, g.userid, g.attemptnumber, a.course FROM`+graded, nil, &assign, &person, &attempt, &course) {
		return "", 0
	}
	a.give(assign, person, attempt)
	return GradeAgain, a.teacherOf(course)
}

// clearGrade takes a grade away: a scale's becomes -1, as if there had been none.
func (a *act) clearGrade() (string, int64) {
	var assign, person, attempt, course int64
	if !a.pick(`SELECT a.id, g.userid, g.attemptnumber, a.course FROM`+graded, nil, &assign, &person, &attempt, &course) {
		return "", 0
	}
	a.exec(`UPDATE mdl_assign_grades g SET grade = CASE WHEN a.grade < 0 THEN -1 END, timemodified = @now FROM mdl_assign a
		WHERE a.id = @assign AND g.assignment = a.id AND g.userid = @person AND g.attemptnumber = @attempt`,
		with{"assign": assign, "person": person, "attempt": attempt})
	a.gradebook(assign, person)
	return ClearGrade, a.teacherOf(course)
}

// teamGrade grades a team: every member gets a row.
func (a *act) teamGrade() (string, int64) {
	var assign, group, attempt, course int64
	if !a.pick(`SELECT a.id, s.groupid, s.attemptnumber, a.course FROM`+live+`JOIN mdl_assign_submission s ON s.assignment = a.id
		WHERE a.teamsubmission = 1 AND s.userid = 0 AND s.latest = 1 AND s.status = 'submitted' AND EXISTS (
			SELECT FROM mdl_groups_members m WHERE m.groupid = s.groupid AND NOT EXISTS (
				SELECT FROM mdl_assign_grades g WHERE g.assignment = a.id AND g.userid = m.userid AND g.grade >= 0))`, nil, &assign, &group, &attempt, &course) {
		return "", 0
	}
	members := a.teamMembers(group)
	for _, person := range members {
		a.give(assign, person, attempt)
	}
	if len(members) == 0 {
		return "", 0
	}
	return TeamGrade, a.teacherOf(course)
}

// gradeAll grades everybody who has handed in, one after the other.
func (a *act) gradeAll() (string, int64) {
	var assign, course int64
	if !a.pick(`SELECT DISTINCT a.id, a.course FROM`+handedIn+`WHERE`+noGrade, nil, &assign, &course) {
		return "", 0
	}
	for _, person := range a.many(`SELECT s.userid FROM`+handedIn+`WHERE a.id = @assign AND`+noGrade, with{"assign": assign}) {
		var attempt int64
		a.ask(`SELECT attemptnumber FROM mdl_assign_submission WHERE assignment = @assign AND userid = @person AND latest = 1`, with{"assign": assign, "person": person}, &attempt)
		a.give(assign, person, attempt)
	}
	return GradeAll, a.teacherOf(course)
}

// release lets a student see a grade of the marking workflow.
func (a *act) release() (string, int64) {
	var assign, person, course int64
	if !a.pick(`SELECT a.id, f.userid, a.course FROM`+graded+`JOIN mdl_assign_user_flags f ON f.assignment = a.id AND f.userid = g.userid
		WHERE a.markingworkflow = 1 AND f.workflowstate <> 'released'`, nil, &assign, &person, &course) {
		return "", 0
	}
	a.workflow(assign, person, "released")
	a.gradebook(assign, person)
	return Release, a.teacherOf(course)
}

// reveal says whose work it was, from where on the gradebook has the grades.
func (a *act) reveal() (string, int64) {
	var assign, course int64
	if !a.pick(`SELECT a.id, a.course FROM`+live+`WHERE a.blindmarking = 1 AND a.revealidentities = 0`, nil, &assign, &course) {
		return "", 0
	}
	a.exec(`UPDATE mdl_assign SET revealidentities = 1 WHERE id = @assign`, with{"assign": assign})
	for _, person := range a.many(`SELECT DISTINCT userid FROM mdl_assign_grades WHERE assignment = @assign AND grade >= 0`, with{"assign": assign}) {
		a.gradebook(assign, person)
	}
	return Reveal, a.teacherOf(course)
}
