package wsserver

import "time"

// Observer counts what happens. Its methods are called from many goroutines and
// must not block.
type Observer interface {
	Handshake(outcome string)          // "accepted", or the code of the refusal
	Opened(role string)                // a session
	Closed(role, reason string)        // the same session, role as when it opened
	Sent(kind string, messages, b int) // messages of one type written, and their bytes
	Delay(d time.Duration)             // from the commit until its event was written to one socket
	Received(kind string)              // from a client: ping, pong or other
}

type nobody struct{}

func (nobody) Handshake(string)      {}
func (nobody) Opened(string)         {}
func (nobody) Closed(string, string) {}
func (nobody) Sent(string, int, int) {}
func (nobody) Delay(time.Duration)   {}
func (nobody) Received(string)       {}
