//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// latency is how long after a commit its message is at the last of the clients that it
// concerns: with one receiver an admin, with more the owner of the work and an admin.
// Beside schoolbell are a trigger with NOTIFY, and a query every second. While one of
// them has its turn the others are away.
func (b *bench) latency(ctx context.Context) error {
	for _, receivers := range b.Receivers {
		if err := b.latencyTo(ctx, receivers); err != nil {
			return err
		}
	}
	return nil
}

// audience is who is connected.
type audience struct {
	*lms
	data      string
	receivers int // of each message
	tokens    []string
	plain     []string // the same for a plain server
	mark      int      // the next that nobody has
}

func (b *bench) latencyTo(ctx context.Context, receivers int) error {
	teachers := 1000
	if receivers > 1 {
		teachers = receivers - 1
	}
	// A row that is graded again between two polls would be seen once.
	works := 1 + 3*slices.Max(b.Rates)/teachers
	l, err := b.newLMS(ctx, school.Size{Teachers: teachers, Admins: 1, Students: max(100, works)}, works, nil)
	if err != nil {
		return err
	}
	a := &audience{lms: l, data: b.dir + "/latency-" + strconv.Itoa(receivers), receivers: 1, tokens: tokens(l.people.Admins), plain: []string{everybody}, mark: 1_000_000}
	if receivers > 1 {
		a.connectOwners()
	}
	return errors.Join(a.compare(ctx), l.close(ctx))
}

// connectOwners adds the teachers whose work is graded.
func (a *audience) connectOwners() {
	a.receivers = 2
	a.tokens = append(a.tokens, tokens(a.people.Teachers)...)
	for _, p := range a.people.Teachers {
		a.plain = append(a.plain, strconv.FormatInt(p.ID, 10))
	}
}

func (a *audience) compare(ctx context.Context) error {
	if err := a.exec(ctx, notifySQL); err != nil {
		return err
	}
	for _, rate := range a.Rates {
		var ours, notify, poll delays
		err := a.inTurns(
			func() error { return ours.add(a.schoolbell(ctx, rate)) },
			func() error { return notify.add(a.notify(ctx, rate)) },
			func() error { return poll.add(a.poll(ctx, rate)) },
		)
		if err != nil {
			return err
		}
		a.tell(rate, ours, notify, poll)
	}
	return nil
}

// delays are percentiles of each run.
type delays struct{ acked, sent [][]float64 }

func (d *delays) add(acked, sent []time.Duration, err error) error {
	if err == nil {
		d.acked, d.sent = append(d.acked, percentiles(acked)), append(d.sent, percentiles(sent))
	}
	return err
}

func (a *audience) tell(rate int, ours, notify, poll delays) {
	who := "one receiver"
	if a.receivers > 1 {
		who = fmt.Sprintf("%s connected, each message to its owner and an admin", number(float64(len(a.tokens))))
	}
	what := fmt.Sprintf("%s commits/s, %s, from the COMMIT's ", number(float64(rate)), who)
	f := a.reportParts(what+"acknowledgement", "ms", percentileNames, ours.acked).
		besideParts("LISTEN/NOTIFY", notify.acked).besideParts("polling every second", poll.acked)
	switch {
	case rate == 100 && a.receivers == 1:
		f.atMost("p50", 0.25).atMost("p99", 1)
	case rate == 1000 && len(a.tokens) == 1000:
		f.atMost("p99", 3)
	}
	a.reportParts(what+"sending", "ms", percentileNames, ours.sent).
		besideParts("LISTEN/NOTIFY", notify.sent).besideParts("polling every second", poll.sent)
}

func (a *audience) schoolbell(ctx context.Context, rate int) (acked, sent []time.Duration, err error) {
	err = a.withGateway(ctx, a.data, nil, func(g *gateway) error {
		acked, sent, err = a.commitTo(ctx, "schoolbell", g.address, a.tokens, rate)
		return err
	})
	return acked, sent, err
}

func (a *audience) notify(ctx context.Context, rate int) (acked, sent []time.Duration, err error) {
	err = a.withTrigger(ctx, func() error {
		acked, sent, err = a.besidePlain(ctx, "listen", rate)
		return err
	})
	return acked, sent, err
}

func (a *audience) poll(ctx context.Context, rate int) (acked, sent []time.Duration, err error) {
	return a.besidePlain(ctx, "poll", rate)
}

// besidePlain lets a plain server do it, in one of its ways.
func (a *audience) besidePlain(ctx context.Context, way string, rate int) (acked, sent []time.Duration, err error) {
	p, address, err := a.startPlain()
	if err != nil {
		return nil, nil, err
	}
	if _, err = p.ask(request{Do: way, URL: a.url}); err == nil {
		acked, sent, err = a.commitTo(ctx, way, address, a.plain, rate)
	}
	return acked, sent, errors.Join(err, p.stop())
}

// startPlain starts a plain server, and answers where its clients connect.
func (b *bench) startPlain() (*helper, string, error) {
	p, err := b.help("plain")
	if err != nil {
		return nil, "", err
	}
	a, err := p.ask(request{Do: "address"})
	if err != nil {
		return nil, "", errors.Join(err, p.stop())
	}
	return p, a.Address, nil
}

// commitTo connects the audience to a server, called who, and commits for a while.
func (a *audience) commitTo(ctx context.Context, who, address string, tokens []string, rate int) (acked, sent []time.Duration, err error) {
	c, err := a.gather(address, tokens)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	n := int(a.Slice.Seconds() * float64(rate))
	commits, err := a.atRate(ctx, rate, n, a.mark)
	if err != nil {
		return nil, nil, err
	}
	a.mark += n
	lasted := time.Duration(commits[n-1].acked - commits[0].sent)
	if got := float64(n-1) / lasted.Seconds(); n > 1 && got < 0.9*float64(rate) {
		a.warn("with %s, %d connected, the LMS committed %s times a second instead of %d", who, len(tokens), number(got), rate)
	}
	arrivals, err := c.received(commits, a.receivers)
	if err != nil {
		return nil, nil, fmt.Errorf("%s, %d connected, %d commits a second: %w", who, len(tokens), rate, err)
	}
	return between(commits, arrivals, commit.whenAcked, arrival.last), between(commits, arrivals, commit.whenSent, arrival.last), nil
}
