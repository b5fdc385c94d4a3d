package selfcheck_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/selfcheck"
)

// line is all that lies between both ends, and what is wrong with it.
type line struct {
	check    *selfcheck.Check
	sockets  chan string // of the bubble
	log      strings.Builder
	observed []time.Duration

	mu      sync.Mutex // guards what follows
	refused error      // no socket
	fails   error      // no message
	lost    string     // where the text gets lost: "log", "projection", "router"; "": nowhere
	closes  bool       // the socket closes instead
	takes   time.Duration
	hangs   chan struct{} // whoever listens waits for it, whatever its context says; nil: nobody
	emitted []string
	open    int
}

func newLine(every time.Duration) *line {
	l := &line{}
	l.check = selfcheck.New(selfcheck.Deps{
		Emit: l.emit, Listen: l.listen, Log: slog.New(slog.NewTextHandler(&l.log, nil)),
		Observe: func(took time.Duration) { l.observed = append(l.observed, took) },
	}, every)
	return l
}

func (l *line) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *line) listen(context.Context) (func(context.Context) (string, error), func(), error) {
	l.mu.Lock()
	hangs := l.hangs
	l.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused != nil {
		return nil, nil, l.refused
	}
	l.open++
	return l.next, func() { l.set(func() { l.open-- }) }, nil
}

func (l *line) next(ctx context.Context) (string, error) {
	l.mu.Lock()
	closes, takes := l.closes, l.takes
	l.mu.Unlock()
	if closes {
		return "", errors.New("status 1011")
	}
	select {
	case text := <-l.sockets:
		time.Sleep(takes)
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (l *line) emit(_ context.Context, text string) error {
	l.mu.Lock()
	fails, lost := l.fails, l.lost
	l.emitted = append(l.emitted, text)
	l.mu.Unlock()
	switch {
	case fails != nil:
		return fails
	case lost == "log" || !l.check.Expect([]byte(text)) || lost == "projection":
		return nil
	}
	l.check.Published([][]byte{[]byte(text)})
	if lost == "" {
		l.sockets <- "forged"
		l.sockets <- text
	}
	return nil
}

// run does the rounds while the test does something else.
func (l *line) run(t *testing.T, test func()) {
	synctest.Test(t, func(t *testing.T) {
		l.sockets = make(chan string, 100)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.check.Run(ctx) }()
		test()
		cancel()
		require.NoError(t, <-ended)
		require.Zero(t, l.open, "no socket is left behind")
	})
}

func TestRoundsThatComeBackAreMeasured(t *testing.T) {
	l := newLine(time.Minute)
	l.takes = 40 * time.Millisecond
	require.EqualError(t, l.check.Status(), "the first round has not come back yet; fix: wait a moment")
	l.run(t, func() {
		time.Sleep(2*time.Minute + time.Second)
		require.NoError(t, l.check.Status())
		require.Len(t, l.observed, 3)
		require.Equal(t, 80*time.Millisecond, l.observed[0])
	})
	require.Len(t, l.emitted, 3)
	require.NotEqual(t, l.emitted[0], l.emitted[1])
	require.Empty(t, l.log.String())
}

func TestATextCountsWhileItsRoundLastsAndNoOther(t *testing.T) {
	l := newLine(time.Minute)
	l.run(t, func() { synctest.Wait() })
	require.Len(t, l.emitted, 1)
	for _, text := range []string{l.emitted[0], "", "forged"} {
		require.False(t, l.check.Expect([]byte(text)), text)
	}
}

// Promise: of two rounds in a row that do not come back Status says where the last of them
// got stuck, and the next that comes back heals it.
func TestTwoRoundsInARowThatFailAreSaidWithTheirPlaceAndTheNextHeals(t *testing.T) {
	for want, breaks := range map[string]func(*line){
		"no WebSocket to our own listener: nobody there; fix: listen":                             func(l *line) { l.refused = errors.New("nobody there; fix: listen") },
		"no right to write; fix: GRANT":                                                           func(l *line) { l.fails = errors.New("no right to write; fix: GRANT") },
		"what we wrote into PostgreSQL's log has not come out of it within 30s; fix: ":            func(l *line) { l.lost = "log" },
		"what we wrote into PostgreSQL's log came out of it and was not applied within 30s; fix:": func(l *line) { l.lost = "projection" },
		"what we wrote into PostgreSQL's log was published and did not come over a WebSocket":     func(l *line) { l.lost = "router" },
		"our own WebSocket was closed: status 1011; fix: ":                                        func(l *line) { l.closes = true },
	} {
		l := newLine(time.Minute)
		l.run(t, func() {
			synctest.Wait()
			l.set(func() { breaks(l) })
			time.Sleep(time.Minute + 30*time.Second + time.Millisecond) // the first that fails has failed
			synctest.Wait()
			if !strings.Contains(want, "no ") && !strings.Contains(want, "closed") {
				require.NoError(t, l.check.Status(), "one is bad luck: %s", want)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			require.ErrorContains(t, l.check.Status(), want)
			require.NotContains(t, l.check.Status().Error(), l.emitted[0])

			l.set(func() { l.refused, l.fails, l.lost, l.closes = nil, nil, "", false })
			time.Sleep(45 * time.Second) // a round that is under way, and the longest pause
			synctest.Wait()
			require.NoError(t, l.check.Status(), want)
		})
		require.Equal(t, 1, strings.Count(l.log.String(), "does not come back"), want)
		require.Equal(t, 1, strings.Count(l.log.String(), "comes back again"), want)
	}
}

func TestOneRoundThatFailsIsBadLuck(t *testing.T) {
	l := newLine(time.Minute)
	l.run(t, func() {
		synctest.Wait()
		l.set(func() { l.refused = errors.New("nobody there") })
		time.Sleep(time.Minute + time.Millisecond)
		synctest.Wait()
		l.set(func() { l.refused = nil })
		require.NoError(t, l.check.Status())
		time.Sleep(2 * time.Second)
		require.NoError(t, l.check.Status())
		require.Len(t, l.observed, 2, "the next comes soon")
	})
	require.Empty(t, l.log.String())
}

// A gateway that has never seen its line work does not say that it does.
func TestTheFirstRoundThatFailsIsSaidAtOnce(t *testing.T) {
	l := newLine(time.Minute)
	l.fails = errors.New("no right to write; fix: GRANT")
	l.run(t, func() {
		synctest.Wait()
		require.EqualError(t, l.check.Status(), "no right to write; fix: GRANT")
	})
}

func TestAShortIntervalIsThePatienceToo(t *testing.T) {
	l := newLine(2 * time.Second)
	l.lost = "log"
	l.run(t, func() {
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		require.ErrorContains(t, l.check.Status(), "within 2s")
	})
}

// Promise: Status is judged by the clock of whoever asks.
func TestACheckThatItselfHangsFails(t *testing.T) {
	l := newLine(time.Minute)
	l.run(t, func() {
		synctest.Wait()
		require.NoError(t, l.check.Status())
		hangs := make(chan struct{})
		l.set(func() { l.hangs = hangs })
		time.Sleep(3*time.Minute + time.Second)
		require.EqualError(t, l.check.Status(), "no round has ended for 3m1s; fix: keep /debug/pprof/goroutine?debug=2 of admin_listen, and restart the gateway")
		l.set(func() { l.hangs = nil })
		close(hangs)
		time.Sleep(time.Minute)
		require.NoError(t, l.check.Status())
	})
}

func TestARoundThatAStopCutsShortSaysNothing(t *testing.T) {
	l := newLine(time.Minute)
	l.lost = "log"
	l.run(t, func() { synctest.Wait() })
	require.EqualError(t, l.check.Status(), "the first round has not come back yet; fix: wait a moment")
	require.Empty(t, l.log.String())
}
