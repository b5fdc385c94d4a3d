package guess

import (
	"cmp"
	"fmt"
	"slices"
)

// lookAround finds the tables around the three.
func (d *drafter) lookAround() {
	d.findCourse()
	d.findGrades()
	d.findGiven()
}

// findCourse is the table that assignments belong to.
func (d *drafter) findCourse() {
	best := 0
	for _, t := range d.tables {
		own := d.head("table.course", t.Name)
		if own <= 0 || d.isCore(t) {
			continue
		}
		if to := d.routes(d.assignment, t, "assignment.course"); len(to) > 0 && own+to[0].score > best {
			best, d.course, d.toCourse = own+to[0].score, t, to[0]
		}
	}
}

func (d *drafter) isCore(t *table) bool {
	return t == d.person || t == d.assignment || t == d.submission
}

func (d *drafter) courseSection() {
	if d.course == nil {
		return
	}
	title := d.pick(d.course, "course.title", kindText)
	tests := d.lives(d.course)
	if !title.sure() && len(tests) == 0 {
		d.section("# course").lines = []string{fmt.Sprintf("# %s has neither a title nor a state that can be told from its columns' names.", d.course.Name)}
		return
	}
	s := d.open("course", d.course)
	d.line(s, "title", title)
	if len(tests) > 0 {
		s.put("active", all(tests), "nothing is told of others")
		return
	}
	s.note("active: {…}: no column says that a course is over; all are told of")
}

// membership is a table that says who is what in a course.
type membership struct {
	*table
	user, course string
	columns      []string // of both
	score        int
	roles        []string // lines for teacher, tutor and student
	why          string
}

// memberSection writes who is in which course.
func (d *drafter) memberSection() {
	if d.course == nil {
		return
	}
	var found []membership
	for _, t := range d.tables {
		if t != d.assignment && t != d.submission && t != d.grades && t != d.given {
			found = append(found, d.memberships(t)...)
		}
	}
	slices.SortStableFunc(found, func(a, b membership) int { return cmp.Compare(b.score, a.score) })
	if len(found) == 0 {
		d.ask("member: no table says who is in which course (%s); without it nobody is told of an assignment but its own teacher", d.course.Name)
		return
	}
	s := d.section("member")
	for _, m := range found {
		d.entry(s, m)
	}
	s.unfit = d.members == 0
}

// memberships are what a table says of people in courses: one kind of them for each
// reference to a person.
func (d *drafter) memberships(t *table) []membership {
	switch t {
	case d.course:
		var out []membership
		for _, by := range d.routes(t, d.person, "assignment.teacher") {
			if by.mid != nil || d.speaks("assignment.teacher", by.names()) <= 0 {
				continue
			}
			m := membership{table: t, user: d.value(by), course: list(t.Key), columns: by.columns, score: by.score, why: "a course's own column"}
			m.roles = d.constant(t, by, "teacher")
			out = append(out, m)
		}
		return out
	case d.person:
		to := d.routes(t, d.course, "member.course")
		if len(to) == 0 || to[0].mid != nil {
			return nil
		}
		m := membership{table: t, user: list(t.Key), course: d.value(to[0]), columns: to[0].columns, score: to[0].score, why: "a person's own column"}
		m.roles = d.kinds(t, to[0], m)
		return []membership{m}
	}
	by, to := d.routes(t, d.person, "member.person"), d.routes(t, d.course, "member.course")
	if len(by) == 0 || len(to) == 0 || to[0].mid != nil || d.head("table.grade", t.Name) >= sureScore {
		return nil
	}
	own := max(d.head("table.member", t.Name), 0)
	columns := slices.Concat(by[0].columns, to[0].columns)
	kind := d.pick(t, "member.kind", kindWord|kindInteger)
	of, _ := d.meanings(valuesOf(kind))
	if own < sureScore && len(of) == 0 && !d.joins(t, columns) || d.score("table.aside", lastWord(d.split(t.Name))) > 0 {
		return nil
	}
	m := membership{table: t, user: d.value(by[0]), course: d.value(to[0]), columns: columns, score: own + by[0].score + to[0].score}
	m.roles = d.kinds(t, by[0], m)
	return []membership{m}
}

// joins says whether a table does nothing but join others: besides its key, these
// columns and times it has at most one.
func (d *drafter) joins(t *table, columns []string) bool {
	rest := 0
	for _, c := range t.Columns {
		if !slices.Contains(columns, c.Name) && !slices.Contains(t.Key, c.Name) && kindOf(c.Type) != kindTime {
			rest++
		}
	}
	return rest <= 1
}

// kinds says who of a membership's rows is what: by a column of theirs, by how the table
// or its column is called, or by the role that the person has anyway.
func (d *drafter) kinds(t *table, by route, m membership) []string {
	if t == d.person && d.role.value != "" {
		return d.byRole("")
	}
	kind := d.pick(t, "member.kind", kindWord|kindInteger)
	if of, _ := d.meanings(valuesOf(kind)); kind.found() && len(of) > 0 {
		var out []string
		for _, role := range kinds()[:3] {
			var values []string
			for _, v := range kind.Values {
				if of[v] == role {
					values = append(values, v)
				}
			}
			if len(values) > 0 {
				out = append(out, fmt.Sprintf("%s: {%s: %s}", role, scalar(kind.Name), oneOf(kind.Column, values)))
			}
		}
		return out
	}
	if kind.likely() {
		return nil // it says so, but not to us
	}
	for _, name := range []string{by.names()[0], t.Name} {
		for _, role := range kinds()[:3] {
			if d.score("value."+role, name) > 0 {
				return d.constant(t, by, role)
			}
		}
	}
	if t != d.person && d.role.value != "" && by.mid == nil && len(by.columns) == 1 && len(d.person.Key) == 1 {
		return d.byRole(by.columns[0] + " -> " + d.step(d.person, d.person.Key[0]) + ".")
	}
	return nil
}

// constant makes everybody in a table one thing: a condition that holds for every row.
func (d *drafter) constant(t *table, by route, role string) []string {
	return []string{fmt.Sprintf("%s: {%s: present}", role, scalar(by.columns[0]))}
}

// byRole makes people in a course what they are anyway; path leads to the person's row.
func (d *drafter) byRole(path string) []string {
	var out []string
	for _, role := range kinds()[:3] {
		if values := d.valuesOfRole(role); len(values) > 0 {
			out = append(out, fmt.Sprintf("%s: {%s: %s}", role, text(path+d.role.value), oneOf(&Column{Type: "text"}, values)))
		}
	}
	return out
}

// entry writes one entry of member.
func (d *drafter) entry(s *section, m membership) {
	dash, comment := "  - ", ""
	if len(m.roles) == 0 {
		comment = "# "
		kind := d.pick(m.table, "member.kind", kindWord|kindInteger)
		if kind.found() {
			d.ask("member: which values of %s.%s mean teacher, tutor and student?", m.Name, kind.Name)
			m.roles = []string{fmt.Sprintf("teacher: {%s: …}", scalar(kind.Name))}
		} else {
			d.ask("member: what are the people of %s in their courses: teachers, tutors or students?", m.Name)
			m.roles = []string{fmt.Sprintf("student: {%s: present}", scalar(m.columns[0]))}
		}
	} else {
		d.members++
		d.found = append(d.found, "members in "+m.Name)
	}
	add := func(line, why string) {
		s.lines = append(s.lines, withComment("  "+comment+dash[2:]+line, why)...)
		dash = "    "
	}
	why := m.why
	if why == "" {
		why = d.whyTable(m.table)
	}
	add("from: "+d.table(m.table), why)
	add("user: "+m.user, "")
	add("course: "+m.course, "")
	if m.table != d.person && m.table != d.course {
		if tests := d.lives(m.table); len(tests) > 0 {
			add("where: "+all(tests), "while it counts; by the columns' names")
		}
		d.sectionOf(m, add)
	}
	for _, line := range m.roles {
		add(line, "")
	}
}

// sectionOf finds the section of a membership, and when it limits what people see.
func (d *drafter) sectionOf(m membership, add func(line, why string)) {
	var names []string
	for _, c := range m.Columns {
		if d.score("member.section", c.Name) >= sureScore && !slices.Contains(m.columns, c.Name) && kindOf(c.Type)&(kindInteger|kindUUID|kindWord) != 0 {
			names = append(names, c.Name)
		}
	}
	if len(names) != 1 {
		return
	}
	add("section: "+scalar(names[0]), "by its name")
	if c := d.pick(m.table, "member.limited", kindBool); c.sure() {
		add("own_section_only: {"+scalar(c.Name)+": true}", "by its name")
		return
	}
	d.ask("member: do tutors see the students of their own %s only? Then add own_section_only: {%s: present}", names[0], scalar(names[0]))
}
