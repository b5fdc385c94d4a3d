package projection

import (
	"cmp"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// actives tells by how much the transaction at hand changes how many threads a student
// has in a scope. A large one may do so for every student with every teacher. So scopes
// and students are numbered, and an entry takes a tenth of what its names would; and
// only when the transaction is over is it read, in the order of the keys, what those
// numbers were: at random every read would be one from the disk.
type actives struct {
	scopes   numbers[scope]
	students numbers[cdc.ID]
	deltas   map[entry]int32
	settled  []settled // what the numbers of a transaction that is not large are in the end
}

// entry is the numbers of a scope and a student.
type entry struct{ scope, student uint32 }

type settled struct {
	entry
	tally
}

// numbers gives numbers to things in the order in which it meets them.
type numbers[T comparable] struct {
	of  map[T]uint32
	all []T
}

func (n *numbers[T]) number(t T) uint32 {
	if number, ok := n.of[t]; ok {
		return number
	}
	if n.of == nil {
		n.of = map[T]uint32{}
	}
	number := uint32(len(n.all))
	n.of[t] = number
	n.all = append(n.all, t)
	return number
}

func (n *numbers[T]) reset() {
	clear(n.of)
	n.all = n.all[:0]
}

// reset forgets all, and after a large transaction the memory too: a map keeps its size
// for ever.
func (a *actives) reset() {
	if len(a.deltas) > 4096 {
		*a = actives{}
	}
	a.scopes.reset()
	a.students.reset()
	clear(a.deltas)
	a.settled = a.settled[:0]
}

// appendKey writes the key of an entry.
func (a *actives) appendKey(dst []byte, e entry) []byte {
	return a.students.all[e.student].AppendKey(a.scopes.all[e.scope].append(append(dst, keyActive)))
}

func (a *actives) add(s scope, student cdc.ID, n int32) {
	if (s == scope{} || student.IsZero()) {
		return
	}
	if a.deltas == nil {
		a.deltas = map[entry]int32{}
	}
	a.deltas[entry{a.scopes.number(s), a.students.number(student)}] += n
}

// sorted lists what changed in the order of the keys.
func (a *actives) sorted() []entry {
	var list []entry
	for e, n := range a.deltas {
		if n != 0 {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(x, y entry) int {
		if x.scope != y.scope {
			s, t := a.scopes.all[x.scope], a.scopes.all[y.scope]
			return cmp.Or(cmp.Compare(s.kind, t.kind), s.person.Compare(t.person))
		}
		return a.students.all[x.student].Compare(a.students.all[y.student])
	})
	return list
}

// countActives counts the students who have got their first thread in a scope, or
// lost their last, and settles how many they have in the end. Of a large transaction
// that goes aside.
func (f *fold) countActives() error {
	pieces := pieces{p: f.p}
	a := &f.actives
	large := f.large()
	key, number := make([]byte, 0, 32), make([]byte, 0, 8)
	for _, e := range a.sorted() {
		key = a.appendKey(append(key[:0], keyAside), e)
		was, err := f.p.number(key[1:])
		if err != nil {
			return err
		}
		t := tally{was, was + a.deltas[e]}
		if d := t.appeared(); d != 0 {
			f.delta(a.scopes.all[e.scope]).ActiveStudents += d
		}
		if !large {
			a.settled = append(a.settled, settled{e, t})
			continue
		}
		number = t.append(number[:0])
		pieces.batch().Set(key, number)
		if err := pieces.mayFlush(); err != nil {
			return err
		}
	}
	if large {
		*a = actives{}
	}
	return pieces.flush()
}

// moveActives puts what is aside of them where it belongs.
func (f *fold) moveActives() error {
	pieces := pieces{p: f.p}
	for pair, err := range f.p.shadow.Scan([]byte{keyAside, keyActive}) {
		if err != nil {
			return err
		}
		setNumber(pieces.batch(), pair.Key[1:], pair.Value)
		if err := pieces.mayFlush(); err != nil {
			return err
		}
	}
	return pieces.flush()
}
