package replication

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
)

// Reader follows one publication through one slot.
type Reader struct {
	cfg     Config
	log     *slog.Logger
	board   *board
	nudge   chan struct{} // wakes Watch
	decoder pgoutput.Decoder

	// Run's goroutine only.
	source   cdc.Source // of the positions; zero before the first snapshot
	at       positions
	tables   map[uint32]*known // that the sink has, by oid
	ours     bool              // a slot of our name was made by a start that did not end
	followed bool              // the log was followed in this attempt
	staying  bool              // we followed the log once, or began to mend its loss: what is wrong is waited for
	lost     *loss             // the log does not continue, for this reason; nil: not known
	stale    *loss             // the sink wants to compare what it has; nil: it does not
	begun    []time.Time       // when the last snapshots were begun
	claimed  bool              // the last of them has not come as far as its slot
	said     string            // what the log was told last about being kept waiting
	away     time.Time         // since when the log has not been followed, which it was before; zero: it is, or never was

	// What Watch compares with what it finds, and how it ends the stream that follows
	// the log now; nil: there is none. Guarded by board.mu.
	lineage   string
	interrupt context.CancelCauseFunc
}

// New makes a Reader. Nothing happens before Run.
func New(cfg Config) *Reader {
	cfg = cfg.withDefaults()
	return &Reader{
		cfg: cfg, log: cfg.Log, board: newBoard(cfg.Tables), nudge: make(chan struct{}, 1),
		ours: cfg.Interrupted, stale: stale(cfg.Stale), begun: slices.Clone(cfg.Begun),
	}
}

// Run gives the sink the database, unless from says that it has it, and then every
// transaction after that, until ctx ends; then it answers nil. Where the log does not
// continue it gives the sink the database anew. Until it has followed the log once, what
// somebody has to put right is returned as a SetupError. Anything else, and everything
// later, is retried; Status says why.
//
// Run may be called once.
func (r *Reader) Run(ctx context.Context, sink Sink, from cdc.Checkpoint) error {
	defer r.board.set(Idle, "stopped")
	if err := r.cfg.validate(); err != nil {
		return err
	}
	r.source = from.Source
	r.at = positions{offset: from.Source.Offset, handed: from.Applied, durable: from.Applied, last: from.Last}
	r.board.renumber(from.Source.Offset, 0)
	raise(&r.board.applied, from.Applied)
	if r.board.finish(from.Source != (cdc.Source{})); r.source != (cdc.Source{}) {
		r.board.fresh.Store(time.Now().UnixNano()) // how long we did not run, nobody knows
	}

	wait := r.cfg.RetryAtFirst
	for ctx.Err() == nil {
		r.followed = false
		r.board.set(Connecting, "connecting to the server")
		err := r.attach(ctx, sink)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			continue // Watch has found something
		}
		if !r.staying && !passes(err) {
			return err
		}
		cause := causeOf(err)
		if r.followed && cause != SinkFailed && cause != Protocol { // those would come again at once
			wait = r.cfg.RetryAtFirst
		}
		r.board.reconnect(cause, err.Error())
		if r.followed && r.away.IsZero() {
			r.away = time.Now()
		}
		pause(ctx, r.patience(err, wait))
		wait = min(2*wait, r.cfg.RetryAtMost)
	}
	return nil
}

// patience says why there is no stream, and how long to wait before the next attempt.
func (r *Reader) patience(err error, wait time.Duration) time.Duration {
	if enough, ok := errors.AsType[*rationed](err); ok {
		if r.said != err.Error() { // once, not every minute of an hour
			r.said = err.Error()
			r.log.Error("not following the log", "reason", err)
		}
		// Now and then we look whether the server is another one by now.
		return min(time.Until(enough.until), time.Minute) + wait/2
	}
	// Half of the wait is fixed, half is chance: many gateways lose one server at one
	// moment.
	wait = wait/2 + rand.N(wait/2+1)
	r.log.Warn("not following the log", "reason", err, "again_in", wait.Round(time.Millisecond))
	return wait
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// sinkError marks what the sink answered.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }
func (e *sinkError) Unwrap() error { return e.err }

// causeOf is the one place that turns an error into a metric's label.
func causeOf(err error) Cause {
	setup, isSetup := errors.AsType[*SetupError](err)
	server, isServer := errors.AsType[*pgconn.PgError](err)
	_, isNetwork := errors.AsType[net.Error](err)
	_, isProtocol := errors.AsType[*protocolError](err)
	_, isSink := errors.AsType[*sinkError](err)
	_, isLoss := errors.AsType[*loss](err)
	switch {
	case isSink:
		return SinkFailed
	case isLoss:
		return LogLost
	case isProtocol:
		return Protocol
	case isServer && server.Code == "57P01":
		return Terminated
	case isServer && server.Code == "55006":
		return SlotInUse
	case isServer && (server.Code == "57P02" || server.Code == "57P03"), errors.Is(err, errEnded):
		return ServerShutdown
	case isNetwork, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ServerGone
	case isSetup && errors.Is(setup.cause, errInUse):
		return SlotInUse
	case isSetup:
		return Setup
	}
	return OtherCause
}

// errInUse is the cause of a SetupError about a slot that somebody else reads.
var errInUse = errors.New("the slot is in use")
