package projection

import (
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// latecomers are the held rows of lookups, and of tables that a snapshot reads early
// because they are lookups and that mean something themselves as well: what that is shows
// when all lookups are there. They are read in the order of the sections, each section
// before the first row of a later one.
type latecomers struct {
	p      *Projection
	commit func(*batch) error
	table  *cdc.Table
	early  map[int]bool // sections that have such rows
	upTo   int          // sections below are done
}

func newLatecomers(p *Projection, commit func(*batch) error) *latecomers {
	l := &latecomers{p: p, commit: commit, early: map[int]bool{}}
	clear(p.fold.postponed)
	for _, d := range p.derived {
		if kind, _ := d.Section(); kind == profile.SectionLookup {
			l.postpone(d.Index())
		}
	}
	return l
}

func (l *latecomers) postpone(section int) {
	l.early[section], l.p.fold.postponed[section] = true, true
}

// before prepares for the rows of a table.
func (l *latecomers) before(t *cdc.Table) error {
	if t == l.table || len(l.p.derived) == 0 {
		return nil
	}
	l.table = t
	b, err := l.p.binding(t)
	if err != nil {
		return err
	}
	isLookup := len(b.Lookups) > 0
	for _, feed := range b.Feeds {
		kind, _ := l.p.derived[feed.Index()].Section()
		isLookup = isLookup || kind == profile.SectionLookup
	}
	if isLookup {
		for _, feed := range b.Feeds {
			if kind, _ := l.p.derived[feed.Index()].Section(); kind != profile.SectionLookup {
				l.postpone(feed.Index())
			}
		}
		return nil
	}
	if first := firstSection(b, l.p.derived); first <= profile.SectionSubmission {
		return l.read(first)
	}
	return nil
}

// firstSection is the first of the sections, in their order, that a table has rows of. Of
// a table that is none of the profile's nothing hangs on.
func firstSection(b *profile.Binding, derived []*profile.Derived) profile.Section {
	first := profile.SectionSubmission + 1
	consider := func(has bool, s profile.Section) {
		if has {
			first = min(first, s)
		}
	}
	consider(b.User != nil, profile.SectionUser)
	consider(b.Course != nil, profile.SectionCourse)
	consider(len(b.Members) > 0, profile.SectionMember)
	consider(len(b.Admins) > 0, profile.SectionAdmin)
	consider(b.Assignment != nil, profile.SectionAssignment)
	consider(b.Assigned != nil, profile.SectionAssigned)
	consider(b.Grade != nil && b.Submission == nil, profile.SectionGrade)
	consider(b.Submission != nil, profile.SectionSubmission)
	for _, feed := range b.Feeds {
		kind, _ := derived[feed.Index()].Section()
		consider(true, kind)
	}
	return first
}

// all reads what is left.
func (l *latecomers) all() error { return l.read(profile.SectionSubmission + 1) }

// read reads the rows of all sections before one.
func (l *latecomers) read(before profile.Section) error {
	for _, d := range l.p.derived[l.upTo:] {
		kind, _ := d.Section()
		if kind >= before {
			return nil
		}
		l.upTo++
		if !l.early[d.Index()] {
			continue
		}
		if err := l.section(d); err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
	}
	return nil
}

// section reads the rows of one section, as many at a time as the snapshot's.
func (l *latecomers) section(d *profile.Derived) error {
	p := l.p
	if err := p.storeRows(l.commit); err != nil {
		return err
	}
	f := &p.fold
	f.postponed[d.Index()] = false
	o := f.held[d.Index()]
	rows := 0
	err := p.scan([]byte{keyHeld, byte(d.Index())}, func(key, value []byte) error {
		id, _, err := cdc.CutKey(key)
		if err != nil {
			return err
		}
		held, err := readHeld(value)
		if err != nil {
			return err
		}
		o.add(&touched[heldRow]{key: id, order: uint64(rows + 1), was: held, now: held, existed: true, exists: true})
		if rows++; rows%p.batchRows() == 0 {
			return p.storeRows(l.commit)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.storeRows(l.commit)
}
