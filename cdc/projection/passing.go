package projection

import (
	"encoding/binary"
	"time"
)

// What a held row means may change because a moment comes: an enrolment ends, an
// assignment appears. Then the row is read again, by the clock of the log as in
// closing.go, and what follows is stored durably before anybody is told, at the position
// of the last transaction that was applied.

// moment is one that may have to be found anew.
type moment struct {
	at    time.Time // zero: there is none
	known bool
}

// nextPassing is when the next held row has to be read again; zero: none has.
func (p *Projection) nextPassing() (time.Time, error) {
	if p.passing.known || len(p.derived) == 0 {
		return p.passing.at, nil
	}
	if err := p.flush(); err != nil {
		return time.Time{}, err
	}
	next := moment{known: true}
	for pair, err := range p.shadow.Scan([]byte{keyMoment}) {
		if err != nil {
			return time.Time{}, err
		}
		if next.at, err = momentOf(pair.Key[1:]); err != nil {
			return time.Time{}, err
		}
		break
	}
	p.passing = next
	return next.at, nil
}

// momentOf reads the moment that the rest of an index entry's key begins with.
func momentOf(key []byte) (time.Time, error) {
	r := reader{b: key}
	at := time.UnixMicro(int64(r.uint64())).UTC()
	return at, r.err
}

// mayPass notes that a held row has to be read again at a moment.
func (p *Projection) mayPass(at time.Time) {
	if !at.IsZero() && p.passing.known && (p.passing.at.IsZero() || at.Before(p.passing.at)) {
		p.passing.at = at
	}
}

// nextMoment is when something next changes by itself; zero: nothing does.
func (p *Projection) nextMoment() time.Time {
	next := p.nextClosing()
	if at := p.passing.at; p.passing.known && !at.IsZero() && (next.IsZero() || at.Before(next)) {
		next = at
	}
	return next
}

// clockAt is the log's clock at the time of a transaction. Commit times may go back; the
// clock does not, so that what has passed has.
func (p *Projection) clockAt(at time.Time) time.Time {
	if at.After(p.clock) {
		p.clock = at
	}
	return p.clock
}

// pass reads again what changes at a moment.
func (p *Projection) pass(at time.Time) error {
	if err := p.flush(); err != nil {
		return err
	}
	f := &p.fold
	f.reset()
	f.time = at
	prefix := binary.BigEndian.AppendUint64([]byte{keyMoment}, uint64(at.UnixMicro()))
	if err := f.touchHeld(prefix, f.makeHeldRoom); err != nil {
		return err
	}
	w := f.begin(p.cursor().LSN)
	if err := f.settle(w); err != nil {
		return err
	}
	f.noteAdmins(w.before())
	p.passing = moment{}
	return p.keepByClock(w)
}
