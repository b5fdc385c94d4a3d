package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// digest is the keyed hash of a credential.
type digest [sha256.Size]byte

// A verdict is what the LMS said of a credential.
type verdict struct {
	user    string // the LMS's key of the account; "": it is not valid
	why     string // it is not valid
	role    string // the only one that it is for; "": any
	expires time.Time
}

// knowledge is what a verdict that was remembered is worth.
type knowledge int

const (
	none  knowledge = iota
	stale           // it was good once, and has to be asked about again
	fresh
)

// mostSeen is how many good credentials are remembered, and how many bad ones.
const mostSeen = 1 << 15

// verdicts remembers what the LMS said, the good apart from the bad, so that no number
// of bad credentials displaces a good one.
type verdicts struct {
	lasts time.Duration // how long a verdict counts

	mu        sync.Mutex // guards what follows
	good, bad shelf
}

func newVerdicts(lasts time.Duration) *verdicts { return &verdicts{lasts: lasts} }

// of is what is remembered of a credential. A verdict that is not fresh is not given.
func (v *verdicts) of(d digest) (verdict, knowledge) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if n, ok := v.bad.of(d); ok && now.Sub(n.at) < v.lasts {
		return n.verdict, fresh
	}
	n, ok := v.good.of(d)
	switch {
	case !ok:
		return verdict{}, none
	case now.Sub(n.at) >= v.lasts, !n.expires.IsZero() && !now.Before(n.expires):
		return verdict{}, stale
	}
	return n.verdict, fresh
}

// note remembers a verdict that the LMS gave on a question that was asked at a moment.
func (v *verdicts) note(d digest, said verdict, asked time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range []*shelf{&v.good, &v.bad} {
		if n, ok := s.of(d); ok && n.at.After(asked) {
			return // a later question was answered sooner
		}
	}
	to, from := &v.good, &v.bad
	if said.user == "" {
		to, from = from, to
	}
	from.forget(d)
	to.put(d, noted{said, asked})
}

type noted struct {
	verdict
	at time.Time
}

// A shelf holds up to mostSeen verdicts. When half of them have come since it was
// cleared up last, those that nobody asked for meanwhile are forgotten.
type shelf struct{ recent, before map[digest]noted }

func (s *shelf) of(d digest) (noted, bool) {
	if n, ok := s.recent[d]; ok {
		return n, true
	}
	n, ok := s.before[d]
	if ok {
		delete(s.before, d)
		s.put(d, n)
	}
	return n, ok
}

func (s *shelf) put(d digest, n noted) {
	delete(s.before, d)
	if len(s.recent) >= mostSeen/2 {
		s.before, s.recent = s.recent, nil
	}
	if s.recent == nil {
		s.recent = map[digest]noted{}
	}
	s.recent[d] = n
}

func (s *shelf) forget(d digest) {
	delete(s.recent, d)
	delete(s.before, d)
}
