package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// follow is the whole of it: read, apply, make durable, confirm. The order of the
// lines is the promise.
func (r *Reader) follow(ctx context.Context, s *stream, sink Sink) error {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.conn.wake()
		close(woken)
	})
	s.tx.Changes = func(yield func(*cdc.Change, error) bool) { s.yield(ctx, yield) }
	err := r.loop(ctx, s, sink)
	if failed := s.awaitSync(); failed != nil {
		err = failed // weighs more than what became of the connection
	}
	if !stop() {
		<-woken
	}
	if ctx.Err() != nil { // of Run, or Watch has found something
		r.leave(ctx, s, sink)
		return nil
	}
	return err
}

func (r *Reader) loop(ctx context.Context, s *stream, sink Sink) error {
	for {
		what, err := s.next(ctx)
		switch {
		case err != nil:
			return err
		case what == logData:
			if err := r.apply(ctx, s, sink); err != nil {
				return err
			}
		case what == keepalive:
			// It came after all data before its position, and no transaction is open.
			// It also says that nothing waits behind what was applied.
			at := r.at.ours(serverLSN(s.alive.ServerWALEnd))
			if s.again != nil && at < s.again.upTo {
				break
			}
			if err := s.reached(); err != nil {
				return err
			}
			r.advance(s, sink, max(at, r.at.handed), s.alive.ServerTime)
		}
		if what != logData && s.again == nil {
			r.board.quiet(s.now, what == nothing)
		}
		if s.syncDue() {
			s.beginSync(ctx, sink)
		}
		if s.reportDue() {
			if err := s.report(); err != nil {
				return err
			}
		}
	}
}

// apply gives the sink one transaction, if it is ours and new.
func (r *Reader) apply(ctx context.Context, s *stream, sink Sink) error {
	begun, err := s.begin()
	if err != nil || !begun {
		return err
	}
	if s.tx.Commit < r.at.handed {
		return s.repeated(ctx)
	}
	if err := s.reached(); err != nil {
		return err
	}
	some, err := s.peek(ctx)
	if err != nil {
		return err
	}
	if !some && len(s.tx.Messages) == 0 && len(s.tx.Echoes) == 0 {
		r.advance(s, sink, s.tx.End, s.tx.CommitTime)
		return nil
	}
	r.board.began(s)
	defer r.board.applying.Store(0)
	err = sink.Apply(ctx, &s.tx)
	if s.failed != nil {
		return s.failed
	}
	if err == nil && s.open {
		err = errLeftOver
	}
	if err != nil {
		return &sinkError{fmt.Errorf("apply the transaction at %v: %w", r.at.theirs(s.tx.Commit), err)}
	}
	r.at.handed = s.tx.End
	if some { // messages alone come again only while they are asked for
		r.at.last = s.tx.Mark()
	}
	s.now = time.Now()
	s.appliedAt, s.unsynced = s.now, true
	r.board.ended(s)
	return nil
}

func (r *Reader) advance(s *stream, sink Sink, to cdc.LSN, clock time.Time) {
	if to >= r.at.handed {
		s.clock.wake = sink.Advance(to, clock)
		r.at.handed = to
		raise(&r.board.applied, to)
	}
}

// leave makes durable what was applied and confirms it, although ctx has ended.
func (r *Reader) leave(ctx context.Context, s *stream, sink Sink) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var err error
	if r.at.handed > r.at.durable {
		s.beginSync(ctx, sink)
		err = s.awaitSync()
	}
	if err := errors.Join(err, s.end()); err != nil {
		r.log.Warn("left without a last confirmation: the last transactions come again", "reason", err)
	}
}
