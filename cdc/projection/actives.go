package projection

import "github.com/schoolbell/schoolbell/cdc"

// actives tells how many threads a student has in a scope, where the transaction at
// hand changes that. A large one may do so for every student with every teacher. So
// scopes and students are numbered, and an entry takes a tenth of what its names would.
type actives struct {
	scopes   numbers[scope]
	students numbers[cdc.ID]
	tallies  map[[2]uint32]tally // by the numbers of scope and student
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
	if len(a.tallies) > 4096 {
		*a = actives{}
	}
	a.scopes.reset()
	a.students.reset()
	clear(a.tallies)
}

// active names how many threads a student has in a scope.
type active struct {
	scope   scope
	student cdc.ID
}

func (a active) append(dst []byte) []byte { return a.student.AppendKey(a.scope.append(dst)) }

// each visits all of them.
func (a *actives) each(f func(active, tally)) {
	for at, t := range a.tallies {
		f(active{a.scopes.all[at[0]], a.students.all[at[1]]}, t)
	}
}

func (f *fold) addActive(s scope, student cdc.ID, n int32) error {
	if (s == scope{} || student.IsZero()) {
		return nil
	}
	at := [2]uint32{f.actives.scopes.number(s), f.actives.students.number(student)}
	t, ok := f.actives.tallies[at]
	if !ok {
		was, err := f.p.number(active{s, student}.append([]byte{keyActive}))
		if err != nil {
			return err
		}
		if f.actives.tallies == nil {
			f.actives.tallies = map[[2]uint32]tally{}
		}
		t = tally{was, was}
	}
	t.now += n
	f.actives.tallies[at] = t
	return nil
}

// countActives counts the students who have got their first thread in a scope, or
// lost their last.
func (f *fold) countActives() {
	f.actives.each(func(a active, t tally) {
		if d := t.appeared(); d != 0 {
			f.delta(a.scope).ActiveStudents += d
		}
	})
}

// putActives takes them out of the memory, as they are in the end.
func (f *fold) putActives() error {
	pieces := pieces{p: f.p}
	var err error
	f.actives.each(func(a active, t tally) {
		if err == nil && t.was != t.now {
			pieces.batch().Set(a.append([]byte{keyAside, keyActive}), t.append(nil))
			err = pieces.mayFlush()
		}
	})
	if err != nil {
		return err
	}
	f.actives = actives{}
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
