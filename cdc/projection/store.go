package projection

import (
	"encoding/binary"
	"maps"

	"github.com/schoolbell/schoolbell/cdc"
)

// writer takes what a fold changed: a batch, or the group before it.
type writer interface {
	Set(key, value []byte)
	Delete(key []byte)
}

// index is a second key under which rows stand: a letter, one of the record's ids,
// the row.
type index[T any] struct {
	letter byte
	id     func(T) cdc.ID
}

// store writes what changed.
func (f *fold) store(b writer) {
	put(b, keyPerson, f.people.rows, appendPerson)
	put(b, keyAssignment, f.assignments.rows, appendAssignment)
	put(b, keyGiven, f.given.rows, appendGiven,
		index[given]{keyStudentGiven, func(g given) cdc.ID { return g.student }})
	put(b, keyThread, f.threads.rows, appendThread,
		index[thread]{keyStudentThread, func(t thread) cdc.ID { return t.student }},
		index[thread]{keyAssignThread, func(t thread) cdc.ID { return t.assignment }})
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
func setNumber(b writer, key []byte, t tally) {
	switch {
	case t.was == t.now:
	case t.now == 0:
		b.Delete(key)
	default:
		b.Set(key, binary.AppendVarint(nil, t.now))
	}
}

// put writes the rows that changed, and their index entries where those did.
func put[T comparable](b writer, letter byte, rows []*touched[T], encode func([]byte, T) []byte, indexes ...index[T]) {
	var key, value []byte
	for _, r := range rows {
		if r.existed == r.exists && r.was == r.now {
			continue
		}
		for _, i := range indexes {
			was, now := i.id(r.was), i.id(r.now)
			if r.existed && r.exists && was == now {
				continue
			}
			if r.existed {
				key = appendKey(key[:0], i.letter, was, r.key)
				b.Delete(key)
			}
			if r.exists {
				key = appendKey(key[:0], i.letter, now, r.key)
				b.Set(key, nil)
			}
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
			p.assignments[r.key] = r.now.heading()
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
