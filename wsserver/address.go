package wsserver

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// client is the address that a request counts for. What X-Forwarded-For says is
// believed from proxies that are trusted, and of them only: it is read from the right,
// where the nearest one has written whom it saw, up to the first who is no proxy of
// ours. What stands left of that may be anybody's invention.
func (s *Server) client(r *http.Request) netip.Addr {
	at := addressOf(r.RemoteAddr)
	if !s.trusts(at) {
		if r.Header.Get("X-Forwarded-For") != "" && s.unbelieved.CompareAndSwap(false, true) {
			s.deps.Log.Warn("X-Forwarded-For is not believed, so that everybody who comes through this proxy counts as one address; "+
				"fix: name it in trusted_proxies, if it is yours", "remote", r.RemoteAddr)
		}
		return network(at)
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next := addressOf(strings.TrimSpace(hop))
		if !next.IsValid() {
			break // the nearest that is known, then
		}
		if at = next; !s.trusts(at) {
			break
		}
	}
	return network(at)
}

func (s *Server) trusts(at netip.Addr) bool {
	return slices.ContainsFunc(s.admits.Load().TrustedProxies, func(p netip.Prefix) bool { return p.Contains(at) })
}

// addressOf reads an address, with a port or without.
func addressOf(text string) netip.Addr {
	if full, err := netip.ParseAddrPort(text); err == nil {
		return full.Addr().Unmap().WithZone("")
	}
	at, _ := netip.ParseAddr(strings.Trim(text, "[]"))
	return at.Unmap().WithZone("")
}

// network is what counts as one address: of IPv6 the /64, of which every household
// has as many addresses as it likes.
func network(at netip.Addr) netip.Addr {
	if at.Is6() {
		p, _ := at.Prefix(64) // of a valid address
		return p.Addr()
	}
	return at
}
