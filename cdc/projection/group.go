package projection

// A group holds the transactions that wait to be stored in one batch. Under load
// most of what a transaction writes is written again by the next one (the counts,
// the position), and a batch costs more than what is in it.
type group struct {
	values map[string][]byte // by key; nil: deleted
	meant  []Result          // of each transaction
	bytes  int
}

// How large a group may grow: enough that its batch costs little by the
// transaction, little enough that nobody waits for it.
const (
	groupTransactions = 256
	groupBytes        = 1 << 20
)

func newGroup() group { return group{values: map[string][]byte{}} }

func (g *group) isEmpty() bool { return len(g.meant) == 0 }

func (g *group) isLarge() bool { return len(g.meant) >= groupTransactions || g.bytes >= groupBytes }

// get answers a value of the group; a nil one is deleted.
func (g *group) get(key []byte) (value []byte, known bool) {
	value, known = g.values[string(key)]
	return value, known
}

// Set keeps a copy of the value.
func (g *group) Set(key, value []byte) {
	kept := append(make([]byte, 0, max(len(value), 1)), value...) // never nil
	g.values[string(key)] = kept
	g.bytes += len(key) + len(value)
}

// Delete keeps that the value is gone.
func (g *group) Delete(key []byte) {
	g.values[string(key)] = nil
	g.bytes += len(key)
}

// store writes the group into a batch.
func (g *group) store(b writer) {
	for key, value := range g.values {
		if value == nil {
			b.Delete([]byte(key))
		} else {
			b.Set([]byte(key), value)
		}
	}
}

func (g *group) reset() {
	if g.bytes > groupBytes {
		g.values = map[string][]byte{} // a map keeps its size for ever
	}
	clear(g.values)
	g.meant = nil
	g.bytes = 0
}
