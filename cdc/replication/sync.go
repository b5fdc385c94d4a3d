package replication

import (
	"context"
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// syncing is the one Sync that may be under way beside the reading: a disk takes long at
// times, and no event waits for that. Only what it answers is confirmed.
type syncing struct {
	done  chan synced // has what it answered, and is closed then; nil: none is under way
	began time.Time   // the last one
}

type synced struct {
	upTo cdc.LSN
	err  error
}

// syncDue reports whether it is time to make durable what the sink was given: at
// once when the server asks or a status is due anyway, at most every syncEvery under
// load, of others too, and when nothing has come for syncIdle.
func (s *stream) syncDue() bool {
	switch {
	case s.done != nil:
		return false
	case s.asked, !s.now.Before(s.reportAt):
		return s.at.handed > s.at.durable
	case s.unsynced:
		return s.now.Sub(s.began) >= s.syncEvery || s.now.Sub(s.appliedAt) >= s.syncIdle
	case s.at.handed > s.at.durable+holdAtMost: // others write, and ours are quiet
		return s.now.Sub(s.began) >= s.syncEvery
	}
	return false
}

// holdAtMost is how much log of others we let the server keep for us before the next
// status is due anyway.
const holdAtMost = 1 << 20

// beginSync makes durable what was applied. The read that waits then is woken.
func (s *stream) beginSync(ctx context.Context, sink Sink) {
	done := make(chan synced, 1)
	s.done, s.began, s.unsynced = done, s.now, false
	go func() {
		upTo, err := sink.Sync(ctx)
		done <- synced{upTo, err}
		s.conn.wake()
		close(done)
	}()
}

// endSync confirms what has become durable, if the Sync has ended: the server may forget
// it.
func (s *stream) endSync() error {
	if len(s.done) == 0 { // of a nil channel, too
		return nil
	}
	if err := s.awaitSync(); err != nil {
		return err
	}
	return s.report()
}

// awaitSync waits for the Sync that is under way, if one is.
func (s *stream) awaitSync() error {
	if s.done == nil {
		return nil
	}
	end := <-s.done
	<-s.done // it wakes nobody any more
	s.done = nil
	if end.err != nil {
		return &sinkError{fmt.Errorf("make %v durable: %w", s.at.theirs(s.at.handed), end.err)}
	}
	// What it was not given, it cannot answer for.
	s.at.durable = max(s.at.durable, min(end.upTo, s.at.handed))
	return nil
}
