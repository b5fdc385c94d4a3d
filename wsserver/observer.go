package wsserver

import "time"

// Observer counts what happens. Its methods are called from many goroutines and
// must not block.
type Observer interface {
	Handshake(outcome string)                   // "accepted", or the code of the refusal
	Opened(role, transport, way string)         // a session, by one of TransportNames, and auth.Identity.Way
	Closed(role, transport, way, reason string) // the same session, role and way as when it opened
	Sent(kind string, messages, b int)          // messages of one type written, and their bytes
	Delay(d time.Duration)                      // from the commit until its event was written to one socket
	SignedIn(way string)                        // by which a session was opened, as auth.Identity.Way
	Revoked(way string)                         // a session ends because its credential was taken back or has expired
	Received(kind string)                       // from a client: ping, pong, auth, subscribe or other
	Published(outcome string)                   // somebody asked to publish: one of PublishOutcomes
}

type nobody struct{}

func (nobody) Handshake(string)                      {}
func (nobody) Opened(string, string, string)         {}
func (nobody) Closed(string, string, string, string) {}
func (nobody) Sent(string, int, int)                 {}
func (nobody) Delay(time.Duration)                   {}
func (nobody) SignedIn(string)                       {}
func (nobody) Revoked(string)                        {}
func (nobody) Received(string)                       {}
func (nobody) Published(string)                      {}
