package pgoutput

import "github.com/schoolbell/schoolbell/cdc"

// Message is one of *Begin, *Commit, *Origin, *Relation, *Type, *Row, *Truncate,
// *LogicalMessage, *StreamStart, *StreamStop, *StreamCommit and *StreamAbort.
type Message interface{ message() }

// Decoder decodes the messages of one session after the other. The zero value is
// ready for the first. It is for one goroutine at a time.
type Decoder struct {
	place place
	xid   uint32 // of the transaction or the stream that place is in

	tables  map[uint32]known // by oid
	session uint32           // counts Resets
	last    *cdc.Table       // the table of the latest row; nil if there is none in this session

	// What Decode returns points here.
	begin        Begin
	commit       Commit
	origin       Origin
	relation     Relation
	typ          Type
	row          Row
	truncate     Truncate
	logical      LogicalMessage
	streamStart  StreamStart
	streamStop   StreamStop
	streamCommit StreamCommit
	streamAbort  StreamAbort

	oldValues, newValues []cdc.Value // behind row.Change
}

// place is where in the stream of messages we are.
type place byte

const (
	outside place = iota
	inTransaction
	inStream
)

func (p place) String() string {
	switch p {
	case inTransaction:
		return "inside a transaction"
	case inStream:
		return "inside a stream"
	}
	return "outside of any transaction"
}

// known is a table as the server described it last.
type known struct {
	table   *cdc.Table
	session uint32 // when it did
}

// Reset begins a new session: what was open is forgotten, and the server has to
// describe its tables again. One that it describes as before keeps its *cdc.Table.
func (d *Decoder) Reset() {
	d.place, d.xid = outside, 0
	d.session++
	d.last = nil
}

// Decode reads one message. What it returns, and all that hangs on it but the
// *cdc.Table, is valid until the next Decode and no longer than msg is left alone.
// The error is an *Error.
func (d *Decoder) Decode(msg []byte) (Message, error) {
	if len(msg) == 0 {
		return nil, &Error{Message: "unknown", Problem: "it is empty", Fix: fixMalformed}
	}
	r := reader{msg: msg, rest: msg[1:]}
	switch msg[0] {
	case 'I', 'U', 'D':
		return result(&d.row, d.decodeRow(&r))
	case 'B':
		return result(&d.begin, d.decodeBegin(&r))
	case 'C':
		return result(&d.commit, d.decodeCommit(&r))
	case 'O':
		return result(&d.origin, d.decodeOrigin(&r))
	case 'R':
		return result(&d.relation, d.decodeRelation(&r))
	case 'Y':
		return result(&d.typ, d.decodeType(&r))
	case 'T':
		return result(&d.truncate, d.decodeTruncate(&r))
	case 'M':
		return result(&d.logical, d.decodeLogical(&r))
	case 'S':
		return result(&d.streamStart, d.decodeStreamStart(&r))
	case 'E':
		return result(&d.streamStop, d.decodeStreamStop(&r))
	case 'c':
		return result(&d.streamCommit, d.decodeStreamCommit(&r))
	case 'A':
		return result(&d.streamAbort, d.decodeStreamAbort(&r))
	}
	r.rest = msg
	r.fail(fixVersion, "kind %q is none of protocol 1 and 2", msg[0])
	return nil, r.err
}

func result(m Message, err error) (Message, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// at fails unless the message may stand where we are.
func (d *Decoder) at(r *reader, allowed bool) {
	if !allowed {
		r.rest = r.msg
		r.fail(fixOrder, "it cannot come %v", d.place)
	}
}

// readXID reads the sub-transaction that a message inside a stream names, or
// gives the transaction we are in; 0 outside.
func (d *Decoder) readXID(r *reader) uint32 {
	if d.place == inStream {
		return r.uint32("transaction id")
	}
	return d.xid
}
