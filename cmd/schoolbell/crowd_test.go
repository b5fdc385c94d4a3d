package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// crowd is many light clients: a goroutine and 2 KB each. They behave as PROTOCOL.md asks
// of a client: they come back when they were told to, and resume.
type crowd struct {
	t       *testing.T
	address string
	clients []*client
	changed chan struct{} // holds one when something below has changed

	mu       sync.Mutex // guards what follows
	live     int        // clients connected, with their welcome read
	arrived  int        // events
	furthest cdc.LSN    // the newest position that anybody was told
	absences []absence
	refusals map[string]int // answers to a handshake, by code
	fault    error          // what the protocol does not allow
}

// client is one socket after the other of one person.
type client struct {
	crowd  *crowd
	person school.Person

	// Of its own goroutine while that runs.
	position cdc.Position
	grades   []int
	said     farewell // the last disconnect message
	failures int
	lost     *absence // nil while connected, and before the first time
}

// absence is how one connection ended, and how the client came back.
type absence struct {
	farewell
	at   time.Time
	back time.Time // welcomed again; zero: not yet
}

// gather connects n clients of each of these people, and keeps them connected until
// the test ends or disperse is called.
func gather(t *testing.T, address string, people []school.Person, n int) (c *crowd, disperse func()) {
	t.Helper()
	c = &crowd{t: t, address: address, changed: make(chan struct{}, 1), refusals: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	disperse = func() { cancel(); running.Wait() }
	t.Cleanup(disperse)
	for _, p := range people {
		for range n {
			one := &client{crowd: c, person: p}
			c.clients = append(c.clients, one)
			running.Go(func() { one.run(ctx) })
		}
	}
	c.await("all are connected", func() bool { return c.live == len(c.clients) })
	return c, disperse
}

// note changes what is known of the crowd.
func (c *crowd) note(change func()) {
	c.mu.Lock()
	change()
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// await waits until ok, which is called with c.mu held.
func (c *crowd) await(what string, ok func() bool) {
	c.t.Helper()
	patience := time.After(2 * time.Minute)
	for {
		c.mu.Lock()
		done, wrong := ok(), c.fault
		state := fmt.Sprintf("%d of %d connected, %d events, refused: %v", c.live, len(c.clients), c.arrived, c.refusals)
		c.mu.Unlock()
		require.NoError(c.t, wrong)
		if done {
			return
		}
		select {
		case <-c.changed:
		case <-patience:
			c.t.Fatalf("%s: it did not come to that: %s", what, state)
		}
	}
}

func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := c.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if f, ok := errors.AsType[faultError](err); ok {
			c.crowd.note(func() { c.crowd.fault = f })
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// connect lives through one connection, and answers how long to wait before the next.
func (c *client) connect(ctx context.Context) (wait time.Duration, err error) {
	// Full jitter, growing; on top of what the gateway asks for.
	jitter := rand.N(min(250*time.Millisecond<<c.failures, 5*time.Second))
	c.failures = min(c.failures+1, 10)
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", c.crowd.address)
	if err != nil {
		return jitter, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	in := bufio.NewReaderSize(conn, 2048)
	resuming := !c.position.IsZero()
	if after, err := c.upgrade(conn, in); err != nil {
		return after + jitter, err
	}
	c.said = farewell{}
	live := false
	for {
		op, payload, err := peekFrame(in)
		if err == nil && op == 1 {
			err = c.receive(conn, payload, resuming)
			if !live && err == nil {
				live = true
				c.arrive()
			}
		}
		if op == 8 && err == nil {
			c.said.status = websocket.StatusCode(binary.BigEndian.Uint16(payload))
			err = io.EOF
		}
		if err != nil {
			if live {
				c.leave()
			}
			return time.Duration(c.said.After)*time.Millisecond + jitter, err
		}
	}
}

// upgrade asks for a WebSocket; refused, it answers how long to stay away.
func (c *client) upgrade(conn net.Conn, in *bufio.Reader) (wait time.Duration, err error) {
	since := ""
	if !c.position.IsZero() {
		since = c.position.String()
	}
	if _, err := io.WriteString(conn, handshake(c.crowd.address, c.person.Token, since)); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return 0, nil
	}
	var refusal struct{ Error string }
	_ = json.NewDecoder(resp.Body).Decode(&refusal)
	c.crowd.note(func() { c.crowd.refusals[refusal.Error]++ })
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, errors.New(refusal.Error)
}

func (c *client) arrive() {
	c.failures = 0
	c.crowd.note(func() {
		c.crowd.live++
		if c.lost != nil {
			c.lost.back = time.Now()
			c.crowd.absences = append(c.crowd.absences, *c.lost)
			c.lost = nil
		}
	})
}

func (c *client) leave() {
	c.lost = &absence{farewell: c.said, at: time.Now()}
	c.crowd.note(func() { c.crowd.live-- })
}

func (c *client) receive(conn net.Conn, text []byte, resuming bool) error {
	var m struct {
		farewell
		ID, Cursor string
		Resumed    bool
		Grade      int
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fault("person %d: no JSON: %s", c.person.ID, text)
	}
	at, err := cdc.ParsePosition(m.ID + m.Cursor) // no message has both
	if err != nil && m.Type != "disconnect" {
		return fault("person %d: no position: %s", c.person.ID, text)
	}
	switch {
	case m.Type == "disconnect":
		c.said = m.farewell
	case m.Type == "welcome" && resuming:
		if !m.Resumed {
			return fault("person %d: not resumed after %v: %s", c.person.ID, c.position, text)
		}
	case m.Type == "welcome", m.Type == "metrics":
		if at.After(c.position) {
			c.position = at
			c.crowd.note(func() { c.crowd.furthest = max(c.crowd.furthest, at.LSN) })
		}
	case m.Type == "ping":
		_, err := conn.Write([]byte("\x81\x8f\x00\x00\x00\x00{\"type\":\"pong\"}"))
		return err
	case m.Type == "grade" && at.After(c.position):
		c.position = at
		c.grades = append(c.grades, m.Grade)
		c.crowd.note(func() { c.crowd.arrived++; c.crowd.furthest = max(c.crowd.furthest, at.LSN) })
	default:
		return fault("person %d, at %v: %s", c.person.ID, c.position, text)
	}
	return nil
}

// peekFrame reads a frame of the server without a copy: it is valid until the next one
// is read, and no longer than the reader's buffer.
func peekFrame(in *bufio.Reader) (op byte, payload []byte, err error) {
	head, err := in.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	op = head[0] & 0xf
	size, n := 2, int(head[1])
	if n == 126 {
		if head, err = in.Peek(4); err != nil {
			return 0, nil, err
		}
		size, n = 4, int(binary.BigEndian.Uint16(head[2:]))
	}
	whole, err := in.Peek(size + n)
	if err != nil {
		return 0, nil, err
	}
	_, err = in.Discard(size + n)
	return op, whole[size:], err
}

// outages are how long the clients were away, shortest first.
func (c *crowd) outages() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []time.Duration
	for _, b := range c.absences {
		all = append(all, b.back.Sub(b.at))
	}
	slices.Sort(all)
	return all
}

// reasons counts the connections that ended, by what their last words were.
func (c *crowd) reasons() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]int{}
	for _, a := range c.absences {
		counts[cmp.Or(a.Reason, "none")]++
	}
	return counts
}
