package wsserver

import (
	"runtime"
	"sync"

	"github.com/schoolbell/schoolbell/router"
)

// Who writes. One event may be for thousands, and a goroutine for each of them would cost
// more than all but the system call, and leave its descriptor and its heap behind. So
// whoever has something to write stands in one queue, and as many goroutines as there are
// cores write for those who stand there, and end with the queue.
//
// None of these may wait for a client. They write what the connection takes at once; where
// that is not all, a goroutine of the session's own takes the rest over, with a time limit.
// It is also that writes a session's beginning, where it catches up and so reads a long
// history, and to lines that cannot say what they take at once (TLS, HTTP/2).

const (
	// turn is how many writes of one session follow one another while others wait.
	turn = 8
	// firstBuffer is what a batch has room for at first.
	firstBuffer = 16 << 10
	// keepBuffer is the largest buffer worth keeping for the next write.
	keepBuffer = 128 << 10
)

// writers is the queue of sessions that have something to write.
type writers struct {
	mu          sync.Mutex // guards what follows, and behind of those that stand here
	first, last *session
	running     int // goroutines that write for them
}

// put lets a session stand in; start says that one more goroutine should write.
func (w *writers) put(c *session) (start bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.first = c
	} else {
		w.last.behind = c
	}
	w.last = c
	if w.running == runtime.GOMAXPROCS(0) {
		return false
	}
	w.running++
	return true
}

// next takes the first out; nil: nobody stands there, and one goroutine fewer writes.
func (w *writers) next() *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.first
	if c == nil {
		w.running--
		return nil
	}
	w.first, c.behind = c.behind, nil
	if w.first == nil {
		w.last = nil
	}
	return c
}

// schedule has somebody write to a session that has something to write and to which nobody
// writes; alone says that it has to be a goroutine of its own.
func (s *Server) schedule(c *session, alone bool) {
	if alone || c.raw == nil {
		s.running.Go(func() { c.write(s.batch(c)) })
		return
	}
	if s.writers.put(c) {
		s.running.Go(s.flush)
	}
}

// flush writes for those in the queue.
func (s *Server) flush() {
	var b *batch
	for c := s.writers.next(); c != nil; c = s.writers.next() {
		if b == nil {
			b = s.batch(c)
		}
		b.wire, b.again = c.wire, false
		if left := c.flush(b); left {
			b = nil
		}
	}
	if b != nil {
		s.putBatch(b)
	}
}

// flush writes what the connection takes at once; left: the session goes on with the batch
// in a goroutine of its own.
func (c *session) flush(b *batch) (left bool) {
	for range turn {
		if !c.fill(b) {
			c.rest()
			return false
		}
		c.announce(b)
		switch b.writeNow(c.raw); {
		case b.failure != nil:
			c.writeFailed(b.failure)
		case len(b.rest) > 0:
			c.server.running.Go(func() { c.write(b) })
			return true
		default:
			c.sent(b)
		}
	}
	c.mu.Lock()
	c.pending = true // perhaps there is more
	c.mu.Unlock()
	c.server.schedule(c, false)
	return false
}

// batch is an empty one for a session.
func (s *Server) batch(c *session) *batch {
	b := s.batches.Get().(*batch)
	b.wire = c.wire
	return b
}

func newBatch() *batch {
	b := &batch{out: make([]byte, 0, firstBuffer)}
	b.attempt = b.write
	return b
}

// putBatch keeps a batch for the next who writes.
func (s *Server) putBatch(b *batch) {
	if cap(b.out) > keepBuffer {
		return
	}
	b.reset()
	b.wire, b.failure, b.messages = nil, nil, [gather]*router.Message{}
	s.batches.Put(b)
}
