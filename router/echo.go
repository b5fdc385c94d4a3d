package router

import (
	"github.com/schoolbell/schoolbell/cdc"
)

// EchoType is the `type` of the message that Listen gives. No client gets it.
const EchoType = "self_check"

// Listen joins the group of those who wait for what the gateway emitted itself, and is in
// no other: it is nobody's, so no event, no count and no change of rights can come to it,
// and Stats does not count it. wake is as in Request.
func (r *Router) Listen(wake func(ended error)) (*Subscription, error) {
	s := &Subscription{router: r, wake: wake, at: [places]int{nowhere, nowhere}, live: true}
	r.mu.Lock()
	defer r.mu.Unlock()
	cursor := r.cursor.Load()
	if cursor == nil {
		return nil, ErrNotStarted
	}
	s.start, s.given, s.last = *cursor, *cursor, *cursor
	r.echoes[s] = struct{}{}
	return s, nil
}

// echo queues a text for whoever listens. The caller holds r.mu.
func (r *Router) echo(text []byte) {
	for s := range r.echoes {
		s.mu.Lock()
		r.pushEcho(s, text)
		s.mu.Unlock()
	}
}

// pushEcho needs r.mu and s.mu.
func (r *Router) pushEcho(s *Subscription, text []byte) {
	switch {
	case s.err != nil:
		return
	case s.queue.size >= r.cfg.Queue:
		r.end(s, ErrSlow)
		return
	}
	body := cdc.AppendJSONString([]byte(`{"type":"`+EchoType+`","text":`), string(text))
	s.queue.push(&Message{Type: EchoType, Body: append(body, '}')})
	if s.queue.size == 1 {
		r.wakes = append(r.wakes, wake{s.wake, nil})
	}
}
