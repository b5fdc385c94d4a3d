package projection

import (
	"encoding/binary"
	"maps"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// store writes what changed into the batch.
func (f *fold) store(b *shadow.Batch) {
	put(b, keyPerson, f.people.rows, appendPerson, nil)
	put(b, keyAssignment, f.assignments.rows, appendAssignment, nil)
	put(b, keyGiven, f.given.rows, appendGiven, func(g given, row cdc.ID, write func(letter byte, ids ...cdc.ID)) {
		write(keyStudentGiven, g.student, row)
	})
	put(b, keyThread, f.threads.rows, appendThread, func(t thread, row cdc.ID, write func(letter byte, ids ...cdc.ID)) {
		write(keyStudentThread, t.student, row)
		write(keyAssignThread, t.assignment, row)
	})
	for i, l := range f.lookups {
		for _, r := range l.rows {
			key := r.key.AppendKey([]byte{keyLookup, byte(i)})
			if r.exists {
				b.Set(key, appendLookupRow(nil, r.now))
			} else if r.existed {
				b.Delete(key)
			}
		}
	}
	for a, n := range f.actives {
		setNumber(b, a.append([]byte{keyActive}), *n)
	}
	for assignment, tutors := range f.reaches {
		for tutor, n := range tutors {
			setNumber(b, appendKey(nil, keyAssignmentTutor, assignment, tutor), *n)
		}
	}
	for person, t := range f.admins {
		b.Set(appendKey(nil, keyAdmin, person), t.append(nil))
	}
	for s, d := range f.deltas {
		if *d != (cdc.Counts{}) {
			b.Set(s.append([]byte{keyCounts}), appendCounts(nil, add(f.p.counts[s], *d)))
		}
	}
}

// setNumber stores a number that changed; zero needs no entry.
func setNumber(b *shadow.Batch, key []byte, t tally) {
	switch {
	case t.was == t.now:
	case t.now == 0:
		b.Delete(key)
	default:
		b.Set(key, binary.AppendVarint(nil, t.now))
	}
}

// put writes the rows that changed, and their index entries: indexed calls write
// for each key that a record stands under.
func put[T comparable](b *shadow.Batch, letter byte, rows []*touched[T], encode func([]byte, T) []byte,
	indexed func(record T, row cdc.ID, write func(letter byte, ids ...cdc.ID)),
) {
	var key, value []byte
	for _, r := range rows {
		if r.existed == r.exists && r.was == r.now {
			continue
		}
		if indexed != nil && r.existed {
			indexed(r.was, r.key, func(letter byte, ids ...cdc.ID) {
				key = appendKey(key[:0], letter, ids...)
				b.Delete(key)
			})
		}
		if indexed != nil && r.exists {
			indexed(r.now, r.key, func(letter byte, ids ...cdc.ID) {
				key = appendKey(key[:0], letter, ids...)
				b.Set(key, nil)
			})
		}
		key = appendKey(key[:0], letter, r.key)
		if r.exists {
			value = encode(value[:0], r.now)
			b.Set(key, value)
		} else {
			b.Delete(key)
		}
	}
}

// publish makes the stored transaction visible in memory. The caller holds p.mu.
func (f *fold) publish() {
	p := f.p
	for _, r := range f.people.rows {
		if r.exists {
			p.people[r.key] = r.now
		} else {
			delete(p.people, r.key)
		}
	}
	for _, r := range f.assignments.rows {
		if r.exists {
			p.assignments[r.key] = r.now.Teacher
		} else {
			delete(p.assignments, r.key)
		}
	}
	for i, l := range f.lookups {
		table := p.lookup(i)
		for _, r := range l.rows {
			if r.existed {
				table.remove(r.key, r.was)
			}
		}
		for _, r := range l.rows {
			if r.exists {
				table.set(r.key, r.now)
			}
		}
	}
	maps.Copy(p.admins, f.admins)
	for s, d := range f.deltas {
		p.counts[s] = add(p.counts[s], *d)
	}
}
