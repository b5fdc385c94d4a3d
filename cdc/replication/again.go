package replication

import (
	"context"
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
)

// again judges what the server sends a second time: from where its slot stands up to
// where the sink does.
//
// After a crash of the server its slot stands further back than we do, and the same
// comes again. But it also stands further back when the whole server was set back, by a
// copy of its disk; and if the LMS has written past our position since then, nothing
// else tells: identifier, timeline and the end of the log are as they should be. Then the
// newest transaction that we were given does not come again, or others come after it.
type again struct {
	from, upTo cdc.LSN
	last       cdc.Mark // zero: the sink was given none since its snapshot
	seen       bool
}

// matters reports whether a transaction that comes again tells anything.
func (a *again) matters(commit cdc.LSN) bool { return commit >= a.last.Commit }

// came judges one that matters and begins before upTo; some: it has changes of ours.
func (a *again) came(tx cdc.Mark, some bool) bool {
	if tx.Commit == a.last.Commit {
		a.seen = some && tx == a.last
		return a.seen
	}
	return a.complete() && !some
}

// complete reports whether all has come that had to, when nothing more comes.
func (a *again) complete() bool { return a.seen || a.last.Commit < a.from || a.last == cdc.Mark{} }

// repeated reads a transaction that the sink was given already.
func (s *stream) repeated(ctx context.Context) error {
	if s.again == nil || !s.again.matters(s.tx.Commit) {
		return s.skip(ctx)
	}
	some, err := s.peek(ctx)
	if err != nil {
		return err
	}
	if err := s.skip(ctx); err != nil {
		return err
	}
	if !s.again.came(s.tx.Mark(), some) {
		return s.setBack(s.tx.Commit)
	}
	return nil
}

// reached ends the part that comes again: the log stands at or after its end.
func (s *stream) reached() error {
	if s.again == nil {
		return nil
	}
	if !s.again.complete() {
		return s.setBack(s.again.last.Commit)
	}
	s.again = nil
	s.asked = true // what was held back may be confirmed
	return nil
}

// confirmable is up to where the server may forget its log. While we do not know yet
// whether it is the log that we have read, it keeps what tells.
func (s *stream) confirmable() cdc.LSN {
	if s.again != nil {
		return min(s.again.from, s.at.durable)
	}
	return s.at.durable
}

func (s *stream) setBack(at cdc.LSN) *loss {
	return &loss{ServerRestored, fmt.Sprintf("the log at %v is not the one that we have read: the server was set back to an older copy, and written on", s.at.theirs(at))}
}
