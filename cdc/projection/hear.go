package projection

import (
	"errors"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Messages that SQL published with pg_logical_emit_message are a part of their
// transaction: events behind its own, in order, with its commit's time. The log brings
// them again as it brings rows. What is no message is counted and left: nobody could put
// right what is in the log, and the transaction's rows must be told.

// Hearings are the words for what became of such a message.
var Hearings = [...]string{"published", "malformed", "too_large", "too_many", "unknown_user"}

// hearing is an index of Hearings.
type hearing int

const (
	published hearing = iota
	malformed
	tooLarge
	tooMany
	unknownUser
)

// Why a message was left, beside what ParseMessage says. None of it holds anything of
// the message.
var (
	errTooLarge = errors.New("the message is too large; fix: publish at most 64 KB, and let clients ask for the rest")
	errTooMany  = errors.New("the transaction has too many messages; fix: publish at most 10,000 and 8 MB in one")
)

// hear writes the messages of the transaction as its next events.
func (w *eventWriter) hear(tx *cdc.Tx) error {
	if len(tx.Messages) == 0 && tx.MessagesLeft == 0 {
		return nil
	}
	for _, text := range tx.Messages {
		heard, err := w.message(text)
		w.heard[heard]++
		w.complain(err)
	}
	if tx.MessagesLeft > 0 {
		w.heard[tooMany] += uint64(tx.MessagesLeft)
		w.complain(errTooMany)
	}
	return w.failed()
}

func (w *eventWriter) message(text []byte) (hearing, error) {
	if text == nil {
		return tooLarge, errTooLarge
	}
	m, err := cdc.ParseMessage(text)
	switch {
	case err != nil:
		return malformed, err
	case !m.User.IsZero() && !w.fold.hasPerson(m.User):
		return unknownUser, cdc.ErrNoPerson
	}
	w.custom(m)
	return published, nil
}

// complain says in the log, now and then, that a message was left.
func (w *eventWriter) complain(err error) {
	const often = time.Minute
	p := w.fold.p
	if now := time.Now(); err != nil && now.Sub(p.complained) >= often {
		p.complained = now
		p.cfg.Log.Warn("a message that SQL published was not told; others are counted", "lsn", w.commit, "reason", err)
	}
}

// hasPerson reports whether there is somebody with the key by the end of the transaction.
func (f *fold) hasPerson(id cdc.ID) bool {
	if r, ok := f.people.index[id]; ok {
		return r.exists
	}
	_, ok := f.p.people[id]
	return ok
}
