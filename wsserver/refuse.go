package wsserver

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// A refusal is why somebody is not let in, as plain HTTP.
type refusal struct {
	status int
	code   string // the protocol's `error`
	detail string
	retry  bool          // with Retry-After
	wait   time.Duration // after which another try can be of use; 0: unknown
}

func badRequest(detail string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "bad_request", detail: detail}
}

func unauthenticated(detail string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: "unauthenticated", detail: detail}
}

func notReady(detail string) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, code: "not_ready", detail: detail, retry: true}
}

func tooMany() *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, code: "too_many_connections", retry: true,
		detail: "there are too many connections, or too many of yours: close a tab, or come back later",
	}
}

// refusalOf maps errors of the router to refusals.
func (s *Server) refusalOf(err error) *refusal {
	switch {
	case errors.Is(err, router.ErrInactive):
		return &refusal{status: http.StatusForbidden, code: "account_inactive", detail: "this account is not active"}
	case errors.Is(err, router.ErrRole):
		return &refusal{
			status: http.StatusForbidden, code: "role_not_allowed",
			detail: "dashboards are for " + plural(s.deps.Router.Roles()),
		}
	}
	return notReady("the gateway is starting")
}

// plural is "teachers, tutors and admins".
func plural(roles []cdc.Role) string {
	var words []string
	for _, r := range roles {
		words = append(words, r.String()+"s")
	}
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

func forAnotherRole() *refusal {
	return &refusal{
		status: http.StatusForbidden, code: "role_not_allowed",
		detail: "this token is for another role than the account has; get a new one",
	}
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if no.retry {
		// Everybody who was refused at once should not return at once.
		wait := s.patience(no)
		wait += rand.N(wait)
		h.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	if no.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Token realm="schoolbell"`)
	}
	body := append([]byte(`{"error":`), '"')
	body = append(append(body, no.code...), `","detail":`...)
	body = append(cdc.AppendJSONString(body, no.detail), '}', '\n')
	w.WriteHeader(no.status)
	_, _ = w.Write(body)
	// Only the path: a query may hold a token.
	s.deps.Log.Debug("refused", "path", r.URL.Path, "reason", no.code, "remote", s.client(r))
}

// patience is how long somebody who was refused is asked to wait at least. A start is
// over in a moment, mostly; one that has lasted longer may last as long again.
func (s *Server) patience(no *refusal) time.Duration {
	switch {
	case no.wait > 0:
		return no.wait
	case s.draining.Load():
		return min(startTime, s.cfg.RetryAfter)
	case no.status == http.StatusServiceUnavailable:
		return min(max(startTime, time.Since(s.began)), s.cfg.RetryAfter)
	}
	return s.cfg.RetryAfter
}

// visitor is who asks, and from where on.
type visitor struct {
	person   cdc.Person
	identity auth.Identity
	since    *cdc.Position
	filter   *router.Filter // nil: everything
	question
}

// closed is why nobody is let in at the moment, whoever it is.
func (s *Server) closed() *refusal {
	if s.draining.Load() {
		return notReady("the gateway is shutting down")
	}
	for _, check := range s.deps.Ready() {
		if check.Required && !check.OK {
			return notReady(check.Name + ": " + check.Detail)
		}
	}
	return nil
}

// admit finds out who asks and whether they may; everything but the limits,
// which count only when a session is opened.
func (s *Server) admit(r *http.Request) (visitor, *refusal) {
	if no := s.closed(); no != nil {
		return visitor{}, no
	}
	if !s.originAllowed(r) {
		return visitor{}, &refusal{
			status: http.StatusForbidden, code: "origin_not_allowed",
			detail: "pages of this origin may not connect; allow it in the gateway's list of origins",
		}
	}
	v, no := wishesOf(r)
	if no != nil {
		return visitor{}, no
	}
	if v.identity, v.question, no = s.identify(r, s.client(r)); no != nil {
		return visitor{}, no
	}
	var ok bool
	if v.person, ok = s.deps.People.Person(cdc.ParseID(v.identity.User)); !ok {
		return visitor{}, unauthenticated("this account does not exist any more")
	}
	if err := s.deps.Router.Admits(v.person); err != nil {
		return visitor{}, s.refusalOf(err)
	}
	if !isFor(v.identity, v.person) {
		return visitor{}, forAnotherRole()
	}
	return v, nil
}

// lastEventID is the header by which a browser that comes back to a stream says where it was.
const lastEventID = "Last-Event-ID"

// wishesOf reads what somebody wants to be told: from where on, and of what.
func wishesOf(r *http.Request) (v visitor, no *refusal) {
	query := r.URL.Query()
	name, text := "since", query.Get("since")
	if id := r.Header.Get(lastEventID); id != "" && strings.HasPrefix(r.URL.Path, "/sse/") {
		name, text = lastEventID, id // newer than the address, which stays as it is
	}
	if text != "" {
		since, err := cdc.ParsePosition(text)
		if err != nil {
			return v, badRequest(name + ": " + err.Error())
		}
		v.since = &since
	}
	var err error
	if v.filter, err = router.NewFilter(listed(query["types"]), listed(query["assignment"])); err != nil {
		return v, badRequest(err.Error())
	}
	return v, nil
}

// listed are the values of a parameter, with commas in between; nil: it is not there.
func listed(given []string) []string {
	if given == nil {
		return nil
	}
	return strings.Split(strings.Join(given, ","), ",")
}

// isFor reports whether a proof is good for somebody with the role that they have.
func isFor(id auth.Identity, p cdc.Person) bool { return id.Role == "" || id.Role == p.Role.String() }

// identify asks whose the credential is, as far as the limits allow.
func (s *Server) identify(r *http.Request, address netip.Addr) (auth.Identity, question, *refusal) {
	q, no := s.limits.ask(address, s.limits.fingerprint(r))
	if no != nil {
		return auth.Identity{}, q, no
	}
	ctx := r.Context()
	if q.gathered {
		ctx = auth.Gathered(ctx)
	}
	id, err := s.deps.Auth.Authenticate(ctx, r)
	switch {
	case err == nil:
		s.limits.answered(q, true)
		return id, q, nil
	case errors.Is(err, auth.ErrNoCredential):
		s.limits.answered(q, false)
		s.limits.noHandshake(q)
		return id, q, unauthenticated("no token or session; sign in")
	case errors.Is(err, auth.ErrUnauthenticated):
		s.limits.refused(q)
		return id, q, unauthenticated("no valid token or session; sign in again")
	}
	s.limits.answered(q, false)
	if !errors.Is(err, auth.ErrUnavailable) && !errors.Is(err, context.Canceled) {
		s.deps.Log.Error("cannot authenticate", "path", r.URL.Path, "remote", q.address, "err", err)
	}
	return id, q, notReady("credentials cannot be checked at the moment")
}

// originAllowed protects people whose browser has a session cookie: another
// site's page may not use it. Clients that are no browsers send no Origin.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	for _, pattern := range s.admits.Load().Origins {
		name := u.Host
		if strings.Contains(pattern, "://") {
			name = u.Scheme + "://" + u.Host
		}
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name)); err == nil && ok {
			return true
		}
	}
	return false
}
