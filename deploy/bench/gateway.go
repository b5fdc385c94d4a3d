//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// gateway is schoolbell serve, as a process of its own.
type gateway struct {
	*process
	address, admin string
}

// unlimited are the settings that let all the clients of a benchmark in from one machine.
var unlimited = []string{
	"--max-sessions", "100000", "--max-sessions-per-person", "100000", "--max-sessions-per-address", "100000", "--handshakes-per-address", "100000",
}

// serve starts a gateway over a data directory.
func (l *lms) serve(data string, more ...string) (*gateway, error) {
	g := &gateway{}
	var err error
	if g.address, err = freeAddress(); err != nil {
		return nil, err
	}
	if g.admin, err = freeAddress(); err != nil {
		return nil, err
	}
	args := append([]string{
		"serve", "--database", l.gatewayURL(), "--data", data, "--listen", g.address, "--admin-listen", g.admin, "--log-format", "json",
	}, unlimited...)
	g.process, err = begin(l.program, nil, nil, append(args, more...)...)
	return g, err
}

// attached starts a gateway and waits until it has read all that there is.
func (l *lms) attached(ctx context.Context, data string, more ...string) (*gateway, error) {
	g, err := l.serve(data, more...)
	if err != nil {
		return nil, err
	}
	err = g.ready(ctx)
	if err == nil {
		err = until(ctx, 10*time.Millisecond, time.Hour, "the gateway has caught up", func() (bool, error) {
			caughtUp, err := g.metric(ctx, "schoolbell_replication_caught_up")
			return caughtUp == 1, err
		})
	}
	if err != nil {
		return nil, errors.Join(err, g.stop())
	}
	return g, nil
}

// ready waits until live events are served.
func (g *gateway) ready(ctx context.Context) error {
	return until(ctx, 5*time.Millisecond, time.Hour, "the gateway is ready", func() (bool, error) {
		if g.ended() {
			return false, g.failed("ended")
		}
		status, _, err := page(ctx, "http://"+g.address+"/readyz")
		return err == nil && status == http.StatusOK, nil
	})
}

// page fetches one.
func page(ctx context.Context, url string) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// metric reads one number of the metrics page.
func (g *gateway) metric(ctx context.Context, name string) (float64, error) {
	_, text, err := page(ctx, "http://"+g.admin+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("the gateway has no metric %s", name)
}

// resident is the process's memory after collections, in bytes.
func (g *gateway) resident(ctx context.Context) (float64, error) {
	for range 3 { // stacks shrink by half in each
		if _, _, err := page(ctx, "http://"+g.admin+"/debug/pprof/heap?gc=1"); err != nil {
			return 0, err
		}
	}
	return memoryOf(g.pid(), "VmRSS")
}

// memory is what a process holds, in bytes.
type memory struct {
	resident float64 // as the system counts it
	inUse    float64 // of it what Go has in use, without what it keeps for later
}

// settled is the gateway's memory when it gives no more back to the system, which takes
// Go some seconds after a peak.
func (g *gateway) settled(ctx context.Context) (m memory, err error) {
	last := math.Inf(1)
	err = until(ctx, 500*time.Millisecond, time.Minute, "the gateway's memory settles", func() (bool, error) {
		m.resident, err = g.resident(ctx)
		settled := m.resident > 0.99*last
		last = m.resident
		return settled, err
	})
	if err != nil {
		return m, err
	}
	for _, name := range []string{"go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes", "go_memstats_gc_sys_bytes", "go_memstats_other_sys_bytes"} {
		value, err := g.metric(ctx, name)
		if err != nil {
			return m, err
		}
		m.inUse += value
	}
	return m, nil
}

// logged is one line of the gateway's log.
type logged struct {
	Time time.Time
	Msg  string
	Took string // a duration
	Rows int64
}

// said finds the first line with that message.
func (g *gateway) said(message string) (logged, error) {
	for line := range strings.Lines(g.words()) {
		var l logged
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == message {
			return l, nil
		}
	}
	return logged{}, g.failed(fmt.Sprintf("did not log %q", message))
}

// profile writes what the gateway's processor does from now on, if that is asked for.
// The function that it answers waits for the end of it.
func (b *bench) profile(ctx context.Context, g *gateway, name string, seconds int) (wait func() error) {
	if b.profiles == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- b.writeProfile(ctx, g, name, seconds) }()
	return func() error { return <-done }
}

func (b *bench) writeProfile(ctx context.Context, g *gateway, name string, seconds int) error {
	err := until(ctx, 5*time.Millisecond, time.Minute, "the gateway answers", func() (bool, error) {
		_, _, err := page(ctx, "http://"+g.admin+"/metrics")
		return err == nil, nil
	})
	if err != nil {
		return err
	}
	_, text, err := page(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", g.admin, seconds))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.profiles, name+".pprof"), []byte(text), 0o644)
}

// freeAddress is one that nobody listens on, below those that a system gives to
// outgoing connections, which thousands of clients would take.
func freeAddress() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("find a free port: none of 100 between 10000 and 30000 is")
}
