package projection

import (
	"maps"

	"github.com/schoolbell/schoolbell/cdc"
)

// store writes what changed, but for what is aside.
func (f *fold) store(b writer) {
	f.buf = peopleTable().putAll(b, &f.people, f.buf)
	f.buf = courseTable().putAll(b, &f.courses, f.buf)
	f.storeMembers(b)
	f.storeStandings(b)
	f.buf = assignmentTable().putAll(b, &f.assignments, f.buf)
	f.buf = f.given.aside.table.putAll(b, &f.given, f.buf)
	f.buf = f.threads.aside.table.putAll(b, &f.threads, f.buf)
	f.buf = f.grades.aside.table.putAll(b, &f.grades, f.buf)
	for _, h := range f.held {
		f.buf = h.aside.table.putAll(b, h, f.buf)
	}
	for link, c := range f.gradings {
		if c.was != c.now {
			setNumber(b, appendKey(nil, keyLinkGrades, link), c.now.append(nil))
		}
	}
	for i, l := range f.lookups {
		for _, r := range l.rows {
			key := r.key.AppendKey([]byte{keyLookup, byte(i)})
			if r.exists {
				b.Set(key, []byte(r.now.record))
			} else if r.existed {
				b.Delete(key)
			}
		}
	}
	for _, s := range f.actives.settled {
		f.key = f.actives.appendKey(f.key[:0], s.entry)
		f.buf = s.append(f.buf[:0])
		setNumber(b, f.key, f.buf)
	}
	for assignment, scopes := range f.reaches {
		for s, n := range scopes {
			if n.was != n.now {
				setNumber(b, s.append(appendKey(nil, keyReach, assignment)), n.append(nil))
			}
		}
	}
	for person, t := range f.turns {
		b.Set(appendKey(nil, keyAdmin, person), t.append(nil))
	}
	for s, d := range f.deltas {
		if *d != (cdc.Counts{}) {
			f.key = s.append(append(f.key[:0], keyCounts))
			f.buf = appendCounts(f.buf[:0], add(f.p.counts[s], *d))
			b.Set(f.key, f.buf)
		}
	}
}

// setNumber stores what tally wrote.
func setNumber(b writer, key, number []byte) {
	if len(number) == 0 {
		b.Delete(key)
	} else {
		b.Set(key, number)
	}
}

// publish makes the stored transaction visible in memory. The caller holds p.mu.
func (f *fold) publish() {
	p := f.p
	for _, r := range f.people.rows {
		p.emails.replace(r.key, p.people[r.key].Email, r.now.Email) // a row that is gone has none
		if r.exists {
			p.people[r.key] = r.now
		} else {
			delete(p.people, r.key)
		}
	}
	for _, r := range f.courses.rows {
		if delete(p.muted, r.key); r.exists && !r.now.active {
			p.muted[r.key] = true
		}
	}
	f.publishMembers()
	f.publishStandings()
	for _, r := range f.assignments.rows {
		p.head(r)
	}
	for i, l := range f.lookups {
		table := p.lookup(i)
		for _, r := range l.rows {
			if r.existed && !unchanged(r) {
				table.remove(r.key)
			}
		}
		for _, r := range l.rows {
			if r.exists && !unchanged(r) {
				table.set(r.key, r.now.read())
			}
		}
	}
	for _, h := range f.held {
		for _, r := range h.rows {
			p.mayPass(r.now.until)
		}
	}
	maps.Copy(p.admins, f.turns)
	for s, d := range f.deltas {
		p.counts[s] = add(p.counts[s], *d)
	}
}
