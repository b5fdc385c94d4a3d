package wsserver_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// proofs is what the LMS says when it is asked again.
type proofs struct {
	expires time.Time // of those who sign in now
	moved   time.Time // if set: when they expire by now
	gone    map[string]bool
	down    bool
	ways    map[string]string        // by which people say who they are, if not by token
	takes   map[string]time.Duration // how long a question of a way takes
	asked   []question
}

type question struct {
	at   time.Time
	size int
}

func (s *school) Recheck(ctx context.Context, ids []auth.Identity) (revoked []int, err error) {
	s.mu.Lock()
	takes := s.proofs.takes[ids[0].Way]
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proofs.asked = append(s.proofs.asked, question{time.Now(), len(ids)})
	if s.proofs.down {
		return nil, fmt.Errorf("%w: the database is down", auth.ErrUnavailable)
	}
	for i, id := range ids {
		if s.proofs.gone[id.User] {
			revoked = append(revoked, i)
		}
		if !s.proofs.moved.IsZero() {
			ids[i].Expires = s.proofs.moved
		}
	}
	return revoked, nil
}

func (s *school) proof(change func(p *proofs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.proofs)
}

func (s *school) questions() []question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proofs.asked
}

// ended reads on, and answers how long it took until the session was closed with
// 4401, and whether an event came on the way.
func (d *dashboard) ended() (took time.Duration, events int) {
	began := time.Now()
	told := false
	for {
		_, body, err := d.Read(context.Background())
		if err != nil {
			require.EqualValues(d.t, 4401, websocket.CloseStatus(err), "%v", err)
			require.True(d.t, told, "every close is announced")
			return time.Since(began), events
		}
		switch m := decode(d.t, body); m["type"] {
		case "ping":
			d.say(`{"type":"pong"}`)
		case "grade":
			events++
		case "disconnect":
			told = true
			require.Equal(d.t, "credentials_revoked", m["reason"])
			require.Equal(d.t, false, m["reconnect"])
		}
	}
}

func TestACredentialThatWasTakenBackEndsItsSessionsWithinTheInterval(t *testing.T) {
	quiet := wsserver.Config{Heartbeat: time.Hour, MetricsInterval: time.Hour}
	inBubbleWith(t, quiet, func(t *testing.T, g *gateway, network pipes) {
		d := network.dial(t, tom)
		other := network.dial(t, ada)
		require.Equal(t, "welcome", d.next()["type"])
		require.Equal(t, "welcome", other.next()["type"])
		time.Sleep(25 * time.Second)
		g.school.proof(func(p *proofs) { p.gone = map[string]bool{"2": true} })
		took, events := d.ended()
		require.LessOrEqual(t, took, 10*time.Second)
		require.Zero(t, events)
		g.tally.await("closed for credentials_revoked", 1)
		require.Equal(t, 1, g.tally.of("revoked token"))
		require.Equal(t, 2, g.tally.of("signed in by token"))
		require.Equal(t, 2, g.tally.of("opened by token"))
		require.Equal(t, 1, g.tally.of("closed by token"))
		require.Equal(t, 1, g.Sessions(), "nobody else's")
		for i, q := range g.school.questions() {
			require.Equal(t, 2, q.size, "one question for both")
			if i > 0 {
				require.InDelta(t, 10, q.at.Sub(g.school.questions()[i-1].at).Seconds(), 0.2)
			}
		}
		require.NoError(t, other.CloseNow())
	})
}

func TestADatabaseThatCannotBeAskedEndsNobodysSession(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d := network.dial(t, tom)
		require.Equal(t, "welcome", d.next()["type"])
		g.school.proof(func(p *proofs) { p.down, p.gone = true, map[string]bool{"2": true} })
		go func() {
			time.Sleep(5 * time.Minute)
			g.school.proof(func(p *proofs) { p.down = false })
		}()
		took, _ := d.ended()
		require.GreaterOrEqual(t, took, 5*time.Minute)
		require.LessOrEqual(t, took, 5*time.Minute+10*time.Second)
		require.Contains(t, g.log.String(), "cannot ask whether credentials still hold")
	})
}

func TestASessionEndsWithinASecondOfItsCredential(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		g.school.proof(func(p *proofs) { p.expires = time.Now().Add(95 * time.Second) })
		d := network.dial(t, tom)
		require.Equal(t, "welcome", d.next()["type"])
		took, _ := d.ended()
		require.InDelta(t, 95.5, took.Seconds(), 0.6)
		require.Equal(t, 1, g.tally.of("revoked token"))
	})
}

func TestASessionThatTheLMSProlongedLastsAsLong(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		began := time.Now()
		g.school.proof(func(p *proofs) { p.expires = began.Add(95 * time.Second) })
		d := network.dial(t, tom)
		require.Equal(t, "welcome", d.next()["type"])
		g.school.proof(func(p *proofs) { p.moved = began.Add(300 * time.Second) })
		took, _ := d.ended()
		require.InDelta(t, 300.5, took.Seconds(), 0.6)
	})
}

// An LMS that takes its time to say whose credentials are keeps only those waiting whose
// it has to say.
func TestAWayThatTakesItsTimeKeepsNobodyElseWaiting(t *testing.T) {
	quiet := wsserver.Config{Heartbeat: time.Hour, MetricsInterval: time.Hour}
	inBubbleWith(t, quiet, func(t *testing.T, g *gateway, network pipes) {
		g.school.proof(func(p *proofs) {
			p.ways, p.takes = map[string]string{"1": "introspection"}, map[string]time.Duration{"introspection": 5 * time.Minute}
		})
		slow := network.dial(t, ada)
		require.Equal(t, "welcome", slow.next()["type"])
		time.Sleep(30 * time.Second) // its question is under way
		fast := network.dial(t, tom)
		require.Equal(t, "welcome", fast.next()["type"])
		g.school.proof(func(p *proofs) { p.gone = map[string]bool{"1": true, "2": true} })
		took, _ := fast.ended()
		require.LessOrEqual(t, took, 10*time.Second+time.Second/2)
		took, _ = slow.ended()
		require.InDelta(t, 280, took.Seconds(), 12, "when its question was answered")
		g.tally.await("closed for credentials_revoked", 2)
		for i, q := range g.school.questions()[1:] {
			require.Equal(t, 1, q.size)
			require.Less(t, i, 2, "and none again meanwhile")
		}

		// Nobody's end by time waits for it, either.
		g.school.proof(func(p *proofs) { p.gone, p.expires = nil, time.Now().Add(95*time.Second) })
		again := network.dial(t, ada)
		require.Equal(t, "welcome", again.next()["type"])
		took, _ = again.ended()
		require.InDelta(t, 95.5, took.Seconds(), 0.6)
	})
}

// A question is about a thousand sessions, and the questions are spread over the
// interval.
func TestAThousandSessionsAreAskedAboutAtOnce(t *testing.T) {
	const clients = 2500
	cfg := wsserver.Config{
		MaxPerPerson: clients, MaxPerAddress: clients, HandshakeRate: clients, Heartbeat: time.Hour, MetricsInterval: time.Hour, DrainSpread: time.Millisecond,
	}
	inBubbleWith(t, cfg, func(t *testing.T, g *gateway, network pipes) {
		var all []*dashboard
		for range clients {
			d := network.dial(t, tom)
			require.Equal(t, "welcome", d.next()["type"])
			all = append(all, d)
		}
		time.Sleep(10 * time.Second)
		before := len(g.school.questions())
		began := time.Now()
		time.Sleep(100 * time.Second)
		questions := g.school.questions()[before:]
		var sessions int
		for _, q := range questions {
			require.LessOrEqual(t, q.size, 1000)
			sessions += q.size
		}
		require.InDelta(t, 10*clients, sessions, 1000, "each once per interval")
		require.LessOrEqual(t, len(questions), 31, "three in each of ten intervals")
		for i, q := range questions[1:] {
			require.Greater(t, q.at.Sub(questions[i].at), time.Second, "%d of %d after %v", i, len(questions), q.at.Sub(began))
		}
		for _, d := range all {
			_ = d.CloseNow()
		}
	})
}

// Promise: a page of another origin cannot use the cookie that the browser sends along.
func TestACookieWithAForeignOriginIsRefused(t *testing.T) {
	cookies := &byCookie{}
	g := start(t, wsserver.Config{Origins: []string{"https://lms.example.org"}}, func(d *wsserver.Deps) { d.Auth = cookies })
	for origin, allowed := range map[string]bool{
		"": true, g.http.URL: true, "https://lms.example.org": true,
		"https://evil.example": false, "null": false, "https://lms.example.org.evil.example": false, "http://lms.example.org": false,
	} {
		header := http.Header{"Cookie": {"sessionid=" + strconv.Itoa(tom)}}
		if origin != "" {
			header.Set("Origin", origin)
		}
		before := cookies.asked
		ws, answer, err := websocket.Dial(t.Context(), g.http.URL+"/ws/dashboard/", &websocket.DialOptions{HTTPHeader: header})
		if allowed {
			require.NoError(t, err, origin)
			require.NoError(t, ws.CloseNow())
		} else {
			require.Error(t, err, origin)
			requireRefusal(t, answer, "origin_not_allowed")
			require.Equal(t, before, cookies.asked, "the cookie is not even looked at")
		}
		for _, path := range []string{"/api/session", "/api/events"} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", g.http.URL+path, nil)
			require.NoError(t, err)
			r.Header = header
			answer, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			if allowed {
				require.Equal(t, 200, answer.StatusCode, origin)
			} else {
				require.Equal(t, 403, answer.StatusCode, origin)
				require.Empty(t, answer.Header.Get("Access-Control-Allow-Origin"))
				requireRefusal(t, answer, "origin_not_allowed")
			}
			require.NoError(t, answer.Body.Close())
		}
	}
}

// byCookie knows people by a cookie with their id.
type byCookie struct {
	school
	asked int
}

func (b *byCookie) Authenticate(_ context.Context, r *http.Request) (auth.Identity, error) {
	b.asked++
	c, err := r.Cookie("sessionid")
	if err != nil {
		return auth.Identity{}, auth.ErrNoCredential
	}
	return auth.Identity{User: c.Value, Way: "session"}, nil
}
