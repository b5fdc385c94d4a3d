package wsserver_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/schematest"
)

// documents are asyncapi.yaml and openapi.yaml, read once for all tests.
var documents = sync.OnceValues(func() (*schematest.Documents, error) { return schematest.Open(".") })

// requireSent compares a message with asyncapi.yaml. What the log tells in these tests is
// not the projection's: that is compared where the whole gateway runs.
func requireSent(t testing.TB, body []byte) {
	t.Helper()
	d, err := documents()
	require.NoError(t, err)
	if !slices.Contains(fromTheLog(), decode(t, body)["type"].(string)) {
		require.NoError(t, d.Sent(body))
	}
}

// fromTheLog are the types of the events that are not published.
func fromTheLog() (types []string) {
	for _, kind := range cdc.Kinds {
		if kind != cdc.Custom {
			types = append(types, kind.String())
		}
	}
	return types
}

// An inspector compares every answer of a gateway with openapi.yaml.
type inspector struct {
	http.Handler
	mu       sync.Mutex
	seen     map[string]bool
	problems []string
}

// Handler is the server's, watched.
func (g *gateway) Handler() http.Handler {
	g.answers.Handler = g.Server.Handler()
	return &g.answers
}

func (i *inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := &witness{ResponseWriter: w, status: http.StatusOK}
	path, method := r.URL.Path, r.Method
	if rest, ok := strings.CutPrefix(path, "/api/assignments/"); ok && rest != "" {
		path = "/api/assignments/{id}"
	}
	i.Handler.ServeHTTP(seen, r)
	d, err := documents()
	kind := seen.Header().Get("Content-Type")
	if err == nil && slices.Contains(d.Paths(), method+" "+strings.TrimSuffix(path, "/")) {
		var key string
		if key, err = d.Answer(method, path, seen.status, kind, seen.body.Bytes()); method == http.MethodHead {
			err = nil // an answer without a body says what it would be of
		}
		i.mu.Lock()
		i.seen[key] = true
		i.mu.Unlock()
	}
	if err != nil {
		i.mu.Lock()
		i.problems = append(i.problems, err.Error())
		i.mu.Unlock()
	}
}

func (i *inspector) requireNoProblem(t testing.TB) {
	i.mu.Lock()
	defer i.mu.Unlock()
	require.Empty(t, i.problems)
}

// A witness remembers an answer.
type witness struct {
	http.ResponseWriter
	status int // that of a stream that took the connection is 200
	body   bytes.Buffer
}

func (w *witness) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *witness) Write(p []byte) (int, error) {
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		w.body.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestEveryAnswerIsDocumentedAndWhatIsDocumentedIsAnswered(t *testing.T) {
	all := map[string]bool{}
	ask := func(g *gateway, method, target string, change ...func(*http.Request)) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, g.http.URL+target, nil)
		require.NoError(t, err)
		for _, f := range change {
			f(r)
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
	}
	gather := func(g *gateway) {
		g.http.Close()
		g.answers.requireNoProblem(t)
		maps.Copy(all, g.answers.seen)
	}
	origin := func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }
	visit := func(g *gateway, paths ...string) {
		for _, path := range paths {
			ask(g, http.MethodGet, path+"?token="+token(tom))
			ask(g, http.MethodGet, path+"?token=t-2&since=yesterday")
			ask(g, http.MethodGet, path+"?token=wrong")
			ask(g, http.MethodGet, path+"?token="+token(stu))
			ask(g, http.MethodGet, path+"?token="+token(ada), origin)
			ask(g, http.MethodGet, path+"?token=down")
			ask(g, http.MethodOptions, path, origin)
			for range 10 { // again and again with the same bad one
				ask(g, http.MethodGet, path+"?token=bad"+path[:4])
			}
			g.tally.await("closed sse", g.tally.of("opened sse"))
		}
	}
	ready := true
	g := start(t, wsserver.Config{MaxPerPerson: 1}, func(d *wsserver.Deps) {
		d.Ready = func() []wsserver.Check {
			return []wsserver.Check{{Name: "stream", OK: ready, Detail: "fix: wait", Advice: "look at it"}}
		}
	})
	g.commit(2, false, tom)
	visit(g, "/sse/dashboard/", "/sse/dashboard", "/api/session", "/api/events")
	g.memory.mu.Lock()
	g.memory.kept = cdc.Position{LSN: 11, Index: 1}
	g.memory.mu.Unlock()
	ask(g, http.MethodGet, "/api/events?token=t-2&since=0/A.0&types=grade")
	ask(g, http.MethodGet, "/api/session?token=t-2~1h")
	ask(g, http.MethodHead, "/sse/dashboard/")
	ask(g, http.MethodGet, "/healthz")
	ask(g, http.MethodGet, "/readyz")
	ready = false
	ask(g, http.MethodGet, "/readyz")
	gather(g)

	held := make(chan struct{})
	k := start(t, wsserver.Config{StuckAfter: 1}, func(d *wsserver.Deps) { d.Pulse = func() { <-held } })
	ask(k, http.MethodGet, "/healthz")
	close(held)
	gather(k)

	o := start(t, wsserver.Config{}, overseen(essays()))
	visit(o, "/api/assignments", "/api/assignments/9", "/api/activity")
	ask(o, http.MethodGet, "/api/assignments/77?token="+token(tom))
	ask(o, http.MethodGet, "/api/activity?token="+token(tom)+"&step=600&from="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
	gather(o)

	p := publishing(wsserver.Config{PublishRate: 10})
	p.g.http = httptest.NewServer(p.g.Handler())
	for range 30 {
		p.send(request(forTom))
	}
	for _, r := range []*http.Request{
		request(forTom, "Authorization", "Bearer "+next),
		request(`{`, "Authorization", "Bearer "+next),
		request(forTom, "Authorization", "Bearer wrong"),
		request(forTom, "Authorization", "Bearer "+next, "Content-Type", "text/plain"),
		request(strings.Repeat(" ", cdc.MessageSize+1), "Authorization", "Bearer "+next),
		httptest.NewRequest(http.MethodGet, "/api/publish", nil),
		httptest.NewRequest(http.MethodOptions, "/api/publish", nil),
	} {
		p.send(r)
	}
	for _, fails := range []error{cdc.ErrNoPerson, cdc.ErrKeyReused, cdc.ErrNotYet} {
		p.fails = fails
		p.send(request(forTom, "Authorization", "Bearer "+next))
	}
	gather(p.g)

	d, err := documents()
	require.NoError(t, err)
	require.ElementsMatch(t, d.Answers(), slices.Collect(maps.Keys(all)))
}

func TestEveryPathThatIsServedIsDocumented(t *testing.T) {
	source, err := os.ReadFile("http.go")
	require.NoError(t, err)
	d, err := documents()
	require.NoError(t, err)
	served := map[string]bool{}
	for _, m := range regexp.MustCompile(`mux\.HandleFunc\("(\w+ )(/[^"]*)"`).FindAllStringSubmatch(string(source), -1) {
		path := strings.TrimSuffix(strings.TrimSuffix(m[2], "{$}"), "/")
		switch {
		case path == "/ws/dashboard": // asyncapi.yaml has it
		case m[1] == "OPTIONS " && path != "/api/publish": // of everything below
			for _, one := range d.Paths() {
				if rest, ok := strings.CutPrefix(one, m[1]+path+"/"); ok && rest != "publish" {
					served[one] = true
				}
			}
		default:
			served[m[1]+path] = true
		}
	}
	documented := slices.DeleteFunc(d.Paths(), func(one string) bool { return strings.HasPrefix(one, "HEAD ") }) // comes with GET
	require.ElementsMatch(t, documented, slices.Collect(maps.Keys(served)))
}

func TestTheExamplesInPROTOCOLAreAsTheDocumentsSay(t *testing.T) {
	d, err := documents()
	require.NoError(t, err)
	text, err := os.ReadFile("PROTOCOL.md")
	require.NoError(t, err)
	shown := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```json (\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		body := []byte(block[2])
		switch name := block[1]; name {
		case "send":
			require.NoError(t, d.Said(body), name)
		case "refusal", "session", "page", "published", "publish", "assignments", "activity": // over HTTP
		default:
			require.NoError(t, d.Sent(body), name)
			shown[strings.TrimSuffix(name, "_refused")] = true
		}
	}
	for _, kind := range d.Types() {
		require.True(t, shown[kind], "PROTOCOL.md has no example of %s", kind)
	}
}
