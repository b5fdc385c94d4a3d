//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// idle is what the gateway's process holds in memory for each connected dashboard,
// each of another teacher, that nothing happens to but its metrics message: as the
// system counts it, after collections, before and after each has had some events.
func (b *bench) idle(ctx context.Context) error {
	var numbers []int
	for _, n := range b.Sockets {
		if n = b.bound(n); len(numbers) == 0 || n > numbers[len(numbers)-1] {
			numbers = append(numbers, n)
		}
	}
	people := numbers[len(numbers)-1]
	l, err := b.newLMS(ctx, school.Size{Teachers: people, Students: 25}, 1, nil)
	if err != nil {
		return err
	}
	return errors.Join(l.hold(ctx, numbers), l.close(ctx))
}

// traffic is how many events each socket has had when it is looked at again.
const traffic = 5

// hold connects more and more of them to one gateway.
func (l *lms) hold(ctx context.Context, numbers []int) error {
	settings := []string{"--heartbeat", "1h", "--metrics-interval", "2s"}
	return l.withGateway(ctx, l.dir+"/idle", settings, func(g *gateway) (err error) {
		before, err := g.resident(ctx)
		if err != nil {
			return err
		}
		c, err := l.gather(g.address, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.stop()) }()
		connected, mark := 0, 1_000_000
		for _, n := range numbers {
			if err := c.join(g.address, tokens(l.people.Teachers[connected:n])); err != nil {
				return err
			}
			connected = n
			idle, err := l.heldBy(ctx, g, c, n)
			if err != nil {
				return err
			}
			for range traffic {
				if err := l.exec(ctx, `UPDATE assignments_assignmentsubmission SET grade = $2, status = 'graded', updated_at = now() WHERE id = ANY ($1)`, l.work[:n], mark); err != nil {
					return err
				}
				mark++
			}
			if err := c.await("grade", traffic*n); err != nil {
				return err
			}
			after, err := l.heldBy(ctx, g, c, n)
			if err != nil {
				return err
			}
			per := func(resident float64) float64 { return (resident - before) / float64(n) / 1024 }
			what := fmt.Sprintf("%s idle sockets, resident for each", number(float64(n)))
			l.report(what, "KB", per(idle)).atMost("", 8.5)
			l.report(fmt.Sprintf("%s, after %d events to each", what, traffic), "KB", per(after)).atMost("", 8.5)
		}
		return nil
	})
}

// heldBy is what the gateway holds when everybody has had two metrics messages since.
func (l *lms) heldBy(ctx context.Context, g *gateway, c *crowd, n int) (float64, error) {
	if _, err := c.report(); err != nil {
		return 0, err
	}
	if err := c.await("metrics", 2*n); err != nil {
		return 0, err
	}
	sessions, err := g.metric(ctx, `schoolbell_sessions{role="teacher"}`)
	if err != nil {
		return 0, err
	}
	if int(sessions) != n {
		return 0, fmt.Errorf("%.0f sockets are connected, want %d", sessions, n)
	}
	return g.resident(ctx)
}

// megabytes are of bytes.
func megabytes(bytes float64) float64 { return bytes / (1 << 20) }
