package wsserver

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

const (
	opText  = 0x1
	opClose = 0x8
	final   = 0x80
)

// appendHeader writes the header of a whole frame, as servers send it: unmasked.
func appendHeader(dst []byte, op byte, size int) []byte {
	dst = append(dst, final|op)
	switch {
	case size < 126:
		return append(dst, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(size))
}

func appendText(dst, body []byte) []byte {
	return append(appendHeader(dst, opText, len(body)), body...)
}

func appendClose(dst []byte, code int, reason string) []byte {
	dst = appendHeader(dst, opClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// The messages of the protocol that are not events. Each appends one JSON object.

func appendCounts(dst []byte, c cdc.Counts) []byte {
	dst = append(dst, `"pending_submissions":`...)
	dst = strconv.AppendInt(dst, c.PendingSubmissions, 10)
	dst = append(dst, `,"ungraded_submissions":`...)
	dst = strconv.AppendInt(dst, c.UngradedSubmissions, 10)
	dst = append(dst, `,"active_students":`...)
	dst = strconv.AppendInt(dst, c.ActiveStudents, 10)
	dst = append(dst, `,"total_assignments":`...)
	return strconv.AppendInt(dst, c.TotalAssignments, 10)
}

func appendPerson(dst []byte, p cdc.Person) []byte {
	dst = append(dst, `"user_id":`...)
	dst = p.ID.AppendJSON(dst)
	dst = append(dst, `,"user_email":`...)
	dst = cdc.AppendJSONString(dst, p.Email)
	dst = append(dst, `,"user_role":`...)
	return cdc.AppendJSONString(dst, p.Role.String())
}

func appendTime(dst []byte, at time.Time) []byte {
	return cdc.AppendJSONTime(append(dst, `,"timestamp":`...), at)
}

func appendCursor(dst []byte, cursor cdc.Position) []byte {
	dst = append(dst, `,"cursor":"`...)
	return append(cursor.Append(dst), '"')
}

func appendWelcome(dst []byte, p cdc.Person, c *cdc.Counts, sub *router.Subscription, asked bool, expires, at time.Time) []byte {
	dst = append(dst, `{"type":"welcome",`...)
	dst = appendPerson(dst, p)
	if c == nil {
		dst = append(dst, `,"metrics":null`...)
	} else {
		dst = append(dst, `,"metrics":{`...)
		dst = append(appendCounts(dst, *c), '}')
	}
	dst = appendTime(dst, at)
	dst = appendCursor(dst, sub.Start())
	if asked {
		dst = append(dst, `,"resumed":`...)
		dst = strconv.AppendBool(dst, sub.Resumed())
	}
	return append(appendExpires(dst, expires), '}')
}

// appendExpires says when the credential ends, if it does.
func appendExpires(dst []byte, at time.Time) []byte {
	if at.IsZero() {
		return dst
	}
	return cdc.AppendJSONTime(append(dst, `,"expires":`...), at)
}

func appendRenewal(dst []byte, r renewal, at time.Time) []byte {
	dst = append(dst, `{"type":"auth","ok":`...)
	dst = strconv.AppendBool(dst, r.refused == "")
	if r.refused != "" {
		dst = append(append(append(dst, `,"reason":"`...), r.refused...), '"')
	}
	return append(appendTime(appendExpires(dst, r.expires), at), '}')
}

// appendError answers something that the client should mend.
func appendError(dst []byte, no *refusal) []byte {
	dst = append(dst, `{"type":"error","code":"`...)
	dst = append(append(dst, no.code...), `","detail":`...)
	return append(cdc.AppendJSONString(dst, no.detail), '}')
}

func appendMetrics(dst []byte, c cdc.Counts, cursor cdc.Position, at time.Time) []byte {
	dst = append(dst, `{"type":"metrics",`...)
	dst = appendCounts(dst, c)
	return append(appendCursor(appendTime(dst, at), cursor), '}')
}

// appendBeat writes a ping or a pong.
func appendBeat(dst []byte, kind string, cursor cdc.Position, at time.Time) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(append(dst, kind...), '"')
	return append(appendCursor(appendTime(dst, at), cursor), '}')
}

func appendDisconnect(dst []byte, e ending) []byte {
	dst = append(dst, `{"type":"disconnect","code":`...)
	dst = strconv.AppendInt(dst, int64(e.code), 10)
	dst = append(dst, `,"reason":"`...)
	dst = append(dst, e.reason...)
	dst = append(dst, `","reconnect":`...)
	dst = strconv.AppendBool(dst, e.reconnect)
	dst = append(dst, `,"retry_after_ms":`...)
	dst = strconv.AppendInt(dst, e.retryAfter.Milliseconds(), 10)
	return append(dst, '}')
}
