package router

import (
	"strconv"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Message is what sockets receive: one JSON object, encoded once and shared by
// all receivers. It never changes.
type Message struct {
	Type     string       // the protocol's `type`; custom for what somebody published
	Position cdc.Position // a client that has it has everything of its own up to here
	Time     time.Time    // commit time
	Body     []byte
}

func eventMessage(e *cdc.Event) *Message {
	return &Message{Type: e.Kind.String(), Position: e.Position, Time: e.Time, Body: e.Body}
}

// GapReason says why something is not sent.
type GapReason string

const (
	Retention   GapReason = "retention"    // older than what is kept
	Bulk        GapReason = "bulk"         // too much in one transaction; the history has it
	HistoryLost GapReason = "history_lost" // from before this history, or unknown to it
)

// GapType is the `type` of a message that says what could not be given.
const GapType = "gap"

// missing says that the events after from, up to and including to, are not in the
// history.
func (r *Router) missing(from, to cdc.Position) *Message {
	reason := Retention
	if r.history.Lost().After(from) {
		reason = HistoryLost // whatever else was removed since then
	}
	return r.gap(reason, from, to)
}

// gap is a gap of unknown size, counted.
func (r *Router) gap(reason GapReason, from, to cdc.Position) *Message {
	r.countGap(reason)
	return gapMessage(reason, from, to, -1, time.Now())
}

// gapMessage says that the events after from, up to and including to, are not
// sent. A negative count is unknown.
func gapMessage(reason GapReason, from, to cdc.Position, count int, at time.Time) *Message {
	b := append([]byte(nil), `{"type":"gap","reason":"`...)
	b = append(b, reason...)
	b = append(b, `","from":"`...)
	b = from.Append(b)
	b = append(b, `","to":"`...)
	b = to.Append(b)
	b = append(b, `","count":`...)
	if count < 0 {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(count), 10)
	}
	b = append(b, `,"timestamp":`...)
	b = cdc.AppendJSONTime(b, at)
	b = append(b, '}')
	return &Message{Type: GapType, Position: to, Time: at, Body: b}
}
