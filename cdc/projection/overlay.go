package projection

import (
	"github.com/schoolbell/schoolbell/cdc"
)

// touched is one row before and after the transaction at hand.
type touched[T comparable] struct {
	key     cdc.ID
	order   uint64 // of first touch, from 1
	was     T
	now     T
	existed bool
	exists  bool
	moved   bool // another row is from this one
	// from is the row that this one was until the transaction gave it another key.
	from *touched[T]
}

// before is what the row was for the sake of events: a row with a new key is
// still the same thing.
func (r *touched[T]) before() (T, bool) {
	if r.from != nil {
		return r.from.before()
	}
	return r.was, r.existed
}

// unchanged reports whether the transaction left the row as it was.
func unchanged[T comparable](r *touched[T]) bool { return r.existed == r.exists && r.was == r.now }

func (r *touched[T]) end() {
	var zero T
	r.now, r.exists = zero, false
}

// overlay holds the rows of one kind that a transaction touched, in the order of
// first touch.
type overlay[T comparable] struct {
	rows  []*touched[T]
	spare spares[touched[T]]
	index map[cdc.ID]*touched[T]
	load  func(cdc.ID) (T, bool, error) // the row before the transaction
	aside *aside[T]                     // where rows go when they are many; nil: they never are
	next  uint64                        // order of the last first touch
}

func (o *overlay[T]) reset() {
	for _, r := range o.rows {
		o.spare.keep(r)
	}
	o.forget()
	o.next = 0
}

// forget empties the memory, not what is aside.
func (o *overlay[T]) forget() {
	clear(o.rows)
	o.rows = o.rows[:0]
	if len(o.index) > 4096 {
		o.index = nil // a map keeps its size for ever; one large transaction must not
	}
	clear(o.index)
}

// touch answers the row, loading it when the transaction meets it first.
func (o *overlay[T]) touch(key cdc.ID) (*touched[T], error) {
	if r, ok := o.index[key]; ok {
		return r, nil
	}
	if o.aside.used() {
		if r, err := o.aside.find(key); err != nil || r != nil {
			return o.add(r), err
		}
	}
	was, ok, err := o.load(key)
	if err != nil {
		return nil, err
	}
	o.next++
	r := o.spare.take()
	*r = touched[T]{key: key, order: o.next, was: was, now: was, existed: ok, exists: ok}
	return o.add(r), nil
}

// find answers the row if the transaction has touched it, nil otherwise.
func (o *overlay[T]) find(key cdc.ID) (*touched[T], error) {
	if r, ok := o.index[key]; ok || !o.aside.used() {
		return r, nil
	}
	return o.aside.find(key)
}

func (o *overlay[T]) add(r *touched[T]) *touched[T] {
	if r == nil {
		return nil
	}
	if o.index == nil {
		o.index = map[cdc.ID]*touched[T]{}
	}
	o.index[r.key] = r
	o.rows = append(o.rows, r)
	return r
}

// apply folds one change of a row. read gives the row after it from the values
// and from what was known before; its false means that the row is none of ours.
func (o *overlay[T]) apply(c *cdc.Change, key func([]cdc.Value) cdc.ID, read func(values []cdc.Value, was T) (T, bool)) error {
	if c.Op == cdc.Delete {
		r, err := o.touch(key(c.Old))
		if err == nil {
			r.end()
		}
		return err
	}
	r, err := o.touch(key(c.New))
	if err != nil {
		return err
	}
	if c.Old != nil {
		if old := key(c.Old); old != r.key {
			from, err := o.touch(old)
			if err != nil {
				return err
			}
			r.now, r.exists, r.from = from.now, from.exists, from
			from.end()
			from.moved = true
		}
	}
	var was T
	if r.exists {
		was = r.now
	}
	if r.now, r.exists = read(c.New, was); !r.exists {
		r.end()
	}
	return nil
}

// each calls f for every touched row, in the order of first touch. What f changes
// in a row is kept.
func (o *overlay[T]) each(f func(*touched[T]) error) error {
	if o.aside.used() {
		return o.aside.change(o, f)
	}
	return o.visit(f)
}

// visit is each, but what f changes in a row that is aside is not kept.
func (o *overlay[T]) visit(f func(*touched[T]) error) error {
	if o.aside.used() {
		return o.aside.visit(o, f)
	}
	for _, r := range o.rows {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// drop ends every touched row.
func (o *overlay[T]) drop() error {
	return o.each(func(r *touched[T]) error {
		r.end()
		return nil
	})
}
