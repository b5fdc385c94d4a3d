package projection

import "github.com/schoolbell/schoolbell/cdc"

// lookup is one lookup table, whole: they are small.
type lookup struct {
	rows  map[cdc.ID]lookupRow
	byKey map[cdc.ID]cdc.ID // key to row; a lookup's key is unique
}

func (l lookup) set(id cdc.ID, row lookupRow) {
	l.rows[id] = row
	l.byKey[row.key] = id
}

// remove forgets a row, unless its key has gone to another row already.
func (l lookup) remove(id cdc.ID, row lookupRow) {
	delete(l.rows, id)
	if l.byKey[row.key] == id {
		delete(l.byKey, row.key)
	}
}

// value follows one step of a path: the column of the row with this key.
func (l lookup) value(key cdc.ID, column int) cdc.ID {
	row, ok := l.byKey[key]
	if !ok {
		return cdc.ID{}
	}
	return l.rows[row].value(column)
}

// lookup answers the lookup table with this number, making those up to it.
func (p *Projection) lookup(index int) lookup {
	for len(p.lookups) <= index {
		p.lookups = append(p.lookups, lookup{rows: map[cdc.ID]lookupRow{}, byKey: map[cdc.ID]cdc.ID{}})
	}
	return p.lookups[index]
}
