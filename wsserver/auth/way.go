package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// An Identity is who asks, and what proves it.
type Identity struct {
	User    string    // the LMS's key of the account, as PostgreSQL prints it
	Way     string    // Name of the Way that gave it, for logs and metrics
	Expires time.Time // when the proof ends by itself; zero: it does not
	Role    string    // the only role that the proof is for, in the protocol's word; "": any

	proof secret  // what Recheck asks about; never shown
	keys  *keySet // of a JWT: by which it was verified last
	by    int     // which of Ways gave it, from 1 on
}

// String names the account and the way; the proof stays inside.
func (id Identity) String() string { return "user " + id.User + " by " + id.Way }

// Format keeps the proof from the verbs that do not ask String: fmt cannot ask the
// methods of a field that is not exported.
func (id Identity) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(id.String())) }

// LogValue writes what may be logged.
func (id Identity) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", id.User), slog.String("way", id.Way))
}

// WayNames are the names of all ways.
var WayNames = [...]string{"token", "session", "jwt", "proxy", "introspection"}

// A Way is one kind of credential.
type Way interface {
	// Name is one of WayNames.
	Name() string

	// Authenticate says whose credential the request carries. An error is
	// ErrNoCredential, ErrUnauthenticated, ErrUnavailable, or the cause of ctx's end.
	Authenticate(ctx context.Context, r *http.Request) (Identity, error)

	// Recheck says which of the identities, by their place in ids, are not proved any
	// more. It gets only those that Authenticate gave, and brings them up to date:
	// Expires may have moved. With an error nothing is known of the others.
	Recheck(ctx context.Context, ids []Identity) (revoked []int, err error)

	// Check says what keeps credentials of this kind from being looked up, with the
	// remedy.
	Check(ctx context.Context) error
}

// Ways are asked in their order; the first that finds its kind of credential in a
// request decides.
type Ways []Way

// Authenticate says who asks. An error is ErrUnauthenticated, ErrUnavailable, or the
// cause of ctx's end.
func (w Ways) Authenticate(ctx context.Context, r *http.Request) (Identity, error) {
	id, _, err := w.Attempt(ctx, r)
	return id, err
}

// Attempt is Authenticate, and names the way that decided; NoWay where the request has no
// credential.
func (w Ways) Attempt(ctx context.Context, r *http.Request) (id Identity, way string, err error) {
	for i, way := range w {
		id, err := way.Authenticate(ctx, r)
		if errors.Is(err, ErrNoCredential) {
			continue
		}
		if err != nil {
			return Identity{}, way.Name(), err
		}
		id.by = i + 1
		return id, way.Name(), nil
	}
	return Identity{}, NoWay, ErrNoCredential
}

// NoWay is in the place of a way's name where no way decided.
const NoWay = "none"

// Outcomes are how an attempt ends.
var Outcomes = [...]string{"accepted", "refused", "unavailable", "abandoned"}

// OutcomeOf is which of Outcomes an error of Authenticate means; nil is accepted, and
// abandoned that whoever asked has gone.
func OutcomeOf(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, ErrUnauthenticated):
		return "refused"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	}
	return "abandoned"
}

// Recheck says which of the identities, by their place in ids, are not proved any
// more, and brings the others up to date: each is asked about in its own way. A way
// that cannot tell says so in the error and revokes nobody; the others are asked all
// the same.
func (w Ways) Recheck(ctx context.Context, ids []Identity) ([]int, error) {
	var revoked []int
	var errs []error
	for i, id := range ids {
		if id.by < 1 || id.by > len(w) {
			revoked = append(revoked, i) // of no way of ours: nothing proves it
		}
	}
	for n, way := range w {
		var mine []Identity
		var places []int
		for i, id := range ids {
			if id.by == n+1 {
				mine, places = append(mine, id), append(places, i)
			}
		}
		if len(mine) == 0 {
			continue
		}
		found, err := way.Recheck(ctx, mine)
		for _, i := range found {
			revoked = append(revoked, places[i])
		}
		for i, id := range mine {
			ids[places[i]] = id
		}
		errs = append(errs, err)
	}
	return revoked, errors.Join(errs...)
}

// Check says what keeps any of the ways from being used.
func (w Ways) Check(ctx context.Context) error {
	var errs []error
	for _, way := range w {
		errs = append(errs, way.Check(ctx))
	}
	return errors.Join(errs...)
}
