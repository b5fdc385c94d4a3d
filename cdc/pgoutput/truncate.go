package pgoutput

import (
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// Truncate says that tables were emptied, all by one statement.
type Truncate struct {
	XID             uint32 // inside a stream the sub-transaction, otherwise the transaction
	Tables          []*cdc.Table
	Cascade         bool
	RestartIdentity bool
}

func (*Truncate) message() {}

func (d *Decoder) decodeTruncate(r *reader) error {
	const cascade, restartIdentity = 1, 2
	d.at(r, d.place != outside)
	xid := d.readXID(r)
	n := uint64(r.uint32("number of tables"))
	options := r.byte("options")
	if r.err == nil && n > uint64(len(r.rest)/4) {
		r.fail(fixMalformed, "%d tables need %d bytes, %d remain", n, n*4, len(r.rest))
	}
	if r.err != nil {
		return r.err
	}
	tables := slices.Grow(d.truncate.Tables[:0], int(n))
	for range n {
		tables = append(tables, d.table(r, r.uint32("oid")))
	}
	d.truncate = Truncate{
		XID:             xid,
		Tables:          tables,
		Cascade:         options&cascade != 0,
		RestartIdentity: options&restartIdentity != 0,
	}
	return r.end()
}
