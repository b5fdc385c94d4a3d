package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/lacking"
)

const clientFolder = "../../wsserver/web/client"

// The JavaScript client's own tests, by node's runner, against the program. They ask us
// for what only the LMS or a sysadmin can do.
func TestTheJavaScriptClientAgainstTheProgram(t *testing.T) {
	t.Parallel()
	node := findNode(t)
	files, err := filepath.Glob(clientFolder + "/test/*.test.js")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	o := newOperator(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			// WebSocket is there without the flag from node 22 on.
			run := exec.CommandContext(t.Context(), node, "--experimental-websocket", "--no-warnings", "--test", "--test-reporter=tap", file)
			run.Env = append(os.Environ(), "SCHOOLBELL_OPERATOR="+o.url)
			out, err := run.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.NotContains(t, string(out), "\n# tests 0\n")
		})
	}
}

// findNode answers a node that has what the client's tests need.
func findNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		err = exec.Command(node, "--experimental-websocket", "--eval", "new WebSocket('ws://127.0.0.1:1').onerror = () => {}").Run()
	}
	if err != nil {
		lacking.End(t, "no node 20.10 or later in PATH; the client's tests need it: https://nodejs.org/en/download")
	}
	return node
}

// operator does over HTTP what the client's tests ask for.
type operator struct {
	*site
	sso     *singleSignOn
	gateway *process
	url     string

	mu  sync.Mutex
	lms *pgx.Conn // guarded by mu
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{site: newSite(t), sso: newSingleSignOn(t)}
	o.lms = connectTo(t, o.site.url)
	o.gateway = o.serve("--heartbeat", "30s", "--sql-messages", "--jwt-keys", o.sso.url, "--jwt-issuer", "https://sso.example", "--jwt-audience", "dashboards",
		"--jwt-user-claim", "account", "--jwt-leeway", "0s")
	o.ready()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /site", o.tellSite)
	mux.HandleFunc("POST /sql", o.runSQL)
	mux.HandleFunc("GET /jwt", o.sign)
	mux.HandleFunc("GET /metrics", o.tellMetrics)
	mux.HandleFunc("POST /kill", func(http.ResponseWriter, *http.Request) { o.gateway.kill() })
	mux.HandleFunc("POST /stop", func(http.ResponseWriter, *http.Request) {
		_ = o.gateway.cmd.Process.Signal(os.Interrupt)
		<-o.gateway.done
	})
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil, o.gateway.begin()) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

func answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(value)
}

func (o *operator) tellSite(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"gateway": o.base(), "teachers": o.school.Teachers, "tutors": o.school.Tutors, "admins": o.school.Admins,
		"students": o.school.Students[:3],
	}, nil)
}

// runSQL runs statements as the LMS would, and answers the first column of what they return.
func (o *operator) runSQL(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var body bytes.Buffer
	_, err := io.Copy(&body, r.Body)
	if err == nil {
		var rows pgx.Rows
		if rows, err = o.lms.Query(r.Context(), body.String()); err == nil {
			var column []any
			column, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (any, error) {
				values, err := row.Values()
				return values[0], err
			})
			answer(w, column, err)
			return
		}
	}
	answer(w, nil, err)
}

// sign makes a token of the single sign-on for ?user=, good for ?seconds=.
func (o *operator) sign(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.FormValue("seconds"))
	if err != nil {
		answer(w, nil, err)
		return
	}
	// The end is a whole second: so long it lives at least.
	until := time.Now().Add(time.Duration(seconds)*time.Second + 999*time.Millisecond)
	answer(w, o.sso.token(r.FormValue("user"), until), nil)
}

func (o *operator) tellMetrics(w http.ResponseWriter, r *http.Request) {
	res, err := http.Get("http://" + o.admin + "/metrics")
	if err != nil {
		answer(w, nil, err)
		return
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	answer(w, metric(string(page), r.FormValue("name")), err)
}
