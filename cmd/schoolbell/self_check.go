package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/selfcheck"
)

// selfCheck is the end-to-end check, joined to both ends of the line. All methods of nil
// are those of one that is off.
type selfCheck struct {
	*selfcheck.Check
	every   time.Duration
	token   string // known to this process alone
	emitter *replication.Emitter
	filled  <-chan struct{}
}

// newSelfCheck is nil where it is off.
func newSelfCheck(cfg Config) (*selfCheck, error) {
	switch {
	case cfg.SelfCheck == 0:
		return nil, nil
	case cfg.SelfCheck < time.Second:
		return nil, fmt.Errorf("self_check is %v, want 0 or at least 1s; fix: every round is a transaction of the LMS's server, so leave it some time, like 1m", cfg.SelfCheck)
	}
	return &selfCheck{every: cfg.SelfCheck, token: rand.Text()}, nil
}

// noEcho asks for the server to be able to, where nobody waits for an echo.
func noEcho(cfg Config) func([]byte) bool {
	if cfg.SelfCheck == 0 {
		return nil
	}
	return func([]byte) bool { return false }
}

// join ties the check to the gateway, whose other parts are there.
func (s *selfCheck) join(g *gateway, rc replication.Config) {
	if s == nil {
		return
	}
	s.emitter, s.filled = replication.NewEmitter(rc), g.filled
	socket := selfcheck.Socket{Listener: g.public.Addr(), TLS: g.certificate.trust(), Token: s.token, Type: router.EchoType}
	s.Check = selfcheck.New(selfcheck.Deps{
		Emit: s.emitter.Emit, Listen: socket.Listen, Observe: g.metrics.SelfChecked, Log: g.log,
	}, s.every)
}

// run does the rounds once there is somebody to be served.
func (s *selfCheck) run(ctx context.Context) error {
	if s == nil {
		return nil
	}
	defer s.emitter.Close(ctx)
	select {
	case <-ctx.Done():
		return nil
	case <-s.filled:
	}
	return s.Run(ctx)
}

func (s *selfCheck) echo() func(text []byte) bool {
	if s == nil {
		return nil
	}
	return func(text []byte) bool { return s.Expect(text) } // of a Check that is made later
}

func (s *selfCheck) published(echoes [][]byte) {
	if s != nil {
		s.Published(echoes)
	}
}

func (s *selfCheck) key() string {
	if s == nil {
		return ""
	}
	return s.token
}

func (s *selfCheck) status() error {
	if s == nil {
		return nil
	}
	return s.Status()
}

// checks is what /readyz says of it: nothing while it is off.
func (s *selfCheck) checks() []wsserver.Check {
	if s == nil {
		return nil
	}
	c := wsserver.Check{Name: "self_check", OK: true}
	if err := s.Status(); err != nil {
		c.OK, c.Detail = false, err.Error()
	}
	return []wsserver.Check{c}
}

// trust is how our own client takes our own certificate, which is for another name than
// this machine's: it is that one and no other. nil: there is none.
func (c *certificate) trust() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection is stricter
		VerifyConnection: func(seen tls.ConnectionState) error {
			if own := c.now.Load().Leaf; !seen.PeerCertificates[0].Equal(own) {
				return fmt.Errorf("who answers at our own address has another certificate than we have; fix: see who else listens there")
			}
			return nil
		},
	}
}
