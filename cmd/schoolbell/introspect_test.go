package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// lmsServer is the LMS itself, as far as it says whose credentials are: as Moodle, as
// Canvas, and at an address of its own.
type lmsServer struct {
	url string

	mu    sync.Mutex
	owner map[string]int64 // of a credential
	down  bool
	asked int
	email func(id int64) string
	role  string // of everybody
}

func newLMSServer(t *testing.T) *lmsServer {
	t.Helper()
	l := &lmsServer{owner: map[string]int64{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webservice/rest/server.php", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := l.of(r.PostFormValue("wstoken")); ok {
			fmt.Fprintf(w, `{"sitename":"School","username":"x","userid":%d,"functions":[],"userissiteadmin":true}`, id)
		} else {
			_, _ = io.WriteString(w, `{"exception":"moodle_exception","errorcode":"invalidtoken","message":"Invalid token - token not found"}`)
		}
	})
	mux.HandleFunc("GET /api/v1/users/self", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := l.of(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); ok {
			fmt.Fprintf(w, `{"id":"%d","name":"X"}`, id) // as text, as it was asked for
		} else {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"errors":[{"message":"Invalid access token."}]}`)
		}
	})
	mux.HandleFunc("GET /api/mail", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := l.of(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); ok {
			fmt.Fprintf(w, `{"id":"a key of another system","mail":%q,"role":%q}`, l.email(id), l.role)
		} else {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	mux.HandleFunc("GET /api/me", func(w http.ResponseWriter, r *http.Request) {
		session, err := r.Cookie("sessionid")
		if err != nil {
			session = &http.Cookie{}
		}
		if id, ok := l.of(session.Value); ok {
			fmt.Fprintf(w, `{"active":true,"user":{"id":%d}}`, id)
		} else {
			http.Redirect(w, r, "/login", http.StatusFound)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// of is whose a credential is. While the LMS is down it hangs up.
func (l *lmsServer) of(credential string) (id int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.down {
		panic(http.ErrAbortHandler)
	}
	id, ok = l.owner[credential]
	return id, ok
}

func (l *lmsServer) change(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *lmsServer) questions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// Promise: a credential that the LMS takes back ends the dashboards that were opened with
// it, and nobody else's; an LMS that does not answer ends nobody's.
func TestACredentialThatTheLMSTakesBackWhenAskedClosesTheSocket(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		cookie bool
		flags  []string
	}{
		"moodle":    {"", false, []string{"--introspect-preset", "moodle"}},
		"canvas":    {"/", false, []string{"--introspect-preset", "canvas"}},
		"by e-mail": {"/api/mail", false, []string{"--introspect-email", "/mail"}},
		"own": {"/api/me", true, []string{
			"--introspect-cookie", "sessionid", "--introspect-user", "/user/id", "--introspect-requires", "/active=true", "--introspect-refusals", "302",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, lms := newSite(t), newLMSServer(t)
			tom, tina := s.school.Teachers[0], s.school.Tutors[0]
			keys := map[string]int64{"key-that-tom-shows": tom.ID, "key-that-tina-shows": tina.ID, "key-of-a-student": s.school.Students[0].ID, "key-of-nobody-here": 99999}
			lms.change(func() { maps.Copy(lms.owner, keys) })
			emails := map[int64]string{99999: "nobody@school.example"}
			for _, p := range []school.Person{tom, tina, s.school.Students[0]} {
				emails[p.ID] = strings.ToUpper(s.ask(`SELECT email FROM accounts_user WHERE id = $1`, p.ID))
			}
			lms.email = func(id int64) string { return emails[id] }
			gateway := s.serve(append(c.flags, "--introspect-url", lms.url+c.path, "--recheck", "1s", "--log-level", "debug")...)
			s.ready()
			enter := func(p school.Person, key string) *websocket.Conn {
				if c.cookie {
					return s.enter(p, key)
				}
				return s.enterBy(key)
			}
			header := func(key string) http.Header {
				if c.cookie {
					return http.Header{"Cookie": {"a=b; sessionid=" + key}}
				}
				return http.Header{"Authorization": {"Bearer " + key}}
			}
			toms, tinas := enter(tom, "key-that-tom-shows"), enter(tina, "key-that-tina-shows")
			for key, want := range map[string]int{
				"key-that-tom-shows": 200, "key-of-a-student": 403, "key-of-nobody-here": 401, "a-bad-one": 401,
			} {
				got, body := s.session(header(key))
				require.Equal(t, want, got, "%s: %s", key, body)
				require.NotContains(t, body, key)
			}
			got, body := s.session(http.Header{"Authorization": {"Token " + tom.Token}})
			if c.cookie {
				require.Equal(t, 200, got, "tokens are still those of the table: %s", body)
			} else {
				require.Equal(t, 401, got, "tokens are the LMS's to judge: %s", body)
			}

			lms.change(func() { lms.down = true })
			s.waiting(`"sign_in":{"ok":false`, "the LMS cannot be asked whose a credential is, at "+lms.url)
			got, body = s.session(header("a-new-one"))
			require.Equal(t, 503, got, body)
			asked := lms.questions()
			require.Eventually(t, func() bool { return lms.questions() > asked+4 }, 30*time.Second, 10*time.Millisecond, "asked again and again")
			for _, conn := range []*websocket.Conn{toms, tinas} {
				require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
				s.nextOf(conn, "pong")
			}
			lms.change(func() { lms.down = false })
			s.ready()

			lms.change(func() { delete(lms.owner, "key-that-tom-shows") })
			requireRevoked(t, toms, 30*time.Second)
			require.NoError(t, tinas.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
			s.nextOf(tinas, "pong")
			got, _ = s.session(header("key-that-tom-shows"))
			require.Equal(t, 401, got)
			page := get(t, "http://"+s.admin+"/metrics", ready)
			require.Equal(t, "1", metric(page, `schoolbell_credentials_revoked_total{way="introspection"}`))
			require.Equal(t, "2", metric(page, `schoolbell_sign_ins_total{way="introspection"}`))

			require.Zero(t, gateway.stop(10*time.Second))
			for _, key := range append(slices.Collect(maps.Keys(keys)), "a-bad-one", "a-new-one") {
				require.NotContains(t, gateway.text(), key)
				require.NotContains(t, page, key)
			}
		})
	}
}

func TestTenThousandBadTokensAreShownToTheLMSNoMoreThanSoOftenAndTheirNeighboursStay(t *testing.T) {
	t.Parallel()
	s, lms := newSite(t), newLMSServer(t)
	people := slices.Concat(s.school.Admins, s.school.Teachers, s.school.Tutors)
	key := func(i int) string { return fmt.Sprintf("key-number-%d", i) }
	for i, p := range people {
		lms.owner[key(i)] = p.ID
	}
	s.serve("--introspect-preset", "canvas", "--introspect-url", lms.url, "--handshakes-per-address", "1000000", "--introspect-rate", "50", "--recheck", "1h")
	s.ready()
	var open []*websocket.Conn
	for i := range people {
		open = append(open, s.enterBy(key(i)))
	}
	before, began := lms.questions(), time.Now()

	const bad = 10_000
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 300}}
	t.Cleanup(client.CloseIdleConnections)
	var hammering sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[int]int{}
	next := make(chan int)
	for range 300 {
		hammering.Go(func() {
			for range next {
				status := 0
				if resp, err := client.Get(s.base() + "/api/session?token=" + hex.EncodeToString(noise(20))); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					status = resp.StatusCode
				}
				mu.Lock()
				outcomes[status]++
				mu.Unlock()
			}
		})
	}
	known := 0
	for i := range bad {
		next <- i
		if i%(bad/20) == bad/40 { // people who were there before come back in the midst of it
			for range 2 {
				n := known % len(people)
				known++
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				conn, _, err := websocket.Dial(ctx, s.base()+"/ws/dashboard/?token="+key(n), nil)
				cancel()
				require.NoError(t, err)
				_ = conn.CloseNow()
			}
		}
	}
	close(next)
	hammering.Wait()
	took, asked := time.Since(began), lms.questions()-before
	// 100 at once and 100 a minute one by one; of the others ten at once and ten a second;
	// each of those known at most every ten seconds; and one of the gateway's own.
	most := 100 + int(math.Ceil(took.Minutes()*100)) + 10*(1+int(math.Ceil(took.Seconds()))) + len(people)*(1+int(took/(10*time.Second))) + 1
	t.Logf("%d bad tokens within %v: %d questions to the LMS, %d allowed; answers: %v", bad, took.Round(time.Millisecond), asked, most, outcomes)
	require.LessOrEqual(t, asked, most)
	require.Equal(t, bad, outcomes[401]+outcomes[503], "%v", outcomes)
	for _, conn := range open {
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
		s.nextOf(conn, "pong")
	}
}

func TestACredentialForOneRoleIsGoodWhileTheLMSGivesThat(t *testing.T) {
	t.Parallel()
	s, lms := newSite(t), newLMSServer(t)
	tom := s.school.Teachers[0]
	email := s.ask(`SELECT email FROM accounts_user WHERE id = $1`, tom.ID)
	lms.owner["key-that-tom-shows"], lms.email, lms.role = tom.ID, func(int64) string { return email }, "teacher"
	s.serve("--introspect-url", lms.url+"/api/mail", "--introspect-email", "/mail", "--introspect-role", "/role", "--recheck", "1s")
	s.ready()
	conn := s.enterBy("key-that-tom-shows")
	lms.change(func() { lms.role = "admin" })
	require.EqualValues(t, 4403, s.nextOf(conn, "disconnect")["code"])
	require.Eventually(t, func() bool {
		status, body := s.statusAt(s.base(), "Authorization", "Bearer key-that-tom-shows")
		return status == 403 && strings.Contains(body, "role_not_allowed")
	}, time.Minute, 100*time.Millisecond)
}

func TestSettingsOfIntrospectionThatDoNotFitAreExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--introspect-preset", "moodle"}, "introspect_url is not set, but other settings of introspect_ are; fix: "},
		{[]string{"--introspect-requires", "/a=b"}, "introspect_url is not set, but other settings of introspect_ are; fix: "},
		{[]string{"--introspect-url", "https://lms.example.org", "--introspect-preset", "moodle", "--introspect-user", "/id", "--introspect-method", "GET"},
			"introspect_preset says itself what introspect_method, introspect_user says; fix: leave one of them out"},
		{[]string{"--introspect-url", "https://lms.example.org", "--introspect-preset", "moodle", "--introspect-cookie", "MoodleSession"},
			"fix: leave introspect_cookie out, and let people sign in with a web service token"},
		{[]string{"--introspect-url", "https://lms.example.org", "--introspect-cookie", "sessionid", "--session-secret", "x"},
			"introspect_cookie and session_secret are both about the cookie sessionid; fix: leave one of them out"},
		{[]string{"--introspect-url", "https://lms.example.org", "--introspect-user", "/id", "--introspect-email", "/email"},
			"introspect_user and introspect_email both say who somebody is; fix: leave one of them out"},
		{[]string{"--introspect-url", "http://lms.example.org/api/me"}, "anybody in between could read them; fix: use https"},
		{[]string{"--introspect-preset", "blackboard"}, `--introspect-preset: introspect_preset is "blackboard", want one of moodle, canvas`},
		{[]string{"--introspect-refusals", "401,500"}, `introspect_refusals is "500", want statuses from 300 to 499, like 401`},
		{[]string{"--introspect-url", "https://lms.example.org", "--introspect-headers", "secret-of-ours"}, "the header number 1 is none; fix: write it like Accept: application/json"},
		{[]string{"--introspect-rate", "0"}, "want a whole number of at least 1"},
	} {
		code, out := schoolbell(t, append([]string{"serve", "--database", "postgres://nobody@127.0.0.1:1/none", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, c.flags...)...)
		require.Equal(t, 2, code, out)
		require.Contains(t, out, c.want)
		require.NotContains(t, out, "secret-of-ours")
	}
}

func TestCheckAsksTheLMSWhoseACredentialIs(t *testing.T) {
	t.Parallel()
	s, lms := newSite(t), newLMSServer(t)
	code, out := s.check("--introspect-url", lms.url, "--introspect-preset", "moodle", "--recheck", "5s")
	require.Zero(t, code, out)
	require.Contains(t, out, "what is shown to the LMS is shown again every 5 s, 50 credentials a second at most")
	require.NotContains(t, out, "their tables are not in the publication")
	require.Equal(t, 1, lms.questions())
	code, out = s.check("--introspect-url", lms.url+"/nothing", "--introspect-preset", "canvas")
	require.Equal(t, 1, code, out)
	require.Contains(t, wrong(out)[0], "it answers 404; fix: correct introspect_url, or look into the log of the LMS")
}
