package pgoutput

import "github.com/schoolbell/schoolbell/cdc"

// LogicalMessage is what somebody gave to pg_logical_emit_message. The server
// sends them only when asked to (`messages 'true'`).
type LogicalMessage struct {
	XID           uint32 // as in Row; 0 when it belongs to no transaction
	Transactional bool   // otherwise it was sent at once, whatever became of its transaction
	LSN           cdc.LSN
	Prefix        []byte // aliases the message, as Content does
	Content       []byte
}

func (*LogicalMessage) message() {}

func (d *Decoder) decodeLogical(r *reader) error {
	const transactional = 1
	m := &d.logical
	m.XID = d.readXID(r)
	m.Transactional = r.byte("flags")&transactional != 0
	m.LSN = r.lsn("position")
	m.Prefix = r.text("prefix")
	size := uint64(r.uint32("length of the content"))
	if r.err == nil && size > uint64(len(r.rest)) {
		r.fail(fixMalformed, "the content needs %d bytes, %d remain", size, len(r.rest))
	}
	if r.err != nil {
		return r.err
	}
	m.Content = r.rest[:size:size]
	r.rest = r.rest[size:]
	return r.end()
}
