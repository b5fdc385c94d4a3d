package projection

import (
	"encoding/binary"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// person is somebody as the shadow remembers them.
type person struct {
	cdc.Person          // its Role is what they may see in the end
	own        cdc.Role // what their row says that they are
}

// standing is by how many rows somebody is an admin, and where people's own rows say
// nothing of roles, by how many they are a teacher, a tutor and a student.
type standing struct{ admin, teacher, tutor, student int32 }

// roleOf is what somebody is: an admin whom a row of `admin` names; otherwise what their
// own row says, or where no such row does, the most that they are anywhere.
func (p *Projection) roleOf(own cdc.Role, s standing) cdc.Role {
	switch {
	case s.admin > 0:
		return cdc.Admin
	case p.profile.HasRole():
		return own
	case s.teacher > 0:
		return cdc.Teacher
	case s.tutor > 0:
		return cdc.Tutor
	case s.student > 0:
		return cdc.Student
	}
	return cdc.NoRole
}

// standing is somebody's by the end of the transaction, to be changed.
func (f *fold) standing(id cdc.ID) *change[standing] {
	c, ok := f.standings[id]
	if !ok {
		was := f.p.standings[id]
		c = &change[standing]{was, was}
		f.standings[id] = c
	}
	return c
}

// followStandings settles what everybody is by the end of the transaction. It comes
// behind whatever else touches rows.
func (f *fold) followStandings() error {
	for _, o := range f.adminRows {
		for _, r := range o.rows {
			if !unchanged(r) {
				f.addAdmins(r.was, r.existed, -1)
				f.addAdmins(r.now, r.exists, +1)
			}
		}
	}
	if !f.p.profile.HasRole() {
		f.addStandings()
	}
	var moved []cdc.ID
	for id, c := range f.standings {
		if c.was != c.now {
			moved = append(moved, id)
		}
	}
	slices.SortFunc(moved, cdc.ID.Compare)
	for _, id := range moved {
		if _, err := f.people.touch(id); err != nil {
			return err
		}
	}
	for _, r := range f.people.rows {
		if !r.exists {
			continue
		}
		s := f.p.standings[r.key]
		if c, ok := f.standings[r.key]; ok {
			s = c.now
		}
		r.now.Role = f.p.roleOf(r.now.own, s)
	}
	return nil
}

func (f *fold) addAdmins(row adminRow, live bool, n int32) {
	if !live {
		return
	}
	for _, id := range row.list() {
		f.standing(id).now.admin += n
	}
}

// addStandings notes by what rows people are teachers, tutors and students.
func (f *fold) addStandings() {
	for _, o := range f.members {
		for _, r := range o.rows {
			if unchanged(r) {
				continue
			}
			gone, come := difference(r)
			for _, m := range gone {
				f.addMember(m, -1)
			}
			for _, m := range come {
				f.addMember(m, +1)
			}
		}
	}
	for _, r := range f.assignments.rows {
		f.addOwner(r.was.Teacher, r.existed, -1)
		f.addOwner(r.now.Teacher, r.exists, +1)
	}
	index, column, ok := f.p.profile.TutorPath()
	if !ok || index >= len(f.lookups) {
		return
	}
	for _, r := range f.lookups[index].rows {
		if r.existed {
			f.addTutor(r.was.read().ID(column), -1)
		}
		if r.exists {
			f.addTutor(r.now.read().ID(column), +1)
		}
	}
}

func (f *fold) addMember(m member, n int32) {
	s := &f.standing(m.User).now
	if m.Teacher {
		s.teacher += n
	}
	if m.Tutor {
		s.tutor += n
	}
	if m.Student {
		s.student += n
	}
}

func (f *fold) addOwner(id cdc.ID, live bool, n int32) {
	if live && !id.IsZero() {
		f.standing(id).now.teacher += n
	}
}

func (f *fold) addTutor(id cdc.ID, n int32) {
	if !id.IsZero() {
		f.standing(id).now.tutor += n
	}
}

// storeStandings writes the standings and the rows of admins.
func (f *fold) storeStandings(b writer) {
	for entry, o := range f.adminRows {
		for _, r := range o.rows {
			key := r.key.AppendKey([]byte{keyAdminRow, byte(entry)})
			if r.exists {
				b.Set(key, []byte(r.now.users))
			} else if r.existed {
				b.Delete(key)
			}
		}
	}
	for id, c := range f.standings {
		setNumber(b, appendKey(nil, keyStanding, id), c.now.append(nil))
	}
}

// publishStandings makes them visible in memory. The caller holds p.mu.
func (f *fold) publishStandings() {
	for id, c := range f.standings {
		if c.now == (standing{}) {
			delete(f.p.standings, id)
		} else {
			f.p.standings[id] = c.now
		}
	}
}

// append writes nothing for who has none.
func (s standing) append(dst []byte) []byte {
	if s == (standing{}) {
		return dst
	}
	for _, n := range []int32{s.admin, s.teacher, s.tutor, s.student} {
		dst = binary.AppendVarint(dst, int64(n))
	}
	return dst
}

func readStanding(b []byte) (s standing, err error) {
	r := reader{b: b}
	s.admin, s.teacher = int32(r.varint()), int32(r.varint())
	s.tutor, s.student = int32(r.varint()), int32(r.varint())
	return s, r.end()
}

// adminRow is one row that names admins, their ids written one after the other.
type adminRow struct{ users string }

func newAdminRow(users []cdc.ID) adminRow {
	var b []byte
	for _, id := range users {
		b = id.AppendKey(b)
	}
	return adminRow{string(b)}
}

func (a adminRow) list() (users []cdc.ID) {
	r := reader{b: []byte(a.users)}
	for len(r.b) > 0 && r.err == nil {
		users = append(users, r.id())
	}
	return users
}

// admin answers the overlay of an entry of `admin`, making those up to it.
func (f *fold) admin(entry int) *overlay[adminRow] {
	for len(f.adminRows) <= entry {
		index := len(f.adminRows)
		f.adminRows = append(f.adminRows, &overlay[adminRow]{load: func(id cdc.ID) (adminRow, bool, error) {
			return load(f, id.AppendKey([]byte{keyAdminRow, byte(index)}), func(b []byte) (adminRow, error) {
				return adminRow{string(b)}, nil
			})
		}})
	}
	return f.adminRows[entry]
}
