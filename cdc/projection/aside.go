package projection

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// A transaction may touch more rows than fit into the memory, and still it becomes
// true in one moment. So its rows go aside: into the store, under keys of their own
// that nobody reads but the fold. When the transaction is settled, one small batch
// holds the counts, the position and a mark that what is aside is true; then it is
// moved to where it belongs, piece by piece. A crash before the mark leaves rows
// aside that Open removes; a crash after it leaves a move that Open completes.
//
//	+ mark                  what is aside is true
//	+ letter o order        a touched row: its key, before, after; behind the letter of a held
//	                        row stands its section
//	+ letter k row          its order
//	+ letter l link row     a thread of a link, where grades ask for them; see grades.go
//	+ n scope student       how many threads the student has in the scope now

// pieceBytes is how much goes into one batch of a large transaction. The store uses the
// memory of a batch again only while it is small.
const pieceBytes = 256 << 10

func asideMark() []byte { return []byte{keyAside, '!'} }

// aside holds touched rows of one kind in the store.
type aside[T comparable] struct {
	p     *Projection
	table *table[T]
	known filter // of the keys
	some  bool   // there are any

	// Scratch of write and find, which run once per row.
	rowKey, orderKey, row, part []byte
}

func (a *aside[T]) used() bool { return a != nil && a.some }

func (a *aside[T]) forget() { a.some, a.known = false, filter{} }

// appendSort writes what keys of one sort begin with.
func (a *aside[T]) appendSort(dst []byte, sort byte) []byte {
	return append(append(append(dst, keyAside), a.table.prefix...), sort)
}

// keys makes the row's keys in their scratch.
func (a *aside[T]) keys(r *touched[T]) {
	a.rowKey = r.key.AppendKey(a.appendSort(a.rowKey[:0], 'k'))
	a.orderKey = binary.BigEndian.AppendUint64(a.appendSort(a.orderKey[:0], 'o'), r.order)
}

// put takes the overlay's rows out of the memory. Rows that changed their key
// belong together and stay: there are never many.
func (a *aside[T]) put(o *overlay[T]) error {
	pieces := pieces{p: a.p}
	var kept []*touched[T]
	for _, r := range o.rows {
		if r.from != nil || r.moved {
			a.keys(r)
			pieces.batch().Delete(a.rowKey) // it may have been aside before
			pieces.batch().Delete(a.orderKey)
			kept = append(kept, r)
			continue
		}
		if err := a.write(&pieces, r); err != nil {
			return err
		}
		a.some = true
	}
	if err := pieces.flush(); err != nil {
		return err
	}
	o.forget()
	for _, r := range kept {
		o.add(r)
	}
	return nil
}

func (a *aside[T]) write(to *pieces, r *touched[T]) error {
	a.keys(r)
	a.encode(r)
	b := to.batch()
	b.Set(a.rowKey, a.orderKey)
	b.Set(a.orderKey, a.row)
	a.known.add(r.key)
	return to.mayFlush()
}

// encode writes the row in its scratch.
func (a *aside[T]) encode(r *touched[T]) {
	a.part = a.table.append(a.part[:0], r.was)
	a.row = r.key.AppendKey(append(a.row[:0], flag(r.existed, 1)|flag(r.exists, 2)))
	a.row = append(binary.AppendUvarint(a.row, uint64(len(a.part))), a.part...)
	a.row = a.table.append(a.row, r.now)
}

func (a *aside[T]) decode(row *touched[T], order, b []byte) (err error) {
	r := reader{b: b}
	flags := r.byte()
	*row = touched[T]{
		key: r.id(), order: binary.BigEndian.Uint64(order[len(order)-8:]),
		existed: flags&1 != 0, exists: flags&2 != 0,
	}
	was := r.cut(int(r.uvarint()))
	if r.err != nil {
		return r.err
	}
	if row.was, err = a.table.read(was); err != nil {
		return err
	}
	row.now, err = a.table.read(r.b)
	return err
}

// find answers nil when the row is not aside.
func (a *aside[T]) find(key cdc.ID) (*touched[T], error) {
	if !a.known.mayHold(key) {
		return nil, nil
	}
	a.rowKey = key.AppendKey(a.appendSort(a.rowKey[:0], 'k'))
	var ok bool
	var err error
	if a.orderKey, ok, err = a.p.shadow.Get(a.rowKey, a.orderKey); err != nil || !ok {
		return nil, err
	}
	if a.row, ok, err = a.p.shadow.Get(a.orderKey, a.row); err != nil || !ok {
		return nil, err
	}
	row := &touched[T]{}
	return row, a.decode(row, a.orderKey, a.row)
}

// linked shows the rows aside whose link has been noted.
func (a *aside[T]) linked(link cdc.ID, show func(cdc.ID, T)) error {
	prefix := link.AppendKey(a.appendSort(nil, 'l'))
	for pair, err := range a.p.shadow.Scan(prefix) {
		if err != nil {
			return err
		}
		id, _, err := cdc.CutKey(pair.Key[len(prefix):])
		if err != nil {
			return err
		}
		if r, err := a.find(id); err != nil {
			return err
		} else if r != nil {
			show(id, r.now)
		}
	}
	return nil
}

// change lets f change the rows aside and, in their places, those that stayed in memory.
// What f is shown of those aside is good until it returns.
func (a *aside[T]) change(o *overlay[T], f func(*touched[T]) error) error {
	pieces := pieces{p: a.p}
	err := a.visit(o, func(r *touched[T]) error {
		was := *r
		if err := f(r); err != nil || *r == was || o.index[r.key] == r {
			return err
		}
		return a.write(&pieces, r)
	})
	if err != nil {
		return err
	}
	return pieces.flush()
}

// visit shows f the rows aside and, in their places, those that stayed in memory. What f
// is shown of those aside is good until it returns.
func (a *aside[T]) visit(o *overlay[T], f func(*touched[T]) error) error {
	here := slices.SortedFunc(slices.Values(o.rows), func(x, y *touched[T]) int { return cmp.Compare(x.order, y.order) })
	err := a.scan(func(r *touched[T]) error {
		for len(here) > 0 && here[0].order < r.order {
			if err := f(here[0]); err != nil {
				return err
			}
			here = here[1:]
		}
		if newer, ok := o.index[r.key]; ok && newer.order == r.order {
			return nil // it was touched again since
		}
		return f(r)
	})
	if err != nil {
		return err
	}
	for _, r := range here {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

func (a *aside[T]) scan(f func(*touched[T]) error) error {
	r := &touched[T]{} // all of them, one after the other
	for pair, err := range a.p.shadow.Scan(a.appendSort(nil, 'o')) {
		if err != nil {
			return err
		}
		if err := a.decode(r, pair.Key, pair.Value); err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// move puts the rows aside where they belong, as they are in the end.
func (a *aside[T]) move(end func(*touched[T])) error {
	pieces := pieces{p: a.p}
	var buf []byte
	err := a.scan(func(r *touched[T]) error {
		end(r)
		buf = a.table.put(pieces.batch(), r, buf)
		return pieces.mayFlush()
	})
	if err != nil {
		return err
	}
	return pieces.flush()
}

// pieces are batches of a large transaction that are stored before it is true.
type pieces struct {
	p *Projection
	b *batch
}

func (p *pieces) batch() *batch {
	if p.b == nil {
		p.b = p.p.shadow.NewBatch()
	}
	return p.b
}

func (p *pieces) mayFlush() error {
	if p.b == nil || p.b.Len() < pieceBytes {
		return nil
	}
	return p.flush()
}

func (p *pieces) flush() error {
	if p.b == nil {
		return nil
	}
	if err := p.b.Commit(); err != nil {
		return err
	}
	p.b.Reset()
	return nil
}

// large reports whether the fold has rows aside.
func (f *fold) large() bool {
	return f.threads.aside.used() || f.given.aside.used() || f.grades.aside.used() ||
		slices.ContainsFunc(f.held, func(o *overlay[heldRow]) bool { return o.aside.used() })
}

// makeRoom puts rows aside when they have become many.
func (f *fold) makeRoom() error {
	if len(f.threads.rows)+len(f.given.rows)+len(f.grades.rows) < f.p.cfg.Rows || f.fresh {
		return nil
	}
	return f.putAside()
}

func (f *fold) putAside() error {
	if err := f.threads.aside.put(&f.threads); err != nil {
		return err
	}
	if err := f.grades.aside.put(&f.grades); err != nil {
		return err
	}
	return f.given.aside.put(&f.given)
}

// makeHeldRoom is makeRoom for held rows. Nobody may be visiting them.
func (f *fold) makeHeldRoom() error {
	n := 0
	for _, o := range f.held {
		n += len(o.rows)
	}
	if n < f.p.cfg.Rows || f.fresh {
		return nil
	}
	return f.putHeldAside()
}

func (f *fold) putHeldAside() error {
	for _, o := range f.held {
		if err := o.aside.put(o); err != nil {
			return err
		}
	}
	return nil
}

// clearAside removes what is aside, and the mark.
func (f *fold) clearAside() error {
	b := f.p.shadow.NewBatch()
	b.DeletePrefix([]byte{keyAside})
	f.threads.aside.forget()
	f.given.aside.forget()
	f.grades.aside.forget()
	for _, o := range f.held {
		o.aside.forget()
	}
	return b.Commit()
}

// moveAside completes a large transaction that has become true.
func (f *fold) moveAside() error {
	var failed error
	err := f.threads.aside.move(func(r *touched[thread]) {
		f.followTutor(r)
		failed = errors.Join(failed, f.followGrade(r))
		r.now.told()
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	if err := f.grades.aside.move(func(r *touched[gradeRow]) { r.now.score = "" }); err != nil {
		return err
	}
	for _, o := range f.held {
		if err := o.aside.move(func(*touched[heldRow]) {}); err != nil {
			return err
		}
	}
	if err := f.given.aside.move(func(*touched[given]) {}); err != nil {
		return err
	}
	if err := f.moveActives(); err != nil {
		return err
	}
	f.p.passing = moment{}
	return f.clearAside()
}

// recoverAside finishes what a crash left of a large transaction.
func (f *fold) recoverAside() error {
	_, isTrue, err := f.p.shadow.Get(asideMark(), nil)
	if err != nil {
		return err
	}
	if isTrue {
		return f.moveAside()
	}
	return f.clearAside()
}
