//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// helper is a process of this program's own that answers requests.
type helper struct {
	*process
	in      io.WriteCloser
	out     io.Closer
	answers *json.Decoder
}

func (b *bench) help(args ...string) (*helper, error) {
	inner, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inner.Close()
	out, outer, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	defer outer.Close()
	h := &helper{in: in, out: out, answers: json.NewDecoder(out)}
	if h.process, err = begin(b.self, inner, outer, args...); err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	return h, nil
}

func (h *helper) ask(r request) (answer, error) {
	var a answer
	if err := json.NewEncoder(h.in).Encode(r); err != nil {
		return a, h.failed(fmt.Sprintf("cannot be asked to %s (%v)", r.Do, err))
	}
	if err := h.answers.Decode(&a); err != nil {
		return a, h.failed(fmt.Sprintf("did not %s (%v)", r.Do, err))
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s", r.Do, a.Error)
	}
	return a, nil
}

// stop ends the process, which its input does.
func (h *helper) stop() error {
	err := h.in.Close()
	h.kill()
	return errors.Join(err, h.out.Close())
}

// crowd is the clients' process.
type crowd struct{ *helper }

// gather starts a clients' process with a socket for each token, and waits until
// each has its welcome.
func (b *bench) gather(address string, tokens []string) (*crowd, error) {
	h, err := b.help("client")
	if err != nil {
		return nil, err
	}
	c := &crowd{h}
	if err := c.join(address, tokens); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// join connects more of them.
func (c *crowd) join(address string, tokens []string) error {
	if _, err := c.ask(request{Do: "connect", Address: address, Tokens: tokens}); err != nil {
		return err
	}
	if err := c.await("welcome", len(tokens)); err != nil {
		return err
	}
	_, err := c.report()
	return err
}

// patience is how long messages may take before the measure fails.
const patience = 3 * time.Minute

// await waits until so many messages of a type have come since the last report.
func (c *crowd) await(kind string, n int) error {
	_, err := c.ask(request{Do: "await", Type: kind, N: n, Wait: patience})
	return err
}

// report is what has come since the last one.
func (c *crowd) report() (map[int]arrival, error) {
	a, err := c.ask(request{Do: "report"})
	arrivals := map[int]arrival{}
	for _, came := range a.Arrivals {
		arrivals[came.Mark] = came
	}
	return arrivals, err
}

// received waits for the commits' messages and answers when they came.
func (c *crowd) received(commits []commit, receivers int) (map[int]arrival, error) {
	if err := c.await("grade", len(commits)*receivers); err != nil {
		return nil, err
	}
	arrivals, err := c.report()
	if err != nil {
		return nil, err
	}
	for _, one := range commits {
		if came := arrivals[one.mark]; came.N != receivers {
			return nil, fmt.Errorf("mark %d came %d times, want %d", one.mark, came.N, receivers)
		}
	}
	return arrivals, nil
}

func (a arrival) first() int64 { return a.First }
func (a arrival) last() int64  { return a.Last }

func (c commit) whenSent() int64  { return c.sent }
func (c commit) whenAcked() int64 { return c.acked }

// between are the times from a moment of each commit to one of its arrival.
func between(commits []commit, arrivals map[int]arrival, from func(commit) int64, to func(arrival) int64) []time.Duration {
	var all []time.Duration
	for _, one := range commits {
		all = append(all, time.Duration(to(arrivals[one.mark])-from(one)))
	}
	return all
}

// tokens are what people sign in with.
func tokens(people []school.Person) []string {
	var all []string
	for _, p := range people {
		all = append(all, p.Token)
	}
	return all
}

// spent is what a process takes of the processor while do runs.
func spent(pid int, do func() error) (processor, error) {
	before, err := processorOf(pid)
	if err != nil {
		return processor{}, err
	}
	if err := do(); err != nil {
		return processor{}, err
	}
	after, err := processorOf(pid)
	return after.minus(before), err
}

// withGateway runs do while a gateway over that data directory follows the log.
func (l *lms) withGateway(ctx context.Context, data string, more []string, do func(*gateway) error) error {
	g, err := l.attached(ctx, data, more...)
	if err != nil {
		return err
	}
	return errors.Join(do(g), g.stop())
}
