package projection

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// An Explanation is what the shadow has of one row of the LMS.
type Explanation struct {
	Row      cdc.ID
	Readings []profile.Reading
	Beliefs  []Belief  // one for each section that reads the table, in the profile's order
	Tellings []Telling // what is told of what the row is about
}

// Belief is what one section has made of the row.
type Belief struct {
	Section string
	Known   bool // otherwise the section leaves the row out
	Facts   []Fact
}

// Fact is one thing that is believed.
type Fact struct{ Name, Text string }

// A Telling is an event that there may be about the row, and who would see it if it
// happened now.
type Telling struct {
	Kinds    []cdc.Kind
	Silent   string // why nothing is told at all; "": it is
	Audience cdc.Audience
	See      []Concerned // everybody of the audience, admins included
	Not      []Concerned // others with whom the row has to do, and why they do not
}

// Concerned is a person and why they see something, or do not.
type Concerned struct {
	Person cdc.Person // of somebody who is not known the ID alone
	As     cdc.Role   // in which they see it
	Why    []string
}

// Explain tells what the profile reads in a row, and what the shadow has of it. The table
// and the values are as they came from the log or in a snapshot.
func (p *Projection) Explain(ctx context.Context, t *cdc.Table, values []cdc.Value) (*Explanation, error) {
	if err := p.turn.take(ctx); err != nil {
		return nil, err
	}
	defer p.turn.end()
	if err := p.flush(); err != nil {
		return nil, err
	}
	b, err := p.binding(t)
	if err != nil {
		return nil, err
	}
	e := explainer{p: p, row: b.Key(values), out: &Explanation{Row: b.Key(values)}}
	e.fold.init(p) // a transaction in which nothing has happened
	e.fold.finder.begin()
	if e.out.Readings, err = p.profile.Explain(t, values, p.clock, &e.fold.finder); err != nil {
		return nil, err
	}
	if err := e.sections(b); err != nil {
		return nil, fmt.Errorf("explain row %v of %s: %w", e.row, t.Name, err)
	}
	return e.out, nil
}

// explainer is one Explanation being made.
type explainer struct {
	p    *Projection
	fold fold
	row  cdc.ID
	out  *Explanation
}

// believe adds what a section has made of the row.
func (e *explainer) believe(section string, known bool, facts ...Fact) {
	e.out.Beliefs = append(e.out.Beliefs, Belief{section, known, slices.DeleteFunc(facts, func(f Fact) bool { return f.Text == "" })})
}

// named is somebody, with their name.
func (e *explainer) named(id cdc.ID) string {
	if id.IsZero() {
		return "nobody"
	}
	person, ok := e.p.people[id]
	if !ok {
		return fmt.Sprintf("%v, who is nobody that the section user reads", id)
	}
	text := id.String()
	if name := strings.TrimSpace(person.FirstName + " " + person.LastName); name != "" {
		text += " " + name
	}
	if text += fmt.Sprintf(" (%v", person.Role); !person.Active {
		text += ", not active"
	}
	return text + ")"
}

// titled is an assignment, with its title.
func (e *explainer) titled(id cdc.ID) string {
	of, ok := e.p.assignments[id]
	if !ok {
		return fmt.Sprintf("%v, which is none that the section assignment reads", id)
	}
	return fmt.Sprintf("%v %q", id, of.title)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func idOrNothing(id cdc.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// telling adds an event that there may be. The reasons say why each person sees it, or does
// not; they and the audience come to the same in different ways.
func (e *explainer) telling(kinds []cdc.Kind, course cdc.ID, silent string, audience cdc.Audience, reasons []reason) {
	if silent == "" && e.fold.muted(course) {
		silent = fmt.Sprintf("nothing is told of course %v: it is not active", course)
	}
	t := Telling{Kinds: kinds, Silent: silent, Audience: audience}
	if audience.Admins {
		for _, person := range e.p.people {
			if isAdmin(person.Person) {
				t.See = append(t.See, Concerned{person.Person, cdc.Admin, []string{"admin"}})
			}
		}
	}
	for i := range reasons {
		reasons[i].not = cmp.Or(reasons[i].not, e.mayNot(reasons[i]))
	}
	for _, r := range reasons {
		if r.not == "" {
			t.See = e.concern(t.See, r, r.why)
		}
	}
	for _, r := range reasons {
		sees := slices.ContainsFunc(t.See, func(c Concerned) bool { return c.Person.ID == r.person })
		if r.not != "" && !sees {
			t.Not = e.concern(t.Not, r, r.why+", but "+r.not)
		}
	}
	for _, list := range [][]Concerned{t.See, t.Not} {
		slices.SortStableFunc(list, func(a, b Concerned) int {
			return cmp.Or(cmp.Compare(b.As, a.As), a.Person.ID.Compare(b.Person.ID))
		})
	}
	e.out.Tellings = append(e.out.Tellings, t)
}

// concern adds a reason to those of a person.
func (e *explainer) concern(list []Concerned, r reason, why string) []Concerned {
	for i := range list {
		if list[i].Person.ID == r.person {
			if !slices.Contains(list[i].Why, why) {
				list[i].Why = append(list[i].Why, why)
			}
			return list
		}
	}
	person := e.p.people[r.person].Person
	person.ID = r.person
	return append(list, Concerned{person, r.as, []string{why}})
}
