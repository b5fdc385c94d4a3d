package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	welcome = `{"type":"welcome","user_id":7,"user_email":"ada@school.example","user_role":"teacher","metrics":{},"cursor":"0/10.0","timestamp":"2026-11-22T21:05:11.000000Z"}`
	resumed = `{"type":"welcome","user_email":"ada@school.example","user_role":"teacher","cursor":"0/99.9","resumed":true,"timestamp":"2026-11-22T21:05:11.000000Z"}`
	handIn  = `{"type":"submission","id":"0/20.1","submission_id":55,"assignment_id":12,"student":{"id":3,"email":"g@school.example","first_name":"Grace","last_name":"Hopper"},"timestamp":"2026-11-22T21:05:11.123456Z"}`
	graded  = `{"type":"grade","id":"0/30.1","submission_id":55,"assignment_id":12,"student":{"id":3,"email":"g@school.example","first_name":"","last_name":""},"grade":0,"recovered":true,"timestamp":"2026-11-22T21:05:12.123456Z"}`
)

// visit is one handshake with the gateway of a test.
type visit struct {
	since, authorization, query string
	conn                        *websocket.Conn
}

func (v visit) send(t *testing.T, frames ...string) {
	t.Helper()
	for _, f := range frames {
		assert.NoError(t, v.conn.Write(t.Context(), websocket.MessageText, []byte(f)))
	}
}

func (v visit) receive(t *testing.T) string {
	t.Helper()
	_, b, err := v.conn.Read(t.Context())
	assert.NoError(t, err)
	return string(b)
}

// fakeGateway is a small real WebSocket server; what it says is each test's. It talks
// on the server's goroutines, where a test may assert but not require.
func fakeGateway(t *testing.T, talk ...func(visit)) (url string) {
	t.Helper()
	var visits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(visits.Add(1))
		if n > len(talk) {
			t.Errorf("visit %d, expected %d", n, len(talk))
			w.WriteHeader(http.StatusUnauthorized) // so that tail stops
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		talk[n-1](visit{r.URL.Query().Get("since"), r.Header.Get("Authorization"), r.URL.RawQuery, conn})
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/ws/dashboard/"
}

// runTail runs the command to its end.
func runTail(ctx context.Context, args ...string) (out, notes string, err error) {
	var stdout, stderr bytes.Buffer
	root := newRootCmd()
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(append([]string{"tail"}, args...))
	err = root.ExecuteContext(ctx)
	return stdout.String(), stderr.String(), err
}

func wall(t *testing.T, text string) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return at.Local().Format("2006-01-02 15:04:05.000")
}

func TestTailPrintsEventsAnswersPingsAndResumesAfterTheLastOne(t *testing.T) {
	url := fakeGateway(t,
		func(v visit) {
			assert.Equal(t, "", v.since)
			assert.Equal(t, "Token k3y", v.authorization)
			v.send(t, welcome, handIn, `{"type":"ping","timestamp":"2026-11-22T21:05:12Z"}`)
			assert.JSONEq(t, `{"type":"pong"}`, v.receive(t))
			v.send(t, `{"type":"disconnect","code":1001,"reason":"going_away","reconnect":true,"retry_after_ms":1}`)
			_ = v.conn.Close(1001, "going_away")
		},
		func(v visit) {
			assert.Equal(t, "0/20.1", v.since)
			v.send(t, resumed, graded, `{"type":"disconnect","reason":"going_away","reconnect":true,"retry_after_ms":1}`)
			_ = v.conn.Close(1001, "going_away")
		},
		func(v visit) {
			assert.Equal(t, "0/30.1", v.since, "a resumed welcome's cursor is ahead of what was printed")
			v.send(t, resumed, `{"type":"metrics","cursor":"0/99.9"}`,
				`{"type":"disconnect","reason":"slow_consumer","reconnect":true,"retry_after_ms":1}`)
			_ = v.conn.Close(4413, "slow_consumer")
		},
		func(v visit) {
			assert.Equal(t, "0/99.9", v.since, "metrics carry a fresh cursor for the idle")
			v.send(t, resumed)
			_ = v.conn.Close(4401, "credentials_revoked")
		},
	)
	out, notes, err := runTail(t.Context(), "--url", url, "--token", "k3y")
	require.EqualError(t, err, "the gateway ended the session (4401 credentials_revoked): the token is gone or the account "+
		"is no longer active; log in to the LMS and pass the token it gives")
	require.Equal(t, 3, exitCode(err))
	require.Equal(t, wall(t, "2026-11-22T21:05:11.123Z")+"  submission         Grace Hopper handed in submission 55 for assignment 12  0/20.1\n"+
		wall(t, "2026-11-22T21:05:12.123Z")+"  grade              g@school.example got 0 on submission 55 for assignment 12 (recovered)  0/30.1\n", out)
	connected := "connected to " + url + " as ada@school.example (teacher)\n"
	require.Equal(t, connected+"the gateway closed the connection (1001 going_away); next try in 1ms\n"+
		connected+"the gateway closed the connection (1001 going_away); next try in 1ms\n"+
		connected+"the gateway closed the connection (4413 slow_consumer); next try in 1ms\n"+connected, notes)
}

func TestTailAsJSONPrintsEventsAsTheyCame(t *testing.T) {
	custom := `{"type":"exam_moved","title":17,"timestamp":"2026-11-22T21:05:12Z"}`
	gap := `{"type":"gap","reason":"bulk","from":"0/40.1001","to":"0/40.5000","count":4000,"timestamp":"2026-11-22T21:05:12Z"}`
	url := fakeGateway(t,
		func(v visit) {
			v.send(t, welcome, `{"type":"metrics"}`, handIn, "{\n\"type\": \"exam_moved\",\n\"title\": 17, \"timestamp\":\"2026-11-22T21:05:12Z\"}", gap,
				`{"type":"disconnect","reconnect":true,"retry_after_ms":1}`)
			_ = v.conn.Close(1001, "")
		},
		func(v visit) {
			assert.Equal(t, "0/40.5000", v.since, "what a gap told of is not asked for again")
			_ = v.conn.Close(4403, "role_not_allowed")
		},
	)
	out, _, err := runTail(t.Context(), "--json", "--url", url, "--token", "k3y")
	require.EqualError(t, err, "the gateway ended the session (4403 role_not_allowed): the account's role is none "+
		"that may connect any more; have its role given back in the LMS")
	require.Equal(t, handIn+"\n"+custom+"\n"+gap+"\n", out)
}

func TestTailBeginsAfterTheIDThatItIsGivenAndSaysWhatIsNotKept(t *testing.T) {
	url := fakeGateway(t, func(v visit) {
		assert.Equal(t, "0/A.1", v.since)
		v.send(t, welcome, `{"type":"gap","reason":"retention","from":"0/A.1","to":"0/B.0","count":null,"timestamp":"2026-11-22T21:05:11Z"}`,
			`{"type":"disconnect","code":1001,"reason":"going_away","reconnect":true,"retry_after_ms":1}`)
		_ = v.conn.Close(1001, "going_away")
	}, func(v visit) {
		assert.Equal(t, "0/B.0", v.since, "what is kept behind the gap is still to come, whatever welcome said")
		v.send(t, welcome, `{"type":"disconnect","code":1008,"reason":"protocol_violation","reconnect":false}`)
		_ = v.conn.Close(1008, "protocol_violation")
	})
	out, _, err := runTail(t.Context(), "--since", "0/A.1", "--url", url, "--token", "k3y")
	require.EqualError(t, err, "the gateway ended the session and asked not to come back (1008 protocol_violation); its log says why")
	require.Contains(t, out, "an unknown number of events from 0/A.1 to 0/B.0 are not shown: retention\n")
}

func TestEveryKindOfEventIsALine(t *testing.T) {
	for frame, want := range map[string]string{
		`{"type":"assignment","id":"0/1.1","assignment_id":12,"title":"Essay","due_date":"2026-12-01T12:00:00.000000Z","timestamp":"T"}`: "T  assignment         assignment 12: Essay, due " +
			wall(t, "2026-12-01T12:00:00Z")[:16] + "  0/1.1",
		`{"type":"assignment","id":"0/1.1","assignment_id":"a-b","title":"Essay","due_date":null,"timestamp":"T"}`:                                                               `T  assignment         assignment "a-b": Essay  0/1.1`,
		`{"type":"assignment_closed","id":"0/1.1","assignment_id":12,"timestamp":"T"}`:                                                                                           "T  assignment_closed  assignment 12 is closed  0/1.1",
		`{"type":"gap","reason":"retention","from":"0/1.1","to":"0/2.0","count":null,"timestamp":"T"}`:                                                                           "T  gap                an unknown number of events from 0/1.1 to 0/2.0 are not shown: retention",
		`{"type":"gap","reason":"bulk","from":"0/1.1","to":"0/2.0","count":7,"timestamp":"T"}`:                                                                                   "T  gap                7 events from 0/1.1 to 0/2.0 are not shown: bulk",
		`{"type":"grade","id":"0/1.1","submission_id":null,"assignment_id":12,"student":{"id":null,"email":"","first_name":"","last_name":""},"grade":76.50000,"timestamp":"T"}`: "T  grade              somebody got 76.5 for assignment 12  0/1.1",
		`{"type":"grade","id":"0/1.1","submission_id":7,"assignment_id":12,"student":{"id":5,"email":"s@x","first_name":"","last_name":""},"grade":null,"timestamp":"T"}`:        "T  grade              s@x got no score on submission 7 for assignment 12  0/1.1",
		`{"type":"exam","room":"B12","timestamp":"T"}`:                                                                                                                           `T  exam               {"type":"exam","room":"B12","timestamp":"T"}`,
	} {
		url := fakeGateway(t, func(v visit) {
			v.send(t, welcome, frame)
			_ = v.conn.Close(4401, "")
		})
		out, _, err := runTail(t.Context(), "--url", url, "--token", "k")
		require.Error(t, err)
		require.Equal(t, want+"\n", out)
	}
}

func TestANameCannotSteerTheTerminal(t *testing.T) {
	url := fakeGateway(t, func(v visit) {
		v.send(t, welcome, `{"type":"assignment","id":"0/1.1","assignment_id":1,"title":"a\u001b]0;owned\u0007\nb","timestamp":"T"}`)
		_ = v.conn.Close(4401, "")
	})
	out, _, _ := runTail(t.Context(), "--url", url, "--token", "k")
	require.Equal(t, "T  assignment         assignment 1: a\uFFFD]0;owned\uFFFD\uFFFDb  0/1.1\n", out)
}

func TestTailStopsWhereTheGatewayRefusesAndGoesOnWhereItIsBusy(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"401": {401, `{"error":"unauthenticated","detail":"no such token"}`, "the gateway refused the token (401 unauthenticated: no such token); log in to the LMS and pass the token it gives"},
		"403": {403, `{"error":"role_not_allowed","detail":"students have no dashboard"}`, "the gateway refused the account (403 role_not_allowed: students have no dashboard); pass the token of an active account whose role may connect"},
		"400": {400, `{"error":"bad_request","detail":"since"}`, "the gateway refused the request (400 bad_request: since); look at --since, --type, --assignment and --url"},
		"404": {404, `<html>`, "no gateway at URL (404 Not Found); give the address up to /ws/dashboard/"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) == 1 {
					w.Header().Set("Retry-After", "0")
					w.WriteHeader(503)
					_, _ = io.WriteString(w, `{"error":"not_ready","detail":"the snapshot is at 40 %"}`)
					return
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			_, notes, err := runTail(t.Context(), "--url", server.URL, "--token", "k")
			url := "ws" + strings.TrimPrefix(server.URL, "http") + "/ws/dashboard/"
			require.EqualError(t, err, strings.Replace(c.want, "URL", url, 1))
			require.Equal(t, 3, exitCode(err))
			require.Contains(t, notes, "the gateway answered 503 not_ready: the snapshot is at 40 %; next try in ")
		})
	}
}

func TestCtrlCSaysGoodbyeAndEndsWithZero(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	goodbye := make(chan websocket.StatusCode, 1)
	url := fakeGateway(t, func(v visit) {
		v.send(t, welcome, `{"type":"ping"}`)
		assert.JSONEq(t, `{"type":"pong"}`, v.receive(t))
		cancel()
		_, _, err := v.conn.Read(t.Context())
		goodbye <- websocket.CloseStatus(err)
	})
	_, _, err := runTail(ctx, "--url", url, "--token", "k")
	require.NoError(t, err)
	require.Equal(t, 0, exitCode(err))
	require.Equal(t, websocket.StatusNormalClosure, <-goodbye)
}

func TestCtrlCEndsTheWaitForAGatewayThatIsAway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	notes, w := io.Pipe()
	root := newRootCmd()
	root.SetErr(w)
	root.SetArgs([]string{"tail", "--url", "ws://127.0.0.1:1/?token=s3cret"})
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx); _ = w.Close() }()
	line, err := bufio.NewReader(notes).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "no gateway to be reached at ws://127.0.0.1:1/ws/dashboard/: ")
	require.Contains(t, line, "connection refused; next try in ")
	require.NotContains(t, line, "s3cret")
	cancel()
	_, _ = io.Copy(io.Discard, notes)
	require.NoError(t, <-done)
}

func TestTheTokenComesFromFlagFileVariableOrAddressAndNeverTravelsInTheURL(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("k3y\n"), 0o600))
	for name, c := range map[string]struct {
		args []string
		env  string
	}{
		"flag":          {args: []string{"--token", "k3y"}},
		"file":          {args: []string{"--token-file", file}},
		"variable":      {env: "SCHOOLBELL_TOKEN=k3y"},
		"variable file": {env: "SCHOOLBELL_TOKEN_FILE=" + file},
		"address":       {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SCHOOLBELL_TOKEN", "")
			if k, v, ok := strings.Cut(c.env, "="); ok {
				t.Setenv(k, v)
			}
			url := fakeGateway(t, func(v visit) {
				assert.Equal(t, "Token k3y", v.authorization)
				assert.Empty(t, v.query)
				_ = v.conn.Close(4401, "")
			})
			if name == "address" {
				url += "?token=k3y"
			}
			_, _, err := runTail(t.Context(), append(c.args, "--url", url)...)
			require.ErrorContains(t, err, "4401")
		})
	}
}

func TestMistakesOnTailsCommandLineEndWithTwo(t *testing.T) {
	t.Setenv("SCHOOLBELL_TOKEN", "") // the developer may have one
	for want, args := range map[string][]string{
		"no token; give it as --token-file or as SCHOOLBELL_TOKEN":                                                                                      {},
		"--token and --token-file are both set; give one of them":                                                                                       {"--token", "a", "--token-file", "b"},
		"the token's file: open /nowhere: no such file or directory; name a file that this user can read":                                               {"--token-file", "/nowhere"},
		"--url is no address of a gateway, want one like wss://live.example.org":                                                                        {"--token", "a", "--url", "localhost"},
		"--url begins with ftp, want ws or wss":                                                                                                         {"--token", "a", "--url", "ftp://h"},
		`--type: types: "metrics" is none that can be asked for; want submission, grade, assignment, assignment_closed or the type of a custom message`: {"--token", "a", "--type", "grade,metrics"},
		"--assignment: assignments: \"\" is no key; want the keys of assignments as the LMS writes them":                                                {"--token", "a", "--assignment", "3,,4"},
		`--since: event id "yesterday", want a log position and a number like 0/1A2B3C4D.2`:                                                             {"--token", "a", "--since", "yesterday"},
		"unknown flag: --sinse, the nearest known is --since":                                                                                           {"--sinse", "x"},
		`schoolbell tail takes no arguments, but was given "now"; settings are flags, see schoolbell tail --help`:                                       {"now"},
	} {
		_, _, err := runTail(t.Context(), args...)
		require.EqualError(t, err, want)
		require.Equal(t, 2, exitCode(err))
	}
}

func TestWaitsGrowToHalfAMinuteAndDiffer(t *testing.T) {
	seen := map[time.Duration]bool{}
	for attempt := range 40 {
		full := min(500*time.Millisecond<<min(attempt, 10), 30*time.Second)
		wait := backoff(attempt)
		require.GreaterOrEqual(t, wait, full/2)
		require.Less(t, wait, full)
		seen[wait] = true
	}
	require.Greater(t, len(seen), 30)
}

func TestAnUnknownCommandIsToldTheNearest(t *testing.T) {
	root := newRootCmd()
	root.SetArgs([]string{"tial"})
	err := root.Execute()
	require.EqualError(t, err, "unknown command tial, the nearest known is tail")
	require.Equal(t, 2, exitCode(err))
}

func TestExitCodesAndReports(t *testing.T) {
	require.Equal(t, 0, exitCode(nil))
	require.Equal(t, 1, exitCode(io.EOF))
	require.Equal(t, 2, exitCode(fmt.Errorf("start: %w", usageError{io.EOF})))
	require.Equal(t, 3, exitCode(refusedError{"no"}))
	var b bytes.Buffer
	report(&b, fmt.Errorf("one\ntwo"))
	report(&b, nil)
	require.Equal(t, "schoolbell: one\nschoolbell: two\n", b.String())
}

func TestVersionNamesTheBuild(t *testing.T) {
	for flag, want := range map[string]string{"--json=false": `^schoolbell \S+ \(revision .+, go1\.\S+, \w+/\w+\)\n$`, "--json": `^\{"version":".+","go":"go1\..+","platform":"\w+/\w+"\}\n$`} {
		var b bytes.Buffer
		root := newRootCmd()
		root.SetOut(&b)
		root.SetArgs([]string{"version", flag})
		require.NoError(t, root.Execute())
		require.Regexp(t, want, b.String())
	}
}
