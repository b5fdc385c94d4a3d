//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// fanout is one event to many sockets, each an admin's: how long until the first and
// the last have it when events come one by one, and what a delivered message costs the
// gateway's process in bursts, when one transaction brings many. Beside it a loop
// writes the same bytes, encoded before, to as many sockets.
func (b *bench) fanout(ctx context.Context) error {
	for _, sockets := range b.Fans {
		if err := b.fanoutTo(ctx, b.bound(sockets)); err != nil {
			return err
		}
	}
	return nil
}

// bound is a number of sockets that a process may have open, beside its other files.
func (b *bench) bound(sockets int) int {
	const others = 100
	if most := int(b.files) - others; sockets > most {
		b.say("%d sockets instead of %d: a process may open %d files; fix: ulimit -n", most, sockets, b.files)
		return most
	}
	return sockets
}

// fan is a gateway and a plain server with as many sockets each.
type fan struct {
	*lms
	sockets      int
	gateway      *gateway
	plain        *helper
	ours, theirs *crowd
	mark         int
	text         string // of a message, for the plain server
}

func (b *bench) fanoutTo(ctx context.Context, sockets int) error {
	l, err := b.newLMS(ctx, school.Size{Teachers: b.Burst, Admins: sockets, Students: 25}, 1, nil)
	if err != nil {
		return err
	}
	f := &fan{lms: l, sockets: sockets, mark: 1_000_000}
	return errors.Join(f.compare(ctx), l.close(ctx))
}

func (f *fan) compare(ctx context.Context) error {
	// Nothing but events: a tick of metrics to all would cost more than a burst.
	quiet := []string{"--metrics-interval", "1h", "--heartbeat", "1h"}
	return f.withGateway(ctx, f.dir+"/fanout-"+strconv.Itoa(f.sockets), quiet, func(g *gateway) (err error) {
		f.gateway = g
		if f.ours, err = f.gather(g.address, tokens(f.people.Admins)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.ours.stop()) }()
		var address string
		if f.plain, address, err = f.startPlain(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.plain.stop()) }()
		if f.theirs, err = f.gather(address, slices.Repeat([]string{everybody}, f.sockets)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.theirs.stop()) }()
		return f.takeTurns(ctx)
	})
}

func (f *fan) takeTurns(ctx context.Context) error {
	if err := f.warm(ctx); err != nil {
		return err
	}
	var first, last, plainFirst, plainLast [][]float64
	err := f.inTurns(
		func() error { return f.oneByOne(ctx, &first, &last) },
		func() error { return f.plainOneByOne(ctx, &plainFirst, &plainLast) },
	)
	if err != nil {
		return err
	}
	wait := f.profile(ctx, f.gateway, "fanout-"+strconv.Itoa(f.sockets), 2)
	var ours, single, gathered bursts
	err = f.inTurns(
		func() error { return ours.add(f.burst(ctx)) },
		func() error { return single.add(f.plainBurst(1)) },
		func() error { return gathered.add(f.plainBurst(framesPerWrite)) },
	)
	if err := errors.Join(err, wait()); err != nil {
		return err
	}
	what := fmt.Sprintf("one event to %s sockets, from the COMMIT's acknowledgement to the ", number(float64(f.sockets)))
	f.reportParts(what+"first", "ms", percentileNames, first).besideParts("raw writes, from the first write,", plainFirst)
	lastly := f.reportParts(what+"last", "ms", percentileNames, last).besideParts("raw writes, from the first write,", plainLast)
	if f.sockets == 1000 {
		lastly.atMost("p50", 3).atMost("p99", 8)
	}
	what = fmt.Sprintf("bursts of %d events to %s sockets, ", f.Burst, number(float64(f.sockets)))
	f.report(what+"server's processor per message", "µs", ours.processor...).
		beside("raw writes", single.processor...).beside(fmt.Sprintf("raw, %d frames a write", framesPerWrite), gathered.processor...).atMost("", 0.5)
	f.report(what+"from the first to arrive to the last", "messages/s", ours.speed...).
		beside("raw writes", single.speed...).beside(fmt.Sprintf("raw, %d frames a write", framesPerWrite), gathered.speed...)
	return nil
}

// framesPerWrite is how many messages the plain server writes together in its other way.
const framesPerWrite = 8

// warm gives everything one event, and keeps its text.
func (f *fan) warm(ctx context.Context) error {
	if err := f.exec(ctx, gradeSQL, f.work[0], f.mark); err != nil {
		return err
	}
	f.mark++
	if err := f.ours.await("grade", f.sockets); err != nil {
		return err
	}
	a, err := f.ours.ask(request{Do: "report"})
	f.text = a.Sample
	return err
}

// pause is between two events that come one by one, so that the next one finds
// everything at rest.
const pause = 50 * time.Millisecond

func (f *fan) oneByOne(ctx context.Context, first, last *[][]float64) error {
	var commits []commit
	for i := range f.Events {
		if err := rest(ctx); err != nil {
			return err
		}
		c := commit{mark: f.mark}
		f.mark++
		if err := c.run(ctx, f.conn, f.work[i%len(f.work)]); err != nil {
			return err
		}
		commits = append(commits, c)
		if err := f.ours.await("grade", (i+1)*f.sockets); err != nil {
			return err
		}
	}
	return f.ours.spread(commits, f.sockets, first, last)
}

// rest waits for a pause.
func rest(ctx context.Context) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// spread adds how long the first and the last of the receivers waited.
func (c *crowd) spread(commits []commit, receivers int, first, last *[][]float64) error {
	arrivals, err := c.received(commits, receivers)
	if err != nil {
		return err
	}
	*first = append(*first, percentiles(between(commits, arrivals, commit.whenAcked, arrival.first)))
	*last = append(*last, percentiles(between(commits, arrivals, commit.whenAcked, arrival.last)))
	return nil
}

func (f *fan) plainOneByOne(ctx context.Context, first, last *[][]float64) error {
	var writes []commit
	for i := range f.Events {
		if err := rest(ctx); err != nil {
			return err
		}
		a, err := f.plain.ask(request{Do: "burst", Text: f.text, First: f.mark, N: 1, Each: 1})
		if err != nil {
			return err
		}
		writes = append(writes, commit{mark: f.mark, acked: a.At})
		f.mark++
		if err := f.theirs.await("grade", (i+1)*f.sockets); err != nil {
			return err
		}
	}
	return f.theirs.spread(writes, f.sockets, first, last)
}

// bursts are the figures of each run.
type bursts struct{ processor, speed []float64 }

func (b *bursts) add(processor, speed float64, err error) error {
	b.processor, b.speed = append(b.processor, processor), append(b.speed, speed)
	return err
}

// burst commits transactions of many events, and answers microseconds per message and
// messages a second.
func (f *fan) burst(ctx context.Context) (perMessage, speed float64, err error) {
	return f.bursts(f.gateway.pid(), f.ours, func() error {
		return f.exec(ctx, `UPDATE assignments_assignmentsubmission s SET grade = $2::int + n.n, status = 'graded', updated_at = now()
			FROM unnest($1::bigint[]) WITH ORDINALITY n (id, n) WHERE s.id = n.id`, f.work[:f.Burst], f.mark-1)
	})
}

// plainBurst lets the plain server write as many, so many frames at once.
func (f *fan) plainBurst(each int) (perMessage, speed float64, err error) {
	return f.bursts(f.plain.pid(), f.theirs, func() error {
		_, err := f.plain.ask(request{Do: "burst", Text: f.text, First: f.mark, N: f.Burst, Each: each})
		return err
	})
}

// bursts lets somebody send some, each when the last one is everywhere. The speed is
// that between the first message and the last to arrive: when the COMMIT was answered
// some may be there already.
func (f *fan) bursts(pid int, c *crowd, send func() error) (perMessage, speed float64, err error) {
	var lasted time.Duration
	took, err := spent(pid, func() error {
		for range f.Bursts {
			if err := send(); err != nil {
				return err
			}
			sent := make([]commit, f.Burst)
			for i := range sent {
				sent[i].mark = f.mark + i
			}
			f.mark += f.Burst
			arrivals, err := c.received(sent, f.sockets)
			if err != nil {
				return err
			}
			lasted += duration(arrivals)
		}
		return nil
	})
	messages := f.Bursts * f.Burst * f.sockets
	return microseconds(took.total(), messages), float64(messages) / lasted.Seconds(), err
}

// duration is from the first arrival to the last.
func duration(arrivals map[int]arrival) time.Duration {
	first, last := int64(math.MaxInt64), int64(0)
	for _, a := range arrivals {
		first, last = min(first, a.First), max(last, a.Last)
	}
	return time.Duration(last - first)
}
