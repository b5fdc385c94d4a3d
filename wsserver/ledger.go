package wsserver

import (
	"hash/maphash"
	"time"
)

const (
	ledgerShelves = 2048
	ledgerPlaces  = 8 // on one shelf
)

// A ledger remembers something about the keys that it was last asked for, in memory
// of a fixed size: each key belongs to one shelf, and where a shelf is full, the key
// that was not asked for for the longest time makes room. Who is forgotten begins
// anew, which is to their favour. The shelves are chosen by a seed of this process,
// so that nobody can aim at one. It has to be guarded by its owner.
type ledger[K comparable, V any] struct {
	seed    maphash.Seed
	shelves [][ledgerPlaces]entry[K, V]
}

type entry[K comparable, V any] struct {
	key   K
	asked time.Duration // when, since the owner's beginning; zero: the place is free
	value V
}

func newLedger[K comparable, V any]() ledger[K, V] {
	return ledger[K, V]{maphash.MakeSeed(), make([][ledgerPlaces]entry[K, V], ledgerShelves)}
}

// of is what is known of a key; zero, where nothing is. The pointer is good until the
// next call. now must be above zero.
func (l *ledger[K, V]) of(key K, now time.Duration) *V {
	shelf := &l.shelves[maphash.Comparable(l.seed, key)%ledgerShelves]
	oldest := &shelf[0]
	for i := range shelf {
		e := &shelf[i]
		if e.asked != 0 && e.key == key {
			e.asked = now
			return &e.value
		}
		if e.asked < oldest.asked {
			oldest = e
		}
	}
	*oldest = entry[K, V]{key: key, asked: now}
	return &oldest.value
}

// A meter says how much of an allowance is used up. It is given back with time.
type meter struct {
	used float64
	at   time.Duration
}

// An allowance is how much may be taken at once, and how much comes back per second.
type allowance struct{ burst, rate float64 }

// take uses up one, unless that is more than allowed; then it says after which time
// there is one again.
func (m *meter) take(a allowance, now time.Duration) (wait time.Duration) {
	m.used = max(0, m.used-(now-m.at).Seconds()*a.rate)
	m.at = now
	if over := m.used + 1 - a.burst; over > 0 {
		return time.Duration(over/a.rate*float64(time.Second)) + 1
	}
	m.used++
	return 0
}

// giveBack undoes a take.
func (m *meter) giveBack() { m.used = max(0, m.used-1) }
