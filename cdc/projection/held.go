package projection

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// Some sections of a profile read their rows together with rows of lookups, or with the
// clock: what such a row means may change while nobody touches it. Of these the shadow
// holds the mapped columns themselves. When a transaction is over, the rows that it
// touched are read, and those that had found something in a lookup where another row is
// found now; each as the section's row that it makes by the end of the transaction.
//
//	v section row               a held row: its columns, what it looked up, until when it counts
//	p lookup key section row    index: who looked up a key, whether or not there was a row
//	z moment section row        index: what has to be read again when the moment comes

// heldRow is one held row. The zero value is none.
type heldRow struct {
	values string    // the mapped columns, as profile.Feed writes them
	deps   string    // the lookups' keys that it was read with, as dependencies writes them
	until  time.Time // when a test changes by itself; zero: none does
}

func appendHeld(dst []byte, h heldRow) []byte {
	dst = appendTime(dst, h.until)
	dst = appendString(dst, h.deps)
	return append(dst, h.values...)
}

func readHeld(b []byte) (h heldRow, err error) {
	r := reader{b: b}
	h.until = r.time()
	h.deps = r.string()
	h.values = string(r.b)
	return h, r.err
}

// heldTable is how the rows of one derived section are written.
func heldTable(section int) *table[heldRow] {
	return &table[heldRow]{
		prefix: string([]byte{keyHeld, byte(section)}), append: appendHeld, read: readHeld,
		also: func(b writer, r *touched[heldRow]) { putDependencies(b, section, r) },
	}
}

// putDependencies writes the index entries of a held row that changed.
func putDependencies(b writer, section int, r *touched[heldRow]) {
	if r.was.deps != r.now.deps {
		was, now := dependencies(r.was.deps), dependencies(r.now.deps)
		for key := range was {
			if _, stays := now[key]; !stays {
				b.Delete(dependencyKey(key, section, r.key))
			}
		}
		for key := range now {
			if _, known := was[key]; !known {
				b.Set(dependencyKey(key, section, r.key), nil)
			}
		}
	}
	if !r.was.until.Equal(r.now.until) {
		if !r.was.until.IsZero() {
			b.Delete(momentKey(r.was.until, section, r.key))
		}
		if !r.now.until.IsZero() {
			b.Set(momentKey(r.now.until, section, r.key), nil)
		}
	}
}

// dependencies takes apart what a finder noted.
func dependencies(deps string) map[string]struct{} {
	set := map[string]struct{}{}
	for b := []byte(deps); len(b) > 1; {
		_, rest, err := cdc.CutKey(b[1:])
		if err != nil {
			break // it was checked when it was read
		}
		set[string(b[:len(b)-len(rest)])] = struct{}{}
		b = rest
	}
	return set
}

func dependencyKey(dep string, section int, row cdc.ID) []byte {
	return row.AppendKey(append(append([]byte{keyDependency}, dep...), byte(section)))
}

func momentKey(at time.Time, section int, row cdc.ID) []byte {
	b := binary.BigEndian.AppendUint64([]byte{keyMoment}, uint64(at.UnixMicro()))
	return row.AppendKey(append(b, byte(section)))
}

// finder finds rows of lookups for one held row, and notes where it looked.
type finder struct {
	fold *fold
	deps []byte
	seen map[string]struct{}
	list []*profile.LookupRecord // the memory of what is answered
}

// Find implements profile.Finder.
func (w *finder) Find(lookup int, key cdc.ID) []*profile.LookupRecord {
	n := len(w.deps)
	w.deps = key.AppendKey(append(w.deps, byte(lookup)))
	if _, ok := w.seen[string(w.deps[n:])]; ok {
		w.deps = w.deps[:n]
	} else {
		w.seen[string(w.deps[n:])] = struct{}{}
	}
	entries := w.fold.find(lookup, key)
	first := len(w.list)
	for _, e := range entries {
		w.list = append(w.list, e.record)
	}
	return w.list[first:len(w.list):len(w.list)]
}

func (w *finder) begin() {
	w.deps, w.list = w.deps[:0], w.list[:0]
	clear(w.seen)
}

// hold folds a change into the held rows of the sections that the table feeds.
func (f *fold) hold(b *profile.Binding, c *cdc.Change) error {
	for _, feed := range b.Feeds {
		err := f.held[feed.Index()].apply(c, b.Key, func(values []cdc.Value, was heldRow) (heldRow, bool) {
			var before []byte
			if was.values != "" {
				before = []byte(was.values)
			}
			var ok bool
			f.buf, ok = feed.Hold(f.buf[:0], values, before)
			if string(f.buf) != was.values {
				was.values = string(f.buf)
			}
			return was, ok
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// derive reads the held rows whose meaning may be another one by the end of the
// transaction.
func (f *fold) derive() error {
	if len(f.p.derived) == 0 {
		for i := range f.lookups {
			f.settleLookup(i)
		}
		return nil
	}
	for i := range f.p.profile.Lookups() {
		if f.isDerived[i] {
			continue
		}
		if err := f.spread(i); err != nil {
			return err
		}
	}
	for _, d := range f.p.derived {
		if err := f.deriveAll(d); err != nil {
			return err
		}
		if kind, i := d.Section(); kind == profile.SectionLookup {
			if err := f.spread(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// spread settles a lookup, and touches the held rows that have looked for what is
// another row now.
func (f *fold) spread(lookup int) error {
	f.settleLookup(lookup)
	if f.fresh || lookup >= len(f.found) || f.found[lookup] == nil {
		return nil
	}
	for _, key := range f.found[lookup].keys {
		if err := f.touchHeld(key.AppendKey([]byte{keyDependency, byte(lookup)}), f.makeRoom); err != nil {
			return err
		}
	}
	return nil
}

// touchHeld touches the held rows that an index has below a prefix.
func (f *fold) touchHeld(prefix []byte, makeRoom func() error) error {
	return f.p.scan(prefix, func(rest, _ []byte) error {
		row, _, err := cdc.CutKey(rest[1:])
		if err != nil {
			return err
		}
		if _, err = f.held[rest[0]].touch(row); err != nil {
			return err
		}
		return makeRoom()
	})
}

// deriveAll reads the touched rows of one section.
func (f *fold) deriveAll(d *profile.Derived) error {
	if f.fresh && f.postponed[d.Index()] {
		return nil // its lookups are not all there yet; see latecomers.go
	}
	o := f.held[d.Index()]
	return o.each(func(r *touched[heldRow]) error {
		if err := f.deriveRow(d, r); err != nil {
			return fmt.Errorf("%s, row %v: %w", d.Name(), r.key, err)
		}
		return f.makeRoom()
	})
}

// deriveRow reads one held row as what it is by the end of the transaction.
func (f *fold) deriveRow(d *profile.Derived, r *touched[heldRow]) error {
	if !r.exists {
		return f.derived(d, &profile.Binding{}, r, nil)
	}
	f.finder.begin()
	b, rows, until, err := f.evaluators[d.Index()].Rows([]byte(r.now.values), f.p.clockAt(f.time), &f.finder)
	if err != nil {
		return err
	}
	if string(f.finder.deps) != r.now.deps {
		r.now.deps = string(f.finder.deps)
	}
	r.now.until = until
	return f.derived(d, b, r, rows)
}

// derived puts what a held row makes into its section: nothing, if there are no rows.
func (f *fold) derived(d *profile.Derived, b *profile.Binding, r *touched[heldRow], rows [][]cdc.Value) error {
	switch kind, entry := d.Section(); kind {
	case profile.SectionLookup:
		return become(r, f.lookup(entry), func(lookupRow) (lookupRow, bool) {
			record, ok := b.Lookups[0].Read(rows[0], nil)
			return newLookupRow(record), ok
		}, rows)
	case profile.SectionUser:
		return become(r, &f.people, func(was person) (person, bool) {
			was.Role = was.own
			now, ok := b.User.Read(rows[0], was.Person)
			now.ID = r.key
			return person{now, now.Role}, ok
		}, rows)
	case profile.SectionCourse:
		return become(r, &f.courses, func(was course) (course, bool) {
			fields, ok := b.Course.Read(rows[0], profile.CourseFields{Active: was.active})
			return course{fields.Active}, ok
		}, rows)
	case profile.SectionMember:
		return become(r, f.member(entry), func(memberRow) (memberRow, bool) {
			now := newMemberRow(b.Members[0], rows)
			return now, now != memberRow{}
		}, rows)
	case profile.SectionAdmin:
		return become(r, f.admin(entry), func(adminRow) (adminRow, bool) {
			users, ok := b.Admins[0].Read(rows[0], nil)
			return newAdminRow(users), ok
		}, rows)
	case profile.SectionAssignment:
		return become(r, &f.assignments, func(was assignment) (assignment, bool) {
			fields, ok := b.Assignment.Read(rows[0], was.AssignmentFields)
			return assignment{AssignmentFields: fields, created: was.created, expired: f.expired(fields, was)}, ok
		}, rows)
	case profile.SectionGrade:
		return become(r, &f.grades, func(was gradeRow) (gradeRow, bool) {
			return f.readGrade(b, rows[0], was, r.from != nil)
		}, rows)
	case profile.SectionSubmission:
		return become(r, &f.threads, func(was thread) (thread, bool) {
			return f.readThread(b, rows[0], was, r.from != nil)
		}, rows)
	}
	return fmt.Errorf("section %s is none that can be derived; this is a mistake in schoolbell: please report it", d.Name())
}

// become makes a held row's section row what read says, given what it was.
func become[T comparable](r *touched[heldRow], o *overlay[T], read func(was T) (T, bool), rows [][]cdc.Value) error {
	to, err := o.touch(r.key)
	if err != nil {
		return err
	}
	if r.from != nil && to.from == nil {
		from, err := o.touch(r.from.key)
		if err != nil {
			return err
		}
		from.moved = true
		to.from = from
	}
	if len(rows) == 0 {
		to.end()
		return nil
	}
	was, _ := to.before()
	if to.now, to.exists = read(was); !to.exists {
		to.end()
	}
	return nil
}
