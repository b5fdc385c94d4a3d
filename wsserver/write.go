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
	// atOnce is how many bytes a client gets the time of one write for: a line that is
	// slow but moves must be able to take many large messages that it has missed.
	atOnce = 64 << 10
)

// A batch is what one write carries.
type batch struct {
	wire     wire
	out      []byte
	rest     []byte // of out, not written yet
	messages [gather]*router.Message
	taken    router.Taken
	own      [6]note // the session's own messages in it
	owns     int
	ping     bool // a ping is in it
	last     bool // the last words are in it
	again    bool // there is more, look again

	attempt func(fd uintptr) bool // writeNow's, made once
	failure error                 // of the attempt
}

// A note is one message of the session's own, for whoever counts.
type note struct {
	kind string
	size int
}

func (b *batch) reset() {
	b.out, b.rest, b.taken = b.out[:0], nil, router.Taken{}
	b.owns, b.ping, b.last, b.again = 0, false, false, false
}

// add appends one of the session's own messages; mark is as for wire.message.
func (b *batch) add(kind string, body []byte, mark cdc.Position) {
	b.out = b.wire.message(b.out, body, mark)
	b.own[b.owns] = note{kind, len(body)}
	b.owns++
}

// write is what writes to one session alone, as long as there is something to write
// (see flush.go for when). What is left of the batch comes first.
func (c *session) write(b *batch) {
	if len(b.rest) > 0 {
		c.send(b)
	}
	for c.fill(b) {
		c.announce(b)
		c.send(b)
	}
	c.server.putBatch(b)
	c.rest()
}

// rest is the end of writing, until there is more.
func (c *session) rest() {
	c.mu.Lock()
	last := c.last()
	c.mu.Unlock()
	if last {
		c.finish()
	}
}

// fill prepares the next write; false: there is nothing, and writing is over.
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

// announce is called before a batch is written: its pong may come at once.
func (c *session) announce(b *batch) {
	b.rest = b.out
	if b.ping && !c.oneWay {
		c.mu.Lock()
		c.unanswered++
		c.mu.Unlock()
	}
}

// send writes the rest of a batch, however long the client takes within its time, and
// counts it.
func (c *session) send(b *batch) {
	for len(b.rest) > 0 {
		c.allow(c.server.cfg.WriteTimeout)
		n, err := c.conn.Write(b.rest[:min(len(b.rest), atOnce)])
		if err != nil {
			c.writeFailed(err)
			return
		}
		b.rest = b.rest[n:]
	}
	if c.raw != nil {
		c.allow(0) // it would end a later write that has none
	}
	c.sent(b)
}

// allow gives the next write its time; 0: as much as it wants. The last words have
// theirs already.
func (c *session) allow(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return
	}
	until := time.Time{}
	if d > 0 {
		until = time.Now().Add(d)
	}
	_ = c.conn.SetWriteDeadline(until)
}

// sent is called when a batch is written.
func (c *session) sent(b *batch) {
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
