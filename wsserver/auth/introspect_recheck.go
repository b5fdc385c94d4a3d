package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Recheck says which credentials the LMS does not take any more, or takes for somebody
// else's, and moves Expires and Role where the LMS did. Every credential is asked about once,
// whoever else waits: it takes as long as Rate and AtOnce let it. Where the LMS cannot
// tell of several in a row, the others are left for the next time.
func (w *Introspection) Recheck(ctx context.Context, ids []Identity) (revoked []int, err error) {
	ask := &recheck{way: w, ids: ids, places: map[digest][]int{}}
	var keys []digest
	for i, id := range ids {
		d := w.digest(id.proof)
		if ask.places[d] == nil {
			keys = append(keys, d)
		}
		ask.places[d] = append(ask.places[d], i)
	}
	// In any order, or those of whom the LMS cannot tell would keep us from the others
	// every time.
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var asking sync.WaitGroup
	for range min(w.cfg.AtOnce, len(keys)) {
		asking.Go(func() {
			for {
				n := int(ask.next.Add(1)) - 1
				if n >= len(keys) || !ask.one(ctx, keys[n]) {
					return
				}
			}
		})
	}
	asking.Wait()
	if ask.err != nil {
		return ask.revoked, unknown(ctx, "show credentials to the LMS again", ask.err)
	}
	return ask.revoked, nil
}

// recheck is what one Recheck found out so far.
type recheck struct {
	way    *Introspection
	ids    []Identity
	places map[digest][]int // where the identities of a credential stand in ids
	next   atomic.Int64

	mu      sync.Mutex // guards what follows, and ids
	revoked []int
	untold  int // in a row
	err     error
}

// enough is after how many failures in a row a Recheck gives up.
const enough = 16

// one asks about one credential. It reports whether it is worth while to go on.
func (r *recheck) one(ctx context.Context, d digest) bool {
	places := r.places[d]
	v, err := r.way.again(ctx, r.ids[places[0]].proof, d)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.untold++
		r.err = err
		return r.untold < enough && ctx.Err() == nil
	}
	r.untold = 0
	for _, i := range places {
		if v.user != r.ids[i].User {
			r.revoked = append(r.revoked, i)
			continue
		}
		r.ids[i].Expires, r.ids[i].Role = v.expires, v.role
	}
	return true
}

// again asks whatever was said before.
func (w *Introspection) again(ctx context.Context, key secret, d digest) (verdict, error) {
	if err := w.wide.enter(ctx, time.Hour); err != nil {
		return verdict{}, err
	}
	defer w.wide.leave()
	return w.ask(ctx, key, d)
}

// A lane bounds how many questions are under way at once, and how many begin in a
// second.
type lane struct {
	places chan struct{}
	every  time.Duration
	saved  time.Duration // how much of a pause may be made up for

	mu   sync.Mutex
	next time.Time // when the next question may begin; guarded by mu
}

func newLane(rate, atOnce int) *lane {
	return &lane{places: make(chan struct{}, atOnce), every: time.Second / time.Duration(rate), saved: time.Second}
}

// errCrowded means that the LMS has been asked as much as it should be for the moment.
var errCrowded = fmt.Errorf("more questions to the LMS than may be asked within %v; is this an attack, or introspect_rate too low?", patience)

// enter waits for a place, unless that takes too long. Whoever has one must leave.
func (l *lane) enter(ctx context.Context, atMost time.Duration) error {
	wait, ok := l.turn(atMost)
	if !ok {
		return errCrowded
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	timer.Reset(atMost)
	select {
	case l.places <- struct{}{}:
		return nil
	case <-timer.C:
		return errCrowded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// turn takes the next moment at which a question may begin.
func (l *lane) turn(atMost time.Duration) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if earliest := now.Add(-l.saved); l.next.Before(earliest) {
		l.next = earliest
	}
	if wait = l.next.Sub(now); wait > atMost {
		return 0, false
	}
	l.next = l.next.Add(l.every)
	return max(wait, 0), true
}

func (l *lane) leave() { <-l.places }
