package projection

import (
	"encoding/binary"

	"github.com/schoolbell/schoolbell/cdc"
)

// Events that concern every admin are stored without naming them. So that somebody
// who comes back sees those of the time when they were an admin, and no others,
// the shadow remembers the commits at which people began or ceased to be one.

func isAdmin(p cdc.Person) bool { return p.Active && p.Role == cdc.Admin }

// turns are the commits at which somebody began (the 1st, 3rd, …) or ceased (the
// 2nd, 4th, …) to be an admin. Somebody who always was has the turn 0.
type turns []cdc.LSN

// admin reports whether the person was an admin by the end of the transaction at.
func (t turns) admin(at cdc.LSN) bool {
	n := 0
	for _, turn := range t {
		if turn <= at {
			n++
		}
	}
	return n%2 == 1
}

// turn adds one to those of somebody who was an admin until then, or was not. Turns are
// never changed in place.
func (t turns) turn(was bool, at cdc.LSN) turns {
	if t == nil && was {
		t = turns{0}
	}
	return append(t[:len(t):len(t)], at)
}

func (t turns) append(dst []byte) []byte {
	for _, turn := range t {
		dst = binary.BigEndian.AppendUint64(dst, uint64(turn))
	}
	return dst
}

func readTurns(b []byte) (t turns, err error) {
	r := reader{b: b}
	for len(r.b) > 0 && r.err == nil {
		t = append(t, cdc.LSN(r.uint64()))
	}
	return t, r.end()
}

// noteAdmins notes who begins or ceases to be an admin with the transaction.
func (f *fold) noteAdmins(commit cdc.LSN) {
	for _, r := range f.people.rows {
		was, is := isAdmin(r.was), isAdmin(r.now)
		if was == is {
			continue
		}
		f.admins[r.key] = f.p.admins[r.key].turn(was, commit)
	}
}

// WasAdmin reports whether the person was an admin when the event at this
// position happened.
func (p *Projection) WasAdmin(id cdc.ID, at cdc.Position) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if t, ok := p.admins[id]; ok {
		return t.admin(at.LSN)
	}
	return isAdmin(p.people[id])
}
