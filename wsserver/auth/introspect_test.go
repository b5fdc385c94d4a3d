package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}

// endless goes on for as long as somebody listens.
func endless(w http.ResponseWriter, _ *http.Request) {
	for err := error(nil); err == nil; {
		_, err = io.WriteString(w, `{"id":7,"x":[{"id":7},`)
	}
}

// Promise: an LMS that is down does not look like a wrong credential, and revokes none.
func TestAnAnswerThatSaysNothingRefusesNobodyAndEndsNothing(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a credential went elsewhere") }))
	t.Cleanup(elsewhere.Close)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"500":            {status(500), "it answers 500"},
		"502 with JSON":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); _, _ = w.Write([]byte(`{"id":7}`)) }, "it answers 502"},
		"429":            {status(429), "fix: lower introspect_rate"},
		"404":            {status(404), "fix: correct introspect_url"},
		"sign-in page":   {http.RedirectHandler(elsewhere.URL+"/login", http.StatusFound).ServeHTTP, "put 302 into introspect_refusals"},
		"HTML":           {text("<html>Please sign in</html>"), "no JSON"},
		"nothing":        {text(""), "no JSON"},
		"two answers":    {text(`{"id":7}{"id":8}`), "no JSON"},
		"half an answer": {text(`{"id":7`), "no JSON"},
		"no end":         {endless, "more than 262144 bytes"},
		"id true":        {text(`{"id":true}`), "fix: correct introspect_user"},
		"id in a list":   {text(`{"id":[7]}`), "fix: correct introspect_user"},
		"id 7.5":         {text(`{"id":7.5}`), "fix: correct introspect_user"},
		"id 7e3":         {text(`{"id":7e3}`), "fix: correct introspect_user"},
		"id empty":       {text(`{"id":""}`), "fix: correct introspect_user"},
		"end unreadable": {text(`{"id":7,"end":"tomorrow"}`), "fix: correct introspect_expires"},
		"hangs up":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lms := newLMS(t, byHeader)
			lms.says("good", `{"id":7}`)
			way := introspection(t, auth.IntrospectionConfig{URL: lms.url + "/api/me?x=secret-in-query", Expires: "/end", Fresh: time.Nanosecond})
			ids := []auth.Identity{signedIn(t, way, "good")}
			require.NoError(t, way.Check(t.Context()))
			lms.saysOfAll(c.answer)
			_, err := way.Authenticate(t.Context(), token("good"))
			require.ErrorIs(t, err, auth.ErrUnavailable)
			require.NotErrorIs(t, err, auth.ErrUnauthenticated)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "the LMS cannot be asked whose a credential is, at "+lms.url+"/api/me: ")
			require.NotContains(t, err.Error(), "secret-in-query")
			revoked, again := way.Recheck(t.Context(), ids)
			require.ErrorIs(t, again, auth.ErrUnavailable)
			require.Empty(t, revoked)
			require.ErrorContains(t, way.Check(t.Context()), c.says)
			lms.saysOfAll(nil)
			require.NoError(t, way.Check(t.Context()))
			require.Equal(t, "7", signedIn(t, way, "good").User)
		})
	}
}

func TestAnLMSThatDoesNotAnswerIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	lms := newLMS(t, byHeader)
	t.Cleanup(func() { close(released) }) // before the server is closed, which waits for it
	lms.saysOfAll(func(http.ResponseWriter, *http.Request) { <-released })
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url})
	_, err := way.Authenticate(t.Context(), token("good"))
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.ErrorContains(t, err, "no answer within 5s")

	gone, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the tab was closed")
	go cancel(cause)
	_, err = way.Authenticate(gone, token("another"))
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, auth.ErrUnavailable)
}

func TestAnLMSWithAnotherCertificateIsShownNothing(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a credential was shown") }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := introspection(t, auth.IntrospectionConfig{URL: server.URL}).Authenticate(t.Context(), token("good"))
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.ErrorContains(t, err, "certificate")
}

func TestTheLMSSaysThatACredentialIsNotValid(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		cfg    auth.IntrospectionConfig
	}{
		"401":                     {answer: status(401)},
		"403":                     {answer: status(403)},
		"to the page for sign-in": {answer: http.RedirectHandler("/login", http.StatusFound).ServeHTTP, cfg: auth.IntrospectionConfig{Refusals: []int{302}}},
		"names nobody":            {answer: text(`{"name":"anonymous"}`)},
		"names null":              {answer: text(`{"id":null}`)},
		"nobody at all":           {answer: text(`null`)},
		"has expired":             {answer: text(`{"id":7,"end":1700000000}`), cfg: auth.IntrospectionConfig{Expires: "/end"}},
		"has expired, in text":    {answer: text(`{"id":7,"end":"2023-11-14T22:13:20Z"}`), cfg: auth.IntrospectionConfig{Expires: "/end"}},
		"another role":            {answer: text(`{"id":7,"role":"guest"}`), cfg: auth.IntrospectionConfig{Requires: []string{"/role=teacher|tutor"}}},
		"no role":                 {answer: text(`{"id":7}`), cfg: auth.IntrospectionConfig{Requires: []string{"/role=teacher|tutor"}}},
		"none of the roles":       {answer: text(`{"id":7,"roles":["guest",1]}`), cfg: auth.IntrospectionConfig{Requires: []string{"/roles=teacher|tutor"}}},
		"not active":              {answer: text(`{"id":7,"active":false}`), cfg: auth.IntrospectionConfig{Requires: []string{"/active=true"}}},
		"one of two conditions":   {answer: text(`{"id":7,"a":1,"b":2}`), cfg: auth.IntrospectionConfig{Requires: []string{"/a=1", "/b=1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			lms := newLMS(t, byHeader)
			lms.saysOfAll(text(`{"id":7,"role":"tutor","roles":["x","teacher"],"active":true,"a":1,"b":1,"end":4000000000.5}`))
			c.cfg.URL, c.cfg.Fresh = lms.url, time.Nanosecond
			way := introspection(t, c.cfg)
			ids := []auth.Identity{signedIn(t, way, "good")}
			lms.saysOfAll(c.answer)
			_, err := way.Authenticate(t.Context(), token("good"))
			require.ErrorIs(t, err, auth.ErrUnauthenticated)
			revoked, err := way.Recheck(t.Context(), ids)
			require.NoError(t, err)
			require.Equal(t, []int{0}, revoked)
			require.NoError(t, way.Check(t.Context()))
		})
	}
}

func TestWhoSomebodyIsIsReadToTheLastDigit(t *testing.T) {
	for _, c := range []struct{ pointer, answer, want string }{
		{"/id", `{"id":9007199254740993}`, "9007199254740993"},
		{"/id", `{"id":"0a1b-uuid"}`, "0a1b-uuid"},
		{"/user/id", `{"user":{"id":-3}}`, "-3"},
		{"/0/data/userid", `[{"error":false,"data":{"userid":"42"}}]`, "42"},
		{"/a~1b/~0", `{"a/b":{"~":5}}`, "5"},
		{"/ID", `{"id":1,"ID":2}`, "2"},
	} {
		lms := newLMS(t, byHeader)
		lms.says("good", c.answer)
		require.Equal(t, c.want, signedIn(t, introspection(t, auth.IntrospectionConfig{URL: lms.url, User: c.pointer}), "good").User)
	}
}

func TestAnEmailSignsInWhoAloneHasIt(t *testing.T) {
	find := func(email string) (string, int) {
		switch email {
		case "tom@school.example":
			return "7", 1
		case "office@school.example":
			return "7", 2 // any of them
		}
		return "", 0
	}
	for answer, want := range map[string]error{
		`{"id":8,"email":"tom@school.example"}`: nil,
		`{"email":"office@school.example"}`:     auth.ErrUnauthenticated,
		`{"email":"nobody@school.example"}`:     auth.ErrUnauthenticated,
		`{"email":null}`:                        auth.ErrUnauthenticated,
		`{"id":7}`:                              auth.ErrUnauthenticated,
		`{"email":""}`:                          auth.ErrUnavailable,
		`{"email":7}`:                           auth.ErrUnavailable,
		`{"email":"a\u0000b"}`:                  auth.ErrUnavailable,
	} {
		lms := newLMS(t, byHeader)
		lms.says("good", answer)
		id, err := introspection(t, auth.IntrospectionConfig{URL: lms.url, Email: "/email", Find: find}).Authenticate(t.Context(), token("good"))
		require.ErrorIs(t, err, want, answer)
		if want == nil {
			require.Equal(t, "7", id.User, "whatever else it says")
		}
	}
}

func TestARoleInTheAnswerNarrowsWhatACredentialIsFor(t *testing.T) {
	lms := newLMS(t, byHeader)
	for answer, want := range map[string]error{
		`{"id":7,"role":"teacher"}`:   nil,
		`{"id":7}`:                    auth.ErrUnauthenticated,
		`{"id":7,"role":null}`:        auth.ErrUnauthenticated,
		`{"id":7,"role":""}`:          auth.ErrUnavailable,
		`{"id":7,"role":["teacher"]}`: auth.ErrUnavailable,
		`{"id":7,"role":"` + strings.Repeat("x", 10_000) + `"}`: auth.ErrUnavailable,
	} {
		lms.says("good", answer)
		id, err := introspection(t, auth.IntrospectionConfig{URL: lms.url, Role: "/role"}).Authenticate(t.Context(), token("good"))
		require.ErrorIs(t, err, want, answer)
		if want == nil {
			require.Equal(t, "teacher", id.Role)
		}
		id, err = introspection(t, auth.IntrospectionConfig{URL: lms.url}).Authenticate(t.Context(), token("good"))
		require.NoError(t, err)
		require.Empty(t, id.Role, "nobody asked for it")
	}
	lms.says("good", `{"id":7,"role":"teacher"}`)
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url, Role: "/role"})
	ids := []auth.Identity{signedIn(t, way, "good")}
	lms.says("good", `{"id":7,"role":"tutor"}`)
	revoked, err := way.Recheck(t.Context(), ids)
	require.NoError(t, err)
	require.Empty(t, revoked)
	require.Equal(t, "tutor", ids[0].Role)
}

func TestACredentialIsShownAsConfigured(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  auth.IntrospectionConfig
		r    *http.Request
		want string // in the request
	}{
		"bearer":            {auth.IntrospectionConfig{}, with("Authorization", "Token a+b/c="), "Authorization: Bearer a+b/c=\r\n"},
		"another header":    {auth.IntrospectionConfig{Headers: []string{"X-Key: of us", "Authorization: Token {credential}"}}, token("k"), "Authorization: Token k\r\n"},
		"besides a header":  {auth.IntrospectionConfig{Headers: []string{"X-Key: of us"}}, token("k"), "X-Key: of us\r\n"},
		"cookie":            {auth.IntrospectionConfig{Cookie: "sid"}, with("Cookie", "sid=old; sid=abc"), "Cookie: sid=abc\r\n"},
		"cookie, elsewhere": {auth.IntrospectionConfig{Cookie: "sid", Headers: []string{"X-Session: {credential}"}}, with("Cookie", "sid=abc"), "X-Session: abc\r\n"},
		"query":             {auth.IntrospectionConfig{URL: "/me?t={credential}&x=1"}, token("a&b=c"), "GET /me?t=a%26b%3Dc&x=1 HTTP/1.1\r\n"},
		"form": {auth.IntrospectionConfig{Method: "POST", Body: "t={credential}&x=1", Headers: []string{"X-Key: of us"}}, token("a&b=c"),
			"\r\n\r\nt=a%26b%3Dc&x=1"},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.Write(&got)
				_, _ = w.Write([]byte(`{"id":7}`))
			}))
			t.Cleanup(server.Close)
			c.cfg.URL = server.URL + c.cfg.URL
			_, err := introspection(t, c.cfg).Authenticate(t.Context(), c.r)
			require.NoError(t, err)
			require.Contains(t, got.String(), c.want)
			require.Equal(t, c.cfg.Cookie == "" && !strings.Contains(strings.Join(c.cfg.Headers, ""), "{") && !strings.Contains(c.cfg.URL+c.cfg.Body, "{"),
				strings.Contains(got.String(), "Authorization: Bearer"), "only where nothing else was said")
		})
	}
}

func TestACredentialThatCouldSayMoreIsNotShown(t *testing.T) {
	lms := newLMS(t, byHeader)
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url})
	for _, key := range []string{"a;admin=1", "a\r\nX: y", "a b", `a"b`, `a\b`, "ä", "\x00", strings.Repeat("a", 4097)} {
		_, err := way.Authenticate(t.Context(), token(key))
		require.ErrorIs(t, err, auth.ErrUnauthenticated, "%q", key)
	}
	require.Zero(t, lms.asked())
	_, err := way.Authenticate(t.Context(), with("X", "y"))
	require.ErrorIs(t, err, auth.ErrNoCredential)
	_, err = introspection(t, auth.IntrospectionConfig{URL: lms.url, Cookie: "sid"}).Authenticate(t.Context(), with("Cookie", "sid="))
	require.ErrorIs(t, err, auth.ErrNoCredential)
	_, err = way.Authenticate(t.Context(), token(strings.Repeat("a", 4096)))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
	require.Equal(t, 1, lms.asked())
}

func TestQuestionsAboutOneCredentialAreOneQuestion(t *testing.T) {
	lms := newLMS(t, byHeader)
	come := make(chan struct{})
	lms.says("good", `{"id":7}`)
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url, Fresh: time.Hour})
	lms.saysOfAll(func(w http.ResponseWriter, _ *http.Request) {
		<-come
		_, _ = w.Write([]byte(`{"id":7}`))
	})
	var asking sync.WaitGroup
	wrong := make(chan error, 500)
	for range 500 {
		asking.Go(func() {
			if id, err := way.Authenticate(t.Context(), token("good")); err != nil || id.User != "7" {
				wrong <- fmt.Errorf("%v: %w", id, err)
			}
		})
	}
	require.Eventually(t, func() bool { return lms.asked() > 0 }, 30*time.Second, time.Millisecond)
	close(come)
	asking.Wait()
	close(wrong)
	require.NoError(t, <-wrong)
	for range 500 {
		require.Equal(t, "7", signedIn(t, way, "good").User)
	}
	lms.saysOfAll(status(401))
	for range 100 {
		_, err := way.Authenticate(t.Context(), token("bad"))
		require.ErrorIs(t, err, auth.ErrUnauthenticated)
	}
	require.Equal(t, 2, lms.asked(), "one about the good, one about the bad one")
}

func TestWhoeverAskedFirstAndWentTakesNobodysAnswerAlong(t *testing.T) {
	lms := newLMS(t, byHeader)
	come := make(chan struct{})
	lms.saysOfAll(func(w http.ResponseWriter, _ *http.Request) {
		<-come
		_, _ = w.Write([]byte(`{"id":7}`))
	})
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url})
	first, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		_, err := way.Authenticate(first, token("good"))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("whoever went: %v", err)
		}
	})
	require.Eventually(t, func() bool { return lms.asked() == 1 }, 30*time.Second, time.Millisecond)
	asking.Go(func() {
		id, err := way.Authenticate(t.Context(), token("good"))
		if err != nil || id.User != "7" {
			t.Errorf("whoever stayed: %v, %v", id, err)
		}
	})
	cancel()
	close(come)
	asking.Wait()
}

// Promise: whatever credentials come, the LMS is asked no more than so often, and who was
// known before does not notice.
func TestBadCredentialsOfACrowdAreAskedAboutNoMoreThanSoOften(t *testing.T) {
	lms := newLMS(t, byHeader)
	for i := range 50 {
		lms.says(fmt.Sprintf("good-%d", i), `{"id":7}`)
	}
	const rate = 50
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url, Rate: rate, Fresh: 100 * time.Millisecond})
	for i := range 50 {
		require.Equal(t, "7", signedIn(t, way, fmt.Sprintf("good-%d", i)).User)
	}
	began, before := time.Now(), lms.asked()
	crowd := auth.Gathered(t.Context())
	var asking sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for i := range 10_000 {
		asking.Go(func() {
			_, err := way.Authenticate(crowd, token(fmt.Sprintf("bad-%d", i)))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, auth.ErrUnauthenticated):
				outcomes["refused"]++
			case errors.Is(err, auth.ErrUnavailable):
				outcomes["put off"]++
			default:
				outcomes[fmt.Sprint(err)]++
			}
		})
	}
	for i := range 50 { // the crowd's neighbours: their answers are stale by now
		id, err := way.Authenticate(crowd, token(fmt.Sprintf("good-%d", i)))
		require.NoError(t, err)
		require.Equal(t, "7", id.User)
	}
	asking.Wait()
	took, asked := time.Since(began), lms.asked()-before
	t.Logf("10,000 bad credentials in %v: %d questions, %v", took, asked, outcomes)
	require.Len(t, outcomes, 2, "%v", outcomes)
	require.LessOrEqual(t, asked, 50+rate/5*(2+int(took/time.Second)), "50 neighbours, a fifth of the rate in the meantime, and what was saved up")
	lms.mu.Lock()
	defer lms.mu.Unlock()
	require.LessOrEqual(t, lms.mostOnce, 16+4)
}

func TestRecheckAsksOncePerCredentialWhateverWasSaidBefore(t *testing.T) {
	lms := newLMS(t, byHeader)
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url, Fresh: time.Hour, Rate: 10_000, Expires: "/end"})
	var ids []auth.Identity
	for i := range 100 {
		key := fmt.Sprintf("key-%d", i)
		lms.says(key, fmt.Sprintf(`{"id":%d}`, i))
		id := signedIn(t, way, key)
		ids = append(ids, id, id, id) // three tabs
	}
	before := lms.asked()
	lms.forgets("key-3")
	lms.says("key-4", `{"id":5}`)
	lms.says("key-5", `{"id":5,"end":4000000000}`)
	revoked, err := way.Recheck(t.Context(), ids)
	require.NoError(t, err)
	slices.Sort(revoked)
	require.Equal(t, []int{9, 10, 11, 12, 13, 14}, revoked)
	require.Equal(t, 100, lms.asked()-before)
	require.Equal(t, time.Unix(4_000_000_000, 0).UTC(), ids[16].Expires)
	require.Zero(t, ids[18].Expires)
	_, err = way.Authenticate(t.Context(), token("key-3"))
	require.ErrorIs(t, err, auth.ErrUnauthenticated, "what a Recheck learnt counts for those who come")
	require.Equal(t, 100, lms.asked()-before)

	revoked, err = way.Recheck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, revoked)
}

func TestRecheckGivesUpWhereTheLMSCannotTellAndTriesOthersNextTime(t *testing.T) {
	lms := newLMS(t, byHeader)
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url, Rate: 10_000, AtOnce: 4})
	var ids []auth.Identity
	for i := range 400 {
		key := fmt.Sprintf("key-%d", i)
		lms.says(key, `{"id":7}`)
		ids = append(ids, signedIn(t, way, key))
	}
	before := lms.asked()
	lms.saysOfAll(status(503))
	revoked, err := way.Recheck(t.Context(), ids)
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.Empty(t, revoked)
	require.LessOrEqual(t, lms.asked()-before, 16+4)
	// An LMS that fails for half of them tells of the others in time.
	half := 0
	lms.saysOfAll(func(w http.ResponseWriter, _ *http.Request) {
		lms.mu.Lock()
		half++
		bad := half%2 == 0
		lms.mu.Unlock()
		w.WriteHeader(map[bool]int{true: 500, false: 401}[bad])
	})
	revoked, err = way.Recheck(t.Context(), ids)
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.Greater(t, len(revoked), 100)
}

func TestWhoeverStopsARecheckSaysNothingOfTheLMS(t *testing.T) {
	lms := newLMS(t, byHeader)
	lms.says("good", `{"id":7}`)
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url})
	ids := []auth.Identity{signedIn(t, way, "good")}
	stopped, stop := context.WithCancelCause(t.Context())
	cause := errors.New("the gateway is stopping")
	lms.saysOfAll(func(_ http.ResponseWriter, r *http.Request) {
		stop(cause)
		<-r.Context().Done()
	})
	revoked, err := way.Recheck(stopped, ids)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, auth.ErrUnavailable)
	require.Empty(t, revoked)
	asked := lms.asked()
	require.NoError(t, way.Check(t.Context()), "it answered a moment ago")
	require.Equal(t, asked, lms.asked())
}

func TestCheckShowsACredentialThatIsNoneUnlessTheLMSAnsweredLately(t *testing.T) {
	lms := newLMS(t, byHeader)
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url})
	require.NoError(t, way.Check(t.Context()))
	require.Equal(t, []string{"Bearer schoolbell-check"}, lms.shown)
	require.NoError(t, way.Check(t.Context()))
	require.Equal(t, 1, lms.asked())

	lms.saysOfAll(text(`{"id":1}`))
	require.ErrorContains(t, introspection(t, auth.IntrospectionConfig{URL: lms.url}).Check(t.Context()), "so that anybody could sign in; fix: ")
	nobody := introspection(t, auth.IntrospectionConfig{URL: "http://127.0.0.1:1/api/me"})
	require.ErrorContains(t, nobody.Check(t.Context()), "connection refused; fix: start the LMS, or correct introspect_url")
}

func TestNoCredentialAndNoHeaderIsInWhatAnIntrospectionSaysOfItself(t *testing.T) {
	lms := newLMS(t, func(r *http.Request) string { return "Bearer " + r.URL.Query().Get("t") })
	lms.says("key-of-7", `{"id":7}`)
	cfg := auth.IntrospectionConfig{
		URL: lms.url + "/me?own=secret-of-ours&t={credential}", Headers: []string{"X-Key: secret-of-ours"}, Fresh: time.Nanosecond,
	}
	way := introspection(t, cfg)
	id := signedIn(t, way, "key-of-7")
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, id, way, auth.Ways{way})
	}
	for _, answer := range []http.HandlerFunc{
		status(500), status(401), text("key-of-7"), text(`{"id":["key-of-7"]}`), http.RedirectHandler("/key-of-7", http.StatusFound).ServeHTTP,
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		lms.saysOfAll(answer)
		_, err := way.Authenticate(t.Context(), token("key-of-7"))
		_, again := way.Recheck(t.Context(), []auth.Identity{id})
		slog.New(slog.NewJSONHandler(&out, nil)).Info("asked", "err", err, "again", again, "way", way, "who", id)
	}
	nobody := introspection(t, auth.IntrospectionConfig{URL: "http://127.0.0.1:1/api/me?t={credential}&own=secret-of-ours"})
	_, err := nobody.Authenticate(t.Context(), token("key-of-7"))
	fmt.Fprint(&out, err)
	require.Contains(t, out.String(), "credentials shown to "+lms.url+"/me")
	for _, secret := range []string{"key-of-7", "secret-of-ours", fmt.Sprintf("%x", "key-of-7"), fmt.Sprintf("%x", "secret-of-ours")} {
		require.NotContains(t, out.String(), secret)
	}
}

func TestEveryMistakeInTheSettingsOfAnIntrospectionIsTold(t *testing.T) {
	for want, cfg := range map[string]auth.IntrospectionConfig{
		"introspect_url is not readable":                         {URL: "lms.example.org"},
		"introspect_url is not readable; fix: write":             {},
		"lms.example.org over http, where":                       {URL: "http://lms.example.org/me"},
		"holds a user or a password":                             {URL: "https://u:p@lms.example.org/me"},
		"in its path, which servers log":                         {URL: "https://lms.example.org/me/{credential}"},
		"introspect_method is \"PUT\", want GET or POST":         {URL: "https://lms.example.org", Method: "PUT"},
		"the header number 2 is none":                            {URL: "https://lms.example.org", Headers: []string{"A: b", "secret-of-ours"}},
		"the header number 1 is none":                            {URL: "https://lms.example.org", Headers: []string{"A: b\r\nX: secret-of-ours"}},
		"introspect_user is \"id\", want a JSON pointer":         {URL: "https://lms.example.org", User: "id"},
		"introspect_email is \"mail\", want a JSON pointer":      {URL: "https://lms.example.org", Email: "mail"},
		"introspect_role is \"role\", want a JSON pointer":       {URL: "https://lms.example.org", Role: "role"},
		"introspect_expires is \"exp\", want a JSON pointer":     {URL: "https://lms.example.org", Expires: "exp"},
		"introspect_requires has \"role=x\", want a JSON":        {URL: "https://lms.example.org", Requires: []string{"role=x"}},
		"introspect_requires has \"/role\", want a JSON":         {URL: "https://lms.example.org", Requires: []string{"/role"}},
		"introspect_refusals has 500, want statuses from":        {URL: "https://lms.example.org", Refusals: []int{401, 500}},
		"introspect_refusals has 429, want statuses from 300 to": {URL: "https://lms.example.org", Refusals: []int{429}},
	} {
		_, err := auth.NewIntrospection(cfg)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret-of-ours")
	}
}
