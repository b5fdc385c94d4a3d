package guess

import (
	"fmt"
	"slices"
	"strings"
)

// roles is where it stands who is a teacher, a tutor, a student, an admin.
type roles struct {
	value string            // of user.role; "": nowhere
	of    map[string]string // a value of it, and the role that it means; nil: not known
}

// kinds are the roles with the topics of their values.
func kinds() []string {
	return []string{"teacher", "tutor", "student", "admin"}
}

// meanings says of each value which role it means; what means none is left out. Who sees
// everything is told by the word alone: "admin", but not "admin of nothing".
func (d *drafter) meanings(values []string) (of map[string]string, others []string) {
	of = map[string]string{}
	for _, v := range values {
		best := 0
		for _, k := range kinds() {
			if s := d.score("value."+k, v); s > best && (k != "admin" || s > sureTable) {
				best, of[v] = s, k
			}
		}
		if best == 0 {
			others = append(others, v)
		}
	}
	return of, others
}

func (d *drafter) user() {
	s := d.open("user", d.person)
	d.names(s)
	d.line(s, "email", d.pick(d.person, "user.email", kindText))
	if tests := d.lives(d.person); len(tests) > 0 {
		s.put("active", all(tests), "while somebody has access; by the columns' names")
	} else {
		s.note("active: {…}: no column says that somebody has no access any more; everybody has")
	}
	d.roles(s)
}

func (d *drafter) names(s *section) {
	first, last := d.pick(d.person, "user.first", kindText), d.pick(d.person, "user.last", kindText)
	whole := d.pick(d.person, "user.name", kindText)
	switch {
	case first.likely() && last.likely():
		d.need(s, "first", first)
		d.need(s, "last", last)
	case whole.found():
		if whole.score < sureScore {
			d.ask("user.name: nothing is called like a person's name; is %s what to show?", whole.Name)
			s.put("name", scalar(whole.Name), "the nearest there is; "+whole.Type)
			return
		}
		d.need(s, "name", whole)
	case last.likely():
		d.need(s, "name", last)
	default:
		d.missing(s, "name", "which column of %s is a person's name?", d.person.Name)
	}
}

// need writes a key that the profile cannot do without.
func (d *drafter) need(s *section, key string, c choice) {
	if !d.line(s, key, c) {
		d.incomplete = true
	}
}

// lives are the tests that hold while a row counts: not deleted, not disabled, active.
func (d *drafter) lives(t *table) []string {
	var out []string
	for i := range t.Columns {
		c := &t.Columns[i]
		if t.leadsAway(c.Name) {
			continue
		}
		value := map[kind]string{kindBool: "false", kindInteger: "0", kindTime: "absent"}[kindOf(c.Type)]
		off := d.score("off", c.Name)
		if t == d.person {
			off = max(off, d.score("off.person", c.Name))
		}
		if value != "" && off >= sureScore {
			out = append(out, scalar(c.Name)+": "+value)
		}
	}
	if c := d.pick(t, "on", kindBool|kindInteger); c.sure() {
		value := "true"
		if kindOf(c.Type) == kindInteger {
			value = "1"
		}
		out = append(out, scalar(c.Name)+": "+value)
	}
	if c := d.pick(t, "state", kindWord|kindInteger); c.likely() {
		if values := d.valuesLike(c.Column, "value.active"); len(values) > 0 {
			out = append(out, scalar(c.Name)+": "+oneOf(c.Column, values))
		}
	}
	return out
}

// roles finds the column of a person's role, or a table of roles behind one.
func (d *drafter) roles(s *section) {
	if c := d.pick(d.person, "user.role", kindWord|kindInteger); c.found() {
		of, others := d.meanings(c.Values)
		switch {
		case len(of) >= 2 && c.likely(), len(of) >= 2 && slices.Contains(meant(of), "student"):
			d.putRole(s, c.Name, d.whyColumn(c), c.Column, of, others)
			return
		case len(c.Values) == 0 && c.sure() && kindOf(c.Type)&kindWord != 0 && c.score > sureScore:
			s.put("role", scalar(c.Name), d.whyColumn(c)+"; its values are not known")
			d.ask("user.role: are the values of %s called %s? If not, map them: roles: {VALUE: teacher, …}", c.Name, and(kinds(), "and"))
			d.role = roles{value: c.Name}
			return
		case len(of) == 0 && len(c.Values) > 0:
			s.maybe("role", scalar(c.Name), "none of its values is a role that is known: "+strings.Join(some(others), ", "))
			return
		}
		s.maybe("role", scalar(c.Name), "perhaps; what do its values mean? roles: {VALUE: teacher, …}")
		return
	}
	for _, r := range d.person.refs {
		if len(r.columns) != 1 || d.head("table.role", r.to.Name) < sureScore || len(r.to.Key) != 1 {
			continue
		}
		name := d.pick(r.to, "course.title", kindWord)
		if of, others := d.meanings(valuesOf(name)); len(of) >= 2 {
			path := r.columns[0] + " -> " + d.step(r.to, r.to.Key[0]) + "." + name.Name
			d.putRole(s, path, "the name of the row of "+r.to.Name, name.Column, of, others)
			return
		}
		s.maybe("role", r.columns[0]+" -> "+r.to.Name+".…", "a reference to "+r.to.Name+"; what do its rows mean?")
		return
	}
	s.note("role: no column says who is a teacher and who a student")
}

func valuesOf(c choice) []string {
	if !c.found() {
		return nil
	}
	return c.Values
}

func meant(of map[string]string) []string {
	var out []string
	for _, role := range of {
		out = append(out, role)
	}
	return out
}

// putRole writes the role and, where its values are not the roles' own names, what they
// mean.
func (d *drafter) putRole(s *section, value, why string, c *Column, of map[string]string, others []string) {
	d.role = roles{value: value, of: of}
	s.put("role", text(value), why)
	var pairs []string
	own := true
	for _, v := range c.Values {
		if role, ok := of[v]; ok {
			pairs = append(pairs, scalar(v)+": "+role)
			own = own && v == role
		}
	}
	if !own {
		s.put("roles", all(pairs), "as its values are called")
	}
	if len(others) > 0 {
		s.note("These values mean no role: %s. Whoever has one of them can not connect.", strings.Join(some(others), ", "))
	}
}

// valuesOfRole are the values of user.role that mean a role; its own name if none are
// known.
func (d *drafter) valuesOfRole(role string) []string {
	if d.role.of == nil {
		return []string{role}
	}
	var out []string
	for v, r := range d.role.of {
		if r == role {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// adminSection says who sees everything, where that is no role.
func (d *drafter) adminSection() {
	known := d.role.value != "" && len(d.valuesOfRole("admin")) > 0
	flag := d.pick(d.person, "flag.admin", kindBool)
	entry := ""
	if flag.likely() {
		entry = fmt.Sprintf("[{from: %s, user: %s, where: {%s: true}}]", d.table(d.person), list(d.person.Key), scalar(flag.Name))
	}
	switch {
	case known && flag.likely():
		d.section("# admin").lines = []string{
			fmt.Sprintf("# %s of %s says who is an admin besides, or of something else. To have them see everything:", flag.Name, d.person.Name),
			"# admin: " + entry,
		}
	case known:
	case entry != "" && len(d.person.Key) == 1:
		d.page.sections = append(d.page.sections, &section{name: "# They see everything; by the column's name:\nadmin: " + entry})
		d.found = append(d.found, "admins in "+d.person.Name)
	default:
		d.staff()
	}
}

// staff looks for a table of admins.
func (d *drafter) staff() {
	for _, t := range d.tables {
		score := d.head("table.staff", t.Name)
		if score < sureScore || t == d.person {
			continue
		}
		by := d.routes(t, d.person, "member.person")
		if len(by) == 0 {
			continue
		}
		where := ""
		if flag := d.pick(t, "flag.admin", kindBool); flag.likely() {
			where = fmt.Sprintf(", where: {%s: true}", scalar(flag.Name))
		}
		entry := fmt.Sprintf("[{from: %s, user: %s%s}]", d.table(t), d.value(by[0]), where)
		if where != "" || score >= sureTable {
			d.page.sections = append(d.page.sections, &section{name: "# They see everything; by the table's name:\nadmin: " + entry})
			return
		}
		d.ask("admin: does everybody in %s see everything? Then write admin: %s", t.Name, entry)
		return
	}
	d.ask("admin: nothing says who sees everything; if somebody does, write admin: [{from: TABLE, user: COLUMN}]")
}
