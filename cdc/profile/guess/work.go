package guess

import (
	"fmt"
	"slices"
	"strings"
)

func (d *drafter) assignmentSection() {
	t := d.assignment
	s := d.open("assignment", t)
	d.line(s, "title", d.pick(t, "assignment.title", kindText))
	d.line(s, "description", d.pick(t, "assignment.description", kindText))
	toCourse := d.belongs(s)
	owner := d.owner(s)
	if !toCourse && !owner {
		d.missing(s, "teacher", "whose is an assignment? Name the column of its teacher, or of its course")
	}
	if d.role.value == "" && d.members == 0 {
		d.incomplete = true
		d.ask("user.role is missing: name the column of a person's role, or tables that say who is what in a course (member)")
	}
	d.line(s, "due", d.time(t, "assignment.due"))
	if c := d.time(t, "assignment.closes"); c.found() {
		d.line(s, "closes", c)
	}
	d.states(s)
}

// belongs writes the course of an assignment. A way through another table that not
// every assignment goes is a guess.
func (d *drafter) belongs(s *section) bool {
	switch to := d.toCourse; {
	case d.course == nil:
		return false
	case to.mid != nil && d.assignment.always(to.columns) == 0:
		s.maybe("course", d.value(to), "perhaps; not every assignment goes this way")
		d.ask("assignment.course: which column is the key of its course (%s)?", d.course.Name)
		return false
	default:
		s.put("course", d.value(to), d.whyRoute(to)+" to "+d.course.Name)
		return true
	}
}

// owner writes the teacher whose assignment it is.
func (d *drafter) owner(s *section) bool {
	ways := d.routes(d.assignment, d.person, "assignment.teacher")
	ways = slices.DeleteFunc(ways, func(r route) bool {
		return d.speaks("assignment.teacher", r.names()) < 0 || d.course != nil && r.mid != nil
	})
	switch {
	case len(ways) == 0:
		return false
	case d.speaks("assignment.teacher", ways[0].names()) == 0:
		s.maybe("teacher", d.value(ways[0]), "perhaps; a reference to "+d.person.Name)
		return false
	case len(ways) > 1 && ways[0].score-ways[1].score < sureLead:
		s.maybe("teacher", d.value(ways[0]), "or "+d.value(ways[1])+"?")
		d.ask("assignment.teacher: is it %s, or %s?", d.value(ways[0]), d.value(ways[1]))
		return false
	}
	s.put("teacher", d.value(ways[0]), d.whyRoute(ways[0])+" to "+d.person.Name+"; who owns it")
	return true
}

// states finds what of an assignment's row says that it is published, and that it is
// closed.
func (d *drafter) states(s *section) {
	t := d.assignment
	state := d.pick(t, "state", kindWord|kindInteger)
	var drafts, closed, tests []string
	if state.likely() {
		drafts, closed = d.valuesLike(state.Column, "value.draft"), d.valuesLike(state.Column, "value.closed")
	}
	if shown := d.pick(t, "visible", kindBool); shown.sure() {
		tests = append(tests, scalar(shown.Name)+": true")
	}
	if hidden := d.pick(t, "invisible", kindBool); hidden.sure() {
		tests = append(tests, scalar(hidden.Name)+": false")
	}
	if len(drafts) > 0 {
		tests = append(tests, fmt.Sprintf("%s: {not: %s}", scalar(state.Name), oneOf(state.Column, drafts)))
	}
	tests = append(tests, slices.DeleteFunc(d.lives(t), func(test string) bool { return state.found() && strings.HasPrefix(test, scalar(state.Name)+":") })...)
	if len(tests) > 0 {
		s.put("published", all(tests), "nothing is told of others; by names and values")
	} else if !state.likely() || len(state.Values) > 0 {
		s.note("published: {…}: nothing says that an assignment is still a draft; each is told of once it is there")
	}
	if opens := d.pick(t, "assignment.opens", kindTime); opens.likely() {
		s.maybe("published", "{"+scalar(opens.Name)+": past}", "if nobody may know of it before that")
	}
	switch flag := d.pick(t, "closed", kindBool); {
	case len(closed) > 0:
		s.put("closed", "{"+scalar(state.Name)+": "+oneOf(state.Column, closed)+"}", "by the values of "+state.Name)
	case flag.sure():
		s.put("closed", "{"+scalar(flag.Name)+": true}", d.whyColumn(flag))
	case state.likely() && len(state.Values) == 0:
		s.maybe("published", "{"+scalar(state.Name)+": {not: …}}", "the values of "+state.Name+" are not known")
		s.maybe("closed", "{"+scalar(state.Name)+": …}", "the same")
		d.ask("assignment: which values of %s mean that it is a draft, and which that it is closed?", state.Name)
	}
}

// findGiven is the table that says who an assignment is given to.
func (d *drafter) findGiven() {
	best := 0
	for _, t := range d.tables {
		if d.isCore(t) || d.between(t) || t == d.course || t == d.grades || d.head("table.given", t.Name) < 0 || d.score("table.aside", lastWord(d.split(t.Name))) > 0 {
			continue
		}
		to, by := d.routes(t, d.assignment, "submission.assignment"), d.routes(t, d.person, "submission.student")
		if len(to) == 0 || len(by) == 0 || to[0].mid != nil || by[0].mid != nil || d.speaks("submission.student", by[0].columns) < 0 {
			continue
		}
		own := d.head("table.given", t.Name)
		if own < sureScore && !d.joins(t, slices.Concat(to[0].columns, by[0].columns)) {
			continue
		}
		if score := own + to[0].score + by[0].score; score > best {
			best, d.given = score, t
		}
	}
}

// between says whether submissions lead through the table to their assignment or student.
func (c core) between(t *table) bool {
	return c.hasSubmission() && (t == c.toAssignment[0].mid || t == c.toStudent[0].mid)
}

func (c core) hasSubmission() bool { return len(c.toAssignment) > 0 }

func (d *drafter) assignedSection() {
	if d.given == nil {
		if d.course == nil {
			d.ask("assigned: no table says who an assignment is given to; with neither that nor courses it is given to nobody")
		}
		return
	}
	s := d.open("assigned", d.given)
	to, by := d.routes(d.given, d.assignment, "submission.assignment")[0], d.routes(d.given, d.person, "submission.student")[0]
	s.put("assignment", d.value(to), d.whyRoute(to))
	s.put("student", d.value(by), d.whyRoute(by)+" to "+d.person.Name)
}

func (d *drafter) submissionSection() {
	t := d.submission
	if !d.hasSubmission() {
		d.withoutSubmission()
		return
	}
	s := d.open("submission", t)
	d.reference(s, "assignment", d.toAssignment, d.assignment)
	d.reference(s, "student", d.toStudent, d.person)
	d.tutor(s)
	var gone []string
	for _, test := range d.lives(t) {
		column, value, _ := strings.Cut(test, ": ")
		if opposite := map[string]string{"false": "true", "0": "{not: 0}", "absent": "present"}[value]; opposite != "" {
			gone = append(gone, "{"+column+": "+opposite+"}")
		}
	}
	state := d.pick(t, "state", kindWord|kindInteger)
	if values := d.valuesIn(state, "value.gone"); len(values) > 0 {
		gone = append(gone, "{"+scalar(state.Name)+": "+oneOf(state.Column, values)+"}")
	}
	switch len(gone) {
	case 0:
	case 1:
		s.put("gone", gone[0], "deleted, and may come back")
	default:
		s.put("gone", "["+strings.Join(gone, ", ")+"]", "deleted, and may come back")
	}
	d.submitted(s, state)
}

// withoutSubmission asks for the table that was not found, and names those that join
// assignments and people.
func (d *drafter) withoutSubmission() {
	var perhaps []string
	for _, t := range d.tables {
		to := notThrough(d.person, d.routes(t, d.assignment, "submission.assignment"))
		by := notThrough(d.assignment, d.routes(t, d.person, "submission.student"))
		if len(to) > 0 && len(by) > 0 && !d.isCore(t) && t != d.given && t != d.grades {
			perhaps = append(perhaps, t.Name)
		}
	}
	hint := ""
	if len(perhaps) > 0 {
		hint = " Perhaps " + and(some(perhaps), "or") + ", by what it refers to."
	}
	s := d.section("submission")
	d.missing(s, "from", "which table holds what students hand in?%s", hint)
	for _, key := range []string{"assignment", "student", "submitted"} {
		s.maybe(key, "…", "needed")
	}
	s.unfit = true
}

// reference writes a key that leads to another table; two ways that score alike are a
// question.
func (d *drafter) reference(s *section, key string, ways []route, to *table) {
	best := ways[0]
	if len(ways) > 1 && best.score-ways[1].score < sureLead && d.value(ways[1]) != d.value(best) {
		d.incomplete = true
		s.maybe(key, d.value(best), "or "+d.value(ways[1])+"?")
		d.ask("%s.%s: is it %s, or %s?", s.name, key, d.value(best), d.value(ways[1]))
		return
	}
	why := d.whyRoute(best) + " to " + to.Name
	if len(ways) > 1 {
		why += "; less likely: " + d.value(ways[1])
	}
	s.put(key, d.value(best), why)
}

// submitted says what of a row means that it was handed in: a time that is there only
// then, a flag, a state; if nothing else, that the row exists.
func (d *drafter) submitted(s *section, state choice) {
	t := d.submission
	at, flag := d.time(t, "submission.submitted"), d.pick(t, "submission.submitted", kindBool)
	drafts := d.valuesIn(state, "value.draft")
	done := append(d.valuesIn(state, "value.submitted"), d.valuesIn(state, "value.graded")...)
	switch {
	case flag.sure():
		s.put("submitted", "{"+scalar(flag.Name)+": true}", d.whyColumn(flag))
	case at.sure() && kindOf(at.Type) == kindInteger:
		s.put("submitted", "{"+scalar(at.Name)+": {min: 1}}", d.whyColumn(at))
	case at.sure() && (!at.NotNull || len(drafts) == 0):
		s.put("submitted", "{"+scalar(at.Name)+": present}", d.whyColumn(at))
	case len(done) > 0:
		s.put("submitted", "{"+scalar(state.Name)+": "+oneOf(state.Column, done)+"}", "by the values of "+state.Name)
	case at.likely() && len(at.also) > 0:
		d.incomplete = true
		s.maybe("submitted", "{"+scalar(at.Name)+": present}", "or "+and(some(at.also), "or")+"?")
		d.ask("submission.submitted: is it %s, or %s, that is there once work is handed in?", at.Name, and(some(at.also), "or"))
	case state.likely() && len(state.Values) == 0:
		d.missing(s, "submitted", "which values of %s.%s mean that work is handed in?", t.Name, state.Name)
	default:
		column := t.Key
		if at.found() {
			column = []string{at.Name}
		}
		if len(column) == 0 {
			column = d.toStudent[0].columns
		}
		s.put("submitted", "{"+scalar(column[0])+": present}", "nothing says that a row is a draft: it is there once work is handed in")
		d.ask("submission.submitted: is work handed in as soon as %s has a row for it?", t.Name)
	}
	if len(state.valuesOrNil()) > 0 {
		s.note("The values of %s: %s.", state.Name, strings.Join(some(state.Values), ", "))
	}
	again := d.pick(t, "submission.again", kindInteger)
	switch {
	case again.sure():
		s.put("again", scalar(again.Name), "another value is another hand-in; "+again.Type)
	case at.sure():
		s.put("again", scalar(at.Name), "another value is another hand-in")
	}
	if at.sure() {
		s.put("at", scalar(at.Name), "")
	} else {
		s.note("at: …: no column is surely the time of handing in; that of the commit is told")
	}
}

func (c choice) valuesOrNil() []string {
	if !c.likely() {
		return nil
	}
	return c.Values
}
