package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/schoolbell/schoolbell/wsserver"
)

// ready says whether dashboards can be served, and why not. Whoever comes before
// the snapshot is done, or before we know how far the server's log reaches, could
// not be told what they missed, so they must wait; what fails later only shows.
func (g *gateway) ready() []wsserver.Check {
	s := g.reader.Status()
	at, _ := g.store.Checkpoint()
	checks := []wsserver.Check{
		{Name: "snapshot", OK: at.Complete, Required: true, Detail: snapshotDetail(s)},
		{Name: "stream", OK: s.State == replication.Streaming, Required: s.ServerEnd == 0, Detail: streamDetail(s)},
		{Name: "lag", OK: s.Lag < lateAfter, Detail: fmt.Sprintf("%v behind the log; fix: look for a long transaction, a slow disk or a busy processor", s.Lag.Round(time.Second))},
		publicationCheck(s),
		identityCheck(s),
		g.signIn.check(),
		g.disk.check(),
	}
	checks = append(checks, g.selfCheck.checks()...)
	for i := range checks {
		if checks[i].OK {
			checks[i].Detail = ""
		}
	}
	return checks
}

// publicationCheck: a title that is missing, and an upgrade of the LMS, keep nobody out.
func publicationCheck(s replication.Status) wsserver.Check {
	c := wsserver.Check{Name: "publication", OK: s.Unfit == nil || s.Degraded}
	advice := []error{s.Upgrade}
	if c.OK {
		advice = append(advice, s.Unfit)
	} else {
		c.Detail = s.Unfit.Error()
	}
	if said := errors.Join(advice...); said != nil {
		c.Advice = said.Error()
	}
	return c
}

// identityCheck: the LMS itself may be failing, which nobody sees who looks at us alone.
func identityCheck(s replication.Status) wsserver.Check {
	c := wsserver.Check{Name: "identity", OK: s.Identity == nil}
	if !c.OK {
		c.Detail = s.Identity.Error()
	}
	return c
}

func streamDetail(s replication.Status) string {
	if s.State != replication.Snapshotting {
		return s.Reason
	}
	return s.Reason + "; " + snapshotDetail(s)
}

func snapshotDetail(s replication.Status) string {
	if s.State != replication.Snapshotting {
		return s.Reason
	}
	return fmt.Sprintf("reading %s, %d of about %d rows", s.Snapshot.Table, s.Snapshot.Rows, s.Snapshot.Expected)
}

// pulse takes the locks of the steps, each of which is held for moments only.
func (g *gateway) pulse() {
	g.reader.Status()
	g.projection.Person(cdc.ID{})
	g.router.Stats()
}

// diskEvery is how often the data directory is looked at.
const diskEvery = 10 * time.Second

// diskWatch remembers whether the data directory can take more, for whoever asks often.
type diskWatch struct {
	last atomic.Pointer[error] // what was wrong when we looked last; nil: not looked yet
}

// watch looks until ctx ends.
func (d *diskWatch) watch(ctx context.Context, store *shadow.Store) error {
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	for {
		err := store.Check()
		d.last.Store(&err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (d *diskWatch) check() wsserver.Check {
	c := wsserver.Check{Name: "store", Detail: "not looked at yet"}
	if err := d.last.Load(); err != nil {
		if c.OK = *err == nil; !c.OK {
			c.Detail = (*err).Error()
		}
	}
	return c
}
