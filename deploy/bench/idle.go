//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// idle is what the gateway's process holds in memory for each connected dashboard,
// each of another teacher, that nothing happens to but its metrics message: as the
// system counts it, and of it what Go has in use, after collections, before and after
// each has had some events.
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
		mark := 1_000_000
		if err := l.warmStore(ctx, g, &mark); err != nil {
			return err
		}
		before, err := g.settled(ctx)
		if err != nil {
			return err
		}
		c, err := l.gather(g.address, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.stop()) }()
		connected := 0
		for _, n := range numbers {
			if err := c.join(g.address, tokens(l.people.Teachers[connected:n])); err != nil {
				return err
			}
			connected = n
			idle, err := l.heldBy(ctx, g, c, n)
			if err != nil {
				return err
			}
			if err := l.gradeAll(ctx, n, &mark); err != nil {
				return err
			}
			if err := c.await("grade", traffic*n); err != nil {
				return err
			}
			after, err := l.heldBy(ctx, g, c, n)
			if err != nil {
				return err
			}
			per := func(m memory) [][]float64 {
				return [][]float64{{(m.resident - before.resident) / float64(n) / 1024, (m.inUse - before.inUse) / float64(n) / 1024}}
			}
			what := fmt.Sprintf("%s idle sockets, memory for each", number(float64(n)))
			parts := []string{"resident", "in use"}
			l.reportParts(what, "KB", parts, per(idle)).atMost("resident", 8.5)
			l.reportParts(fmt.Sprintf("%s after %d events to each", what, traffic), "KB", parts, per(after)).atMost("resident", 8.5)
		}
		return nil
	})
}

// gradeAll gives each of the first n teachers' work some marks, from *mark on.
func (l *lms) gradeAll(ctx context.Context, n int, mark *int) error {
	for range traffic {
		err := l.exec(ctx, `UPDATE assignments_assignmentsubmission SET grade = $2, status = 'graded', updated_at = now() WHERE id = ANY ($1)`, l.work[:n], *mark)
		if err != nil {
			return err
		}
		*mark++
	}
	return nil
}

// warmStore brings what the gateway keeps of events, whoever is connected, to its size
// before anybody is: otherwise it would count as the sockets'.
func (l *lms) warmStore(ctx context.Context, g *gateway, mark *int) error {
	if err := l.gradeAll(ctx, len(l.work), mark); err != nil {
		return err
	}
	return until(ctx, 50*time.Millisecond, patience, "the first marks are stored", func() (bool, error) {
		events, err := g.metric(ctx, `schoolbell_events_total{kind="grade"}`)
		return events >= float64(traffic*len(l.work)), err
	})
}

// heldBy is what the gateway holds when everybody has had two metrics messages since.
func (l *lms) heldBy(ctx context.Context, g *gateway, c *crowd, n int) (memory, error) {
	if _, err := c.report(); err != nil {
		return memory{}, err
	}
	if err := c.await("metrics", 2*n); err != nil {
		return memory{}, err
	}
	sessions, err := g.metric(ctx, `schoolbell_sessions{role="teacher"}`)
	if err != nil {
		return memory{}, err
	}
	if int(sessions) != n {
		return memory{}, fmt.Errorf("%.0f sockets are connected, want %d", sessions, n)
	}
	return g.settled(ctx)
}

// megabytes are of bytes.
func megabytes(bytes float64) float64 { return bytes / (1 << 20) }
