// Package auth says who is asking.
//
// In comes an HTTP request, out goes an Identity: the LMS's key of the account that
// its credential belongs to, or the reason why there is none. Whether that account is
// active and what it may see is not decided here. Each kind of credential is a Way;
// Ways asks them in order, and asks again about those that were given before.
//
// # Promises
//
//   - The first credential of a request decides: the Authorization header, then
//     ?token=, then what a trusted proxy says, then the LMS's session cookie. A wrong
//     one is refused, never passed over for the next.
//   - Nothing is remembered but issuers' keys, and for ten seconds what the LMS itself
//     said of a credential: a token that the LMS deleted fails at the next question, a
//     new one works at once.
//   - A signed token does not choose how it is verified: the type of the key does. An
//     issuer that is down does not take its keys away, and whoever makes tokens up
//     cannot make us ask it more often than every few seconds.
//   - What a proxy says of somebody is believed if the connection comes from a listed
//     address, and is no credential at all from any other.
//   - Recheck asks one question for at most 1,000 credentials, and a database that
//     is down revokes none.
//   - Questions that are Gathered are asked together, ten times a second at most,
//     however many there are.
//   - The LMS is only read, by at most four connections, and no question takes
//     longer than three seconds.
//   - A database that is down does not look like a wrong token, and the other way
//     round.
//   - The LMS itself is asked about credentials no more often, and by no more at once,
//     than it is configured to bear, whatever credentials come. What it cannot tell
//     refuses nobody and revokes nothing.
//   - A session counts while Django would take it.
//   - No token, no secret and no password is in any error, log attribute or formatted value.
//
// Everything here may be used from any goroutine; it starts none beyond those of
// the connection pool and of questions to the LMS itself, which end within seconds.
package auth

import (
	"errors"
	"fmt"
)

var (
	// ErrUnauthenticated means that the request has no credential, or one that the
	// LMS does not know. Its text may be shown to the asker: answer 401.
	ErrUnauthenticated = errors.New("not signed in")

	// ErrNoCredential means that a request has no credential of a Way's kind: the
	// next Way may know it. From the last one it is an ErrUnauthenticated.
	ErrNoCredential = fmt.Errorf("%w: no credential; send the header Authorization: Token KEY, or ?token=KEY", ErrUnauthenticated)

	// ErrUnavailable means that the LMS or its database did not answer, so that nothing
	// is known of the credential. Its text is for the log, not for the asker, who
	// should come back later: answer 503.
	ErrUnavailable = errors.New("credentials cannot be looked up")
)
