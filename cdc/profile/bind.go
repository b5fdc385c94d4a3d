package profile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
	Grade      *GradeRow // beside Submission: a grade stands in the submission's row

	identity identity
}

// Key is the identity of a row: its replica identity, several columns joined with
// ":"; with identity full, where every column is part of it, the column id. Of a
// deleted row it reads the old row.
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
	for i, l := range p.lookups {
		if l.table == t.Name {
			out.Lookups = append(out.Lookups, b.lookup(i, l))
		}
	}
	if p.user.table == t.Name {
		out.User = b.user(p.user)
	}
	b.courses()
	if p.assign.table == t.Name {
		out.Assignment = b.assignment(p.assign)
	}
	if p.given != nil && p.given.table == t.Name {
		out.Assigned = &AssignedRow{assignment: b.column(p.given.assignment), student: b.column(p.given.student)}
	}
	if p.submit.table == t.Name {
		out.Submission = b.submission(p.submit)
		if p.grade != nil {
			out.Grade = b.grade(*p.grade)
		}
	}
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return out, nil
}

type binder struct {
	p       *Profile
	t       *cdc.Table
	out     *Binding
	missing []string
	errs    []error
}

func (b *binder) wrong(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf("table %s.%s: "+format, append([]any{b.t.Schema, b.t.Name}, args...)...))
}

// identity finds the columns of Binding.Key.
func (b *binder) identity() {
	var key identity
	for i, c := range b.t.Columns {
		switch {
		case b.t.Identity == cdc.IdentityFull && c.Name != "id":
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

func (b *binder) lookup(i int, l lookupSpec) *LookupRow {
	return &LookupRow{index: i, key: b.column(l.key), values: b.columns(l.columns)}
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

// courses binds what the table says of courses and of who belongs to them.
func (b *binder) courses() {
	if c := b.p.course; c != nil && c.table == b.t.Name {
		b.out.Course = &CourseRow{title: b.column(c.title), active: b.condition(c.active)}
	}
	for i, m := range b.p.members {
		if m.table == b.t.Name {
			b.out.Members = append(b.out.Members, b.member(i, m))
		}
	}
	for i, a := range b.p.admins {
		if a.table == b.t.Name {
			b.out.Admins = append(b.out.Admins, b.admin(i, a))
		}
	}
}

func (b *binder) member(i int, m memberSpec) *MemberRow {
	return &MemberRow{
		index: i,
		where: b.condition(m.where),
		user:  b.column(m.user), course: b.column(m.course), section: b.column(m.section),
		ownSection: b.ifSaid(m.ownSection),
		teacher:    b.ifSaid(m.teacher), tutor: b.ifSaid(m.tutor), student: b.ifSaid(m.student),
	}
}

func (b *binder) admin(i int, a adminSpec) *AdminRow {
	user := b.column(a.user)
	if a.split != "" && user.named() && user.class != classText && user.class != classOther {
		b.wrong("%s.split takes column %q apart, which is %s and holds one id; leave split out", a.name, a.user, user.class)
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
		course:      b.column(a.course),
		teacher:     b.column(a.teacher),
		published:   b.condition(a.published),
		closed:      b.condition(a.closed),
		hasClosed:   a.closed != nil,
		due:         b.moment("assignment.due", a.due),
		closes:      b.moment("assignment.closes", a.closes),
		times:       b.p.times,
	}
}

func (b *binder) submission(s submissionSpec) *SubmissionRow {
	b.moment("submission.at", s.at) // nothing reads it, but what the file says must be so
	return &SubmissionRow{
		where:      b.condition(s.where),
		assignment: b.column(s.assignment),
		student:    b.column(s.student),
		tutor:      b.column(s.tutor),
		gone:       b.condition(s.gone),
		hasGone:    s.gone != nil,
		submitted:  marker{when: b.condition(s.submitted), again: b.columns(s.again)},
	}
}

func (b *binder) grade(g gradeSpec) *GradeRow {
	b.moment("grade.at", g.at) // as above
	return &GradeRow{
		graded: marker{when: b.condition(g.graded), again: b.columns(g.again)},
		hidden: b.ifSaid(g.hidden),
		score:  b.column(g.score),
		text:   b.column(g.text),
	}
}

// identity are the columns that a row is known by.
type identity []column

func (k identity) id(row []cdc.Value) cdc.ID {
	if len(k) == 0 {
		return cdc.ID{}
	}
	if len(k) == 1 {
		return k[0].id(row)
	}
	var b strings.Builder
	for i, c := range k {
		if i > 0 {
			b.WriteByte(':')
		}
		part := strings.ReplaceAll(c.id(row).String(), `\`, `\\`)
		b.WriteString(strings.ReplaceAll(part, ":", `\:`))
	}
	return cdc.TextID(b.String())
}

// id reads a key in a column.
func (c column) id(row []cdc.Value) cdc.ID {
	v := row[c.index]
	if v.Kind == cdc.Binary && c.class == classUUID {
		var buf [36]byte
		v = cdc.Value{Kind: cdc.Text, Data: textBytes(v, c.typ, buf[:])}
	}
	return cdc.IDOf(v, c.typ)
}

// idOr is id, or what it was where the log does not carry the column.
func (c column) idOr(row []cdc.Value, was cdc.ID) cdc.ID {
	switch {
	case !c.named():
		return cdc.ID{}
	case row[c.index].Kind == cdc.Unchanged:
		return was
	}
	return c.id(row)
}
