package pgoutput

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// reader takes a message apart from its front. The first field that does not fit
// sets err; from then on every field reads as zero, so that a message's fields can
// be read in a row and err looked at once, in end.
type reader struct {
	msg  []byte
	rest []byte // the suffix of msg that is not read yet
	err  *Error
}

func (r *reader) fail(fix, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{
			Message: name(r.msg[0]),
			Offset:  len(r.msg) - len(r.rest),
			Problem: fmt.Sprintf(format, args...),
			Fix:     fix,
		}
	}
}

// has reports whether n more bytes are there, and fails if not.
func (r *reader) has(n int, field string) bool {
	if r.err == nil && len(r.rest) < n {
		r.fail(fixMalformed, "%s needs %d bytes, %d remain", field, n, len(r.rest))
	}
	return r.err == nil
}

func (r *reader) byte(field string) byte {
	if !r.has(1, field) {
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

func (r *reader) uint16(field string) uint16 {
	if !r.has(2, field) {
		return 0
	}
	v := binary.BigEndian.Uint16(r.rest)
	r.rest = r.rest[2:]
	return v
}

func (r *reader) uint32(field string) uint32 {
	if !r.has(4, field) {
		return 0
	}
	v := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return v
}

func (r *reader) uint64(field string) uint64 {
	if !r.has(8, field) {
		return 0
	}
	v := binary.BigEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}

func (r *reader) lsn(field string) cdc.LSN { return cdc.LSN(r.uint64(field)) }

// epoch is 2000-01-01 00:00 UTC, where PostgreSQL's clock begins, in microseconds
// of Unix's.
const epoch = 946_684_800_000_000

func (r *reader) time(field string) time.Time {
	return time.UnixMicro(int64(r.uint64(field)) + epoch).UTC()
}

// flags reads flags that the protocol keeps for later: any that is set means
// something that we do not understand.
func (r *reader) flags(field string) {
	before := r.rest
	if f := r.byte(field); f != 0 {
		r.rest = before
		r.fail(fixVersion, "%s are %#x, want 0", field, f)
	}
}

// text reads up to a zero byte. The result aliases the message.
func (r *reader) text(field string) []byte {
	if r.err != nil {
		return nil
	}
	end := bytes.IndexByte(r.rest, 0)
	if end < 0 {
		r.fail(fixMalformed, "%s has no end in the %d bytes that remain", field, len(r.rest))
		return nil
	}
	v := r.rest[:end:end]
	r.rest = r.rest[end+1:]
	return v
}

// schema reads a schema's name, which the server leaves empty for pg_catalog.
func (r *reader) schema(field string) string {
	if s := r.text(field); len(s) > 0 {
		return string(s)
	}
	return "pg_catalog"
}

// end checks that everything was there and nothing is left.
func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail(fixMalformed, "%d bytes too many", len(r.rest))
	}
	if r.err != nil {
		return r.err
	}
	return nil
}
