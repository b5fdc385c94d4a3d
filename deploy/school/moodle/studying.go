package moodle

// enrolled are assignments that students see, with those who may do them.
const enrolled = live + `
	JOIN mdl_enrol e ON e.courseid = a.course
	JOIN mdl_user_enrolments ue ON ue.enrolid = e.id AND ue.status = 0
	JOIN mdl_context x ON x.contextlevel = 50 AND x.instanceid = a.course
	JOIN mdl_role_assignments ra ON ra.contextid = x.id AND ra.userid = ue.userid AND ra.roleid = 5
	JOIN mdl_user u ON u.id = ue.userid AND u.suspended = 0 AND u.deleted = 0 `

// open opens the form of an assignment, which leaves a row that says nothing.
func (a *act) open() (string, int64) {
	var assign, person int64
	if !a.pick(`SELECT a.id, ue.userid FROM`+enrolled+`WHERE cm.visible = 1 AND a.teamsubmission = 0
		AND NOT EXISTS (SELECT FROM mdl_assign_submission s WHERE s.assignment = a.id AND s.userid = ue.userid)`, nil, &assign, &person) {
		return "", 0
	}
	a.begin(assign, person, 0, 0)
	return Open, person
}

// begin inserts the row of a new attempt.
func (a *act) begin(assign, person, group, attempt int64) int64 {
	return a.id(`INSERT INTO mdl_assign_submission (assignment, userid, groupid, timecreated, timemodified, status, attemptnumber, latest)
		VALUES (@assign, @person, @group, @now, @now, 'new', @attempt, 1)`, with{"assign": assign, "person": person, "group": group, "attempt": attempt})
}

// status changes what has become of a submission.
func (a *act) status(id int64, status string) {
	a.exec(`UPDATE mdl_assign_submission SET status = @status, timemodified = @now WHERE id = @id`, with{"id": id, "status": status})
}

// write saves the text itself.
func (a *act) write(assign, submission int64) {
	text := with{"assign": assign, "submission": submission, "text": a.school.rand.Essay()}
	var id int64
	if a.ask(`SELECT id FROM mdl_assignsubmission_onlinetext WHERE submission = @submission`, text, &id) {
		a.exec(`UPDATE mdl_assignsubmission_onlinetext SET onlinetext = @text WHERE submission = @submission`, text)
		return
	}
	a.exec(`INSERT INTO mdl_assignsubmission_onlinetext (assignment, submission, onlinetext, onlineformat) VALUES (@assign, @submission, @text, 1)`, text)
}

// submit saves work: at once as handed in, or where drafts are kept first as one.
func (a *act) submit() (string, int64) {
	var id, assign, person int64
	var status string
	var drafts int
	if !a.pick(`SELECT s.id, s.assignment, s.userid, s.status, a.submissiondrafts FROM`+live+`JOIN mdl_assign_submission s ON s.assignment = a.id
		WHERE cm.visible = 1 AND a.teamsubmission = 0 AND s.userid <> 0 AND s.latest = 1 AND s.status <> 'submitted'`, nil,
		&id, &assign, &person, &status, &drafts) {
		return "", 0
	}
	if drafts == 1 && status != "draft" {
		a.write(assign, id)
		a.status(id, "draft")
		return Draft, person
	}
	if drafts == 0 {
		a.write(assign, id)
	}
	a.status(id, "submitted")
	return Submit, person
}

// saveAgain edits what is handed in: of the submission itself only the time changes.
func (a *act) saveAgain() (string, int64) {
	var id, assign, person int64
	if !a.pick(`SELECT s.id, s.assignment, s.userid FROM`+live+`JOIN mdl_assign_submission s ON s.assignment = a.id
		WHERE cm.visible = 1 AND a.teamsubmission = 0 AND a.submissiondrafts = 0 AND s.userid <> 0 AND s.latest = 1 AND s.status = 'submitted'`, nil,
		&id, &assign, &person) {
		return "", 0
	}
	a.write(assign, id)
	a.status(id, "submitted")
	return SaveAgain, person
}

// teamSubmit opens the form of a team, or hands in: the team's row, and then one for each
// member.
func (a *act) teamSubmit() (string, int64) {
	var group, assign int64
	if !a.pick(`SELECT g.id, a.id FROM`+live+`JOIN mdl_groups g ON g.courseid = a.course
		WHERE cm.visible = 1 AND a.teamsubmission = 1
		AND EXISTS (SELECT FROM mdl_groups_members m WHERE m.groupid = g.id)
		AND NOT EXISTS (SELECT FROM mdl_assign_submission s WHERE s.assignment = a.id AND s.groupid = g.id AND s.status = 'submitted')`, nil, &group, &assign) {
		return "", 0
	}
	members := a.teamMembers(group)
	if len(members) == 0 {
		return "", 0
	}
	var id int64
	if !a.ask(`SELECT id FROM mdl_assign_submission WHERE assignment = @assign AND groupid = @group AND latest = 1`, with{"assign": assign, "group": group}, &id) {
		a.begin(assign, 0, group, 0)
		a.ownRow(assign, members[0], "new")
		return Open, members[0]
	}
	a.write(assign, id)
	a.status(id, "submitted")
	for _, person := range members {
		a.ownRow(assign, person, "submitted")
	}
	return TeamSubmit, members[0]
}

// teamMembers are the students in a group.
func (a *act) teamMembers(group int64) []int64 {
	return a.many(`SELECT m.userid FROM mdl_groups_members m JOIN mdl_groups g ON g.id = m.groupid
		JOIN mdl_context x ON x.contextlevel = 50 AND x.instanceid = g.courseid
		JOIN mdl_role_assignments ra ON ra.contextid = x.id AND ra.userid = m.userid AND ra.roleid = 5 WHERE m.groupid = @group`, with{"group": group})
}

// ownRow writes a team member's own row.
func (a *act) ownRow(assign, person int64, status string) {
	var id int64
	if !a.ask(`SELECT id FROM mdl_assign_submission WHERE assignment = @assign AND userid = @person AND latest = 1`, with{"assign": assign, "person": person}, &id) {
		id = a.begin(assign, person, 0, 0)
	}
	if status != "new" {
		a.status(id, status)
	}
}
