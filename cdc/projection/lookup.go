package projection

import (
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// lookup is one lookup table, whole: they are small.
type lookup struct {
	many  bool // a path finds all rows under a key, otherwise the first
	rows  map[cdc.ID]*profile.LookupRecord
	byKey map[cdc.ID][]lookupEntry // in the order of compare
}

type lookupEntry struct {
	row    cdc.ID
	record *profile.LookupRecord
}

// compare is the order of the rows under one key.
func (e lookupEntry) compare(other lookupEntry) int {
	if c := e.record.Compare(other.record); c != 0 {
		return c
	}
	return e.row.Compare(other.row)
}

func newLookup(many bool) *lookup {
	return &lookup{many: many, rows: map[cdc.ID]*profile.LookupRecord{}, byKey: map[cdc.ID][]lookupEntry{}}
}

func (l *lookup) set(row cdc.ID, record *profile.LookupRecord) {
	l.rows[row] = record
	e := lookupEntry{row, record}
	for _, key := range record.Keys() {
		list := l.byKey[key]
		i, _ := slices.BinarySearchFunc(list, e, lookupEntry.compare)
		l.byKey[key] = slices.Insert(list, i, e)
	}
}

func (l *lookup) remove(row cdc.ID) {
	record, ok := l.rows[row]
	if !ok {
		return
	}
	delete(l.rows, row)
	for _, key := range record.Keys() {
		list := slices.DeleteFunc(l.byKey[key], func(e lookupEntry) bool { return e.row == row })
		if l.byKey[key] = list; len(list) == 0 {
			delete(l.byKey, key)
		}
	}
}

// value follows one step of a path: the column of the row with this key.
func (l *lookup) value(key cdc.ID, column int) cdc.ID {
	if list := l.byKey[key]; len(list) > 0 {
		return list[0].record.ID(column)
	}
	return cdc.ID{}
}

// lookupRow is a row of a lookup as the fold compares it: its record, written out.
type lookupRow struct{ record string }

// newLookupRow writes a record; nil is one of no row.
func newLookupRow(record *profile.LookupRecord) lookupRow {
	if record == nil {
		return lookupRow{}
	}
	return lookupRow{string(record.Append(nil))}
}

// read is the record again. What it reads was written by newLookupRow, or checked when it
// was loaded.
func (r lookupRow) read() *profile.LookupRecord {
	if r.record == "" {
		return nil
	}
	record, err := profile.ReadLookupRecord([]byte(r.record))
	if err != nil {
		return nil
	}
	return record
}

// lookupChange is what a transaction makes of one lookup, once all of its rows are known.
type lookupChange struct {
	rows  map[cdc.ID]struct{}      // those that differ: what the shadow has of them counts no more
	byKey map[cdc.ID][]lookupEntry // and what they are instead
	keys  []cdc.ID                 // under which something else is found now
}

// settleLookup notes what the transaction has made of a lookup.
func (f *fold) settleLookup(index int) {
	if index >= len(f.lookups) || len(f.lookups[index].rows) == 0 {
		return
	}
	c := &lookupChange{rows: map[cdc.ID]struct{}{}, byKey: map[cdc.ID][]lookupEntry{}}
	seen := map[cdc.ID]struct{}{}
	note := func(keys []cdc.ID) {
		for _, key := range keys {
			if _, ok := seen[key]; !ok {
				seen[key] = struct{}{}
				c.keys = append(c.keys, key)
			}
		}
	}
	for _, r := range f.lookups[index].rows {
		if unchanged(r) {
			continue
		}
		c.rows[r.key] = struct{}{}
		if r.existed {
			note(r.was.read().Keys())
		}
		if r.exists {
			e := lookupEntry{r.key, r.now.read()}
			note(e.record.Keys())
			for _, key := range e.record.Keys() {
				c.byKey[key] = append(c.byKey[key], e)
			}
		}
	}
	for len(f.found) <= index {
		f.found = append(f.found, nil)
	}
	f.found[index] = c
}

// find lists the rows of a lookup under a key by the end of the transaction. The caller
// must not change the list.
func (f *fold) find(index int, key cdc.ID) []lookupEntry {
	table := f.p.lookup(index)
	list := table.byKey[key]
	if index < len(f.found) && f.found[index] != nil {
		c := f.found[index]
		kept := slices.Clone(c.byKey[key])
		for _, e := range list {
			if _, changed := c.rows[e.row]; !changed {
				kept = append(kept, e)
			}
		}
		slices.SortFunc(kept, lookupEntry.compare)
		list = kept
	}
	if !table.many && len(list) > 1 {
		list = list[:1]
	}
	return list
}

// lookup answers the lookup table with this number, making those up to it.
func (p *Projection) lookup(index int) *lookup {
	for len(p.lookups) <= index {
		p.lookups = append(p.lookups, newLookup(p.profile.LookupMany(len(p.lookups))))
	}
	return p.lookups[index]
}
