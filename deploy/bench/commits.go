//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// writers are the LMS's connections at full speed.
const writers = 16

// commits is how many transactions the LMS commits a second when each of its
// connections sends the next as soon as the last is answered: alone, with schoolbell
// reading its log, and with a trigger that notifies a listener.
func (b *bench) commits(ctx context.Context) error {
	l, err := b.newLMS(ctx, school.Size{Teachers: 1000, Admins: 1, Students: 100}, 1, nil)
	if err != nil {
		return err
	}
	return errors.Join(l.compareCommits(ctx), l.close(ctx))
}

func (l *lms) compareCommits(ctx context.Context) error {
	if err := l.exec(ctx, notifySQL); err != nil {
		return err
	}
	data := l.dir + "/commits"
	// The first start reads the tables, which is not to be in a turn.
	if err := l.withGateway(ctx, data, nil, func(*gateway) error { return nil }); err != nil {
		return err
	}
	mark := 1_000_000
	full := func(rates *[]float64) error {
		rate, err := l.atFullSpeed(ctx, &mark)
		*rates = append(*rates, rate)
		return err
	}
	var alone, attached, notified []float64
	err := l.inTurns(
		func() error { return full(&alone) },
		func() error {
			return l.withGateway(ctx, data, nil, func(*gateway) error { return full(&attached) })
		},
		func() error {
			return l.withTrigger(ctx, func() error { return l.withListener(func() error { return full(&notified) }) })
		},
	)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("the LMS at full speed, %d connections", writers)
	l.report(what+", with us attached", "commits/s", attached...).beside("alone", alone...).beside("with a trigger and LISTEN/NOTIFY", notified...)
	l.report(what+", with us attached to alone", "", ratios(attached, alone)...).
		beside("with a trigger and LISTEN/NOTIFY to alone", ratios(notified, alone)...).atLeast(0.88)
	return nil
}

// withListener runs do while a plain server listens.
func (l *lms) withListener(do func() error) error {
	p, _, err := l.startPlain()
	if err != nil {
		return err
	}
	if _, err = p.ask(request{Do: "listen", URL: l.url}); err == nil {
		err = do()
	}
	return errors.Join(err, p.stop())
}

// atFullSpeed commits for a slice, marks from *mark on, and answers commits a second.
func (l *lms) atFullSpeed(ctx context.Context, mark *int) (float64, error) {
	conns, err := l.connect(ctx, writers)
	if err != nil {
		return 0, err
	}
	defer closeAll(ctx, conns)
	var next atomic.Int64
	began := time.Now()
	err = each(conns, func(conn *pgx.Conn) error {
		for time.Since(began) < l.Slice {
			n := int(next.Add(1))
			if _, err := conn.Exec(ctx, gradeSQL, l.work[n%len(l.work)], *mark+n); err != nil {
				return err
			}
		}
		return nil
	})
	took := time.Since(began)
	*mark += int(next.Load())
	return float64(next.Load()) / took.Seconds(), err
}
