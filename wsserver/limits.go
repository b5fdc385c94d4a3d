package wsserver

import (
	"hash/maphash"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// The limits of one address, and what they are for.
//
// A whole school sits behind one address, so no limit may let one client lock out the
// others. And the tokens that we are shown have 160 random bits: nobody finds one by
// trying, so that nothing is gained by refusing an address. What bad credentials do
// cost is questions to the LMS's database. Hence:
//
//   - A client that shows the same bad credential again and again, the broken one, is
//     refused for longer and longer. That is remembered of the credential, and so
//     concerns nobody who has another. It costs no question, and nothing of what the
//     address is allowed.
//   - A client that connects again and again with a good one is refused above a rate,
//     also by its credential.
//   - Where an address shows bad credentials, each another one, beyond its allowance,
//     nobody there is refused. The questions from there wait a moment and are asked
//     together (auth.Gathered), so that their number is bounded by time, however many
//     people ask. Whoever has a good credential is in, a tenth of a second later. The
//     same goes for all addresses when all of them together show too many.
//   - Only how often an address may ask at all is a limit that its people share. It is
//     far above what a school does. A flood from one's own network can reach it.
//
// Memory is fixed, whatever addresses and credentials come (see ledger), but for the
// counts of connections that are open, of which there are only so many.

const (
	// freeRefusals are how often a credential may be bad before it has to wait.
	freeRefusals = 5
	// longestRefusal is how long it has to wait at most. Somebody may yet make it good.
	longestRefusal = time.Minute
	// forgiven is a bad credential that was not shown for so long.
	forgiven = 5 * time.Minute
)

// limits is what one server remembers of addresses and credentials.
type limits struct {
	began time.Time
	seed  maphash.Seed

	mu            sync.Mutex // guards what follows
	perAddress    allowance  // of handshakes
	perCredential allowance  // of handshakes
	failures      allowance  // of bad credentials, of one address
	allFailures   allowance  // of bad credentials, of everybody

	addresses   ledger[netip.Addr, addressNote]
	credentials ledger[uint64, credentialNote]
	failed      meter
	limited     map[string]uint64
	gathered    uint64
}

type addressNote struct{ handshakes, failures meter }

type credentialNote struct {
	handshakes meter
	refusals   int           // in a row
	last       time.Duration // when the last of them was
	until      time.Duration // when it may be shown again
}

func newLimits(cfg Config) *limits {
	l := &limits{
		began:       time.Now().Add(-time.Second), // so that no moment is zero
		seed:        maphash.MakeSeed(),
		addresses:   newLedger[netip.Addr, addressNote](),
		credentials: newLedger[uint64, credentialNote](),
		limited:     map[string]uint64{},
	}
	l.allow(cfg)
	return l
}

// allow says anew how much is allowed. What was used up stays used up.
func (l *limits) allow(cfg Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	perMinute := float64(cfg.MaxFailures)
	l.perAddress = allowance{burst: 10 * cfg.HandshakeRate, rate: cfg.HandshakeRate}
	l.perCredential = allowance{burst: float64(5 * cfg.MaxPerPerson), rate: float64(cfg.MaxPerPerson) / 4}
	l.failures = allowance{burst: perMinute, rate: perMinute / 60}
	l.allFailures = allowance{burst: 10 * perMinute, rate: 10 * perMinute / 60}
}

// A question is somebody's who shows a credential.
type question struct {
	address    netip.Addr
	credential uint64 // what it hashes to; 0: there is none
	charged    bool   // as a failure, beforehand
	gathered   bool   // it has to be asked together with others
}

// fingerprint tells credentials apart. 0: the request has none.
func (l *limits) fingerprint(r *http.Request) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	shown := r.Header.Get("Authorization")
	if scheme, _, _ := strings.Cut(shown, " "); !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		shown = r.URL.Query().Get("token") // the header is a proxy's own, perhaps the same for everybody
	}
	if shown == "" {
		shown = strings.Join(r.Header.Values("Cookie"), ";")
	}
	if shown == "" {
		return 0
	}
	_, _ = h.WriteString(shown)
	return max(h.Sum64(), 1)
}

// ask takes a question from what is allowed. no says why it may not be asked now.
// Otherwise it has to be told how the question ended: refused, or answered.
func (l *limits) ask(address netip.Addr, credential uint64) (q question, no *refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.began)
	if credential != 0 {
		c := l.credentials.of(credential, now)
		if c.until > now {
			return q, l.limit("bad_credential", c.until-now)
		}
		if wait := c.handshakes.take(l.perCredential, now); wait > 0 {
			return q, l.limit("credential_rate", wait)
		}
	}
	a := l.addresses.of(address, now)
	if wait := a.handshakes.take(l.perAddress, now); wait > 0 {
		return q, l.limit("address_rate", wait)
	}
	q = question{address: address, credential: credential}
	if credential == 0 {
		return q, nil
	}
	// Charged beforehand, so that a thousand at once cannot all be the last one.
	if a.failures.take(l.failures, now) == 0 {
		if q.charged = l.failed.take(l.allFailures, now) == 0; !q.charged {
			a.failures.giveBack()
		}
	}
	if q.gathered = !q.charged; q.gathered {
		l.gathered++
	}
	return q, nil
}

// limit is the refusal for a reason. The caller holds l.mu.
func (l *limits) limit(reason string, wait time.Duration) *refusal {
	l.limited[reason]++
	no := tooMany()
	no.wait = wait
	no.detail = "too many attempts from this address, or with this token: come back later"
	return no
}

// refused tells that the credential was bad.
func (l *limits) refused(q question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.began)
	if q.credential == 0 { // which costs nothing
		l.addresses.of(q.address, now).handshakes.giveBack()
		return
	}
	c := l.credentials.of(q.credential, now)
	if now-c.last > forgiven {
		c.refusals = 0
	}
	c.last = now
	c.refusals++
	if over := c.refusals - freeRefusals; over > 0 {
		c.until = now + min(time.Second<<min(over-1, 10), longestRefusal)
	}
}

// answered tells that the credential was not bad: it was good, or nobody could say.
func (l *limits) answered(q question, good bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.began)
	if q.charged {
		l.addresses.of(q.address, now).failures.giveBack()
		l.failed.giveBack()
	}
	if good && q.credential != 0 {
		c := l.credentials.of(q.credential, now)
		c.refusals, c.until = 0, 0
	}
}

// noHandshake gives back what a handshake was charged: who reads a long history asks
// often.
func (l *limits) noHandshake(q question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.began)
	l.addresses.of(q.address, now).handshakes.giveBack()
	if q.credential != 0 {
		l.credentials.of(q.credential, now).handshakes.giveBack()
	}
}

// count counts something that was refused elsewhere.
func (l *limits) count(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limited[reason]++
}

// LimitNames are the words that Limited counts by.
var LimitNames = [...]string{
	"total", "person", "address", "connections", "address_rate", "credential_rate", "bad_credential",
}

// Limits is what the limits did since the server began.
type Limits struct {
	Limited  map[string]uint64 // refused, by the name of the limit
	Gathered uint64            // questions about credentials that were asked together with others
}

// Limits reads the counts.
func (s *Server) Limits() Limits {
	l := s.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	return Limits{maps.Clone(l.limited), l.gathered}
}

// ConnState is for the http.Server: it counts connections that have not become
// sessions, and closes those of an address that has too many. Proxies that are trusted
// have as many as they like.
func (s *Server) ConnState(conn net.Conn, state http.ConnState) {
	at := addressOf(conn.RemoteAddr().String())
	if s.trusts(at) {
		return
	}
	at = network(at)
	s.mu.Lock()
	tooMany := false
	switch state {
	case http.StateNew:
		s.waiting[at]++
		tooMany = s.waiting[at] > s.admits.Load().MaxPerAddress
	case http.StateClosed, http.StateHijacked:
		if s.waiting[at]--; s.waiting[at] == 0 {
			delete(s.waiting, at)
		}
	}
	s.mu.Unlock()
	if tooMany {
		s.limits.count("connections")
		_ = conn.Close() // it ends like any other, and is counted off there
	}
}
