package main

import (
	"context"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/projection"
	"github.com/schoolbell/schoolbell/router"
)

// sink is what happens to the log: into the projection and its store, then to the
// router.
type sink struct{ *gateway }

// Reset takes the database whole. What had not been told of it, because the log could
// not be followed, has been told when it returns.
func (s sink) Reset(ctx context.Context, snap *cdc.Snapshot) error {
	from := s.projection.Checkpoint()
	events, err := s.projection.Reset(ctx, snap)
	if err != nil {
		return err
	}
	if from.Complete {
		s.log.Info("recovered", "reason", snap.Reason, "from", from.Applied-from.Source.Offset, "lsn", snap.At-snap.Source.Offset, "events", events)
		return nil
	}
	s.router.Start(s.projection.Cursor())
	close(s.filled)
	return nil
}

// Apply takes one transaction.
func (s sink) Apply(ctx context.Context, tx *cdc.Tx) error {
	began := time.Now()
	if err := s.projection.Apply(ctx, tx); err != nil {
		return err
	}
	s.metrics.Applied(time.Since(began))
	return nil
}

// publish gives the router what a stored transaction meant. That does not wait for
// the disk: after a crash the same events come again with the same ids. It is called by
// one goroutine at a time, the reader's or one that publishes a message (projection.turn).
func (g *gateway) publish(meant projection.Result) {
	g.selfCheck.published(meant.Echoes)
	g.router.Publish(router.Batch{Cursor: meant.Cursor, People: meant.People, Events: meant.Events, Echoes: meant.Echoes, More: meant.More})
}

// Advance notes that nothing of ours happened before at. What the projection could not
// store on the way was not published either: then nobody may be told that they have
// everything up to at, or they would resume behind it.
func (s sink) Advance(at cdc.LSN, clock time.Time) (wake time.Time) {
	wake = s.projection.Advance(at, clock)
	if s.store.Failure() == nil {
		s.router.Advance(cdc.Position{LSN: at})
	}
	return wake
}

// Sync makes what was applied durable.
func (s sink) Sync(ctx context.Context) (cdc.LSN, error) {
	return s.projection.Sync(ctx)
}
