package guess

import (
	"fmt"
	"slices"
	"strings"
)

// findGrades is the table of the marks, where submissions do not hold them.
func (d *drafter) findGrades() {
	if d.pick(d.submission, "grade.score", kindNumeric|kindText).likely() {
		return
	}
	best := 0
	for _, t := range d.tables {
		own := d.head("table.grade", t.Name)
		if own <= 0 || d.isCore(t) || !d.pick(t, "grade.score", kindNumeric|kindText).found() {
			continue
		}
		if ways := d.toGraded(t); len(ways) > 0 && own+ways[0].score > best {
			best, d.grades = own+ways[0].score, t
		}
	}
}

// toGraded is how a grade leads to what it grades: to the submission, or to the
// assignment and the student.
func (d *drafter) toGraded(t *table) []route {
	if to := d.routes(t, d.submission, "grade.submission"); len(to) > 0 && to[0].mid == nil {
		return to[:1]
	}
	to := notThrough(d.person, d.routes(t, d.assignment, "submission.assignment"))
	by := notThrough(d.assignment, d.routes(t, d.person, "submission.student"))
	if len(to) == 0 || len(by) == 0 || d.speaks("submission.student", by[0].names()) < 0 {
		return nil
	}
	return []route{to[0], by[0]}
}

func (d *drafter) gradeSection() {
	t := d.submission
	if d.grades != nil {
		t = d.grades
	}
	score, text := d.pick(t, "grade.score", kindNumeric), d.pick(t, "grade.score", kindText)
	if t == d.submission && !d.hasSubmission() {
		return
	}
	if !score.found() && !text.found() {
		d.section("# grade").lines = []string{"# No column of " + t.Name + " looks like a mark, and no other table of marks leads to it; nothing is told of grades."}
		d.ask("grade: where are the marks? Nothing is told of grades without this section")
		return
	}
	var s *section
	if d.grades != nil {
		s = d.open("grade", d.grades)
		ways := d.toGraded(t)
		if len(ways) == 1 {
			s.put("submission", d.value(ways[0]), d.whyRoute(ways[0])+" to "+d.submission.Name)
		} else {
			s.put("assignment", d.value(ways[0]), d.whyRoute(ways[0])+" to "+d.assignment.Name)
			s.put("student", d.value(ways[1]), d.whyRoute(ways[1])+" to "+d.person.Name)
		}
		if counts := d.pick(t, "grade.counts", kindBool); counts.likely() {
			s.maybe("where", "{"+scalar(counts.Name)+": true}", "if other rows are no grades")
			d.ask("grade.where: are rows of %s no grades while %s is false?", t.Name, counts.Name)
		}
	} else {
		s = d.section("grade")
		d.found = append(d.found, "grade in "+t.Name+", too")
	}
	key, c := "score", score
	if !score.likely() && text.likely() || !score.found() {
		key, c = "text", text
	}
	d.mark(s, t, key, c)
	s.unfit = !c.sure()
}

// mark writes what a grade is.
func (d *drafter) mark(s *section, t *table, key string, c choice) {
	switch {
	case c.sure():
		s.put("graded", "{"+scalar(c.Name)+": present}", d.whyColumn(c))
		s.put("again", scalar(c.Name), "another value is another grade")
		s.put(key, scalar(c.Name), "")
	default:
		d.ask("grade: is %s the mark%s?", c.Name, orNot(c.also))
		s.put("graded", "{"+scalar(c.Name)+": present}", "perhaps"+orNot(c.also))
		s.put("again", scalar(c.Name), "")
		s.put(key, scalar(c.Name), "")
	}
	if at := d.pick(t, "grade.at", kindTime); at.sure() && (t != d.submission || at.score > sureScore) {
		d.times = append(d.times, at.Column)
		s.put("at", scalar(at.Name), d.whyColumn(at))
	}
	var hidden []string
	if shown := d.pick(t, "grade.shown", kindTime|kindBool); shown.sure() {
		value := "absent"
		if kindOf(shown.Type) == kindBool {
			value = "false"
		}
		hidden = append(hidden, "{"+scalar(shown.Name)+": "+value+"}")
	}
	if kept := d.pick(t, "grade.kept", kindBool); kept.sure() {
		hidden = append(hidden, "{"+scalar(kept.Name)+": true}")
	}
	if len(hidden) == 1 {
		s.put("hidden", hidden[0], "the student is not told while it holds; by the column's name")
	} else if len(hidden) > 1 {
		s.put("hidden", "["+strings.Join(hidden, ", ")+"]", "the student is not told while one holds; by the columns' names")
	}
}

func orNot(also []string) string {
	if len(also) == 0 {
		return ""
	}
	return ", or is it " + and(some(also), "or")
}

// tutor finds who looks after a student: a column of the submission, of the student's
// profile, or of the person.
func (d *drafter) tutor(s *section) {
	student := d.toStudent[0]
	for _, r := range d.routes(d.submission, d.person, "submission.tutor") {
		if r.mid == nil && d.speaks("submission.tutor", r.columns) > 0 && !slices.Equal(r.columns, student.columns) {
			if d.role.value != "" {
				s.put("tutor", d.value(r), d.whyRoute(r))
				return
			}
			s.maybe("tutor", d.value(r), d.whyRoute(r)+"; it needs user.role")
			return
		}
	}
	if len(student.columns) != 1 {
		return
	}
	var found []string
	why := ""
	for _, t := range d.tables {
		for _, own := range t.refs {
			if own.to != d.person || len(own.columns) != 1 || d.score("user.tutor", own.columns[0]) < sureScore || t == d.submission || t == d.assignment || t == d.course {
				continue
			}
			if path, ok := d.tutorBehind(t, own.columns[0]); ok {
				found, why = append(found, path), "the student's in "+t.Name
			}
		}
	}
	switch len(found) {
	case 0:
	case 1:
		s.put("tutor", text(found[0]), why)
	default:
		s.maybe("tutor", text(found[0]), "or "+found[1]+"?")
		d.ask("submission.tutor: is it %s, or %s?", found[0], found[1])
	}
}

// tutorBehind is the path from the student to the tutor's column in a table with one row
// for each of them.
func (d *drafter) tutorBehind(t *table, column string) (string, bool) {
	student := d.toStudent[0]
	switch {
	case t == student.mid:
		return student.columns[0] + " -> " + d.step(t, t.Key[0]) + "." + column, true
	case student.mid != nil:
		return "", false
	case t == d.person:
		return student.columns[0] + " -> " + d.step(t, t.Key[0]) + "." + column, len(t.Key) == 1
	}
	for _, r := range t.refs {
		if r.to == d.person && len(r.columns) == 1 && r.columns[0] != column && t.isUnique(r.columns[0]) {
			return student.columns[0] + " -> " + d.step(t, r.columns[0]) + "." + column, true
		}
	}
	return "", false
}

// authSection finds where credentials are looked up.
func (d *drafter) authSection() {
	s := &section{name: "auth"}
	for _, t := range d.tables {
		if d.head("table.token", t.Name) < sureScore {
			continue
		}
		by := d.routes(t, d.person, "member.person")
		key := d.pick(t, "token.key", kindText)
		hashed := slices.ContainsFunc(t.Columns, func(c Column) bool { return d.score("token.hashed", c.Name) > 0 })
		switch {
		case hashed || !key.found() || len(by) == 0 || by[0].mid != nil || len(by[0].columns) != 1:
			s.note("%s seems to hold tokens, but not so that schoolbell can look them up; the LMS itself can be asked: introspect_url.", t.Name)
		case len(s.lines) > 0 && !strings.HasPrefix(strings.TrimSpace(s.lines[0]), "#"):
			d.ask("auth.token: are the tokens in %s, too?", t.Name)
		default:
			s.put("token", fmt.Sprintf("{from: %s, key: %s, user: %s}", d.table(t), scalar(key.Name), d.value(by[0])), "by its name and columns")
		}
	}
	if t := d.byName["django_session"]; t != nil && t.column("session_key") != nil && t.column("session_data") != nil && t.column("expire_date") != nil {
		s.put("session", "{kind: django, from: "+d.table(t)+", cookie: sessionid}", "Django's own table; sessionid is what its cookie is called by default")
	}
	real := slices.ContainsFunc(s.lines, func(l string) bool { return !strings.HasPrefix(strings.TrimSpace(l), "#") })
	if !real {
		s.name, s.lines = "# auth", append([]string{"# No table of tokens or sessions was found that can be read; people can sign in by JWT, by a proxy, or by asking the LMS."}, s.lines...)
	}
	d.sections = append(d.sections, s)
}
