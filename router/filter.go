package router

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/schoolbell/schoolbell/cdc"
)

// FilterSize is how many types, and how many assignments, a filter may name.
const FilterSize = 64

// SubscribedType is the `type` of the message that stands where a filter took effect.
const SubscribedType = "subscribed"

// A Filter is what a subscriber wants to hear of what concerns them. It can only leave
// out: what it lets through goes to nobody who may not see it. nil lets everything
// through. It never changes.
type Filter struct {
	types       []string // sorted; nil: all
	assignments []cdc.ID // sorted; nil: all
}

// NewFilter reads what a client asks for; nil stands for everything. Types are those of
// events, or of custom messages; assignments are the LMS's keys as it writes them.
func NewFilter(types, assignments []string) (*Filter, error) {
	if types == nil && assignments == nil {
		return nil, nil
	}
	f := &Filter{}
	if err := size("types", types); err != nil {
		return nil, err
	}
	if err := size("assignments", assignments); err != nil {
		return nil, err
	}
	for _, name := range types {
		if !hasType(name) {
			return nil, fmt.Errorf("types: %s is none that can be asked for; want submission, grade, assignment, assignment_closed or the type of a custom message", quoted(name))
		}
		f.types = append(f.types, name)
	}
	for _, text := range assignments {
		id := cdc.ParseID(text)
		if id.IsZero() || !utf8.ValidString(text) {
			return nil, fmt.Errorf("assignments: %s is no key; want the keys of assignments as the LMS writes them", quoted(text))
		}
		f.assignments = append(f.assignments, id)
	}
	slices.Sort(f.types)
	f.types = slices.Compact(f.types)
	slices.SortFunc(f.assignments, cdc.ID.Compare)
	f.assignments = slices.Compact(f.assignments)
	return f, nil
}

func size(name string, values []string) error {
	switch {
	case values != nil && len(values) == 0:
		return fmt.Errorf("%s: the list is empty; name at least one, or leave it out for all", name)
	case len(values) > FilterSize:
		return fmt.Errorf("%s: %d are too many; name at most %d, or leave it out for all", name, len(values), FilterSize)
	}
	return nil
}

// quoted is something foreign, in a sentence.
func quoted(text string) string {
	const enough = 80
	if len(text) > enough {
		text = text[:enough]
	}
	return strconv.QuoteToASCII(text)
}

// hasType reports whether events have such a type.
func hasType(name string) bool {
	for _, kind := range cdc.Kinds {
		if kind != cdc.Custom && kind.String() == name {
			return true
		}
	}
	return cdc.CheckType(name) == nil
}

// passes reports whether an event is wanted. One that is about no assignment passes
// whatever assignments are named.
func (f *Filter) passes(e *cdc.Event) bool {
	if f == nil {
		return true
	}
	if f.types != nil {
		if _, ok := slices.BinarySearch(f.types, typeOf(e)); !ok {
			return false
		}
	}
	if f.assignments == nil || e.Assignment.IsZero() {
		return true
	}
	_, ok := slices.BinarySearchFunc(f.assignments, e.Assignment.AsWritten(), cdc.ID.Compare)
	return ok
}

// typeOf is an event's `type`. That of a custom message stands in its body alone, first.
func typeOf(e *cdc.Event) string {
	if e.Kind != cdc.Custom {
		return e.Kind.String()
	}
	rest, _ := bytes.CutPrefix(e.Body, []byte(`{"type":"`))
	name, _, _ := bytes.Cut(rest, []byte{'"'}) // nothing in it has to be escaped
	return string(name)
}

// subscribed says that what follows is by this filter, and what came up to the cursor by
// the one before.
func subscribed(f *Filter, cursor cdc.Position, at time.Time) *Message {
	if f == nil {
		f = &Filter{}
	}
	b := append([]byte(nil), `{"type":"subscribed","types":`...)
	b = appendList(b, f.types, cdc.AppendJSONString)
	b = append(b, `,"assignments":`...)
	b = appendList(b, f.assignments, func(dst []byte, id cdc.ID) []byte { return id.AppendJSON(dst) })
	b = append(b, `,"cursor":"`...)
	b = cursor.Append(b)
	b = append(b, `","timestamp":`...)
	b = append(cdc.AppendJSONTime(b, at), '}')
	return &Message{Type: SubscribedType, Position: cursor, Time: at, Body: b}
}

func appendList[T any](dst []byte, list []T, one func([]byte, T) []byte) []byte {
	if list == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, v)
	}
	return append(dst, ']')
}

// Refilter changes what the subscriber wants from here on. A message of SubscribedType
// stands where: what comes before it was chosen by the filter before, what comes after it
// by this one, and nothing is told twice. What the filter before left out does not come
// any more.
func (s *Subscription) Refilter(f *Filter) {
	r := s.router
	r.mu.Lock()
	s.mu.Lock()
	switch {
	case s.err != nil:
	case s.catching:
		// What queues already is by the old filter, and is in the history too: it is read
		// again from there, behind the answer. Take is calling for more by itself.
		s.changes = append(s.changes, f)
		s.live, s.queue, s.bulk = false, queue{}, bulk{}
	default:
		r.closeBulk(s)
		s.filter = f
		s.last = later(s.last, r.Cursor()) // up to here, all that passed the old one is queued
		if s.err == nil {
			r.enqueue(s, subscribed(f, s.last, time.Now()))
		}
	}
	s.mu.Unlock()
	r.unlockAndWake()
}

// change takes up a filter that was asked for while the subscription catches up. The
// caller holds s.mu.
func (s *Subscription) change(buf []*Message) Taken {
	s.filter = s.changes[0]
	if s.changes = s.changes[1:]; len(s.changes) == 0 {
		s.changes = nil
	}
	buf[0] = subscribed(s.filter, s.given, time.Now())
	return Taken{N: 1, Cursor: s.given, More: true}
}
