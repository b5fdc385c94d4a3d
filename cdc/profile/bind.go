package profile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// Binding reads the rows of one table: the columns of the profile, found in the
// table as the log describes it. A section that is nil does not concern the table;
// several may concern one.
type Binding struct {
	Table      *cdc.Table
	Lookups    []*LookupRow
	User       *UserRow
	Course     *CourseRow
	Members    []*MemberRow
	Admins     []*AdminRow
	Assignment *AssignmentRow
	Assigned   *AssignedRow
	Submission *SubmissionRow
	Grade      *GradeRow // by itself where grades have a table of their own; otherwise of the submission's row
	Feeds      []*Feed   // derived sections that the rows feed; these are nil above

	identity identity
}

// Key is the identity of a row: its replica identity, several columns joined with
// ":". Where that is not the primary key, which is then part of it, a row is known by
// the column id, if it has one: with identity full, where every column is part of it,
// and with another index, like that of an LMS which puts a tenant before the id.
// Others refer to the row by its id, and that stays what it is when the tenant changes.
func (b *Binding) Key(row []cdc.Value) cdc.ID { return b.identity.id(row) }

// Bind finds the profile's columns in a table. A table that the profile does not
// map gives an empty Binding. The error joins everything wrong, each with its
// remedy; a missing column is a *MissingColumnError.
func (p *Profile) Bind(t *cdc.Table) (*Binding, error) {
	out := &Binding{Table: t}
	b := binder{p: p, t: t, out: out}
	if t.Schema != p.schema || !slices.ContainsFunc(p.tables, func(s cdc.TableSpec) bool { return s.Name == t.Name }) {
		return out, nil
	}
	b.identity()
	for i := range p.lookups {
		if l := &p.lookups[i]; l.table == t.Name && !l.derived() {
			out.Lookups = append(out.Lookups, b.lookup(i, l))
		}
	}
	b.people()
	b.works()
	b.feeds()
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return out, nil
}

// binder finds columns in a table of the log, or in the row of a derived section, of
// which the columns are what its paths found.
type binder struct {
	p       *Profile
	t       *cdc.Table
	out     *Binding
	missing []string
	errs    []error
}

// reads reports whether the table is the section's, and its rows alone say what it
// means.
func (b *binder) reads(s *source) bool { return s.table == b.t.Name && !s.derived() }

func (b *binder) wrong(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf("table %s.%s: "+format, append([]any{b.t.Schema, b.t.Name}, args...)...))
}

// identity finds the columns of Binding.Key.
func (b *binder) identity() {
	var key identity
	isID := func(c cdc.Column) bool { return c.Name == "id" && c.Key }
	byID := b.t.Identity == cdc.IdentityFull || b.t.Identity == cdc.IdentityIndex && slices.ContainsFunc(b.t.Columns, isID)
	for i, c := range b.t.Columns {
		switch {
		case byID && c.Name != "id":
		case b.t.Identity == cdc.IdentityFull, c.Key:
			key = append(key, column{index: i, typ: c.Type, class: classOf(c.Type)})
		}
	}
	switch {
	case len(key) > 0:
	case b.t.Identity == cdc.IdentityFull:
		b.wrong(`its replica identity is full and it has no column "id" to know a row by; give it a primary key and ` +
			"ALTER TABLE … REPLICA IDENTITY DEFAULT")
	default:
		b.wrong("it has no replica identity to know a row by; give it a primary key")
	}
	b.out.identity = key
}

// column finds a column by name; "" is one that the profile does not name.
func (b *binder) column(name string) column {
	if name == "" {
		return column{index: unnamed}
	}
	for i, c := range b.t.Columns {
		if c.Name == name {
			return column{index: i, typ: c.Type, class: classOf(c.Type)}
		}
	}
	if !slices.Contains(b.missing, name) {
		b.missing = append(b.missing, name)
		have := make([]string, len(b.t.Columns))
		for i, c := range b.t.Columns {
			have[i] = c.Name
		}
		e := b.p.missing(b.t.Schema, b.t.Name, name, have)
		e.InLog = true
		b.errs = append(b.errs, e)
	}
	return column{index: unnamed}
}

func (b *binder) columns(names []string) []column {
	out := make([]column, len(names))
	for i, name := range names {
		out[i] = b.column(name)
	}
	return out
}

// key finds the columns of a key; none of them is left out unnoticed, for then
// nothing is bound.
func (b *binder) key(names []string) identity {
	return slices.DeleteFunc(b.columns(names), func(c column) bool { return !c.named() })
}

func (b *binder) condition(c condition) clauses {
	if c == nil {
		return nil
	}
	out := make(clauses, 0, len(c))
	for _, all := range c {
		var bound []clause
		for _, t := range all {
			col := b.column(t.column)
			if !col.named() {
				continue
			}
			if t.test.timed() {
				b.moment(t.label, t.column)
				col, t.test = b.column(timeSlot(t.column, t.test.op)), t.test.came()
			}
			one, err := t.bind(col.index, col.typ)
			if err != nil {
				b.wrong("%w", err)
			}
			bound = append(bound, one)
		}
		out = append(out, bound)
	}
	return out
}

// moment finds a column that holds a time.
func (b *binder) moment(key, name string) column {
	c := b.column(name)
	switch {
	case !c.named():
	case isInteger(c.typ) && !b.p.times.unix:
		b.wrong("%s is column %q, an integer; if it counts seconds since 1970 the profile needs the line times: unix", key, name)
	case c.class != classTime && c.class != classOther && !isInteger(c.typ):
		b.wrong("%s is column %q, which is %s; name a column of type timestamptz, timestamp or date", key, name, c.class)
	}
	return c
}

func (b *binder) lookup(i int, l *lookupSpec) *LookupRow {
	row := &LookupRow{
		index: i, where: b.condition(l.where), key: b.key(l.key), values: b.columns(l.values),
		first: b.column(l.first), split: []byte(l.split),
	}
	if c := row.key; l.split != "" && len(c) == 1 && c[0].class != classText && c[0].class != classOther {
		b.wrong("%s.split takes column %q apart, which is %s and holds one id; leave split out", l.name, l.key[0], c[0].class)
	}
	return row
}

// people binds what the table says of people and of courses, and of who belongs to them.
func (b *binder) people() {
	if b.reads(&b.p.user.source) {
		b.out.User = b.user(b.p.user)
	}
	if c := b.p.course; c != nil && b.reads(&c.source) {
		b.out.Course = b.course(c)
	}
	for i := range b.p.members {
		if m := &b.p.members[i]; b.reads(&m.source) {
			b.out.Members = append(b.out.Members, b.member(i, m))
		}
	}
	for i := range b.p.admins {
		if a := &b.p.admins[i]; b.reads(&a.source) {
			b.out.Admins = append(b.out.Admins, b.admin(i, a))
		}
	}
}

// works binds what the table says of assignments and of work.
func (b *binder) works() {
	if b.reads(&b.p.assign.source) {
		b.out.Assignment = b.assignment(b.p.assign)
	}
	if g := b.p.given; g != nil && g.table == b.t.Name {
		b.out.Assigned = &AssignedRow{assignment: b.column(g.assignment), student: b.column(g.student)}
	}
	if b.reads(&b.p.submit.source) {
		b.out.Submission = b.submission(b.p.submit)
	}
	if g := b.p.grade; g != nil && b.reads(&g.source) {
		b.out.Grade = b.grade(g)
	}
}

func (b *binder) user(u userSpec) *UserRow {
	first := u.first
	if u.name != "" {
		first = u.name
	}
	return &UserRow{
		identity: b.out.identity,
		where:    b.condition(u.where),
		first:    b.column(first),
		last:     b.column(u.last),
		email:    b.column(u.email),
		role:     b.column(u.role),
		roles:    u.roles,
		active:   b.condition(u.active),
	}
}

func (b *binder) course(c *courseSpec) *CourseRow {
	return &CourseRow{title: b.column(c.title), active: b.condition(c.active)}
}

func (b *binder) member(i int, m *memberSpec) *MemberRow {
	return &MemberRow{
		index: i,
		where: b.condition(m.where),
		user:  b.key(m.user), course: b.key(m.course), section: b.key(m.section),
		ownSection: b.ifSaid(m.ownSection),
		teacher:    b.ifSaid(m.teacher), tutor: b.ifSaid(m.tutor), student: b.ifSaid(m.student),
	}
}

func (b *binder) admin(i int, a *adminSpec) *AdminRow {
	user := b.key(a.user)
	if a.split != "" && len(user) == 1 && user[0].class != classText && user[0].class != classOther {
		b.wrong("%s.split takes column %q apart, which is %s and holds one id; leave split out", a.name, a.user[0], user[0].class)
	}
	return &AdminRow{index: i, where: b.condition(a.where), user: user, split: []byte(a.split)}
}

// ifSaid binds a condition that never holds where the profile does not name it.
func (b *binder) ifSaid(c condition) clauses {
	if c == nil {
		return clauses{}
	}
	return b.condition(c)
}

func (b *binder) assignment(a assignmentSpec) *AssignmentRow {
	return &AssignmentRow{
		where:       b.condition(a.where),
		title:       b.column(a.title),
		description: b.column(a.description),
		course:      b.key(a.course),
		teacher:     b.key(a.teacher),
		published:   b.condition(a.published),
		closed:      b.condition(a.closed),
		hasClosed:   a.closed != nil,
		due:         b.moment("assignment.due", a.due),
		closes:      b.moment("assignment.closes", a.closes),
		bySection:   b.condition(a.bySection),
		anonymous:   b.ifSaid(a.anonymous),
		gone:        b.ifSaid(a.gone),
		times:       b.p.times,
	}
}

func (b *binder) submission(s submissionSpec) *SubmissionRow {
	b.moment("submission.at", s.at) // nothing reads it, but what the file says must be so
	return &SubmissionRow{
		where:      b.condition(s.where),
		assignment: b.key(s.assignment),
		student:    b.key(s.student),
		tutor:      b.key(s.tutor),
		group:      b.key(s.group),
		groupName:  b.column(s.groupName),
		attempt:    b.key(s.attempt),
		gone:       b.condition(s.gone),
		hasGone:    s.gone != nil,
		submitted:  marker{when: b.condition(s.submitted), again: b.columns(s.again)},
	}
}

func (b *binder) grade(g *gradeSpec) *GradeRow {
	b.moment("grade.at", g.at) // as above
	return &GradeRow{
		where:      b.condition(g.where),
		submission: b.key(g.submission), assignment: b.key(g.assignment), student: b.key(g.student),
		groups: b.key(g.group), attempt: b.key(g.attempt),
		graded: marker{when: b.condition(g.graded), again: b.columns(g.again)},
		hidden: b.ifSaid(g.hidden), auto: b.ifSaid(g.auto),
		score: b.column(g.score),
		text:  b.column(g.text),
	}
}
