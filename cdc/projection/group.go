package projection

import "slices"

// A group holds the transactions that wait to be stored in one batch. Under load
// most of what a transaction writes is written again by the next one (the counts,
// the position), and a batch costs more than what is in it.
//
// Its memory is used again by the next one.
type group struct {
	index  map[string]int // of values, by key
	values []pending
	meant  []Result // of each transaction
	bytes  int
}

// pending is a value that is not stored yet.
type pending struct {
	key, value []byte
	gone       bool // deleted
}

// How large a group may grow: enough that its batch costs little by the
// transaction, little enough that nobody waits for it.
const (
	groupTransactions = 256
	groupBytes        = 4 << 20
)

func newGroup() group { return group{index: map[string]int{}} }

func (g *group) isEmpty() bool { return len(g.meant) == 0 }

func (g *group) isLarge() bool { return len(g.meant) >= groupTransactions || g.bytes >= groupBytes }

// eventBytes is about what an event takes beside its body.
const eventBytes = 256

// add adds what a transaction meant.
func (g *group) add(meant Result) {
	g.meant = append(g.meant, meant)
	for _, e := range meant.Events {
		g.bytes += eventBytes + len(e.Body)
	}
}

// get answers a value of the group, valid until the next change of the group; ok says that
// it is not deleted.
func (g *group) get(key []byte) (value []byte, ok, known bool) {
	i, known := g.index[string(key)]
	if !known {
		return nil, false, false
	}
	return g.values[i].value, !g.values[i].gone, true
}

// Set keeps a copy of the value.
func (g *group) Set(key, value []byte) {
	v := g.at(key)
	v.value, v.gone = append(v.value[:0], value...), false
	g.bytes += len(value)
}

// Delete keeps that the value is gone.
func (g *group) Delete(key []byte) {
	v := g.at(key)
	v.value, v.gone = v.value[:0], true
}

// at answers the place of a key.
func (g *group) at(key []byte) *pending {
	i, known := g.index[string(key)]
	if !known {
		i = len(g.values)
		g.values = slices.Grow(g.values, 1)[:i+1]
		g.values[i].key = append(g.values[i].key[:0], key...)
		g.index[string(key)] = i
		g.bytes += len(key)
	}
	return &g.values[i]
}

// store writes the group into a batch.
func (g *group) store(b writer) {
	for _, v := range g.values {
		if v.gone {
			b.Delete(v.key)
		} else {
			b.Set(v.key, v.value)
		}
	}
}

func (g *group) reset() {
	if g.bytes > 4*groupBytes { // a map keeps its size for ever
		*g = newGroup()
	}
	clear(g.index)
	clear(g.meant)
	g.values, g.meant, g.bytes = g.values[:0], g.meant[:0], 0
}
