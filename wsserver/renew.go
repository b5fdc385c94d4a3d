package wsserver

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

const (
	// renewPatience is how long looking at a token may take.
	renewPatience = 5 * time.Second
	// renewCost is how many messages one token counts as: looking at it costs us, or
	// the LMS's database, more than a pong does.
	renewCost = 10
)

// A renewal answers a token that the client handed in.
type renewal struct {
	refused string    // why, in the protocol's words; "": taken
	expires time.Time // when the session ends from now on; zero: not by itself
}

// newToken reads {"type":"auth","token":…}; the copy outlives the buffer.
//
//go:noinline
func newToken(text []byte) string {
	var m struct {
		Token string `json:"token"`
	}
	_ = json.Unmarshal(text, &m) // parseType has read it
	return m.Token
}

// renew looks at a token that the client hands in before its old one expires, and
// answers. The reading goroutine waits: a client that hands in several gets its
// answers in their order. The work is another goroutine's, because the stack that it
// needs would stay with every idle session.
func (c *session) renew(token string) {
	if !c.flood.take(renewCost-1, time.Now()) { // the message itself is counted
		c.end(protocolViolation())
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), renewPatience)
	defer cancel()
	c.mu.Lock()
	over := c.ended != nil
	c.stopAsking = cancel
	c.mu.Unlock()
	if over {
		return
	}
	done := make(chan struct{})
	c.server.running.Go(func() {
		defer close(done)
		id, refused := c.prove(ctx, token)
		c.answer(id, refused)
	})
	<-done
}

// prove says whose token it is, or why it does not count. It is charged to the address
// like a handshake.
func (c *session) prove(ctx context.Context, token string) (id auth.Identity, refused string) {
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{}, Header: http.Header{"Authorization": {"Bearer " + token}}}
	id, _, no := c.server.identify(r.WithContext(ctx), c.address)
	switch {
	case no != nil:
		return id, no.code
	case cdc.ParseID(id.User) != c.person:
		return id, "other_account"
	}
	if p, ok := c.server.deps.People.Person(c.person); ok && !isFor(id, p) {
		return id, forAnotherRole().code
	}
	return id, ""
}

// answer lets the session live as long as the new token, or goes on with the old one.
func (c *session) answer(id auth.Identity, refused string) {
	c.server.mu.Lock()
	if refused == "" {
		c.identity = id // Run looks at it, and ends the session in its time
	}
	expires := c.identity.Expires
	c.server.mu.Unlock()
	c.reply("auth", appendRenewal(nil, renewal{refused, expires}, time.Now()))
	c.server.deps.Log.Debug("token handed in", "user", c.person, "reason", refused)
}

// proof is what was shown last.
func (c *session) proof() auth.Identity {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.identity
}
