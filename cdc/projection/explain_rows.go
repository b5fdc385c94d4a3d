package projection

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// part is a section, and of a list which entry.
type part struct {
	kind  profile.Section
	entry int
}

// sections tells what each section that reads the row's table has made of it.
func (e *explainer) sections(b *profile.Binding) error {
	for _, part := range e.parts(b) {
		var err error
		switch part.kind {
		case profile.SectionLookup:
			e.lookupRow(part.entry)
		case profile.SectionUser:
			e.user()
		case profile.SectionCourse:
			err = e.course()
		case profile.SectionMember:
			err = e.member(part.entry)
		case profile.SectionAdmin:
			err = e.admin(part.entry)
		case profile.SectionAssignment:
			err = e.assignment()
		case profile.SectionAssigned:
			err = e.assigned()
		case profile.SectionGrade:
			err = e.grade()
		case profile.SectionSubmission:
			err = e.submission()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parts are the sections that read the table, whether by themselves or together with
// lookups.
func (e *explainer) parts(b *profile.Binding) []part {
	var list []part
	add := func(is bool, kind profile.Section, entry int) {
		if is {
			list = append(list, part{kind, entry})
		}
	}
	for _, l := range b.Lookups {
		add(true, profile.SectionLookup, l.Index())
	}
	add(b.User != nil, profile.SectionUser, 0)
	add(b.Course != nil, profile.SectionCourse, 0)
	for _, m := range b.Members {
		add(true, profile.SectionMember, m.Index())
	}
	for _, a := range b.Admins {
		add(true, profile.SectionAdmin, a.Index())
	}
	add(b.Assignment != nil, profile.SectionAssignment, 0)
	add(b.Assigned != nil, profile.SectionAssigned, 0)
	add(b.Grade != nil && b.Submission == nil, profile.SectionGrade, 0)
	add(b.Submission != nil, profile.SectionSubmission, 0)
	for _, f := range b.Feeds {
		kind, entry := e.p.derived[f.Index()].Section()
		add(true, kind, entry)
	}
	slices.SortStableFunc(list, func(a, b part) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.entry, b.entry)) })
	return list
}

func (e *explainer) lookupRow(index int) {
	record, known := e.p.lookup(index).rows[e.row]
	var facts []Fact
	if known {
		keys := record.Keys()
		for _, key := range keys[:min(len(keys), 5)] {
			facts = append(facts, Fact{"found under", key.String()})
		}
		if tutors, column, ok := e.p.profile.TutorPath(); ok && tutors == index && len(keys) > 0 {
			facts = append(facts, Fact{"student", e.named(keys[0])}, Fact{"tutor", e.named(record.ID(column))})
		}
	}
	e.believe(e.p.profile.LookupName(index), known, facts...)
}

func (e *explainer) user() {
	person, known := e.p.people[e.row]
	s := e.p.standings[e.row]
	var by []string
	count := func(n int32, what string) {
		if n > 0 {
			by = append(by, fmt.Sprintf("%s by %d rows", what, n))
		}
	}
	count(s.admin, "admin")
	if e.p.profile.HasRole() {
		by = append(by, fmt.Sprintf("%v by their own row", person.own))
	} else {
		count(s.teacher, "teacher")
		count(s.tutor, "tutor")
		count(s.student, "student")
	}
	if by == nil {
		by = []string{"no row makes them anything"}
	}
	facts := []Fact{
		{"name", strings.TrimSpace(person.FirstName + " " + person.LastName)}, {"email", person.Email},
		{"active", yesNo(person.Active)}, {"role", fmt.Sprintf("%v: %s", person.Role, strings.Join(by, ", "))},
	}
	if person.Role != cdc.NoRole {
		facts = append(facts, Fact{"counts", countsText(e.p.counts[e.p.scopeOf(person.Role, e.row)])})
	}
	e.believe("user", known, append(facts, e.courses()...)...)
}

// courses are those of whose staff the person is.
func (e *explainer) courses() []Fact {
	var facts []Fact
	for course, rows := range e.p.staff {
		for id, list := range rows {
			for _, m := range list {
				if m.User != e.row {
					continue
				}
				text := fmt.Sprintf("%s of course %v by %s", staffWords(m), course, e.entry("member", id))
				if m.OwnSection {
					text += ", limited to section " + m.Section.String()
				}
				facts = append(facts, Fact{"staff", text})
			}
		}
	}
	slices.SortFunc(facts, func(a, b Fact) int { return strings.Compare(a.Text, b.Text) })
	return facts
}

// staffWords say what a row makes somebody.
func staffWords(m member) string {
	var words []string
	for _, w := range []struct {
		is   bool
		word string
	}{{m.Teacher, "teacher"}, {m.Tutor, "tutor"}, {m.Student, "student"}} {
		if w.is {
			words = append(words, w.word)
		}
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, " and ")
}

func countsText(c cdc.Counts) string {
	return fmt.Sprintf("%d pending, %d ungraded, %d active students, %d assignments",
		c.PendingSubmissions, c.UngradedSubmissions, c.ActiveStudents, c.TotalAssignments)
}

func (e *explainer) course() error {
	row, known, err := get(&e.fold, keyCourse, e.row, readCourse)
	if err != nil {
		return err
	}
	facts := []Fact{{"active", yesNo(row.active)}, {"assignments", fmt.Sprint(len(e.p.assignmentsOf[e.row]))}}
	for _, id := range e.staffRows(e.row) {
		for _, m := range e.p.staff[e.row][id] {
			facts = append(facts, Fact{"staff", fmt.Sprintf("%s is %s by %s", e.named(m.User), staffWords(m), e.entry("member", id))})
		}
	}
	e.believe("course", known, facts...)
	return nil
}

func (e *explainer) member(entry int) error {
	row, known, err := e.fold.member(entry).load(e.row)
	if err != nil {
		return err
	}
	var facts []Fact
	for _, m := range row.read() {
		facts = append(facts, Fact{"user", e.named(m.User)}, Fact{"course", idOrNothing(m.Course)}, Fact{"section", idOrNothing(m.Section)}, Fact{"is", staffWords(m)})
		if isStaff(m) {
			facts = append(facts, Fact{"own section only", yesNo(m.OwnSection)})
		}
	}
	e.believe(entryName("member", entry, e.p.profile.Members()), known, facts...)
	return nil
}

func (e *explainer) admin(entry int) error {
	row, known, err := e.fold.admin(entry).load(e.row)
	if err != nil {
		return err
	}
	var facts []Fact
	for _, id := range row.list() {
		facts = append(facts, Fact{"admin", e.named(id)})
	}
	e.believe(entryName("admin", entry, e.p.profile.Admins()), known, facts...)
	return nil
}

func (e *explainer) assignment() error {
	a, known, err := get(&e.fold, keyAssignment, e.row, readAssignment)
	if err != nil {
		return err
	}
	closed := "no"
	switch {
	case a.Closed:
		closed = "yes, the row says so"
	case a.expired:
		closed = "yes, its moment has passed"
	}
	e.believe("assignment", known,
		Fact{"title", a.Title}, Fact{"course", idOrNothing(a.Course)}, Fact{"teacher", e.named(a.Teacher)},
		Fact{"published", yesNo(a.Published)}, Fact{"closed", closed}, Fact{"open", yesNo(a.open())},
		Fact{"due", momentText(a.Due)}, Fact{"closes", momentText(a.Closes)})
	if !known {
		return nil
	}
	return e.tellAssignment(e.row, a)
}

func momentText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// tellAssignment adds who hears that an assignment is created or closes.
func (e *explainer) tellAssignment(id cdc.ID, a assignment) error {
	of := a.heading()
	reached, err := e.p.reached(id)
	if err != nil {
		return err
	}
	audience, err := e.fold.concerned(of, reached)
	if err != nil {
		return err
	}
	reasons, err := e.ofAssignment(id, of)
	if err != nil {
		return err
	}
	silent := ""
	if !a.created {
		silent = "it is not published, and has not been"
	}
	e.telling([]cdc.Kind{cdc.Assignment, cdc.AssignmentClosed}, of.course, silent, audience, reasons)
	return nil
}

func (e *explainer) assigned() error {
	g, known, err := get(&e.fold, keyGiven, e.row, readGiven)
	if err != nil {
		return err
	}
	e.believe("assigned", known, Fact{"assignment", e.titled(g.assignment)}, Fact{"student", e.named(g.student)}, Fact{"tutor", e.named(e.fold.tutor(g.student))})
	a, there, err := get(&e.fold, keyAssignment, g.assignment, readAssignment)
	if err != nil || !there || !known {
		return err
	}
	return e.tellAssignment(g.assignment, a)
}
