//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"
)

// request is a line to one of the processes that the benchmark starts, answer the
// line that comes back.
type request struct {
	Do      string        `json:"do"`
	Address string        `json:"address,omitempty"` // connect
	Tokens  []string      `json:"tokens,omitempty"`  // connect: one socket for each
	Type    string        `json:"type,omitempty"`    // await: grade, metrics or welcome
	N       int           `json:"n,omitempty"`       // await, burst: how many
	Wait    time.Duration `json:"wait,omitempty"`    // await: how long at most

	URL   string `json:"url,omitempty"`   // listen, poll: of the database
	Text  string `json:"text,omitempty"`  // burst: the message to send
	First int    `json:"first,omitempty"` // burst: the first mark
	Each  int    `json:"each,omitempty"`  // burst: frames in one write
}

type answer struct {
	Error    string    `json:"error,omitempty"`
	Address  string    `json:"address,omitempty"` // of a plain server
	At       int64     `json:"at,omitempty"`      // burst: when it began
	Arrivals []arrival `json:"arrivals,omitempty"`
	Sample   string    `json:"sample,omitempty"` // the text of a grade
}

// arrival is when a mark came, in nanoseconds since 1970: to the first and to the last
// of the sockets that it came to.
type arrival struct {
	Mark  int   `json:"m"`
	First int64 `json:"f"`
	Last  int64 `json:"l"`
	N     int   `json:"n"` // how often
}

// serveRequests answers line by line until the input ends.
func serveRequests(in io.Reader, out io.Writer, do func(request) (answer, error)) error {
	d, e := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r request
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		a, err := do(r)
		if err != nil {
			a.Error = err.Error()
		}
		if err := e.Encode(a); err != nil {
			return err
		}
	}
}

// client is the process with all the sockets. One thread reads them; the other does
// what the benchmark asks.
type client struct {
	epoll int

	mu       sync.Mutex // guards what follows
	changed  *sync.Cond // something came
	sockets  map[int]*socket
	opened   int
	arrivals map[int]*arrival
	counts   map[string]int // messages by type
	sample   string
	trouble  error // the first socket that ended, or spoke nonsense
}

// runClient is the program as the clients' process.
func runClient(in io.Reader, out io.Writer) error {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	c := &client{epoll: epoll, sockets: map[int]*socket{}, arrivals: map[int]*arrival{}, counts: map[string]int{}}
	c.changed = sync.NewCond(&c.mu)
	go c.read() // until the process ends
	return serveRequests(in, out, c.do)
}

func (c *client) do(r request) (answer, error) {
	switch r.Do {
	case "connect":
		return answer{}, c.connect(r.Address, r.Tokens)
	case "await":
		return answer{}, c.await(r.Type, r.N, r.Wait)
	case "report":
		return c.report(), nil
	default:
		return answer{}, fmt.Errorf("a client cannot %q", r.Do)
	}
}

// connect opens a socket for each token, a few at once.
func (c *client) connect(address string, tokens []string) error {
	next := make(chan string)
	errs := make([]error, 16)
	var dialling sync.WaitGroup
	for i := range errs {
		dialling.Go(func() {
			for token := range next {
				if errs[i] == nil {
					errs[i] = c.open(address, token)
				}
			}
		})
	}
	for _, token := range tokens {
		next <- token
	}
	close(next)
	dialling.Wait()
	return errors.Join(errs...)
}

func (c *client) open(address, token string) error {
	c.mu.Lock()
	n := c.opened
	c.opened++
	c.mu.Unlock()
	s, err := dial(address, token, n)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets[s.fd] = s
	c.takeLocked(s, nil, 0) // what came with the handshake
	return syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_ADD, s.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(s.fd)})
}

// read takes what comes, for ever.
func (c *client) read() {
	events := make([]syscall.EpollEvent, 1024)
	buf := make([]byte, 256<<10)
	for {
		n, err := syscall.EpollWait(c.epoll, events, -1)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		c.mu.Lock()
		if err != nil {
			c.troubleLocked(fmt.Errorf("wait for messages: %w", err))
			c.mu.Unlock()
			return
		}
		for _, e := range events[:n] {
			got, err := read(int(e.Fd), buf)
			at := time.Now().UnixNano()
			switch s := c.sockets[int(e.Fd)]; {
			case errors.Is(err, syscall.EAGAIN):
			case err != nil || got == 0:
				c.endLocked(s, fmt.Errorf("a socket ended: %v", err))
			default:
				c.takeLocked(s, buf[:got], at)
			}
		}
		c.changed.Broadcast()
		c.mu.Unlock()
	}
}

func (c *client) endLocked(s *socket, why error) {
	c.troubleLocked(why)
	delete(c.sockets, s.fd)
	_ = syscall.Close(s.fd)
}

func (c *client) troubleLocked(err error) {
	if c.trouble == nil {
		c.trouble = err
	}
}

func (c *client) takeLocked(s *socket, came []byte, at int64) {
	err := s.frames(came, func(opcode byte, text []byte) {
		switch opcode {
		case opText:
			c.messageLocked(s, text, at)
		case opClose:
			c.troubleLocked(fmt.Errorf("the server closed a socket: %q", text))
		}
	})
	if err != nil {
		c.endLocked(s, err)
	}
}

func (c *client) messageLocked(s *socket, text []byte, at int64) {
	kind := typeOf(text)
	c.counts[string(kind)]++ // does not allocate where the key is there
	switch string(kind) {
	case "grade":
		if c.sample == "" {
			c.sample = string(text)
		}
		mark := markOf(text)
		a := c.arrivals[mark]
		if a == nil {
			a = &arrival{Mark: mark, First: at}
			c.arrivals[mark] = a
		}
		a.Last = at
		a.N++
	case "ping":
		if _, err := syscall.Write(s.fd, pong); err != nil {
			c.troubleLocked(fmt.Errorf("answer a ping: %w", err))
		}
	case "disconnect", "gap":
		c.troubleLocked(fmt.Errorf("the server said %s", text))
	}
}

// typeOf is what the field type of a message says; the gateway writes it first.
func typeOf(text []byte) []byte {
	_, behind, _ := bytes.Cut(text, []byte(`"type":"`))
	kind, _, _ := bytes.Cut(behind, []byte(`"`))
	return kind
}

// await waits until so many messages of a type have come since the last report.
func (c *client) await(kind string, n int, wait time.Duration) error {
	late := false
	timer := time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		late = true
		c.changed.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.counts[kind] < n {
		if c.trouble != nil {
			return c.trouble
		}
		if late {
			return fmt.Errorf("%d of %d messages of type %s came within %v", c.counts[kind], n, kind, wait)
		}
		c.changed.Wait()
	}
	return c.trouble
}

// report answers what has come since the last one, and forgets it.
func (c *client) report() answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := answer{Sample: c.sample}
	for _, came := range c.arrivals {
		a.Arrivals = append(a.Arrivals, *came)
	}
	clear(c.arrivals)
	clear(c.counts)
	return a
}
