// Package selfcheck sends a text through the whole line, again and again, and waits for it
// at the other end: into PostgreSQL's log, out of it through the slot, through projection
// and router, and over a WebSocket to our own listener.
//
// # Promises
//
//   - A text is random and counts once, while its round lasts: whoever else writes the
//     same kind of text, another gateway or a forger, is not heard.
//   - One round that does not come back in time is bad luck; of two in a row Status says
//     where the last of them got stuck, with the remedy. The next that comes back heals it.
//   - Status is judged by the clock of whoever asks: a check that itself hangs fails.
//
// Run does the rounds. Expect and Published are told by the steps of the line that the
// text came by, and like Status may be called from any goroutine.
package selfcheck

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// Missed is how many rounds in a row have to fail for the check to.
	Missed = 2
	// patience is how long a round may take at most: as far behind the log as a gateway
	// may be and still be called ready.
	patience = 30 * time.Second
	// longestPause is the longest wait for the next round after one that failed.
	longestPause = 10 * time.Second
)

// Deps are what a Check needs, all of them.
type Deps struct {
	// Emit writes a text into the log. Its error is one sentence.
	Emit func(ctx context.Context, text string) error
	// Listen connects as a client does. next waits for the next text that arrives.
	Listen func(ctx context.Context) (next func(context.Context) (string, error), hangUp func(), err error)
	// Observe is told how long a round took that came back.
	Observe func(took time.Duration)
	Log     *slog.Logger
}

// A Check is one gateway's.
type Check struct {
	deps     Deps
	every    time.Duration
	patience time.Duration

	mu     sync.Mutex // guards what follows
	text   string     // of the round that is under way; "": none is
	came   step       // how far it came
	missed int        // rounds in a row
	why    error      // of the last that was missed; nil: none was since the last that came back
	passed time.Time  // when the last round came back; zero: none has
}

// step is how far a text came.
type step byte

const (
	emitted step = iota
	read
	published
)

// New makes a check that sends a text every so often. A round that takes longer than
// that, or than 30 s, has failed.
func New(deps Deps, every time.Duration) *Check {
	return &Check{deps: deps, every: every, patience: min(every, patience)}
}

// Run does the rounds until ctx ends; then it answers nil.
func (c *Check) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		pause(ctx, c.settle(ctx, c.round(ctx)))
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// round sends one text and waits for it.
func (c *Check) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	next, hangUp, err := c.deps.Listen(ctx)
	if err != nil {
		return fmt.Errorf("no WebSocket to our own listener: %w", err)
	}
	defer hangUp()
	text := rand.Text()
	c.begin(text)
	defer c.begin("")
	began := time.Now()
	if err := c.deps.Emit(ctx, text); err != nil {
		return err
	}
	for {
		got, err := next(ctx)
		switch {
		case err == nil && got == text:
			c.deps.Observe(time.Since(began))
			return nil
		case err == nil: // of a round before
		case errors.Is(err, context.DeadlineExceeded):
			return c.stuck()
		default:
			return fmt.Errorf("our own WebSocket was closed: %w; fix: if it goes on, restart the gateway, and report what it logged", err)
		}
	}
}

func (c *Check) begin(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text, c.came = text, emitted
}

// Expect reports whether a text is the one of the round that is under way, and notes that
// it has been read from the log.
func (c *Check) Expect(text []byte) bool {
	return c.reached(read, string(text))
}

// Published notes that these texts have left the projection.
func (c *Check) Published(texts [][]byte) {
	for _, text := range texts {
		c.reached(published, string(text))
	}
}

func (c *Check) reached(at step, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text == "" || text != c.text {
		return false
	}
	c.came = max(c.came, at)
	return true
}

// stuck says where a text is that did not come back.
func (c *Check) stuck() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.came {
	case emitted:
		return fmt.Errorf("what we wrote into PostgreSQL's log has not come out of it within %v; "+
			"fix: see what the checks stream and lag say, and on the server pg_stat_replication, pg_replication_slots and long transactions", c.patience)
	case read:
		return fmt.Errorf("what we wrote into PostgreSQL's log came out of it and was not applied within %v; "+
			"fix: see whether the disk of the data directory answers; if it does, keep /debug/pprof/goroutine?debug=2 of admin_listen, and restart the gateway", c.patience)
	}
	return fmt.Errorf("what we wrote into PostgreSQL's log was published and did not come over a WebSocket within %v; "+
		"fix: keep /debug/pprof/goroutine?debug=2 of admin_listen, and restart the gateway", c.patience)
}

// settle notes how a round ended and answers how long to wait for the next.
func (c *Check) settle(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return 0 // it ends with us, and says nothing
	}
	before, missed := c.note(err)
	switch { // not under the lock, which the reader of the log needs
	case err == nil && before >= Missed:
		c.deps.Log.Info("the self-check comes back again", "missed", before)
	case missed == Missed:
		c.deps.Log.Warn("the self-check does not come back", "reason", err)
	}
	if err == nil {
		return c.every
	}
	return min(c.every, longestPause, time.Second<<min(missed-1, 10))
}

// note answers how many rounds in a row were missed before this one, and with it.
func (c *Check) note(err error) (before, missed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.missed
	if err == nil {
		c.missed, c.why, c.passed = 0, nil, time.Now()
	} else {
		c.missed, c.why = c.missed+1, err
	}
	return before, c.missed
}

// Status is nil while rounds come back, and otherwise says why not, with the remedy.
func (c *Check) Status() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.missed >= Missed, c.passed.IsZero() && c.why != nil:
		return c.why
	case c.passed.IsZero():
		return errors.New("the first round has not come back yet; fix: wait a moment")
	case time.Since(c.passed) > Missed*(c.every+c.patience):
		return fmt.Errorf("no round has ended for %v; fix: keep /debug/pprof/goroutine?debug=2 of admin_listen, and restart the gateway",
			time.Since(c.passed).Round(time.Second))
	}
	return nil
}
