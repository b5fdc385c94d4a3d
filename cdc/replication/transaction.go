package replication

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
)

// transaction is the one that is being read.
type transaction struct {
	decoder *pgoutput.Decoder
	changed func(*cdc.Table)       // is told of every table that the log describes anew
	suits   func(*cdc.Table) error // as in Config
	tables  map[uint32]*known      // that the sink has, by oid
	short   map[*cdc.Table]*short  // of which the log lacks columns

	heeds bool                   // messages, as in Config.Messages
	echo  func(text []byte) bool // as in Config

	tx     cdc.Tx // what the sink sees; used again for the next one
	open   bool
	first  *cdc.Change // read before the sink is called; nil when it was taken
	failed error       // why the changes ended early

	bytes     int          // of tx.Messages
	truncated []*cdc.Table // still to be yielded, one by one
	truncate  cdc.Change
	last      *cdc.Table // of the last change, and
	counter   *counter   // its counter; nil: the table is not one of ours
}

// begin reads a message that came outside of any transaction, and reports whether
// one begins with it.
func (s *stream) begin() (bool, error) {
	m, err := s.decode()
	if err != nil {
		return false, err
	}
	switch m := m.(type) {
	case *pgoutput.Begin:
		s.open = true
		s.first, s.failed, s.truncated = nil, nil, nil
		s.tx.XID, s.tx.Commit, s.tx.CommitTime = m.XID, s.at.ours(serverLSN(m.FinalLSN)), m.CommitTime
		s.tx.End, s.tx.More = 0, false
		s.tx.Messages, s.tx.MessagesLeft, s.tx.Echoes, s.bytes = nil, 0, nil, 0
		return true, nil
	case *pgoutput.Relation:
		return false, s.describe(m)
	case *pgoutput.LogicalMessage:
		s.collect(m)
	case *pgoutput.Type, *pgoutput.Origin:
	default:
		return false, &protocolError{fmt.Errorf("%T outside of any transaction", m)}
	}
	return false, nil
}

// peek reads up to the first change and reports whether there is one: before
// PostgreSQL 15 every transaction of the database is announced, ours or not. Where there
// is none, the transaction has been read, and its messages are known.
func (s *stream) peek(ctx context.Context) (bool, error) {
	var err error
	s.first, err = s.change(ctx)
	return s.first != nil, err
}

// skip reads to the end of the transaction.
func (s *stream) skip(ctx context.Context) error {
	for s.open {
		if _, err := s.change(ctx); err != nil {
			return err
		}
	}
	return nil
}

// yield is the transaction's Changes.
func (s *stream) yield(ctx context.Context, yield func(*cdc.Change, error) bool) {
	for s.open && s.failed == nil {
		c := s.first
		s.first = nil
		if c == nil {
			if c, s.failed = s.change(ctx); s.failed != nil {
				yield(nil, s.failed)
				return
			}
		}
		if c == nil {
			return
		}
		s.counter.count(c.Op)
		if !yield(c, nil) {
			return
		}
	}
}

// change reads the next change of a table of ours; nil at the end of the transaction,
// which is then closed.
func (s *stream) change(ctx context.Context) (*cdc.Change, error) {
	for {
		if len(s.truncated) > 0 {
			t := s.truncated[0]
			s.truncated = s.truncated[1:]
			if s.ours(t) {
				s.truncate = cdc.Change{Op: cdc.Truncate, Table: t}
				return s.stretch(&s.truncate), nil
			}
			continue
		}
		m, err := s.message(ctx)
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgoutput.Row:
			if s.ours(m.Change.Table) {
				return s.stretch(&m.Change), nil
			}
		case *pgoutput.Truncate:
			s.truncated = m.Tables
		case *pgoutput.Relation:
			if err := s.describe(m); err != nil {
				return nil, err
			}
		case *pgoutput.Commit:
			return nil, s.commit(m)
		case *pgoutput.LogicalMessage:
			s.collect(m)
		case *pgoutput.Type, *pgoutput.Origin:
		default:
			return nil, &protocolError{fmt.Errorf("%T inside a transaction", m)}
		}
	}
}

// collect keeps a message of ours. One that belongs to no transaction may tell of what
// was rolled back, and comes again with no way to say that it did: it is only counted.
// What says to be an echo is one if it is waited for: anybody may write there.
func (s *stream) collect(m *pgoutput.LogicalMessage) {
	switch {
	case string(m.Prefix) == cdc.EchoPrefix:
		if m.Transactional && s.open && s.echo != nil && s.echo(m.Content) {
			s.tx.Echoes = append(s.tx.Echoes, bytes.Clone(m.Content))
		}
	case !s.heeds || string(m.Prefix) != cdc.MessagePrefix:
	case !m.Transactional || !s.open:
		s.board.loose.Add(1)
	case len(s.tx.Messages) == cdc.MessagesAtMost || s.bytes+len(m.Content) > cdc.MessageBytes:
		s.tx.MessagesLeft++
	case len(m.Content) > cdc.MessageSize:
		s.tx.Messages = append(s.tx.Messages, nil)
	default:
		s.tx.Messages = append(s.tx.Messages, bytes.Clone(m.Content))
		s.bytes += len(m.Content)
	}
}

// ours reports whether the table is one that was asked for: somebody may have added
// others to the publication.
func (s *stream) ours(t *cdc.Table) bool {
	if t != s.last {
		s.last, s.counter = t, s.board.counter(t)
	}
	return s.counter != nil
}

func (s *stream) commit(m *pgoutput.Commit) error {
	if s.at.ours(serverLSN(m.CommitLSN)) != s.tx.Commit || m.EndLSN <= m.CommitLSN {
		return &protocolError{fmt.Errorf("the transaction at %v ends with a commit at %v, ending at %v", s.at.theirs(s.tx.Commit), m.CommitLSN, m.EndLSN)}
	}
	s.open, s.tx.End, s.tx.More = false, s.at.ours(serverLSN(m.EndLSN)), s.conn.in.more()
	return nil
}

// message reads the next message of the open transaction. The server is answered on
// the way, however long the transaction is.
func (s *stream) message(ctx context.Context) (pgoutput.Message, error) {
	for {
		what, err := s.next(ctx)
		if err != nil {
			return nil, err
		}
		if s.reportDue() {
			if err := s.report(); err != nil {
				return nil, err
			}
		}
		if what == logData {
			return s.decode()
		}
	}
}

func (s *stream) decode() (pgoutput.Message, error) {
	m, err := s.decoder.Decode(s.data.WALData)
	if err != nil {
		return nil, &protocolError{err}
	}
	return m, nil
}

var errLeftOver = errors.New("the sink did not read all changes of the transaction; this is a mistake in schoolbell: please report it")
