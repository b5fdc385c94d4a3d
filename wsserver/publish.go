package wsserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Publish makes a message durable, tells it to whom it is for, and answers its id.
// repeated says that the same message was published before under the same key of
// idempotency ("": none), and is not told again. Its errors wrap cdc.ErrNoPerson,
// cdc.ErrKeyReused or cdc.ErrNotYet where the publisher can do something.
type Publish func(ctx context.Context, m cdc.Message, key string) (id cdc.Position, repeated bool, err error)

// publisher knows the tokens of the services that may publish. They are compared by
// their digests, all of them each time, so that the time it takes tells nothing.
type publisher struct {
	began   time.Time
	rate    allowance
	digests [][sha256.Size]byte

	mu     sync.Mutex // guards what follows
	meters []meter    // of each token
}

func newPublisher(cfg Config) *publisher {
	p := &publisher{
		began: time.Now(), rate: allowance{burst: 2 * cfg.PublishRate, rate: cfg.PublishRate},
		meters: make([]meter, len(cfg.PublishTokens)),
	}
	for _, token := range cfg.PublishTokens {
		p.digests = append(p.digests, sha256.Sum256([]byte(token)))
	}
	return p
}

// find answers which token it is; -1: none.
func (p *publisher) find(token string) int {
	shown, found := sha256.Sum256([]byte(token)), -1
	for i, digest := range p.digests {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(shown[:], digest[:]), i, found)
	}
	return found
}

// take uses up one of what a token may publish.
func (p *publisher) take(token int) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meters[token].take(p.rate, time.Since(p.began))
}

// servePublish takes a custom message. There is no CORS: the token is a service's, and
// pages have none to show.
func (s *Server) servePublish(w http.ResponseWriter, r *http.Request) {
	id, outcome, no := s.publish(w, r)
	if no != nil {
		s.deps.Observer.Published(no.code)
		s.refuse(w, r, no)
		return
	}
	s.deps.Observer.Published(outcome)
	sendJSON(w, http.StatusOK, append(id.Append([]byte(`{"id":"`)), `"}`...))
}

func (s *Server) publish(w http.ResponseWriter, r *http.Request) (id cdc.Position, outcome string, no *refusal) {
	if no = s.mayPublish(w, r); no != nil {
		return id, "", no
	}
	key, no := idempotencyKey(r)
	if no != nil {
		return id, "", no
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cdc.MessageSize))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return id, "", &refusal{
			status: http.StatusRequestEntityTooLarge, code: "too_large",
			detail: "a message may have 64 KB; publish less, and let clients ask for the rest",
		}
	}
	if err != nil {
		return id, "", badRequest("the body was cut short; send it again")
	}
	m, err := cdc.ParseMessage(text)
	if err != nil {
		return id, "", badRequest(err.Error())
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.PublishWait)
	defer cancel()
	id, repeated, err := s.deps.Publish(ctx, m, key)
	switch {
	case err != nil:
		return id, "", s.unpublished(err)
	case repeated:
		return id, "repeated", nil
	}
	return id, "published", nil
}

// mayPublish finds out whether a service asks, and whether it may now.
func (s *Server) mayPublish(w http.ResponseWriter, r *http.Request) *refusal {
	publisher := s.publisher.Load()
	if len(publisher.digests) == 0 || s.deps.Publish == nil {
		return &refusal{
			status: http.StatusNotFound, code: "not_found",
			detail: "nobody can publish here; set publish_tokens to allow it",
		}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", detail: "use POST"}
	}
	if s.draining.Load() {
		return notReady("the gateway is shutting down")
	}
	token := publisher.find(bearer(r))
	if token < 0 {
		return s.noService(r)
	}
	if wait := publisher.take(token); wait > 0 {
		return &refusal{
			status: http.StatusTooManyRequests, code: "too_many_requests", retry: true, wait: wait,
			detail: "this token publishes too much: come back later",
		}
	}
	if kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" ||
		params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return &refusal{
			status: http.StatusUnsupportedMediaType, code: "unsupported_media_type",
			detail: "send Content-Type: application/json",
		}
	}
	return nil
}

// bearer is the token of a service; "" where there is none. It does not count in an
// address, which proxies write into their logs.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "Token") {
		return strings.TrimSpace(token)
	}
	return ""
}

// atPublish tells a token that was shown here from the same one shown for a dashboard,
// where it may be good.
const atPublish = 0x9e3779b97f4a7c15

// noService refuses somebody who has no token of a service: one that is shown again and
// again waits longer and longer. It cost the LMS's database nothing, so it counts
// nothing of what the address may ask that.
func (s *Server) noService(r *http.Request) *refusal {
	credential := uint64(0)
	if bearer(r) != "" {
		credential = s.limits.fingerprint(r) ^ atPublish
	}
	q, no := s.limits.ask(s.client(r), credential)
	if no != nil {
		return no
	}
	s.limits.refused(q)
	s.limits.answered(q, false)
	return unauthenticated("no token of a service that may publish; send it as Authorization: Bearer TOKEN")
}

// longestKey bounds a key of idempotency.
const longestKey = 255

func idempotencyKey(r *http.Request) (string, *refusal) {
	given := r.Header.Values("Idempotency-Key")
	if len(given) == 0 {
		return "", nil
	}
	key := given[0]
	foreign := strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' })
	if len(given) > 1 || key == "" || len(key) > longestKey || foreign {
		return "", badRequest("Idempotency-Key: want one, of 1 to 255 visible ASCII characters")
	}
	return key, nil
}

// unpublished maps errors of Publish to refusals.
func (s *Server) unpublished(err error) *refusal {
	switch {
	case errors.Is(err, cdc.ErrNoPerson):
		return &refusal{status: http.StatusNotFound, code: "unknown_user", detail: cdc.ErrNoPerson.Error()}
	case errors.Is(err, cdc.ErrKeyReused): // as draft-ietf-httpapi-idempotency-key-header has it
		return &refusal{status: http.StatusUnprocessableEntity, code: "idempotency_key_reused", detail: cdc.ErrKeyReused.Error()}
	case !errors.Is(err, cdc.ErrNotYet):
		s.deps.Log.Error("cannot publish", "err", err)
	}
	return notReady(cdc.ErrNotYet.Error())
}

// PublishOutcomes are the words that Observer.Published is told.
var PublishOutcomes = [...]string{
	"published", "repeated", "bad_request", "unauthenticated", "not_found", "unknown_user", "method_not_allowed",
	"unsupported_media_type", "too_large", "idempotency_key_reused", "too_many_requests", "too_many_connections", "not_ready",
}
