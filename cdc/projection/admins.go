package projection

import (
	"encoding/binary"

	"github.com/schoolbell/schoolbell/cdc"
)

// Events that concern every admin are stored without naming them. So that somebody
// who comes back sees those of the time when they were an admin, and no others,
// the shadow remembers the commits at which people began or ceased to be one.

func isAdmin(p cdc.Person) bool { return p.Active && p.Role == cdc.Admin }

// turns are where somebody began (the 1st, 3rd, …) or ceased (the 2nd, 4th, …) to be an
// admin: right before the events of a commit. Something else may have been told at the
// very byte at which the commit begins: it stands before the turn, which then has the
// index of the last of that. Somebody who always was an admin has the turn 0.
type turns []cdc.Position

// admin reports whether the person was an admin by the end of the transaction at.
func (t turns) admin(at cdc.Position) bool {
	n := 0
	for _, turn := range t {
		if at.After(turn) {
			n++
		}
	}
	return n%2 == 1
}

// turn adds one to those of somebody who was an admin until then, or was not. Turns are
// never changed in place.
func (t turns) turn(was bool, at cdc.Position) turns {
	if t == nil && was {
		t = turns{{}}
	}
	return append(t[:len(t):len(t)], at)
}

// turnIndexed marks a stored turn behind which its index stands. No log is so long that
// its positions had this bit.
const turnIndexed = 1 << 63

func (t turns) append(dst []byte) []byte {
	for _, turn := range t {
		if turn.Index == 0 {
			dst = binary.BigEndian.AppendUint64(dst, uint64(turn.LSN))
			continue
		}
		dst = binary.BigEndian.AppendUint64(dst, uint64(turn.LSN)|turnIndexed)
		dst = binary.BigEndian.AppendUint64(dst, uint64(turn.Index))
	}
	return dst
}

func readTurns(b []byte) (t turns, err error) {
	r := reader{b: b}
	for len(r.b) > 0 && r.err == nil {
		at := r.uint64()
		turn := cdc.Position{LSN: cdc.LSN(at &^ turnIndexed)}
		if at&turnIndexed != 0 {
			turn.Index = uint32(r.uint64())
		}
		t = append(t, turn)
	}
	return t, r.end()
}

// noteAdmins notes who begins or ceases to be an admin with the transaction, whose events
// come behind at.
func (f *fold) noteAdmins(at cdc.Position) {
	for _, r := range f.people.rows {
		was, is := isAdmin(r.was.Person), isAdmin(r.now.Person)
		if was == is {
			continue
		}
		f.turns[r.key] = f.p.admins[r.key].turn(was, at)
	}
}

// WasAdmin reports whether the person was an admin when the event at this
// position happened.
func (p *Projection) WasAdmin(id cdc.ID, at cdc.Position) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if t, ok := p.admins[id]; ok {
		return t.admin(at)
	}
	return isAdmin(p.people[id].Person)
}
