package projection

import (
	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// table is one kind of rows in the store: how they are written, and under which
// second keys they stand.
type table[T comparable] struct {
	prefix  string // what their keys begin with
	append  func(dst []byte, row T) []byte
	read    func(b []byte) (T, error)
	indexes []index[T]
	also    func(b writer, r *touched[T]) // what else to write of a row that changed; nil: nothing
}

// index is a second key under which rows stand: a letter, one of the record's ids,
// the row.
type index[T any] struct {
	letter byte
	id     func(T) cdc.ID
}

func peopleTable() *table[person] {
	return &table[person]{prefix: string(keyPerson), append: appendPerson}
}

func assignmentTable() *table[assignment] {
	return &table[assignment]{prefix: string(keyAssignment), append: appendAssignment}
}

func courseTable() *table[course] {
	return &table[course]{prefix: string(keyCourse), append: appendCourse}
}

func threadTable(p *profile.Profile) *table[thread] {
	indexes := []index[thread]{
		{keyStudentThread, func(t thread) cdc.ID { return t.student }},
		{keyAssignThread, func(t thread) cdc.ID { return t.assignment }},
	}
	if p.HasGradeTable() && !p.GradeNamesSubmission() {
		indexes = append(indexes, index[thread]{keyLinkThread, thread.link})
	}
	return &table[thread]{prefix: string(keyThread), append: appendThread, read: readThread, indexes: indexes}
}

func givenTable() *table[given] {
	return &table[given]{prefix: string(keyGiven), append: appendGiven, read: readGiven, indexes: []index[given]{
		{keyStudentGiven, func(g given) cdc.ID { return g.student }},
		{keyAssignmentGiven, func(g given) cdc.ID { return g.assignment }},
	}}
}

// writer takes what a fold changed: a batch, or the group before it.
type writer interface {
	Set(key, value []byte)
	Delete(key []byte)
}

// put writes a row that changed, and its index entries where those did.
func (t *table[T]) put(b writer, r *touched[T], buf []byte) []byte {
	if unchanged(r) {
		return buf
	}
	for _, i := range t.indexes {
		was, now := i.id(r.was), i.id(r.now)
		if r.existed && r.exists && was == now {
			continue
		}
		if r.existed {
			buf = appendKey(buf[:0], i.letter, was, r.key)
			b.Delete(buf)
		}
		if r.exists {
			buf = appendKey(buf[:0], i.letter, now, r.key)
			b.Set(buf, nil)
		}
	}
	if t.also != nil {
		t.also(b, r)
	}
	buf = r.key.AppendKey(append(buf[:0], t.prefix...))
	if !r.exists {
		b.Delete(buf)
		return buf
	}
	n := len(buf)
	buf = t.append(buf, r.now)
	b.Set(buf[:n], buf[n:])
	return buf
}

// putAll writes the overlay's rows that are in memory.
func (t *table[T]) putAll(b writer, o *overlay[T], buf []byte) []byte {
	for _, r := range o.rows {
		buf = t.put(b, r, buf)
	}
	return buf
}
