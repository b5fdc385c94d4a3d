package wsserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
)

const (
	service = "service-token-of-a-test"
	next    = "the-token-that-comes-after-it"
)

// press publishes as the projection does, but for the disk.
type press struct {
	mu     sync.Mutex
	g      *gateway
	ids    map[string]cdc.Position
	fails  error
	during func(context.Context)
}

func (p *press) publish(ctx context.Context, m cdc.Message, key string) (cdc.Position, bool, error) {
	if p.during != nil {
		p.during(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails != nil {
		return cdc.Position{}, false, p.fails
	}
	if id, ok := p.ids[key]; ok {
		return id, true, nil
	}
	p.g.lsn++
	at := cdc.Position{LSN: cdc.LSN(p.g.lsn), Index: 1}
	if key != "" {
		p.ids[key] = at
	}
	body := fmt.Sprintf(`{"type":"%s","id":"%v"%s,"timestamp":"2026-11-22T21:05:11.123456Z"}`, m.Type, at, m.Fields)
	e := &cdc.Event{Position: at, Kind: cdc.Custom, Time: time.Now(), Audience: m.Audience(), Body: []byte(body)}
	p.g.memory.mu.Lock()
	p.g.memory.events = append(p.g.memory.events, e)
	p.g.memory.mu.Unlock()
	p.g.router.Publish(router.Batch{Cursor: at, Events: []*cdc.Event{e}})
	return at, false, nil
}

// publishing is a gateway at which services publish.
func publishing(cfg wsserver.Config) *press {
	p := &press{ids: map[string]cdc.Position{}}
	if cfg.PublishTokens == nil {
		cfg.PublishTokens = []string{service, next}
	}
	p.g = build(cfg, func(d *wsserver.Deps) { d.Publish = p.publish })
	return p
}

// request is one to publish, as a service would send it.
func request(body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/publish", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+service)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return r
}

func (p *press) send(r *http.Request) (status int, body string, header http.Header) {
	w := httptest.NewRecorder()
	p.g.Handler().ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String()), w.Header()
}

const forTom = `{"user":2,"type":"exam_moved","data":{"room":12}}`

func TestWhatAServicePublishesReachesWhomItIsForAndNobodyElse(t *testing.T) {
	p := publishing(wsserver.Config{})
	p.g.http = httptest.NewServer(p.g.Handler())
	t.Cleanup(p.g.http.Close)
	p.g.run(t)
	head, teacher, tutor := p.g.dial(t, ada, ""), p.g.dial(t, tom, ""), p.g.dial(t, tina, "")
	for _, d := range []*dashboard{head, teacher, tutor} {
		d.until("welcome")
	}
	for _, body := range []string{
		forTom, `{"group":"dashboard_metrics","type":"for.admins"}`, `{"group":"dashboard_user_3","type":"for.tina","data":{"a":{"b":1.50}}}`,
		`{"user":"2","type":"the_end"}`, `{"user":1,"type":"the_end"}`, `{"user":3,"type":"the_end"}`,
	} {
		status, answer, header := p.send(request(body))
		require.Equal(t, http.StatusOK, status, answer)
		require.Regexp(t, `^{"id":"0/[0-9A-F]+\.1"}$`, answer)
		require.Equal(t, "no-store", header.Get("Cache-Control"))
	}
	read := func(d *dashboard) (kinds []string) {
		for {
			switch m := d.next(); m["type"] {
			case "metrics", "ping":
			case "the_end":
				return kinds
			default:
				kinds = append(kinds, m["type"].(string))
			}
		}
	}
	require.Equal(t, []string{"for.admins"}, read(head))
	require.Equal(t, []string{"exam_moved"}, read(teacher))
	require.Equal(t, []string{"for.tina"}, read(tutor))
	p.g.tally.await("sent custom", 6)
	require.Equal(t, 6, p.g.tally.of("published published"))
}

func TestOnlyAServiceWithATokenPublishes(t *testing.T) {
	p := publishing(wsserver.Config{})
	for _, header := range []string{"Bearer " + service, "bearer " + next, "Token " + next} {
		status, answer, _ := p.send(request(forTom, "Authorization", header))
		require.Equal(t, http.StatusOK, status, answer)
	}
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Basic " + service, service, "Bearer " + service + "x", "Bearer " + service[1:], "Token " + token(ada), "Bearer " + strings.ToUpper(service),
	} {
		status, answer, _ := p.send(request(forTom, "Authorization", header))
		require.Equal(t, http.StatusUnauthorized, status, header)
		require.Contains(t, answer, `"error":"unauthenticated"`)
	}
	r := request(forTom, "Authorization", "")
	r.URL.RawQuery = "token=" + service
	r.AddCookie(&http.Cookie{Name: "sessionid", Value: service})
	status, _, _ := p.send(r)
	require.Equal(t, http.StatusUnauthorized, status, "an address stands in a proxy's log")
	require.Equal(t, 3, p.g.tally.of("published published"))
	require.Equal(t, 10, p.g.tally.of("published unauthenticated"))
}

func TestWhereNoTokenIsSetNobodyPublishes(t *testing.T) {
	p := publishing(wsserver.Config{PublishTokens: []string{}})
	for _, header := range []string{"", "Bearer ", "Bearer " + service} {
		status, answer, _ := p.send(request(forTom, "Authorization", header))
		require.Equal(t, http.StatusNotFound, status)
		require.Contains(t, answer, `"error":"not_found"`)
	}
}

func TestNoPageOfAnotherOriginPublishes(t *testing.T) {
	p := publishing(wsserver.Config{Origins: []string{"https://lms.example.org"}})
	r := request("", "Origin", "https://lms.example.org", "Access-Control-Request-Method", "POST")
	r.Method = http.MethodOptions
	status, _, header := p.send(r)
	require.Equal(t, http.StatusMethodNotAllowed, status)
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "POST", header.Get("Allow"))
	_, _, header = p.send(request(forTom, "Origin", "https://lms.example.org"))
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
}

func TestARequestToPublishThatIsWrongIsRefusedWithWhatToDo(t *testing.T) {
	secret := "Zq9secret"
	for _, test := range []struct {
		name, body string
		headers    []string
		status     int
		code       string
	}{
		{"no JSON", "{" + secret, nil, 400, "bad_request"},
		{"nothing", "", nil, 400, "bad_request"},
		{"a type of the protocol's", `{"user":2,"type":"grade","data":{"a":"` + secret + `"}}`, nil, 400, "bad_request"},
		{"an unknown group", `{"group":"` + secret + `","type":"a"}`, nil, 400, "bad_request"},
		{"too large", `{"user":2,"type":"a","data":{"s":"` + strings.Repeat("x", 64<<10) + `"}}`, nil, 413, "too_large"},
		{"a form", forTom, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		{"text", forTom, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
		{"no type of content", forTom, []string{"Content-Type", ""}, 415, "unsupported_media_type"},
		{"another charset", forTom, []string{"Content-Type", "application/json; charset=latin1"}, 415, "unsupported_media_type"},
		{"a long key", forTom, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "bad_request"},
		{"a key with a space", forTom, []string{"Idempotency-Key", "a b"}, 400, "bad_request"},
		{"a key beyond ASCII", forTom, []string{"Idempotency-Key", "é"}, 400, "bad_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := publishing(wsserver.Config{})
			status, answer, _ := p.send(request(test.body, test.headers...))
			require.Equal(t, test.status, status, answer)
			require.Contains(t, answer, `"error":"`+test.code+`","detail":"`)
			require.NotContains(t, answer+p.g.log.String(), secret, "what is published may be anybody's")
			require.Equal(t, 1, p.g.tally.of("published "+test.code))
			require.Empty(t, p.g.memory.events)
		})
	}
	p := publishing(wsserver.Config{})
	r := request(forTom)
	r.Header["Idempotency-Key"] = []string{"a", "b"}
	status, _, _ := p.send(r)
	require.Equal(t, 400, status)
	status, answer, _ := p.send(request(forTom, "Content-Type", "application/json; charset=UTF-8", "Idempotency-Key", strings.Repeat("~", 255)))
	require.Equal(t, 200, status, answer)
}

func TestWhatCannotBePublishedIsSaidWithItsReason(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		code   string
		again  bool
	}{
		{cdc.ErrNoPerson, 404, "unknown_user", false},
		{cdc.ErrKeyReused, 422, "idempotency_key_reused", false},
		{cdc.ErrNotYet, 503, "not_ready", true},
		{errors.New("store: the disk is full"), 503, "not_ready", true},
	} {
		p := publishing(wsserver.Config{})
		p.fails = fmt.Errorf("somewhere: %w", test.err)
		status, answer, header := p.send(request(forTom))
		require.Equal(t, test.status, status)
		require.Contains(t, answer, `"error":"`+test.code+`"`)
		require.NotContains(t, answer, "the disk", "that is for the operator")
		require.Equal(t, test.again, header.Get("Retry-After") != "")
	}
}

func TestTheSameKeyAnswersTheSameID(t *testing.T) {
	p := publishing(wsserver.Config{})
	_, first, _ := p.send(request(forTom, "Idempotency-Key", "k-1"))
	status, again, _ := p.send(request(forTom, "Idempotency-Key", "k-1", "Authorization", "Bearer "+next))
	require.Equal(t, 200, status, "the token may have been exchanged in between")
	require.Equal(t, first, again)
	require.Equal(t, 1, p.g.tally.of("published repeated"))
}

func TestATokenPublishesSoMuchAndTheOtherIsNotConcerned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publishing(wsserver.Config{PublishRate: 10})
		for range 20 {
			status, _, _ := p.send(request(forTom))
			require.Equal(t, 200, status)
		}
		status, answer, header := p.send(request(forTom))
		require.Equal(t, 429, status)
		require.Contains(t, answer, `"error":"too_many_requests"`)
		wait, err := strconv.Atoi(header.Get("Retry-After"))
		require.NoError(t, err)
		require.Equal(t, 1, wait)
		status, _, _ = p.send(request(forTom, "Authorization", "Bearer "+next))
		require.Equal(t, 200, status)
		time.Sleep(100 * time.Millisecond)
		status, _, _ = p.send(request(forTom))
		require.Equal(t, 200, status)
		status, _, _ = p.send(request(forTom))
		require.Equal(t, 429, status)
	})
}

func TestABadTokenOfAServiceWaitsLongerAndLongerAndCostsTheDashboardsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{}
		p := publishing(wsserver.Config{MaxFailures: 1})
		p.g = build(wsserver.Config{PublishTokens: []string{service}, MaxFailures: 1}, func(d *wsserver.Deps) {
			d.Publish = p.publish
			c.Authenticator = d.Auth
			d.Auth = c
		})
		last := 0
		for range 12 {
			_, _, header := p.send(request(forTom, "Authorization", "Token "+token(tom)))
			last = max(last, len(header.Get("Retry-After")))
		}
		require.NotZero(t, last, "it has to wait")
		require.NotZero(t, p.g.tally.of("published too_many_connections"))
		for i := range 50 { // each another one
			status, _, _ := p.send(request(forTom, "Authorization", fmt.Sprint("Token guess-", i)))
			require.Equal(t, 401, status)
		}
		require.Zero(t, c.asked.Load())
		r := httptest.NewRequest(http.MethodGet, "/api/session?token="+token(tom), nil) // where the fake LMS looks
		r.Header.Set("Authorization", "Token "+token(tom))
		status, answer, _ := p.send(r)
		require.Equal(t, 200, status, answer)
		require.Zero(t, p.g.Limits().Gathered)
		status, _, _ = p.send(request(forTom))
		require.Equal(t, 200, status)
	})
}

func TestAMessageWaitsForSomethingLargeOnlySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publishing(wsserver.Config{})
		p.during = func(ctx context.Context) {
			<-ctx.Done()
			p.fails = cdc.ErrNotYet
		}
		began := time.Now()
		status, _, _ := p.send(request(forTom))
		require.Equal(t, 503, status)
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestNothingIsPublishedWhileTheGatewayShutsDown(t *testing.T) {
	p := publishing(wsserver.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.NoError(t, p.g.Drain(ctx))
	status, _, header := p.send(request(forTom))
	require.Equal(t, 503, status)
	require.NotEmpty(t, header.Get("Retry-After"))
}

func TestNoTokenOfAServiceAndNothingPublishedIsEverLogged(t *testing.T) {
	p := publishing(wsserver.Config{})
	p.fails = errors.New("no disk")
	body := `{"user":2,"type":"exam_moved","data":{"secret_field":"secret value"}}`
	for _, header := range []string{"Bearer " + service, "Bearer wrong-" + service, "Basic " + service} {
		status, _, _ := p.send(request(body, "Authorization", header, "Idempotency-Key", "secret-key"))
		require.NotEqual(t, 200, status)
	}
	require.Contains(t, p.g.log.String(), "/api/publish")
	for _, word := range []string{service, "secret", "exam_moved"} {
		require.NotContains(t, p.g.log.String(), word)
	}
}

func FuzzPublishRequest(f *testing.F) {
	for _, seed := range []struct{ body, auth, kind, key string }{
		{forTom, "Bearer " + service, "application/json", "k"}, {"{", "Token x", "application/json;charset=utf-8", `"quoted"`},
		{`{"group":"dashboard_metrics","type":"a","data":{"a":[1]}}`, "bearer " + service, "text/plain; a=\"b", " "},
	} {
		f.Add(seed.body, seed.auth, seed.kind, seed.key)
	}
	f.Fuzz(func(t *testing.T, body, auth, kind, key string) {
		p := publishing(wsserver.Config{})
		r := request(body)
		r.Header["Authorization"], r.Header["Content-Type"], r.Header["Idempotency-Key"] = []string{auth}, []string{kind}, []string{key}
		status, answer, _ := p.send(r)
		m := decode(t, []byte(answer))
		if status != 200 {
			require.NotEmpty(t, m["error"])
			require.Empty(t, p.g.memory.events)
			return
		}
		require.NotEmpty(t, m["id"])
		require.Len(t, p.g.memory.events, 1)
		sent := decode(t, p.g.memory.events[0].Body)
		require.Equal(t, m["id"], sent["id"], "what was published may not speak for the gateway")
	})
}
