package projection

import "github.com/schoolbell/schoolbell/cdc"

// touched is one row before and after the transaction at hand.
type touched[T any] struct {
	key     cdc.ID
	was     T
	now     T
	existed bool
	exists  bool
	// from is the row that this one was until the transaction gave it another key.
	from  *touched[T]
	moved bool // another row is from this one
}

// before is what the row was for the sake of events: a row with a new key is
// still the same thing.
func (r *touched[T]) before() (T, bool) {
	if r.from != nil {
		return r.from.before()
	}
	return r.was, r.existed
}

// overlay holds the rows of one kind that a transaction touched, in the order of
// first touch.
type overlay[T any] struct {
	rows  []*touched[T]
	index map[cdc.ID]*touched[T]
	load  func(cdc.ID) (T, bool, error) // the row before the transaction
}

func (o *overlay[T]) reset() {
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
	was, ok, err := o.load(key)
	if err != nil {
		return nil, err
	}
	r := &touched[T]{key: key, was: was, now: was, existed: ok, exists: ok}
	if o.index == nil {
		o.index = map[cdc.ID]*touched[T]{}
	}
	o.index[key] = r
	o.rows = append(o.rows, r)
	return r, nil
}

// apply folds one change of a row. read gives the row after it from the values
// and from what was known before; its false means that the row is none of ours.
func (o *overlay[T]) apply(c *cdc.Change, key func([]cdc.Value) cdc.ID, read func(values []cdc.Value, was T) (T, bool)) error {
	var zero T
	if c.Op == cdc.Delete {
		r, err := o.touch(key(c.Old))
		if err == nil {
			r.now, r.exists = zero, false
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
			from.now, from.exists, from.moved = zero, false, true
		}
	}
	was := zero
	if r.exists {
		was = r.now
	}
	r.now, r.exists = read(c.New, was)
	if !r.exists {
		r.now = zero
	}
	return nil
}

// drop ends every touched row.
func (o *overlay[T]) drop() {
	var zero T
	for _, r := range o.rows {
		r.now, r.exists = zero, false
	}
}
