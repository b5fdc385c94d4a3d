package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A proxy passes TCP connections on to one address, and does to them what networks
// do. One that reads PostgreSQL passes whole messages, and can stop before one of
// them: what the server and the gateway have told each other is then known.
type proxy struct {
	target   string
	postgres bool // the connections speak PostgreSQL's protocol, unencrypted
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closed  bool
	links   map[*link]struct{}
	held    [2]bool       // nothing passes, by way
	changed chan struct{} // closed when held changes
	trap    *trap
}

// way is a direction of a connection.
type way int

const (
	toServer way = iota
	toClient
)

// link is one connection through the proxy.
type link struct {
	proxy  *proxy
	ends   [2]net.Conn // the one to write to, by way
	params string      // of PostgreSQL's startup message
	alone  atomic.Bool // the client's end is closed, and the server must not notice
	once   sync.Once
	closed chan struct{}
}

// wireMessage is one message of PostgreSQL's, or of anybody else just some bytes.
type wireMessage struct {
	link *link
	way  way
	kind byte
	body []byte // behind kind and length
	raw  []byte // all of it
}

// A trap springs at the first message that is the awaited one. That message and all
// behind it are not passed on any more.
type trap struct {
	awaits func(m wireMessage) bool // called for one message after the other
	sprung chan struct{}
	link   *link // the one it sprang on; read it after sprung is closed
}

func newTrap(awaits func(m wireMessage) bool) *trap {
	return &trap{awaits: awaits, sprung: make(chan struct{})}
}

func startProxy(t testing.TB, target string, postgres bool) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{target: target, postgres: postgres, listener: l, links: map[*link]struct{}{}, changed: make(chan struct{})}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{proxy: p, ends: [2]net.Conn{toServer: server, toClient: client}, closed: make(chan struct{})}
		p.mu.Lock()
		p.links[l] = struct{}{}
		late := p.closed
		p.mu.Unlock()
		if late {
			l.cut()
			return
		}
		p.running.Go(func() { l.pump(toServer) })
		p.running.Go(func() { l.pump(toClient) })
	}
}

// hold lets nothing pass in these ways until release; both ends stay open.
func (p *proxy) hold(ways ...way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range ways {
		p.held[w] = true
	}
}

// release lets everything pass that was held.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = [2]bool{}
	close(p.changed)
	p.changed = make(chan struct{})
}

// open answers the connections there are.
func (p *proxy) open() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*link
	for l := range p.links {
		all = append(all, l)
	}
	return all
}

// cut ends all connections, as a reset does.
func (p *proxy) cut() {
	for _, l := range p.open() {
		l.cut()
	}
}

// orphan ends all connections for the client, while the server is not told until
// the answer is called.
func (p *proxy) orphan() (bury func()) {
	links := p.open()
	for _, l := range links {
		l.alone.Store(true)
		reset(l.ends[toClient])
	}
	return func() {
		for _, l := range links {
			l.cut()
		}
	}
}

// set has the next message that t awaits spring it. There is one trap at a time.
func (p *proxy) set(t *trap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = t
}

// clear takes the trap away; what it stopped ends.
func (p *proxy) clear(t *trap) {
	p.mu.Lock()
	if p.trap == t {
		p.trap = nil
	}
	l := t.link
	p.mu.Unlock()
	if l != nil {
		l.cut()
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// cut ends the connection at once, for both.
func (l *link) cut() { l.end(reset) }

// close ends it after one end has closed: what was written to the other arrives.
func (l *link) close() { l.end(func(c net.Conn) { _ = c.Close() }) }

func (l *link) end(how func(net.Conn)) {
	l.once.Do(func() {
		close(l.closed)
		how(l.ends[toServer])
		how(l.ends[toClient])
		l.proxy.mu.Lock()
		delete(l.proxy.links, l)
		l.proxy.mu.Unlock()
	})
}

// pump passes one way's bytes on until either end closes.
func (l *link) pump(w way) {
	from, to := l.ends[toClient], l.ends[toServer]
	if w == toClient {
		from, to = to, from
	}
	in, out := bufio.NewReaderSize(from, 64<<10), bufio.NewWriterSize(to, 64<<10)
	for first := w == toServer; ; first = false {
		m, err := l.read(in, w, first)
		// A held way tells nobody that an end has gone: that, too, has to pass.
		if !l.pass(m, out) {
			return
		}
		if err == nil {
			if _, err = out.Write(m.raw); err == nil && in.Buffered() == 0 {
				err = out.Flush()
			}
		}
		if err == nil {
			continue
		}
		_ = out.Flush()
		if l.alone.Load() {
			<-l.closed
		}
		l.close()
		return
	}
}

// read takes the next message, or of an unknown protocol what is there.
func (l *link) read(in *bufio.Reader, w way, first bool) (wireMessage, error) {
	m := wireMessage{link: l, way: w}
	if !l.proxy.postgres {
		buf := make([]byte, 16<<10)
		n, err := in.Read(buf)
		m.raw = buf[:n]
		if n > 0 {
			err = nil // it comes again
		}
		return m, err
	}
	head := 5
	if first {
		head = 4 // the startup message has no kind
	}
	header, err := in.Peek(head)
	if err != nil {
		return m, err
	}
	m.raw = make([]byte, head-4+int(binary.BigEndian.Uint32(header[head-4:])))
	if _, err := io.ReadFull(in, m.raw); err != nil {
		return m, err
	}
	m.body = m.raw[head:]
	if first {
		l.params = string(m.body)
	} else {
		m.kind = m.raw[0]
	}
	return m, nil
}

// pass waits until a message may pass; false: it never may.
func (l *link) pass(m wireMessage, out *bufio.Writer) bool {
	p := l.proxy
	for {
		p.mu.Lock()
		held, changed := p.held[m.way], p.changed
		if t := p.trap; !held && t != nil && len(m.raw) > 0 && t.awaits(m) {
			p.trap, t.link = nil, l
			p.mu.Unlock()
			_ = out.Flush() // all before it has passed
			close(t.sprung)
			<-l.closed
			return false
		}
		p.mu.Unlock()
		if !held {
			return true
		}
		_ = out.Flush()
		select {
		case <-changed:
		case <-l.closed:
			return false
		}
	}
}

// What PostgreSQL's connections say of themselves at the start.

func (l *link) followsLog() bool { return strings.Contains(l.params, "replication\x00database\x00") }

func (l *link) readsSnapshot() bool {
	return !l.followsLog() && strings.Contains(l.params, "application_name\x00schoolbell\x00") &&
		strings.Contains(l.params, "statement_timeout\x000\x00")
}

// logRecord answers what the server sends of the log: one message of pgoutput.
func (m wireMessage) logRecord() ([]byte, bool) {
	const header = 1 + 8 + 8 + 8 // XLogData's
	if m.way != toClient || m.kind != 'd' || len(m.body) <= header || m.body[0] != 'w' {
		return nil, false
	}
	return m.body[header:], true
}

// confirmed answers up to where a status tells the server that everything is durable.
func (m wireMessage) confirmed() (uint64, bool) {
	if m.way != toServer || m.kind != 'd' || len(m.body) < 17 || m.body[0] != 'r' {
		return 0, false
	}
	return binary.BigEndian.Uint64(m.body[9:]), true
}
