package router

// A queue is a ring of messages. Thousands of subscriptions are idle, so it
// holds nothing until the first message, grows as it must, and lets go of what
// a burst has made it grow.
type queue struct {
	ring []*Message
	head int
	size int
}

const (
	firstRing = 4
	idleRing  = 16 // a larger one is dropped when it has been emptied
)

func (q *queue) push(m *Message) {
	if q.size == len(q.ring) {
		grown := make([]*Message, max(firstRing, 2*len(q.ring)))
		q.copyTo(grown)
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.size)&(len(q.ring)-1)] = m
	q.size++
}

func (q *queue) copyTo(dst []*Message) {
	n := copy(dst[:q.size], q.ring[q.head:])
	copy(dst[n:q.size], q.ring)
}

func (q *queue) take(buf []*Message) int {
	n := min(len(buf), q.size)
	for i := range n {
		at := (q.head + i) & (len(q.ring) - 1)
		buf[i], q.ring[at] = q.ring[at], nil
	}
	q.size -= n
	if q.size > 0 {
		q.head = (q.head + n) & (len(q.ring) - 1)
		return n
	}
	q.head = 0
	if len(q.ring) > idleRing {
		q.ring = nil
	}
	return n
}
