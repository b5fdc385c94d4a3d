package guess

import (
	"cmp"
	"slices"
)

// core is the three tables that make an LMS, and how submissions lead to the others.
type core struct {
	person, assignment, submission *table
	toAssignment, toStudent        []route
	fit                            int
}

// Scores of tables, on top of what their names say.
const (
	scoreTelling = 3 // a column that such a table has and few others
	scoreUsual   = 1 // a column that many have
	scoreLink    = 2 // a reference that such a table has
	scorePair    = 3 // one row for each pair of what it refers to

	candidates  = 10 // tables considered for a part, the best by themselves
	enoughTable = 6  // what a table's name has to say if nothing else does
	sureTable   = 10 // what it has to say to be believed alone
	enoughCore  = 36 // below this it is no LMS
)

type scoredTable struct {
	*table
	score int
}

// best are the tables that score most by themselves.
func (w *world) best(score func(*table) int) []scoredTable {
	var out []scoredTable
	for _, t := range w.tables {
		if s := score(t); s > 0 {
			out = append(out, scoredTable{t, s})
		}
	}
	slices.SortStableFunc(out, func(a, b scoredTable) int { return cmp.Compare(b.score, a.score) })
	return out[:min(len(out), candidates)]
}

func (w *world) personScore(t *table) int {
	s := w.head("table.person", t.Name)
	if s < 0 {
		return 0
	}
	if w.pick(t, "user.email", kindText).likely() {
		s += scoreTelling
	}
	if w.pick(t, "user.password", kindText).likely() {
		s += scoreTelling
	}
	if w.pick(t, "user.name", kindText).likely() || w.pick(t, "user.last", kindText).likely() {
		s += scoreUsual
	}
	if w.pick(t, "user.role", kindWord|kindInteger).likely() {
		s += scoreUsual
	}
	return s + min(t.pointed, 6)/2
}

func (w *world) assignmentScore(t *table) int {
	s := w.head("table.assignment", t.Name)
	if s <= 0 {
		return 0
	}
	if w.pick(t, "assignment.due", kindTime|kindInteger).likely() {
		s += scoreTelling
	}
	if w.pick(t, "assignment.title", kindText).likely() {
		s += scoreUsual
	}
	return s + min(t.pointed, 2)
}

// submissionScore is below zero for what is about something else than handing in.
func (w *world) submissionScore(t *table) int {
	s := w.head("table.submission", t.Name)
	if w.head("table.aside", t.Name) > 0 && s < enoughTable {
		return -1
	}
	if w.head("table.given", t.Name) > enoughTable {
		return -1
	}
	state, graded := w.pick(t, "state", kindWord|kindInteger), w.pick(t, "grade.score", kindNumeric).likely()
	if s <= 0 && !graded && len(w.valuesIn(state, "value.submitted")) == 0 {
		return -1
	}
	if w.pick(t, "submission.submitted", kindTime|kindBool).likely() {
		s += scoreTelling
	}
	if state.likely() {
		s += scoreUsual
	}
	if w.pick(t, "submission.content", kindText|kindOther).found() {
		s += scoreUsual
	}
	if graded {
		s += scoreUsual
	}
	return s
}

// cores are the triples that fit, the best first.
func (w *world) cores() []core {
	people, work := w.best(w.personScore), w.best(w.assignmentScore)
	var out []core
	for _, s := range w.tables {
		own := w.submissionScore(s)
		if own < 0 {
			continue
		}
		for _, a := range work {
			for _, p := range people {
				// Whom an assignment leads to is not whose work it is, nor the other way round.
				to := notThrough(p.table, w.routes(s, a.table, "submission.assignment"))
				by := notThrough(a.table, w.routes(s, p.table, "submission.student"))
				if p.table == a.table || len(to) == 0 || len(by) == 0 {
					continue
				}
				c := core{person: p.table, assignment: a.table, submission: s, toAssignment: to, toStudent: by}
				c.fit = own + a.score + p.score + to[0].score + by[0].score + w.around(c)
				out = append(out, c)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b core) int { return cmp.Compare(b.fit, a.fit) })
	return out
}

// halves are people and assignments without what is handed in, where both are called so
// that there can be little doubt.
func (w *world) halves() (core, bool) {
	people, work := w.best(w.personScore), w.best(w.assignmentScore)
	if len(people) == 0 || len(work) == 0 || people[0].score < enoughTable || w.head("table.assignment", work[0].Name) < sureTable {
		return core{}, false
	}
	return core{person: people[0].table, assignment: work[0].table, submission: &table{}}, true
}

// notThrough are the ways that do not lead through a table.
func notThrough(t *table, ways []route) []route {
	return slices.DeleteFunc(ways, func(r route) bool { return r.mid == t })
}

// around is what further references say for a triple.
func (w *world) around(c core) int {
	s := 0
	if len(w.routes(c.assignment, c.person, "assignment.teacher")) > 0 {
		s += scoreLink
	}
	if slices.ContainsFunc(c.assignment.refs, func(r ref) bool { return w.head("table.course", r.to.Name) > 0 }) {
		s += scoreLink
	}
	to, by := c.toAssignment[0], c.toStudent[0]
	if to.mid == nil && by.mid == nil && c.submission.isUnique(slices.Concat(to.columns, by.columns)...) {
		s += scorePair
	}
	return s
}

// rivals are the tables that would do nearly as well in one place of the triple, the
// others being the same.
func rivals(cores []core, place func(core) *table) []string {
	const near = 10 // of a hundred
	best := cores[0]
	var out []string
	for _, c := range cores[1:] {
		same := 0
		for _, of := range []func(core) *table{theirPerson, theirAssignment, theirSubmission} {
			if of(c) == of(best) {
				same++
			}
		}
		if name := place(c).Name; same == 2 && place(c) != place(best) && !best.between(place(c)) && (best.fit-c.fit)*100 <= best.fit*near && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func theirPerson(c core) *table     { return c.person }
func theirAssignment(c core) *table { return c.assignment }
func theirSubmission(c core) *table { return c.submission }
