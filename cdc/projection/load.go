package projection

import (
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// load reads what is kept in memory: people, owners, courses and their staff, lookups, counts and who was an
// admin when. Threads stay in the store.
func (p *Projection) load() error {
	byID := func(keep func(id cdc.ID, value []byte) error) func(key, value []byte) error {
		return func(key, value []byte) error {
			id, _, err := cdc.CutKey(key)
			if err != nil {
				return err
			}
			return keep(id, value)
		}
	}
	for _, kind := range []struct {
		name   string
		letter byte
		keep   func(key, value []byte) error
	}{
		{"people", keyPerson, byID(func(id cdc.ID, value []byte) error {
			person, err := readPerson(id, value)
			p.people[id] = person
			p.emails.replace(id, "", person.Email)
			return err
		})},
		{"assignments", keyAssignment, byID(func(id cdc.ID, value []byte) error {
			a, err := readAssignment(value)
			p.enlist(id, a.heading())
			return err
		})},
		{"courses", keyCourse, byID(func(id cdc.ID, value []byte) error {
			c, err := readCourse(value)
			if !c.active {
				p.muted[id] = true
			}
			return err
		})},
		{"staff", keyStaff, func(key, value []byte) error {
			r := reader{b: key}
			_, entry, row := r.id(), r.byte(), r.id()
			if err := r.end(); err != nil {
				return err
			}
			list, err := readMembers(value)
			for _, m := range list {
				p.hire(rowID{int(entry), row}, m)
			}
			return err
		}},
		{"standings", keyStanding, byID(func(id cdc.ID, value []byte) (err error) {
			p.standings[id], err = readStanding(value)
			return err
		})},
		{"lookups", keyLookup, func(key, value []byte) error {
			r := reader{b: key}
			index, id := int(r.byte()), r.id()
			if err := r.end(); err != nil {
				return err
			}
			record, err := profile.ReadLookupRecord(value)
			if err == nil {
				p.lookup(index).set(id, record)
			}
			return err
		}},
		{"counts", keyCounts, func(key, value []byte) error {
			s, err := readScope(key)
			if err != nil {
				return err
			}
			p.counts[s], err = readCounts(value)
			return err
		}},
		{"admins", keyAdmin, byID(func(id cdc.ID, value []byte) (err error) {
			p.admins[id], err = readTurns(value)
			return err
		})},
	} {
		if err := p.scan([]byte{kind.letter}, kind.keep); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	for course, rows := range p.staff {
		p.teams[course] = newTeam(rows)
	}
	return nil
}

// get reads a value, of the group first: it is newer than the store's.
func (p *Projection) get(key, dst []byte) (value []byte, ok bool, err error) {
	if value, ok, known := p.group.get(key); known {
		return append(dst[:0], value...), ok, nil
	}
	return p.shadow.Get(key, dst)
}

// number reads a count that may be absent.
func (p *Projection) number(key []byte) (int32, error) {
	value, ok, err := p.get(key, nil)
	if err != nil || !ok {
		return 0, err
	}
	r := reader{b: value}
	n := r.varint()
	return int32(n), r.end()
}

// scan calls f for each pair below prefix, with the prefix cut from the key. What
// is in the group is stored first.
func (p *Projection) scan(prefix []byte, f func(key, value []byte) error) error {
	if err := p.flush(); err != nil {
		return err
	}
	for pair, err := range p.shadow.Scan(prefix) {
		if err != nil {
			return err
		}
		if err := f(pair.Key[len(prefix):], pair.Value); err != nil {
			return err
		}
	}
	return nil
}
