package replication

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// stream is the log as it arrives on one connection. Only Run's goroutine uses it.
type stream struct {
	conn  *conn
	board *board
	at    *positions
	pace

	// What arrived last. Valid until the next call of next.
	alive pglogrepl.PrimaryKeepaliveMessage
	data  pglogrepl.XLogData

	now       time.Time // as of the last read, or later
	messages  uint      // since the connection was made
	deadline  time.Time // of reads, as it is set; zero: it has passed
	reportAt  time.Time // when the next status is due
	appliedAt time.Time // when the last transaction was
	unsynced  bool      // a transaction was applied since the last Sync
	asked     bool      // the server waits for a status
	again     *again    // what is sent a second time; nil: no more
	clock     clock

	syncing
	transaction
}

// pace is how often things are done.
type pace struct {
	reportEvery time.Duration // a status at least so often
	patience    time.Duration // a server that is silent for longer is given up
	syncEvery   time.Duration
	syncIdle    time.Duration
}

// arrival is what next found.
type arrival byte

const (
	nothing   arrival = iota // the deadline passed
	keepalive                // in alive
	logData                  // in data
)

// start begins to follow the log at a position.
func start(ctx context.Context, c *conn, cfg Config, at serverLSN) error {
	plugin := []string{"proto_version '1'", "publication_names " + literal(ident(cfg.Publication))}
	if cfg.Messages || cfg.Echo != nil {
		plugin = append(plugin, "messages 'true'")
	}
	err := pglogrepl.StartReplication(ctx, c.PgConn, cfg.Slot, pglogrepl.LSN(at), pglogrepl.StartReplicationOptions{
		Mode:       pglogrepl.LogicalReplication,
		PluginArgs: plugin,
	})
	server, ok := errors.AsType[*pgconn.PgError](err)
	if ok && server.Code == "55006" {
		return &SetupError{
			Setting: "replication slot " + cfg.Slot, Got: "in use (" + server.Message + ")", Want: "free for us",
			Fix: "stop the other reader, or give this one a slot of its own", passing: true, cause: errInUse,
		}
	}
	if err != nil {
		return fmt.Errorf("start to follow the log at %v: %w", at, err)
	}
	return nil
}

// next waits for the next message, or for the next thing that is due.
func (s *stream) next(ctx context.Context) (arrival, error) {
	for {
		if err := s.arm(ctx); err != nil {
			return nothing, err
		}
		if err := s.endSync(); err != nil { // maybe before we moved the deadline
			return nothing, err
		}
		msg, ok, err := s.conn.in.copyData()
		if err != nil {
			err = fmt.Errorf("read the log: %w", err)
		} else if !ok {
			err = s.other()
		}
		s.look()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && s.woken(ctx):
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nothing, s.silence(ctx)
		case err != nil:
			return nothing, err
		case ok:
			return s.read(msg)
		}
	}
}

// sentLate is how long after its commit a transaction is still sent when the server has
// nothing to catch up with. Both moments are the server's own, so that the log itself says
// where it stands, and what we let gather comes later by a tenth of that at most. (A
// standby has them from two clocks, and where those differ it is the tenth that counts.)
const sentLate = 20 * time.Millisecond

// other reads a message that is none of the log.
func (s *stream) other() error {
	msg, err := s.conn.Frontend().Receive()
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	switch msg := msg.(type) {
	case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		return nil
	case *pgproto3.ErrorResponse:
		return fmt.Errorf("read the log: %w", pgconn.ErrorResponseToPgError(msg))
	case *pgproto3.CopyDone, *pgproto3.CommandComplete:
		return errEnded
	}
	return &protocolError{fmt.Errorf("message %T in the log", msg)}
}

// errEnded is how a server that shuts down ends the stream.
var errEnded = errors.New("the server ended the stream, as it does when it shuts down")

// protocolError says that what the server sent made no sense. A new connection is
// all that helps; if it says the same again, something between us and the server
// changes what passes, or the server is newer than we know.
type protocolError struct{ err error }

func (e *protocolError) Error() string { return "read the log: " + e.err.Error() }
func (e *protocolError) Unwrap() error { return e.err }

// look finds out the time, mostly from the last read.
func (s *stream) look() {
	if s.conn.in.at.After(s.now) {
		s.now = s.conn.in.at
	}
	s.messages++
	if s.messages%64 == 0 { // a slow sink may take long over what one read brought
		s.now = time.Now()
	}
}

func (s *stream) read(msg []byte) (arrival, error) {
	if len(msg) == 0 {
		return nothing, &protocolError{errors.New("an empty message")}
	}
	var err error
	switch msg[0] {
	case pglogrepl.XLogDataByteID:
		if s.data, err = pglogrepl.ParseXLogData(msg[1:]); err != nil {
			return nothing, &protocolError{err}
		}
		s.clock.hear(s.data.ServerTime, s.now)
		raise(&s.board.serverEnd, s.at.ours(serverLSN(s.data.ServerWALEnd)))
		s.conn.socket.behind = s.open && s.data.ServerTime.Sub(s.tx.CommitTime) > sentLate
		return logData, nil
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		if s.alive, err = pglogrepl.ParsePrimaryKeepaliveMessage(msg[1:]); err != nil {
			return nothing, &protocolError{err}
		}
		s.asked = s.asked || s.alive.ReplyRequested
		s.clock.hear(s.alive.ServerTime, s.now)
		raise(&s.board.serverEnd, s.at.ours(serverLSN(s.alive.ServerWALEnd)))
		return keepalive, nil
	}
	return nothing, &protocolError{fmt.Errorf("a message of kind %q", msg[0])}
}

// arm moves the deadline of reads to the next thing that is due. It moves it forward
// only when it has passed, so under load it is seldom moved at all.
func (s *stream) arm(ctx context.Context) error {
	due := s.reportAt
	if s.unsynced && !s.open {
		if idle := s.appliedAt.Add(s.syncIdle); idle.Before(due) {
			due = idle
		}
	}
	if wake := s.clock.wakeAt(); !s.open && !wake.IsZero() && wake.Before(due) {
		due = wake
	}
	if !s.deadline.IsZero() && !due.Before(s.deadline) {
		return nil
	}
	s.deadline = due
	if err := s.conn.Conn().SetReadDeadline(due); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	// The end of ctx moves the deadline into the past, maybe before we moved it.
	return context.Cause(ctx)
}

// woken reports whether a read ended before its time, because a Sync has.
func (s *stream) woken(ctx context.Context) bool {
	if ctx.Err() != nil || !s.now.Before(s.deadline) {
		return false
	}
	s.deadline = time.Time{}
	return true
}

// silence is what a passed deadline means.
func (s *stream) silence(ctx context.Context) error {
	s.deadline = time.Time{}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if silent := s.now.Sub(s.conn.in.heard); silent > s.patience {
		return fmt.Errorf("read the log: the server has been silent for %v", silent.Round(time.Second))
	}
	return nil
}

// reportDue reports whether the server waits for a status or may soon miss it, or is to
// be asked for its clock.
func (s *stream) reportDue() bool { return s.asked || !s.now.Before(s.reportAt) || s.clockDue() }

// clockDue reports whether the sink waits for what the server's clock shows by now.
func (s *stream) clockDue() bool {
	wake := s.clock.wakeAt()
	return !s.open && !wake.IsZero() && !s.now.Before(wake)
}

// report confirms what is durable.
func (s *stream) report() error {
	s.now = time.Now()
	if err := s.conn.Conn().SetWriteDeadline(s.now.Add(s.patience)); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	confirmed, askClock := s.confirmable(), s.clockDue()
	flushed := pglogrepl.LSN(s.at.theirs(confirmed))
	err := pglogrepl.SendStandbyStatusUpdate(context.Background(), s.conn.PgConn, pglogrepl.StandbyStatusUpdate{
		// All three, always: a flush position of zero would become the write position.
		WALWritePosition: flushed, WALFlushPosition: flushed, WALApplyPosition: flushed,
		ClientTime:     s.now,
		ReplyRequested: askClock || s.now.Sub(s.conn.in.heard) >= s.reportEvery/2, // is anybody there?
	})
	if err != nil {
		return fmt.Errorf("confirm %v: %w", s.at.theirs(confirmed), err)
	}
	if askClock {
		s.clock.asked = s.now
	}
	s.asked = false
	s.reportAt = s.now.Add(s.reportEvery)
	raise(&s.board.confirmed, confirmed)
	return nil
}

// end says goodbye: the server knows what we have before the connection closes.
func (s *stream) end() error {
	if err := s.report(); err != nil {
		return err
	}
	frontend := s.conn.Frontend()
	frontend.Send(&pgproto3.CopyDone{})
	if err := frontend.Flush(); err != nil {
		return fmt.Errorf("end the stream: %w", err)
	}
	// In the middle of a big transaction the server goes on sending it.
	if err := s.conn.Conn().SetReadDeadline(s.now.Add(time.Second)); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	for {
		msg, err := frontend.Receive()
		if err != nil {
			return nil // the server got what it needs or will send it again
		}
		if _, ok := msg.(*pgproto3.ReadyForQuery); ok {
			return nil
		}
	}
}
