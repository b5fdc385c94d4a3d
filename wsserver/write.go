package wsserver

import (
	"errors"
	"os"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

const (
	// gather is how many messages leave in one write: the system call costs
	// more than everything else.
	gather = 64
	// keepBuffer is the largest buffer worth keeping for the next write.
	keepBuffer = 128 << 10
	// atOnce is how many bytes a client gets the time of one write for: a line that is
	// slow but moves must be able to take many large messages that it has missed.
	atOnce = 64 << 10
)

// A batch is what one write carries.
type batch struct {
	wire     wire
	out      []byte
	messages [gather]*router.Message
	taken    router.Taken
	own      [6]note // the session's own messages in it
	owns     int
	ping     bool // a ping is in it
	last     bool // the last words are in it
	again    bool // there is more, look again
}

// A note is one message of the session's own, for whoever counts.
type note struct {
	kind string
	size int
}

func (b *batch) reset() {
	b.out, b.taken = b.out[:0], router.Taken{}
	b.owns, b.ping, b.last, b.again = 0, false, false, false
}

// add appends one of the session's own messages; mark is as for wire.message.
func (b *batch) add(kind string, body []byte, mark cdc.Position) {
	b.out = b.wire.message(b.out, body, mark)
	b.own[b.owns] = note{kind, len(body)}
	b.owns++
}

// write is the session's writing goroutine: it lives while there is something to
// write.
func (c *session) write() {
	s := c.server
	buf := s.buffers.Get().(*[]byte)
	b := batch{wire: c.wire, out: *buf}
	for c.fill(&b) {
		if len(b.out) > 0 {
			c.send(&b)
		}
	}
	if cap(b.out) <= keepBuffer {
		*buf = b.out[:0]
		s.buffers.Put(buf)
	}
	c.mu.Lock()
	last := c.last()
	c.mu.Unlock()
	if last {
		c.finish()
	}
}

// fill prepares the next write; false: there is nothing, and the writing
// goroutine is over.
func (c *session) fill(b *batch) bool {
	c.mu.Lock()
	if c.told || c.broken || !c.pending && !b.again {
		c.writing = false
		c.mu.Unlock()
		return false
	}
	c.pending = false
	due, control, ended, answers := c.wants, c.control, c.ended, c.answers
	c.wants, c.control = 0, nil
	if len(answers) > 0 { // one in each write
		c.answers, c.pending = answers[1:], len(answers) > 1
	}
	c.mu.Unlock()

	b.reset()
	if ended != nil {
		b.appendEnding(*ended)
		return true
	}
	if due&wantWelcome != 0 {
		c.appendOwn(b, wantWelcome)
	}
	b.out = append(b.out, control...)
	if len(answers) > 0 {
		b.add(answers[0].kind, answers[0].body, cdc.Position{})
	}
	taken, err := c.sub.Take(b.messages[:])
	if err != nil {
		c.end(endingOf(err))
		return true
	}
	b.taken, b.again = taken, taken.More
	for _, m := range b.messages[:taken.N] {
		b.out = b.wire.message(b.out, m.Body, m.Position)
	}
	if taken.More {
		c.want(due &^ wantWelcome) // their cursor must not stand before what is still to come
		return true
	}
	for _, w := range [...]wants{wantMetrics, wantPong, wantPing} {
		if due&w != 0 {
			c.appendOwn(b, w)
		}
	}
	return true
}

// appendOwn makes one of the session's own messages.
func (c *session) appendOwn(b *batch, w wants) {
	now := time.Now()
	cursor := b.taken.Cursor
	switch w {
	case wantPong:
		b.add("pong", appendBeat(nil, "pong", cursor, now), cursor)
		return
	case wantPing:
		b.add("ping", appendBeat(nil, "ping", cursor, now), cursor)
		b.ping = true
		return
	}
	people := c.server.deps.People
	p, ok := people.Person(c.person)
	if !ok {
		c.end(endingOf(router.ErrInactive))
		return
	}
	// The counts are of the work with students. Of a student four zeros would be a lie.
	var counts *cdc.Counts
	if p.Role != cdc.Student {
		counts = new(people.Counts(p))
	}
	switch {
	case w == wantWelcome:
		start := c.sub.Start()
		if c.asked {
			start = cdc.Position{} // what the client missed is still to come
		}
		b.add("welcome", appendWelcome(nil, p, counts, c.sub, c.asked, c.proof().Expires, now), start)
	case counts != nil:
		b.add("metrics", appendMetrics(nil, *counts, cursor, now), cursor)
	}
}

func (b *batch) appendEnding(e ending) {
	b.last = true
	if !e.echo {
		b.add("disconnect", appendDisconnect(nil, e), cdc.Position{})
	}
	b.out = b.wire.farewell(b.out, e)
}

// send writes a batch and counts it.
func (c *session) send(b *batch) {
	if b.ping && !c.oneWay {
		c.mu.Lock()
		c.unanswered++
		c.mu.Unlock()
	}
	for rest := b.out; len(rest) > 0; {
		c.mu.Lock()
		if c.ended == nil {
			_ = c.conn.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
		}
		c.mu.Unlock()
		n, err := c.conn.Write(rest[:min(len(rest), atOnce)])
		if err != nil {
			c.writeFailed(err)
			return
		}
		rest = rest[n:]
	}
	if b.last {
		c.mu.Lock()
		c.told = true
		c.mu.Unlock()
		c.wire.hangUp(c.conn)
	}
	c.count(b)
}

// writeFailed ends a session that can be told nothing any more.
func (c *session) writeFailed(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.end(slowConsumer())
	} else {
		c.end(connectionLost())
	}
	c.mu.Lock()
	c.broken = true
	c.mu.Unlock()
	_ = c.conn.Close() // the reading goroutine sees it
}

// count tells the observer what was written, messages of one type in a row at
// once.
func (c *session) count(b *batch) {
	seen := c.observer()
	for _, n := range b.own[:b.owns] {
		seen.Sent(n.kind, 1, n.size)
	}
	now := time.Now()
	for i := 0; i < b.taken.N; {
		kind, size, first := b.messages[i].Type, 0, i
		for ; i < b.taken.N && b.messages[i].Type == kind; i++ {
			size += len(b.messages[i].Body)
			if b.taken.Live && kind != router.GapType && kind != router.SubscribedType {
				seen.Delay(now.Sub(b.messages[i].Time))
			}
		}
		seen.Sent(kind, i-first, size)
	}
}
