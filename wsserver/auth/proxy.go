package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// ProxyConfig says which reverse proxies are believed when they say who is asking.
// Header and Networks are required.
type ProxyConfig struct {
	Header   string         // that names the person, like Remote-User
	Networks []netip.Prefix // of the proxies

	// Find answers the LMS's key of the active account that has an e-mail, and how many
	// have it. nil: the header holds the key itself.
	//
	// It is a question to whoever knows the people, and no SQL as for the other ways:
	// where an LMS keeps e-mails, and who of those that have one is active, the profile
	// says, in more than a column each. And a thousand dashboards that come back cost the
	// LMS's database no query.
	Find func(email string) (user string, accounts int)

	Log *slog.Logger // nil: no log
}

// Proxy is the Way of a reverse proxy that has asked people who they are, by a single
// sign-on, say, and names them in a header.
//
// Only the other end of the TCP connection counts. What a request says of its own
// origin, in X-Forwarded-For or elsewhere, anybody can say; so a header from anywhere
// else is no credential, and neither right nor wrong.
type Proxy struct {
	cfg    ProxyConfig
	began  time.Time
	told   atomic.Bool  // of a header that is not believed
	warned atomic.Int64 // when it was told last of somebody who was not found, since began
}

var headerPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// NewProxy refuses what would believe everybody, or nobody.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	cfg.Header = http.CanonicalHeaderKey(cfg.Header)
	everybody := func(p netip.Prefix) bool { return p.Bits() == 0 }
	switch {
	case !headerPattern.MatchString(cfg.Header):
		return nil, fmt.Errorf("%q is no name of a header for people; fix: take letters, digits and -, like Remote-User", cfg.Header)
	case clientsOwn(cfg.Header):
		return nil, fmt.Errorf("the header %s is the clients' own, so a proxy passes on what they send; fix: have the proxy set one that it takes away from them, like Remote-User", cfg.Header)
	case len(cfg.Networks) == 0:
		return nil, fmt.Errorf("the header %s names people, and no network of a proxy is listed that may send it (proxy_user_networks); fix: list the proxy's address", cfg.Header)
	case slices.ContainsFunc(cfg.Networks, everybody):
		return nil, fmt.Errorf("a network that holds every address may send the header %s, so anybody could be anybody; fix: list the proxy's address", cfg.Header)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Proxy{cfg: cfg, began: time.Now()}, nil
}

// clientsOwn reports whether clients send a header of this name for other reasons.
func clientsOwn(name string) bool {
	return strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Accept") || slices.Contains([]string{
		"Authorization", "Connection", "Cookie", "Forwarded", "From", "Host", "Origin", "Referer", "Upgrade", "User-Agent", "Via",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Requested-With",
	}, name)
}

// String names the header.
func (p *Proxy) String() string { return "people named by a proxy in the header " + p.cfg.Header }

// Name is "proxy".
func (*Proxy) Name() string { return "proxy" }

// Authenticate says whom the proxy named.
func (p *Proxy) Authenticate(_ context.Context, r *http.Request) (Identity, error) {
	named := r.Header.Values(p.cfg.Header)
	if len(named) == 0 {
		return Identity{}, ErrNoCredential
	}
	if !p.believes(r.RemoteAddr) {
		if p.told.CompareAndSwap(false, true) {
			p.cfg.Log.Warn("the header that names people is not believed from this address; "+
				"fix: list it in proxy_user_networks, if it is a proxy of yours that takes the header away from clients", "remote", r.RemoteAddr)
		}
		return Identity{}, ErrNoCredential
	}
	if len(named) > 1 {
		return Identity{}, fmt.Errorf("%w: the proxy passed on the header %s beside its own", ErrUnauthenticated, p.cfg.Header)
	}
	name := named[0]
	if err := possibleName(name); err != nil {
		return Identity{}, fmt.Errorf("%w: the proxy's header %s %w", ErrUnauthenticated, p.cfg.Header, err)
	}
	if p.cfg.Find == nil {
		return Identity{User: name, Way: p.Name()}, nil
	}
	user, accounts := p.cfg.Find(name)
	if accounts != 1 {
		p.warn(name, accounts, r.RemoteAddr)
		return Identity{}, fmt.Errorf("%w: the e-mail that the proxy names is not exactly one account's", ErrUnauthenticated)
	}
	return Identity{User: user, Way: p.Name()}, nil
}

// believes reports whether the other end of the connection is a proxy of ours.
func (p *Proxy) believes(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	peer := at.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(p.cfg.Networks, func(n netip.Prefix) bool { return n.Contains(peer) })
}

// possibleName says why nobody has such a name.
func possibleName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > longest:
		return fmt.Errorf("is longer than %d bytes", longest)
	case !utf8.ValidString(name):
		return errors.New("is no UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("has a control character")
	}
	return nil
}

// warn tells, once a second at most, of somebody whom the proxy knows and the LMS does
// not: they could come in as fast as they can ask.
func (p *Proxy) warn(email string, accounts int, remote string) {
	last, now := p.warned.Load(), int64(time.Since(p.began))+1
	if last != 0 && now-last < int64(time.Second) || !p.warned.CompareAndSwap(last, now) {
		return
	}
	reason := "no active account has it"
	if accounts > 1 {
		reason = fmt.Sprintf("%d active accounts have it", accounts)
	}
	p.cfg.Log.Warn("the proxy names somebody by an e-mail that is not exactly one active account's, so they are not let in; "+
		"fix: correct it in the LMS, or at the proxy", "user", email, "reason", reason, "remote", remote)
}

// Recheck revokes nobody: the proxy is not there to be asked, and deactivated accounts
// are in the log.
func (p *Proxy) Recheck(context.Context, []Identity) ([]int, error) { return nil, nil }

// Check has nothing to look at before somebody comes.
func (p *Proxy) Check(context.Context) error { return nil }
