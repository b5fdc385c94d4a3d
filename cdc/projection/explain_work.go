package projection

import (
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

func (e *explainer) submission() error {
	t, known, err := get(&e.fold, keyThread, e.row, readThread)
	if err != nil {
		return err
	}
	of := e.p.assignments[t.assignment]
	counted := "as done"
	switch {
	case t.gone:
		counted = "nowhere, it is gone"
	case t.submitted == 0:
		counted = "as pending"
	case t.graded == 0:
		counted = "as ungraded"
	}
	hidden := ""
	if t.graded != 0 {
		hidden = yesNo(t.hidden)
	}
	e.believe("submission", known, slices.Concat([]Fact{
		{"assignment", e.titled(t.assignment)}, {"course", idOrNothing(of.course)},
	}, e.whose(t, of), []Fact{
		{"tutor", e.named(t.tutor)}, {"submitted", yesNo(t.submitted != 0)}, {"graded", yesNo(t.graded != 0)},
		{"hidden", hidden}, {"gone", yesNo(t.gone)}, {"counted", counted},
	})...)
	if !known {
		return nil
	}
	if err := e.tell(t, of, cdc.Submission); err != nil || e.p.profile.HasGradeTable() {
		return err // grades have rows of their own
	}
	return e.tell(t, of, cdc.Grade)
}

// whose says whose work it is, and whether that is told.
func (e *explainer) whose(t thread, of heading) []Fact {
	facts := []Fact{{"student", e.named(t.student)}}
	if !t.group.IsZero() {
		facts = []Fact{{"team", t.group.String()}}
		if !t.student.IsZero() {
			facts = append(facts, Fact{"student", e.named(t.student)})
		}
	}
	if of.anonymous {
		facts = append(facts, Fact{"anonymous", "yes: nobody is told whose work it is"})
	}
	return facts
}

// grade is a row of the grades' own table.
func (e *explainer) grade() error {
	g, known, err := get(&e.fold, keyGrade, e.row, readGradeRow)
	if err != nil {
		return err
	}
	row, about, err := e.fold.about(g)
	if err != nil {
		return err
	}
	of := e.p.assignments[about.assignment]
	there := "none that is there"
	if !row.IsZero() {
		there = row.String()
	}
	e.believe("grade", known, slices.Concat([]Fact{
		{"submission", there}, {"assignment", e.titled(about.assignment)}, {"course", idOrNothing(of.course)},
	}, e.whose(about, of), []Fact{
		{"tutor", e.named(about.tutor)}, {"graded", yesNo(g.given())}, {"hidden", yesNo(g.Hidden)}, {"automatic", yesNo(g.Auto)}, {"gone", yesNo(about.gone)},
	})...)
	if !known {
		return nil
	}
	return e.tell(about, of, cdc.Grade)
}

// tell adds who hears that something is handed in, or graded.
func (e *explainer) tell(t thread, of heading, kind cdc.Kind) error {
	scopes, err := e.fold.scopesOf(nil, t, of, atEnd)
	if err != nil {
		return err
	}
	reasons, err := e.ofThread(t, of)
	if err != nil {
		return err
	}
	silent, not := "", ""
	if t.gone {
		silent = "nothing is told of a submission that is gone"
	}
	switch {
	case kind == cdc.Submission:
		not = "they know that they handed it in"
	case t.hidden:
		not = "the grade is hidden from them yet"
	}
	if not != "" {
		scopes = withoutStudents(scopes)
	}
	e.telling([]cdc.Kind{kind}, of.course, silent, e.fold.audience(scopes), slices.Concat(reasons, e.student(t, not)))
	return nil
}
