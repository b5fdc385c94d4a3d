package wsserver

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// Authenticator says who asks, as auth.Ways does. Its errors wrap
// auth.ErrUnauthenticated or auth.ErrUnavailable.
type Authenticator interface {
	Authenticate(ctx context.Context, r *http.Request) (auth.Identity, error)
	Recheck(ctx context.Context, ids []auth.Identity) (revoked []int, err error)
}

// People is what is known of accounts now. Any goroutine may ask.
type People interface {
	Person(id cdc.ID) (cdc.Person, bool)
	Counts(p cdc.Person) cdc.Counts
}

// Overview is how things stand with each assignment, as projection.Projection knows it.
// Any goroutine may ask.
type Overview interface {
	Assignments(ctx context.Context, p cdc.Person, before cdc.ID, most int) ([]cdc.AssignmentView, error)
	Assignment(ctx context.Context, p cdc.Person, id cdc.ID) (view cdc.AssignmentView, sees bool, err error)
}

// Check is one condition of being ready.
type Check struct {
	Name   string
	OK     bool
	Detail string // when not OK: what is wrong, and the remedy
	Advice string // in any case: what is still to be done, if anything
	// Required conditions keep dashboards out while they fail. The others only
	// show on /readyz.
	Required bool
}

// Deps are what a Server needs. Router, Auth and People are required.
type Deps struct {
	Router   *router.Router
	Auth     Authenticator
	People   People
	Overview Overview       // nil: there is none
	Publish  Publish        // nil: nobody can
	Ready    func() []Check // nil: always ready
	Pulse    func()         // takes every lock that is held for moments only, once; nil: there is none
	Page     http.Handler   // at /; nil: no page
	Observer Observer       // nil: nobody counts
	Log      *slog.Logger   // nil: no log
}

// Config tunes a Server; its zero value works.
type Config struct {
	Heartbeat       time.Duration // between two pings (30 s)
	MetricsInterval time.Duration // between two metrics messages (10 s)
	Recheck         time.Duration // within which a credential that was taken back ends its sessions (10 s)
	WriteTimeout    time.Duration // how long one write may take (10 s)
	Linger          time.Duration // how long a closed client may take to go (3 s)
	DrainSpread     time.Duration // over which Drain closes the sessions at most (1.5 s)
	ReturnSpread    time.Duration // over which drained clients are asked to return, at most (10 s)
	StuckAfter      time.Duration // how long a lock may be held before /healthz fails (30 s)
	RetryAfter      time.Duration // what a refused client is asked to wait at least, once we have run so long (5 s)

	MaxSessions  int // in all (20,000)
	MaxPerPerson int // of one person (20)

	// Of one address, which a whole school may share; see limits.go.
	MaxPerAddress int     // sessions, and connections that are none yet (2,000)
	HandshakeRate float64 // requests with a credential per second (200); ten times as many at once
	MaxFailures   int     // bad credentials per minute, before those from there are asked about together (100)

	// SelfCheckToken is what the gateway's own client shows to listen for echoes, over a
	// WebSocket, and to nothing else. "": nobody may.
	SelfCheckToken string

	PublishTokens []string      // of the services that may publish; none: nobody may
	PublishRate   float64       // messages that one of them may publish per second (100); twice as many at once
	PublishWait   time.Duration // how long a message waits for something large to be applied (3 s)

	// TrustedProxies are believed in what X-Forwarded-For says.
	TrustedProxies []netip.Prefix

	// Origins are allowed besides the server's own host: "https://lms.example.org",
	// or a host; * stands for any part without a slash.
	Origins []string

	MaxMessage   int     // bytes of one message from a client (8192: a token fits)
	MessageRate  float64 // messages, and KB, that a client may send per second (10)
	MessageBurst float64 // and at once (100)
}

func (c Config) withDefaults() Config {
	c.Heartbeat = cmp.Or(c.Heartbeat, 30*time.Second)
	c.MetricsInterval = cmp.Or(c.MetricsInterval, 10*time.Second)
	c.Recheck = cmp.Or(c.Recheck, 10*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.Linger = cmp.Or(c.Linger, 3*time.Second)
	c.DrainSpread = cmp.Or(c.DrainSpread, 1500*time.Millisecond)
	c.ReturnSpread = cmp.Or(c.ReturnSpread, 10*time.Second)
	c.StuckAfter = cmp.Or(c.StuckAfter, 30*time.Second)
	c.RetryAfter = cmp.Or(c.RetryAfter, 5*time.Second)
	c.MaxSessions = cmp.Or(c.MaxSessions, 20_000)
	c.MaxPerPerson = cmp.Or(c.MaxPerPerson, 20)
	c.MaxPerAddress = cmp.Or(c.MaxPerAddress, 2000)
	c.HandshakeRate = cmp.Or(c.HandshakeRate, 200)
	c.MaxFailures = cmp.Or(c.MaxFailures, 100)
	c.PublishRate = cmp.Or(c.PublishRate, 100)
	c.PublishWait = cmp.Or(c.PublishWait, 3*time.Second)
	c.MaxMessage = cmp.Or(c.MaxMessage, 8192)
	c.MessageRate = cmp.Or(c.MessageRate, 10)
	c.MessageBurst = cmp.Or(c.MessageBurst, 100)
	return c
}

// Server serves dashboards. Its methods may be called from any goroutine.
type Server struct {
	deps  Deps
	cfg   Config
	began time.Time

	// admits is cfg as Reload left it. What decides who is let in is read from here, and
	// everything else from cfg.
	admits     atomic.Pointer[Config]
	publisher  atomic.Pointer[publisher] // of the tokens in admits
	limits     *limits
	asking     asking // whoever has an overview counted
	pulse      pulse
	unbelieved atomic.Bool // an X-Forwarded-For that is not believed was told of

	draining atomic.Bool
	running  sync.WaitGroup // the goroutines of all sessions
	writers  writers
	batches  sync.Pool // *batch to write from
	incoming sync.Pool // *[]byte to read into

	mu       sync.Mutex // guards what follows
	sessions map[*session]struct{}
	reserved int                // sessions open, or in their handshake
	persons  map[cdc.ID]int     // the same, by person
	places   map[netip.Addr]int // the same, by address
	waiting  map[netip.Addr]int // connections that are no sessions, by address
	pings    wheel
	metrics  wheel
	proofs   wheel
}

// New returns a server that accepts sessions at once. Run keeps them alive.
func New(deps Deps, cfg Config) *Server {
	if deps.Observer == nil {
		deps.Observer = nobody{}
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Ready == nil {
		deps.Ready = func() []Check { return nil }
	}
	s := &Server{
		deps:     deps,
		cfg:      cfg.withDefaults(),
		began:    time.Now(),
		sessions: make(map[*session]struct{}),
		persons:  make(map[cdc.ID]int),
		places:   make(map[netip.Addr]int),
		waiting:  make(map[netip.Addr]int),
	}
	admits := s.cfg
	s.admits.Store(&admits)
	s.limits = newLimits(s.cfg)
	s.publisher.Store(newPublisher(s.cfg))
	s.batches.New = func() any { return newBatch() }
	s.incoming.New = func() any { b := make([]byte, s.cfg.MaxMessage+1); return &b }
	return s
}

// Sessions is how many sessions are open.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// reserve takes a place for somebody's session; otherwise it says why there is none.
func (s *Server) reserve(person cdc.ID, address netip.Addr) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	reason, most := "", s.admits.Load()
	switch {
	case s.reserved >= most.MaxSessions:
		reason = "total"
	case s.persons[person] >= most.MaxPerPerson:
		reason = "person"
	case s.places[address] >= most.MaxPerAddress:
		reason = "address"
	}
	if reason != "" {
		s.limits.count(reason)
		return tooMany()
	}
	s.reserved++
	s.persons[person]++
	s.places[address]++
	return nil
}

// vacate gives back the place that a session has; one that listens has none.
func (s *Server) vacate(c *session) {
	if !c.listens {
		s.release(c.person, c.address)
	}
}

func (s *Server) release(person cdc.ID, address netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved--
	if s.persons[person]--; s.persons[person] == 0 {
		delete(s.persons, person)
	}
	if s.places[address]--; s.places[address] == 0 {
		delete(s.places, address)
	}
}

// add lets a session take part; false: the server drains.
func (s *Server) add(c *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.sessions[c] = struct{}{}
	if !c.listens {
		s.pings.add(c, pingSeat)
		s.metrics.add(c, metricsSeat)
		s.proofs.add(c, proofSeat)
	}
	s.running.Add(1) // its reading goroutine; under the lock, so that Drain sees it
	return true
}

func (s *Server) remove(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c)
	if c.listens {
		return
	}
	s.pings.remove(c, pingSeat)
	s.metrics.remove(c, metricsSeat)
	s.proofs.remove(c, proofSeat)
}
