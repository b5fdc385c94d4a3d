package profile

import (
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// A Finder finds the rows of a lookup.
type Finder interface {
	// Find answers the rows under a key, in the order of LookupRecord.Compare and then
	// of the rows' ids; of a lookup that is not LookupMany at most one. It is asked for
	// every key that an evaluation hangs on, found or not.
	Find(lookup int, key cdc.ID) []*LookupRecord
}

// An Evaluator evaluates held rows of one derived section, one after the other, in
// memory that it uses again. It is for one goroutine.
type Evaluator struct {
	d     *Derived
	now   time.Time
	find  Finder
	until time.Time

	own     []typed
	found   [][]*LookupRecord // by site
	types   []uint32          // by column of the rows
	values  []cdc.Value       // of all rows
	rows    [][]cdc.Value
	ids     []cdc.ID        // of starts with several values
	records []*LookupRecord // found under several keys
	texts   []byte          // of values that are several
	words   []byte          // true and false
}

// Evaluator makes an evaluator for the section.
func (d *Derived) Evaluator() *Evaluator {
	return &Evaluator{
		d: d, own: make([]typed, len(d.src.columns)), found: make([][]*LookupRecord, len(d.sites)),
		types: make([]uint32, len(d.names)), words: []byte("tf"),
	}
}

// Rows is Evaluator.Rows, in memory of its own.
func (d *Derived) Rows(held []byte, now time.Time, find Finder) (b *Binding, rows [][]cdc.Value, until time.Time, err error) {
	return d.Evaluator().Rows(held, now, find)
}

// Rows evaluates a held row by the log's clock. Of b one section is set (for a list its
// first), and each of rows is to be read with it: one row, and for an entry of member
// one for each combination of what its paths find. At until the outcome changes by
// itself; zero: never. The rows alias held and the evaluator, and are valid until it
// evaluates again.
func (e *Evaluator) Rows(held []byte, now time.Time, find Finder) (b *Binding, rows [][]cdc.Value, until time.Time, err error) {
	e.now, e.find, e.until = now, find, time.Time{}
	e.values, e.rows, e.ids, e.records, e.texts = e.values[:0], e.rows[:0], e.ids[:0], e.records[:0], e.texts[:0]
	for i := range e.own {
		if e.own[i], held, err = cutTyped(held); err != nil {
			return nil, nil, time.Time{}, err
		}
		e.types[i] = e.own[i].typ
	}
	if len(held) > 0 {
		return nil, nil, time.Time{}, errShort
	}
	clear(e.types[len(e.own):])
	e.follow(0)
	e.find = nil
	if b, err = e.d.boundFor(e.types); err != nil {
		return nil, nil, time.Time{}, err
	}
	return b, e.rows, e.until, nil
}

// follow finds the rows of the sites from i on, and emits a row for each combination.
func (e *Evaluator) follow(i int) {
	for ; i < len(e.d.sites); i++ {
		found := e.at(&e.d.sites[i])
		e.found[i] = found
		if !e.d.sites[i].forks || len(found) < 2 {
			continue
		}
		for k := range found {
			e.found[i] = found[k : k+1]
			e.follow(i + 1)
		}
		return
	}
	e.emit()
}

// at finds the rows of one site.
func (e *Evaluator) at(s *site) []*LookupRecord {
	if len(s.start) == 1 && len(s.parts) == 0 {
		r := s.start[0]
		switch {
		case r.site == own || len(e.found[r.site]) == 1:
			return e.under(s.lookup, e.one(r))
		case len(e.found[r.site]) == 0:
			return nil
		}
	}
	var room [maxSteps][]cdc.ID
	keys := room[:len(s.start)]
	began := len(e.ids)
	for i, r := range s.start {
		first := len(e.ids)
		e.start(r, s.parts)
		all := e.ids[first:]
		slices.SortFunc(all, cdc.ID.Compare)
		keys[i] = slices.Compact(all)
	}
	var parts [maxSteps]cdc.ID
	first := len(e.records)
	e.combine(s.lookup, keys, parts[:0])
	e.ids = e.ids[:began]
	return e.records[first:len(e.records):len(e.records)]
}

// under asks for the rows under one key.
func (e *Evaluator) under(lookup int, key cdc.ID) []*LookupRecord {
	if key.IsZero() {
		return nil
	}
	return e.find.Find(lookup, key)
}

// combine finds the rows under every key that can be made of one ID from each list.
func (e *Evaluator) combine(lookup int, keys [][]cdc.ID, parts []cdc.ID) {
	if len(keys) == 0 {
		e.records = append(e.records, e.under(lookup, joinIDs(parts))...)
		return
	}
	for _, id := range keys[0] {
		e.combine(lookup, keys[1:], append(parts, id))
	}
}

// one is the key at a place that has one value.
func (e *Evaluator) one(r ref) cdc.ID {
	if r.site == own {
		return idOf(e.own[r.column].Value, e.own[r.column].typ)
	}
	return e.found[r.site][0].ID(r.column)
}

// start appends the keys at a place, each a part of a value if parts says so.
func (e *Evaluator) start(r ref, parts []byte) {
	add := func(v typed) {
		switch {
		case len(parts) > 0:
			e.ids = appendParts(e.ids, v.Value, v.typ, parts)
		default:
			if id := idOf(v.Value, v.typ); !id.IsZero() {
				e.ids = append(e.ids, id)
			}
		}
	}
	if r.site == own {
		add(e.own[r.column])
		return
	}
	for _, record := range e.found[r.site] {
		add(record.values[r.column])
	}
}

// emit adds a row of what was found.
func (e *Evaluator) emit() {
	first := len(e.values)
	for _, v := range e.own {
		e.values = append(e.values, v.Value)
	}
	for i, r := range e.d.paths {
		v := e.value(r)
		if at := len(e.own) + i; e.types[at] == 0 {
			e.types[at] = v.typ
		}
		e.values = append(e.values, v.Value)
	}
	for _, t := range e.d.timed {
		past, future := e.tenses(e.values[first+t.from], e.types[t.from])
		e.values = append(e.values, past, future)
	}
	e.rows = append(e.rows, e.values[first:len(e.values):len(e.values)])
}

// value is what a path found: NULL for nothing, and for several only those that are
// not NULL, which no test holds for.
func (e *Evaluator) value(r ref) typed {
	var out typed
	out.Kind = cdc.Null
	first, count := len(e.texts), 0
	for _, record := range e.found[r.site] {
		v := record.values[r.column]
		if v.Kind == cdc.Null {
			out.typ = max(out.typ, v.typ)
			continue
		}
		if count++; count == 2 {
			e.texts = appendElement(e.texts, out.Value)
		}
		if count > 1 {
			e.texts = appendElement(e.texts, v.Value)
			continue
		}
		out = v
	}
	if count > 1 {
		out.Value = cdc.Value{Kind: several, Data: e.texts[first:len(e.texts):len(e.texts)]}
	}
	return out
}

// tenses are the booleans that tests against the clock read, and sees when they change.
func (e *Evaluator) tenses(v cdc.Value, typ uint32) (isPast, isFuture cdc.Value) {
	var hasPast, hasFuture bool
	if v.Kind != several {
		hasPast, hasFuture = e.tense(v, typ)
	} else {
		for v := range each(v) {
			p, f := e.tense(v, typ)
			hasPast, hasFuture = hasPast || p, hasFuture || f
		}
	}
	return e.bool(hasPast, v.Kind), e.bool(hasFuture, v.Kind)
}

func (e *Evaluator) tense(v cdc.Value, typ uint32) (isPast, isFuture bool) {
	t, until := e.d.p.times.tense(v, typ, e.now)
	if !until.IsZero() && (e.until.IsZero() || until.Before(e.until)) {
		e.until = until
	}
	return t == past, t == future
}

// bool is a boolean as the log prints it; what the log did not carry stays unknown.
func (e *Evaluator) bool(b bool, of cdc.ValueKind) cdc.Value {
	switch {
	case of == cdc.Unchanged:
		return cdc.Value{Kind: cdc.Unchanged}
	case b:
		return cdc.Value{Kind: cdc.Text, Data: e.words[:1:1]}
	}
	return cdc.Value{Kind: cdc.Text, Data: e.words[1:]}
}
