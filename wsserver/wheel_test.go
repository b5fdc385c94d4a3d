package wsserver_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
)

// pipes is a network inside one process, so that time can be the test's.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, io.EOF
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p pipes) dial(t *testing.T, who int) *dashboard { return p.dialWith(t, token(who)) }

func (p pipes) dialWith(t *testing.T, token string) *dashboard {
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		p <- there
		return here, nil
	}}}
	ws, _, err := websocket.Dial(t.Context(), "ws://gateway/ws/dashboard/?token="+token, &websocket.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	return &dashboard{ws, t}
}

// inBubble runs a gateway whose clock is the bubble's.
func inBubble(t *testing.T, test func(t *testing.T, g *gateway, network pipes)) {
	inBubbleWith(t, wsserver.Config{}, test)
}

func inBubbleWith(t *testing.T, cfg wsserver.Config, test func(t *testing.T, g *gateway, network pipes)) {
	inBubbleOf(t, cfg, nil, test)
}

func inBubbleOf(t *testing.T, cfg wsserver.Config, change func(*wsserver.Deps), test func(t *testing.T, g *gateway, network pipes)) {
	synctest.Test(t, func(t *testing.T) {
		g := build(cfg, change)
		network := make(pipes)
		server := &http.Server{Handler: g.Handler()}
		go func() { _ = server.Serve(network) }()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = g.Run(ctx) }()
		test(t, g, network)
		cancel()
		require.NoError(t, g.Drain(context.Background()))
		close(network)
		_ = server.Close()
		synctest.Wait()
	})
}

func TestPingsComeEvery30SecondsAndMetricsEvery10(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d := network.dial(t, tom)
		require.Equal(t, "welcome", d.next()["type"])
		var pings, metrics []time.Time
		for len(pings) < 4 {
			_, body, err := d.Read(context.Background())
			require.NoError(t, err)
			switch m := decode(t, body); m["type"] {
			case "ping":
				pings = append(pings, time.Now())
				d.say(`{"type":"pong"}`)
			case "metrics":
				metrics = append(metrics, time.Now())
			}
		}
		requireEvery(t, 30*time.Second, pings)
		requireEvery(t, 10*time.Second, metrics)
		require.GreaterOrEqual(t, len(metrics), 9)
		require.NoError(t, d.CloseNow())
	})
}

func requireEvery(t *testing.T, interval time.Duration, times []time.Time) {
	t.Helper()
	for i := 1; i < len(times); i++ {
		require.InDelta(t, interval.Seconds(), times[i].Sub(times[i-1]).Seconds(), 0.001)
	}
}

func TestAfterTwoPingsInARowWithNoPongTheServerCloses(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d := network.dial(t, tom)
		require.Equal(t, "welcome", d.next()["type"])
		// One answer makes good for all that were missed before it.
		d.until("ping")
		d.until("ping")
		d.say(`{"type":"pong"}`)
		d.until("ping")
		d.until("ping")
		begin := time.Now()
		d.requireClosedIn(g)
		require.InDelta(t, 30, time.Since(begin).Seconds(), 0.001)
	})
}

// requireClosedIn is requireClosed for the bubble, whose time is patient.
func (d *dashboard) requireClosedIn(g *gateway) {
	for {
		_, body, err := d.Read(context.Background())
		if err != nil {
			require.EqualValues(d.t, 4408, websocket.CloseStatus(err), "%v", err)
			break
		}
		m := decode(d.t, body)
		require.NotEqual(d.t, "ping", m["type"])
		if m["type"] == "disconnect" {
			require.Equal(d.t, "heartbeat_timeout", m["reason"])
			require.Equal(d.t, true, m["reconnect"])
		}
	}
	g.tally.await("closed for heartbeat_timeout", 1)
}

func TestHeartbeatsAreSpreadOverTheInterval(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		const clients = 20 // of one person, who may have no more
		arrived := make(chan time.Time)
		for range clients {
			d := network.dial(t, tom)
			go func() {
				for {
					_, body, err := d.Read(context.Background())
					if err != nil {
						return
					}
					if decode(t, body)["type"] == "ping" {
						arrived <- time.Now()
						_ = d.CloseNow()
						return
					}
				}
			}()
		}
		moments := map[time.Time]bool{}
		for range clients {
			moments[<-arrived] = true
		}
		require.Len(t, moments, clients)
	})
}
