package profile

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/schoolbell/schoolbell/cdc"
)

// A Derived is a section (or an entry of member or admin, or a lookup) whose rows mean
// something only together with rows of lookups, or with the clock. Whoever follows the
// log holds its rows as Feed.Hold writes them, and asks Rows what they mean: when the
// row changes, when a row of a lookup does that Rows asked the Finder for, and at the
// moment that Rows names.
type Derived struct {
	p     *Profile
	index int
	kind  Section
	entry int // of lookups, member or admin
	src   *source
	where condition
	bind  func(b *binder) // binds the one section

	sites []site
	paths []ref      // where the values of src.paths are
	timed []timedRef // columns and paths that are tested against the clock
	names []string   // of the columns of the row that is evaluated: src.columns, paths, two for each of timed

	bound atomic.Pointer[[]bound] // what was bound so far, the newest first
}

// site is where rows of a lookup are found. It comes after those that it begins at.
type site struct {
	lookup int
	start  []ref
	parts  []byte
	forks  bool // each row that is found makes a row of its own
}

// ref is a column of the section's row, or of the rows found at a site.
type ref struct {
	site   int // own, or in Derived.sites
	column int // in source.columns, or in lookupSpec.values
}

const own = -1

// timedRef is a value whose place on the clock is asked for.
type timedRef struct {
	from int // its place in the row that is evaluated
}

// bound is the section bound for one vector of types.
type bound struct {
	types   []uint32
	binding *Binding
}

// Index is its place in Profile.Derived, the same under the same hash.
func (d *Derived) Index() int { return d.index }

// Name is what the file calls it: "assignment", "member 2", "lookup.activity".
func (d *Derived) Name() string { return d.src.name }

// Feed takes the rows of a table for a derived section.
type Feed struct {
	d       *Derived
	columns []column
	where   clauses // what the row's own columns alone say of `where`
}

// Index is that of its Derived.
func (f *Feed) Index() int { return f.d.index }

// Hold appends the columns of a row that the section reads, in a form that outlives
// the table's description. Columns that the log does not carry are taken from was,
// what was held before (nil: nothing). It answers false when the row's own columns
// alone say that `where` does not hold, whatever lookups say.
func (f *Feed) Hold(dst []byte, row []cdc.Value, was []byte) ([]byte, bool) {
	if f.where.eval(row) == no {
		return dst, false
	}
	for _, c := range f.columns {
		now := typed{c.typ, row[c.index]}
		if len(was) > 0 {
			var before typed
			var err error
			if before, was, err = cutTyped(was); err != nil {
				was = nil
			} else if now.Kind == cdc.Unchanged {
				now = before
			}
		}
		dst = now.append(dst)
	}
	return dst, true
}

// listDerived finds the derived sections.
func (p *Profile) listDerived() []*Derived {
	var out []*Derived
	add := func(kind Section, entry int, src *source, where condition, forks []string, bind func(b *binder)) {
		if src.derived() {
			d := &Derived{p: p, index: len(out), kind: kind, entry: entry, src: src, where: where, bind: bind}
			d.compile(forks)
			out = append(out, d)
		}
	}
	for i := range p.lookups {
		l := &p.lookups[i]
		add(SectionLookup, i, &l.source, l.where, nil, func(b *binder) { b.out.Lookups = []*LookupRow{b.lookup(i, l)} })
	}
	add(SectionUser, 0, &p.user.source, p.user.where, nil, func(b *binder) { b.out.User = b.user(p.user) })
	if c := p.course; c != nil {
		add(SectionCourse, 0, &c.source, nil, nil, func(b *binder) { b.out.Course = b.course(c) })
	}
	for i := range p.members {
		m := &p.members[i]
		add(SectionMember, i, &m.source, m.where, slices.Concat(m.user, m.course, m.section),
			func(b *binder) { b.out.Members = []*MemberRow{b.member(i, m)} })
	}
	for i := range p.admins {
		a := &p.admins[i]
		add(SectionAdmin, i, &a.source, a.where, nil, func(b *binder) { b.out.Admins = []*AdminRow{b.admin(i, a)} })
	}
	add(SectionAssignment, 0, &p.assign.source, p.assign.where, nil, func(b *binder) { b.out.Assignment = b.assignment(p.assign) })
	if g := p.grade; p.HasGradeTable() {
		add(SectionGrade, 0, &g.source, g.where, nil, func(b *binder) { b.out.Grade = b.grade(g) })
	}
	add(SectionSubmission, 0, &p.submit.source, p.submit.where, nil, func(b *binder) {
		b.out.Submission = b.submission(p.submit)
		if p.grade != nil && !p.grade.own {
			b.out.Grade = b.grade(p.grade)
		}
	})
	return out
}

// compile lays out where the section's paths find their rows. Paths in forks make a
// row for each row that they find.
func (d *Derived) compile(forks []string) {
	d.names = slices.Clone(d.src.columns)
	sites := map[string]int{}
	for _, o := range d.src.paths {
		d.paths = append(d.paths, d.ref(o, sites, slices.Contains(forks, o.text)))
		d.names = append(d.names, o.text)
	}
	columns := len(d.names)
	for _, text := range d.src.timed {
		d.timed = append(d.timed, timedRef{slices.Index(d.names[:columns], text)})
		d.names = append(d.names, timeSlot(text, opPast), timeSlot(text, opFuture))
	}
}

// ref finds the place of an operand, making the sites on the way to it.
func (d *Derived) ref(o operand, sites map[string]int, forks bool) ref {
	if !o.isPath() {
		return ref{own, slices.Index(d.src.columns, o.column)}
	}
	l := &d.p.lookups[o.lookup]
	s := site{lookup: o.lookup, parts: []byte(l.parts)}
	for _, start := range o.start {
		s.start = append(s.start, d.ref(start, sites, forks))
	}
	i, ok := sites[o.site()]
	if !ok {
		i = len(d.sites)
		sites[o.site()] = i
		d.sites = append(d.sites, s)
	}
	d.sites[i].forks = d.sites[i].forks || forks && l.many
	return ref{i, slices.Index(l.values, o.column)}
}

// feeds binds the derived sections that the table's rows feed, and tells what of the
// table's types does not fit into any.
func (b *binder) feeds() {
	for _, d := range b.p.derived {
		types := d.typesIn(b.t)
		if d.src.table == b.t.Name {
			f := &Feed{d: d, columns: b.columns(d.src.columns), where: b.ownPart(d.src, d.where)}
			b.out.Feeds = append(b.out.Feeds, f)
		}
		if slices.ContainsFunc(types, func(t uint32) bool { return t != 0 }) {
			_, err := d.bindTypes(b.t.Name, types)
			if err != nil {
				b.errs = append(b.errs, err)
			}
		}
	}
}

// typesIn are the types of the section's columns and paths that the table says; 0
// where it says nothing.
func (d *Derived) typesIn(t *cdc.Table) []uint32 {
	types := make([]uint32, len(d.names))
	find := func(table, column string) uint32 {
		if i := slices.IndexFunc(t.Columns, func(c cdc.Column) bool { return c.Name == column }); i >= 0 && table == t.Name {
			return t.Columns[i].Type
		}
		return 0
	}
	for i, column := range d.src.columns {
		types[i] = find(d.src.table, column)
	}
	for i, o := range d.src.paths {
		types[len(d.src.columns)+i] = find(d.p.lookups[o.lookup].table, o.column)
	}
	return types
}

// ownPart binds what a row's own columns say of a condition: tests on paths and
// against the clock may all hold.
func (b *binder) ownPart(src *source, c condition) clauses {
	if c = c.ownPart(src); c == nil {
		return nil
	}
	own := binder{p: b.p, t: b.t, out: &Binding{}}
	return own.condition(c) // feeds tells what is wrong with it
}

// ownPart is what a row's own columns say of the condition now and for ever; nil: nothing.
func (c condition) ownPart(src *source) condition {
	var out condition
	for _, all := range c {
		var part []columnTest
		for _, t := range all {
			if _, ok := src.path(t.column); !ok && !t.test.timed() {
				part = append(part, t)
			}
		}
		if len(part) == 0 {
			return nil
		}
		out = append(out, part)
	}
	return out
}

// boundFor is the section for values of these types; 0 is that of a NULL that no row
// was found for.
func (d *Derived) boundFor(types []uint32) (*Binding, error) {
	for {
		known := d.bound.Load()
		if known != nil {
			for _, one := range *known {
				if one.fits(types) {
					return one.binding, nil
				}
			}
		}
		b, err := d.bindTypes(d.src.table, types)
		if err != nil {
			return nil, err
		}
		now := []bound{{slices.Clone(types), b}}
		if known != nil {
			const most = 8
			now = append(now, (*known)[:min(len(*known), most-1)]...)
		}
		if d.bound.CompareAndSwap(known, &now) {
			return b, nil
		}
	}
}

func (b *bound) fits(types []uint32) bool {
	for i, typ := range types {
		if typ != b.types[i] && typ != 0 {
			return false
		}
	}
	return true
}

// bindTypes binds the section to rows of these types; table is what to name in errors.
func (d *Derived) bindTypes(table string, types []uint32) (*Binding, error) {
	t := &cdc.Table{Schema: d.p.schema, Name: table, Columns: make([]cdc.Column, len(d.names))}
	timed := len(d.names) - 2*len(d.timed)
	for i, name := range d.names {
		t.Columns[i] = cdc.Column{Name: name, Type: types[i]}
		if i >= timed {
			t.Columns[i].Type = oidBool
		}
	}
	b := binder{p: d.p, t: t, out: &Binding{Table: t}}
	d.bind(&b)
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return b.out, nil
}
