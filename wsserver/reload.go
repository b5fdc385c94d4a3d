package wsserver

import "slices"

// Reload takes over, of another configuration, what decides who is let in: the limits,
// Origins, TrustedProxies and PublishTokens. Everything else stays as New was given it.
// One goroutine at a time may call it.
//
// Sessions that are open stay open, also where there are more of them than a new limit
// allows; the limit counts for who comes next. What is remembered of addresses and
// credentials is kept.
func (s *Server) Reload(cfg Config) {
	cfg = cfg.withDefaults()
	next := *s.admits.Load()
	next.MaxSessions, next.MaxPerPerson, next.MaxPerAddress = cfg.MaxSessions, cfg.MaxPerPerson, cfg.MaxPerAddress
	next.HandshakeRate, next.MaxFailures = cfg.HandshakeRate, cfg.MaxFailures
	next.TrustedProxies, next.Origins = slices.Clone(cfg.TrustedProxies), slices.Clone(cfg.Origins)
	if !slices.Equal(next.PublishTokens, cfg.PublishTokens) {
		next.PublishTokens = slices.Clone(cfg.PublishTokens)
		s.publisher.Store(newPublisher(next))
	}
	s.admits.Store(&next)
	s.limits.allow(next)
}
