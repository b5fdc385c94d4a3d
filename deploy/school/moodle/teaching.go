package moodle

// live are the assignments that are not on their way out, with their rows of the page.
const live = ` mdl_assign a JOIN mdl_course_modules cm ON cm.module = 1 AND cm.instance = a.id AND cm.deletioninprogress = 0 `

// createOrDelete makes an assignment, or where there are enough deletes one in the page,
// which is a mark for cron.
func (a *act) createOrDelete() (string, int64) {
	var n int
	a.ask(`SELECT count(*) FROM`+live, nil, &n)
	if n < a.school.target {
		return a.create()
	}
	var module, course int64
	if !a.pick(`SELECT cm.id, a.course FROM`+live, nil, &module, &course) {
		return "", 0
	}
	a.exec(`UPDATE mdl_course_modules SET deletioninprogress = 1 WHERE id = @module`, with{"module": module})
	a.rebuild(course)
	return Delete, a.teacherOf(course)
}

// create makes an assignment: what says of which kind an activity is comes first.
func (a *act) create() (string, int64) {
	s := a.school
	c := &s.courses[s.rand.IntN(len(s.courses))]
	x := newAssignment(s.rand, s.rand.IntN(12), a.now)
	a.together(func() {
		module := a.module(c, x.visible, x.separateMode)
		id := a.id(`INSERT INTO mdl_assign (course, name, intro, duedate, cutoffdate, grade, timemodified, submissiondrafts, teamsubmission,
				blindmarking, markingworkflow, attemptreopenmethod, allowsubmissionsfromdate)
			VALUES (@course, @name, @intro, @due, @cutoff, @grade, @now, @drafts, @team, @anonymous, @workflow, @reopen, @now)`,
			with{"course": c.id, "name": x.name, "intro": x.intro, "due": x.due, "cutoff": x.cutOff, "grade": x.grade, "drafts": x.drafts,
				"team": x.team, "anonymous": x.anonymous, "workflow": x.workflow, "reopen": x.reopen})
		a.exec(`UPDATE mdl_course_modules SET instance = @id WHERE id = @module`, with{"id": id, "module": module})
		a.item(id)
	})
	a.rebuild(c.id)
	return SetUp, c.teacher
}

// module adds an activity to a course's page, with its context, before it is known what of.
func (a *act) module(c *course, visible, groupMode int) int64 {
	module := a.id(`INSERT INTO mdl_course_modules (course, module, instance, section, added, visible, visibleold, groupmode)
		VALUES (@course, 1, 0, 1, @now, @visible, @visible, @mode)`, with{"course": c.id, "visible": visible, "mode": groupMode})
	context := a.id(`INSERT INTO mdl_context (contextlevel, instanceid) VALUES (70, @module)`, with{"module": module})
	a.exec(`UPDATE mdl_context SET path = @path::text || '/' || id, depth = 4 WHERE id = @context`, with{"path": c.path, "context": context})
	return module
}

// item adds an assignment to the gradebook.
func (a *act) item(id int64) {
	a.exec(`INSERT INTO mdl_grade_items (courseid, itemname, itemtype, itemmodule, iteminstance, itemnumber, grademax, timecreated, timemodified)
		SELECT course, name, 'mod', 'assign', id, 0, greatest(grade, 5), @now, @now FROM mdl_assign WHERE id = @id`, with{"id": id})
}

// rebuild is what follows every change of a course's page.
func (a *act) rebuild(course int64) {
	a.exec(`UPDATE mdl_course SET cacherev = greatest(cacherev + 1, @now) WHERE id = @course`, with{"course": course})
}

// duplicate copies an assignment. It is no transaction: the copy has the name of the
// original first.
func (a *act) duplicate() (string, int64) {
	var original, course int64
	var visible, mode, n int
	a.ask(`SELECT count(*) FROM`+live, nil, &n)
	if n >= a.school.target || !a.pick(`SELECT a.id, a.course, cm.visible, cm.groupmode FROM`+live, nil, &original, &course, &visible, &mode) {
		return "", 0
	}
	c := a.courseOf(course)
	module := a.module(c, visible, mode)
	id := a.id(`INSERT INTO mdl_assign (course, name, intro, duedate, cutoffdate, grade, timemodified, submissiondrafts, teamsubmission,
			blindmarking, markingworkflow, attemptreopenmethod, allowsubmissionsfromdate)
		SELECT course, name, intro, duedate, cutoffdate, grade, @now, submissiondrafts, teamsubmission, blindmarking, markingworkflow,
			attemptreopenmethod, allowsubmissionsfromdate FROM mdl_assign WHERE id = @original`, with{"original": original})
	a.exec(`UPDATE mdl_course_modules SET instance = @id WHERE id = @module`, with{"id": id, "module": module})
	a.item(id)
	a.exec(`UPDATE mdl_assign SET name = left(name, 240) || ' (copy)' WHERE id = @id`, with{"id": id})
	a.rebuild(course)
	return Duplicate, c.teacher
}

// hideOrShow hides an assignment from students, or shows a hidden one again.
func (a *act) hideOrShow() (string, int64) {
	visible, kind := 1, Hide
	if a.school.rand.IntN(2) == 0 {
		visible, kind = 0, Show
	}
	var module, course int64
	if !a.pick(`SELECT cm.id, a.course FROM`+live+`WHERE cm.visible = @visible`, with{"visible": visible}, &module, &course) {
		return "", 0
	}
	a.exec(`UPDATE mdl_course_modules SET visibleold = @other, visible = @other WHERE id = @module`, with{"other": 1 - visible, "module": module})
	a.rebuild(course)
	return kind, a.teacherOf(course)
}

// cutOffOrExtend ends hand-in in three seconds, or lets it go on for a week.
func (a *act) cutOffOrExtend() (string, int64) {
	var id, course int64
	if !a.pick(`SELECT a.id, a.course FROM`+live+`WHERE cm.visible = 1`, nil, &id, &course) {
		return "", 0
	}
	kind, until := CutOff, a.now+3
	if a.school.rand.IntN(2) == 0 {
		kind, until = Extend, a.now+7*day
	}
	a.exec(`UPDATE mdl_assign SET cutoffdate = @until, timemodified = @now WHERE id = @id`, with{"until": until, "id": id})
	return kind, a.teacherOf(course)
}

// groupMode has an assignment done in separate groups, or no longer.
func (a *act) groupMode() (string, int64) {
	var module, course int64
	if !a.pick(`SELECT cm.id, a.course FROM`+live, nil, &module, &course) {
		return "", 0
	}
	a.exec(`UPDATE mdl_course_modules SET groupmode = 1 - groupmode WHERE id = @module`, with{"module": module})
	a.rebuild(course)
	return GroupMode, a.teacherOf(course)
}

// cron deletes what was deleted in the page.
func (a *act) cron() (string, int64) {
	var module, id, course int64
	if !a.pick(`SELECT id, instance, course FROM mdl_course_modules WHERE module = 1 AND deletioninprogress = 1`, nil, &module, &id, &course) {
		return "", 0
	}
	of := with{"id": id, "module": module}
	a.exec(`DELETE FROM mdl_assignsubmission_onlinetext WHERE assignment = @id`, of)
	a.exec(`DELETE FROM mdl_assign_submission WHERE assignment = @id`, of)
	a.exec(`DELETE FROM mdl_assign_grades WHERE assignment = @id`, of)
	a.exec(`DELETE FROM mdl_assign_user_flags WHERE assignment = @id`, of)
	a.exec(`DELETE FROM mdl_grade_grades WHERE itemid IN (SELECT id FROM mdl_grade_items WHERE itemmodule = 'assign' AND iteminstance = @id)`, of)
	a.exec(`DELETE FROM mdl_grade_items WHERE itemmodule = 'assign' AND iteminstance = @id`, of)
	a.exec(`DELETE FROM mdl_assign WHERE id = @id`, of)
	a.exec(`DELETE FROM mdl_context WHERE contextlevel = 70 AND instanceid = @module`, of)
	a.exec(`DELETE FROM mdl_course_modules WHERE id = @module`, of)
	a.rebuild(course)
	return Cron, a.teacherOf(course)
}

func (a *act) courseOf(id int64) *course {
	for i := range a.school.courses {
		if c := &a.school.courses[i]; c.id == id {
			return c
		}
	}
	return &a.school.courses[0]
}

func (a *act) teacherOf(course int64) int64 { return a.courseOf(course).teacher }
