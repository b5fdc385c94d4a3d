package pgoutput

import (
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Begin opens a transaction that has committed.
type Begin struct {
	FinalLSN   cdc.LSN // of the commit record; its Commit says the same
	CommitTime time.Time
	XID        uint32
}

// Commit closes the transaction that the last Begin opened.
type Commit struct {
	CommitLSN  cdc.LSN
	EndLSN     cdc.LSN // after the transaction: where to resume, what to confirm
	CommitTime time.Time
}

// Origin says that the transaction was replicated to the server from elsewhere.
type Origin struct {
	CommitLSN cdc.LSN // on the server it comes from
	Name      string
}

func (*Begin) message()  {}
func (*Commit) message() {}
func (*Origin) message() {}

func (d *Decoder) decodeBegin(r *reader) error {
	d.at(r, d.place == outside)
	d.begin = Begin{
		FinalLSN:   r.lsn("commit position"),
		CommitTime: r.time("commit time"),
		XID:        r.uint32("transaction id"),
	}
	if err := r.end(); err != nil {
		return err
	}
	d.place, d.xid = inTransaction, d.begin.XID
	return nil
}

func (d *Decoder) decodeCommit(r *reader) error {
	d.at(r, d.place == inTransaction)
	r.flags("flags")
	d.commit = Commit{
		CommitLSN:  r.lsn("commit position"),
		EndLSN:     r.lsn("end position"),
		CommitTime: r.time("commit time"),
	}
	if err := r.end(); err != nil {
		return err
	}
	d.place, d.xid = outside, 0
	return nil
}

func (d *Decoder) decodeOrigin(r *reader) error {
	d.origin.CommitLSN = r.lsn("commit position")
	name := r.text("origin's name")
	if err := r.end(); err != nil {
		return err
	}
	if d.origin.Name != string(name) { // there are few, and each names many transactions
		d.origin.Name = string(name)
	}
	return nil
}
