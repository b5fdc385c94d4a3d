package auth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// longestShown is the most bytes of a credential that is shown to the LMS. Some
	// keep the whole session in the cookie, which has at most 4 KB.
	longestShown = 4096

	// answeredLately is how long an answer of the LMS counts as a sign that it
	// answers, so that Check asks only where nobody else does.
	answeredLately = time.Minute
)

// IntrospectionConfig says which address of the LMS knows whose a credential is, and
// how to read its answer. URL is required; Preset fills in what an LMS is known to do.
type IntrospectionConfig struct {
	// URL is asked, over https, or over http on this machine. {credential}, in its
	// query, in a header or in Body, stands for what is shown.
	URL     string
	Method  string   // GET
	Headers []string // lines like "Accept: application/json"
	Body    string   // a form

	// Cookie names the cookie that is shown; "": the token of the request is. Where
	// {credential} stands nowhere, it is shown as it came: in a cookie of that name,
	// or as a Bearer token.
	Cookie string

	// User and Expires are JSON pointers (RFC 6901) into the answer: to the LMS's key
	// of the account ("/id"), and to when the credential ends, in seconds since 1970
	// or as RFC 3339 ("": it does not say).
	User, Expires string

	// Email is a JSON pointer to the account's e-mail, for an answer that has no key of
	// it; then User counts for nothing. Find answers the key of the active account that
	// has an e-mail, and how many have it: only one that is alone signs in.
	Email string
	Find  func(email string) (user string, accounts int)

	// Role is a JSON pointer to the only role, in the protocol's word, that the credential
	// is for; "": it is for any. It gives nothing: what somebody may see follows from the
	// LMS's rows.
	Role string

	// Requires are conditions that the answer must meet for the credential to count,
	// like "/role=teacher|tutor": a pointer, and the values allowed there.
	Requires []string

	// Refusals are the statuses by which the LMS says that a credential is not valid
	// (401, 403). Where Code points to a word in the answer, the words in Codes say so,
	// too, and any other word says that the LMS cannot tell. So does every other status
	// but 200.
	Refusals []int
	Code     string
	Codes    []string

	Fresh  time.Duration // how long an answer is good for those who sign in; 10 s
	Rate   int           // questions a second at most; 50
	AtOnce int           // questions at once at most; 16
}

// Introspection is the Way of credentials that only the LMS itself can read: they are
// shown to it, and it says whose they are.
//
// # Bounds
//
// At most Rate questions a second and AtOnce at once, and besides them a fifth of Rate
// and a quarter of AtOnce for credentials that are Gathered, which are mostly bad ones.
// A question takes five seconds at most, an answer 256 KB. Whatever credentials come,
// 32,768 good ones and as many bad ones are remembered, as keyed hashes.
type Introspection struct {
	cfg      IntrospectionConfig
	requires []requirement
	client   *http.Client
	key      []byte // of the hashes

	seen    *verdicts
	flights singleflight.Group
	wide    *lane // for everybody
	narrow  *lane // for those of whom many show bad credentials

	last atomic.Pointer[outcome] // of the questions; nil: none was asked yet

	hits, misses atomic.Uint64
}

// outcome is what came of a question.
type outcome struct {
	at  time.Time
	err error // why the LMS could not tell
}

// NewIntrospection asks nobody yet, so that the gateway starts while the LMS is down.
func NewIntrospection(cfg IntrospectionConfig) (*Introspection, error) {
	cfg.Method = cmp.Or(cfg.Method, http.MethodGet)
	cfg.User = cmp.Or(cfg.User, "/id")
	cfg.Fresh = cmp.Or(cfg.Fresh, 10*time.Second)
	cfg.Rate = cmp.Or(cfg.Rate, 50)
	cfg.AtOnce = cmp.Or(cfg.AtOnce, 16)
	if len(cfg.Refusals) == 0 {
		cfg.Refusals = []int{http.StatusUnauthorized, http.StatusForbidden}
	}
	cfg.show()
	w := &Introspection{
		cfg: cfg, client: newIntrospectionClient(cfg.AtOnce), key: make([]byte, sha256.Size), seen: newVerdicts(cfg.Fresh),
		wide: newLane(cfg.Rate, cfg.AtOnce), narrow: newLane(max(cfg.Rate/5, 1), max(cfg.AtOnce/4, 1)),
	}
	_, _ = rand.Read(w.key) // it ends the process rather than fail
	errs := []error{cfg.check()}
	for _, text := range cfg.Requires {
		r, err := parseRequirement(text)
		errs = append(errs, err)
		w.requires = append(w.requires, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return w, nil
}

// Remembered counts the credentials that somebody signed in with: those of which the
// LMS's answer was still remembered, and those that had to be shown to it.
func (w *Introspection) Remembered() (hits, misses uint64) { return w.hits.Load(), w.misses.Load() }

// Close ends the connections to the LMS that nobody uses.
func (w *Introspection) Close() { w.client.CloseIdleConnections() }

// String names the address, without its query.
func (w *Introspection) String() string { return "credentials shown to " + w.cfg.place() }

// Format keeps the headers, which may hold a secret, from the verbs that do not ask
// String.
func (w *Introspection) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(w.String())) }

// Name is "introspection".
func (*Introspection) Name() string { return "introspection" }

// Authenticate says whose the LMS says the request's credential is.
func (w *Introspection) Authenticate(ctx context.Context, r *http.Request) (Identity, error) {
	key, err := w.credential(r)
	if err != nil {
		return Identity{}, err
	}
	v, err := w.verdict(ctx, key)
	switch {
	case err != nil:
		return Identity{}, unknown(ctx, "show a credential to the LMS", err)
	case v.user == "":
		return Identity{}, fmt.Errorf("%w: %s", ErrUnauthenticated, v.why)
	}
	return Identity{User: v.user, Way: w.Name(), Role: v.role, Expires: v.expires, proof: key}, nil
}

// credential takes what is to be shown from a request.
func (w *Introspection) credential(r *http.Request) (secret, error) {
	if w.cfg.Cookie == "" {
		key, err := fromRequest(r)
		if err != nil {
			return secret{}, err
		}
		return key, key.presentable()
	}
	// Of several cookies of one name the last one counts, as for most servers.
	cookies := r.CookiesNamed(w.cfg.Cookie)
	if len(cookies) == 0 || cookies[len(cookies)-1].Value == "" {
		return secret{}, ErrNoCredential
	}
	key := secret{cookies[len(cookies)-1].Value}
	return key, key.presentable()
}

// presentable says why a credential cannot be shown. With the characters that it may
// not have, somebody could write more into a header than their credential.
func (s secret) presentable() error {
	if len(s.key) > longestShown {
		return fmt.Errorf("%w: the credential is longer than %d bytes", ErrUnauthenticated, longestShown)
	}
	for i := range len(s.key) {
		if c := s.key[i]; c <= ' ' || c > '~' || c == ';' || c == '"' || c == '\\' {
			return fmt.Errorf("%w: the credential has a character that none has", ErrUnauthenticated)
		}
	}
	return nil
}

// verdict is what the LMS says of a credential, or said a moment ago. Whoever asks
// about the same one meanwhile waits for the same answer.
func (w *Introspection) verdict(ctx context.Context, key secret) (verdict, error) {
	digest := w.digest(key)
	v, known := w.seen.of(digest)
	if known == fresh {
		w.hits.Add(1)
		return v, nil
	}
	w.misses.Add(1)
	by := w.wide
	if isGathered(ctx) && known != stale {
		by = w.narrow // a credential that was good once is not what the crowd is about
	}
	// Others may wait for the answer when whoever asked first has gone.
	asking := context.WithoutCancel(ctx)
	answer := w.flights.DoChan(string(digest[:]), func() (any, error) {
		if v, known := w.seen.of(digest); known == fresh {
			return v, nil // of a flight that landed just before this one took off
		}
		if err := by.enter(asking, patience); err != nil {
			return verdict{}, err
		}
		defer by.leave()
		return w.ask(asking, key, digest)
	})
	select {
	case a := <-answer:
		return a.Val.(verdict), a.Err
	case <-ctx.Done():
		return verdict{}, context.Cause(ctx)
	}
}

// digest is under which a credential is remembered: nothing that is kept tells what it
// was.
func (w *Introspection) digest(key secret) (d digest) {
	m := hmac.New(sha256.New, w.key)
	_, _ = m.Write([]byte(key.key))
	return digest(m.Sum(d[:0]))
}

// Check reports what keeps the LMS from telling, with the remedy. It shows the LMS a
// credential that is none, unless somebody's was shown within the last minute.
func (w *Introspection) Check(ctx context.Context) error {
	last := w.last.Load()
	if last != nil && last.err == nil && time.Since(last.at) < answeredLately {
		return nil
	}
	if err := w.wide.enter(ctx, patience); err != nil {
		if last == nil || last.err == nil {
			return nil // so many are asked about that one of them will tell
		}
		return last.err
	}
	defer w.wide.leave()
	key := secret{"schoolbell-check"}
	v, err := w.ask(ctx, key, w.digest(key))
	if err == nil && v.user != "" {
		err = fmt.Errorf("%s names an account for a credential that nobody has, so that anybody could sign in; "+
			"fix: name an address that answers only to who is signed in", w.cfg.place())
	}
	return err
}
