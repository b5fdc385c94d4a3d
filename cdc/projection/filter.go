package projection

import (
	"hash/maphash"

	"github.com/schoolbell/schoolbell/cdc"
)

// A filter tells of most keys that they were not added, without a look into the store:
// a large transaction touches most of its rows once. It errs the other way for one key
// in 400 when a million were added, and for all when there were many more. The zero
// filter holds nothing.
type filter struct {
	bits []uint64
	seed maphash.Seed
}

const (
	filterBits   = 1 << 24 // 2 MB
	filterProbes = 4
)

func (f *filter) add(key cdc.ID) {
	if f.bits == nil {
		f.bits, f.seed = make([]uint64, filterBits/64), maphash.MakeSeed()
	}
	at, step := f.hash(key)
	for range filterProbes {
		f.bits[at%filterBits/64] |= 1 << (at % 64)
		at += step
	}
}

func (f *filter) mayHold(key cdc.ID) bool {
	if f.bits == nil {
		return false
	}
	at, step := f.hash(key)
	for range filterProbes {
		if f.bits[at%filterBits/64]&(1<<(at%64)) == 0 {
			return false
		}
		at += step
	}
	return true
}

// hash answers the first bit and how far it is to the next.
func (f *filter) hash(key cdc.ID) (at, step uint32) {
	h := maphash.Comparable(f.seed, key)
	return uint32(h), uint32(h>>32) | 1
}
