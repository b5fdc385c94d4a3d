package wsserver

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/schoolbell/schoolbell/router"
)

// An ending is why a session ends, in the protocol's words.
type ending struct {
	code       int // of the close frame; 0: the client is gone, nothing is written
	reason     string
	reconnect  bool
	retryAfter time.Duration
	echo       bool // the client closed: it gets its code back, and no message
}

const (
	codeGoingAway          = 1001
	codeProtocolViolation  = 1008
	codeInternal           = 1011
	codeCredentialsRevoked = 4401
	codeRoleNotAllowed     = 4403
	codeHeartbeatTimeout   = 4408
	codeSlowConsumer       = 4413
)

// soon spreads clients that return at once over a second.
func soon() time.Duration { return rand.N(time.Second) }

func protocolViolation() ending {
	return ending{code: codeProtocolViolation, reason: "protocol_violation", reconnect: true, retryAfter: time.Minute}
}

func heartbeatTimeout() ending {
	return ending{code: codeHeartbeatTimeout, reason: "heartbeat_timeout", reconnect: true, retryAfter: soon()}
}

func slowConsumer() ending {
	return ending{code: codeSlowConsumer, reason: "slow_consumer", reconnect: true, retryAfter: soon()}
}

func goingAway(after time.Duration) ending {
	return ending{code: codeGoingAway, reason: "going_away", reconnect: true, retryAfter: after}
}

func credentialsRevoked() ending {
	return ending{code: codeCredentialsRevoked, reason: "credentials_revoked"}
}

func clientClosed(code int) ending {
	return ending{code: code, reason: "client_closed", echo: true}
}

// clientGone is a client that went without a word, as it may where there are none.
func clientGone() ending { return ending{reason: "client_closed"} }

func connectionLost() ending { return ending{reason: "connection_lost"} }

// endingOf maps what ended a subscription to a close code.
func endingOf(err error) ending {
	switch {
	case errors.Is(err, router.ErrSlow):
		return slowConsumer()
	case errors.Is(err, router.ErrInactive):
		return credentialsRevoked()
	case errors.Is(err, router.ErrRole):
		return ending{code: codeRoleNotAllowed, reason: "role_not_allowed"}
	}
	return ending{code: codeInternal, reason: "internal_error", reconnect: true, retryAfter: soon()}
}
