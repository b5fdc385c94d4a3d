package pgoutput

import (
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// StreamStart opens a stream: a piece of a transaction that has neither committed
// nor aborted yet. Until StreamStop all messages belong to it.
type StreamStart struct {
	XID   uint32 // of the transaction; rows name their sub-transaction
	First bool   // the first piece of this transaction
}

// StreamStop closes the stream.
type StreamStop struct {
	XID uint32 // what StreamStart said; the message itself is empty
}

// StreamCommit says that a transaction which came in streams has committed.
type StreamCommit struct {
	XID        uint32
	CommitLSN  cdc.LSN
	EndLSN     cdc.LSN // after the transaction: where to resume, what to confirm
	CommitTime time.Time
}

// StreamAbort takes back what was streamed of a sub-transaction, or of the whole
// transaction when SubXID equals XID. It names each sub-transaction that is to be
// dropped by itself: one without a StreamAbort stays.
type StreamAbort struct {
	XID    uint32
	SubXID uint32
}

func (*StreamStart) message()  {}
func (*StreamStop) message()   {}
func (*StreamCommit) message() {}
func (*StreamAbort) message()  {}

func (d *Decoder) decodeStreamStart(r *reader) error {
	d.at(r, d.place == outside)
	d.streamStart = StreamStart{XID: r.uint32("transaction id"), First: r.byte("first segment") == 1}
	if err := r.end(); err != nil {
		return err
	}
	d.place, d.xid = inStream, d.streamStart.XID
	return nil
}

func (d *Decoder) decodeStreamStop(r *reader) error {
	d.at(r, d.place == inStream)
	if err := r.end(); err != nil {
		return err
	}
	d.streamStop = StreamStop{XID: d.xid}
	d.place, d.xid = outside, 0
	return nil
}

func (d *Decoder) decodeStreamCommit(r *reader) error {
	d.at(r, d.place == outside)
	d.streamCommit.XID = r.uint32("transaction id")
	r.flags("flags")
	d.streamCommit.CommitLSN = r.lsn("commit position")
	d.streamCommit.EndLSN = r.lsn("end position")
	d.streamCommit.CommitTime = r.time("commit time")
	return r.end()
}

func (d *Decoder) decodeStreamAbort(r *reader) error {
	d.at(r, d.place == outside)
	d.streamAbort = StreamAbort{XID: r.uint32("transaction id"), SubXID: r.uint32("sub-transaction id")}
	return r.end()
}
