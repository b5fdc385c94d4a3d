package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/schoolbell/schoolbell/router"
)

// past is the history as the gateway keeps it, a store below a router, filled by rule:
// whom an event concerns follows from its position, so that every client knows what it
// is owed.
type past struct {
	store  *shadow.Store
	router *router.Router
	batch  *shadow.Batch
	newest atomic.Int64  // the last LSN
	over   chan struct{} // closed when nothing more is committed
}

const (
	teachers = 6
	admin    = 100
)

var morning = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func newPast(t *testing.T) *past {
	t.Helper()
	store, err := shadow.Open(t.TempDir(), shadow.Config{MemtableBytes: 256 << 10})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	p := &past{store: store, batch: store.NewBatch(), over: make(chan struct{})}
	p.router = router.New(store, router.Config{Queue: 64, BulkLimit: 50})
	p.router.Start(cdc.Position{})
	return p
}

// events are those of one transaction; its LSN is its second of the morning, too.
func pastEvents(lsn int) []*cdc.Event {
	all := make([]*cdc.Event, 1+lsn%3)
	for i := range all {
		at := cdc.Position{LSN: cdc.LSN(lsn), Index: uint32(i + 1)}
		all[i] = &cdc.Event{
			Position: at, Kind: cdc.Grade, Time: morning.Add(time.Duration(lsn) * time.Second),
			Audience: cdc.Audience{People: []cdc.ID{cdc.IntID(int64((lsn + i) % teachers))}, Admins: (lsn+i)%2 == 0},
			Body:     fmt.Appendf(nil, `{"type":"grade","id":"%v","pad":"%0200d"}`, at, lsn),
		}
	}
	return all
}

// owed reports whether an event concerns a person.
func owed(person int64, e *cdc.Event) bool {
	return e.Audience.People[0] == cdc.IntID(person) || person == admin && e.Audience.Admins
}

func pastPerson(id int64) cdc.Person {
	p := cdc.Person{ID: cdc.IntID(id), Role: cdc.Teacher, Active: true}
	if id == admin {
		p.Role = cdc.Admin
	}
	return p
}

// commit is one transaction, kept and published.
func (p *past) commit(lsn int) error {
	events := pastEvents(lsn)
	p.batch.Reset()
	for _, e := range events {
		p.batch.Append(e)
	}
	p.batch.SetCheckpoint(shadow.Checkpoint{Complete: true, Checkpoint: cdc.Checkpoint{Applied: cdc.LSN(lsn)}})
	if err := p.batch.Commit(); err != nil {
		return err
	}
	p.router.Publish(router.Batch{Cursor: events[len(events)-1].Position, Events: events})
	p.newest.Store(int64(lsn))
	return nil
}

func (p *past) fill(t *testing.T, to int) {
	t.Helper()
	for lsn := 1; lsn <= to; lsn++ {
		require.NoError(t, p.commit(lsn))
	}
}

// story is what one person was given, as a check against the rule.
type story struct {
	person int64
	from   cdc.Position   // everything after it is owed
	got    []cdc.Position // events
	gaps   []span
}

// A span is what a gap stands for: after from, up to and with to.
type span struct{ from, to cdc.Position }

func (s *story) take(m *router.Message) error {
	if m.Type != router.GapType {
		s.got = append(s.got, m.Position)
		return nil
	}
	var g span
	var reason, from, to string
	if _, err := fmt.Sscanf(string(m.Body), `{"type":"gap","reason":%q,"from":%q,"to":%q,`, &reason, &from, &to); err != nil {
		return fmt.Errorf("%s: %w", m.Body, err)
	}
	if reason != "retention" {
		return fmt.Errorf("%s: only retention can be a reason here", m.Body)
	}
	g.from, _ = cdc.ParsePosition(from)
	g.to, _ = cdc.ParsePosition(to)
	s.gaps = append(s.gaps, g)
	return nil
}

// check finds every event that is owed up to the end once: given, or in a gap, which
// reaches no further than what was removed.
func (s *story) check(end int, kept cdc.Position) error {
	given := s.got
	for lsn := max(1, int(s.from.LSN)); lsn <= end; lsn++ {
		for _, e := range pastEvents(lsn) {
			if !e.Position.After(s.from) || !owed(s.person, e) {
				continue
			}
			missing := slices.ContainsFunc(s.gaps, func(g span) bool {
				return e.Position.After(g.from) && !e.Position.After(g.to)
			})
			has := len(given) > 0 && given[0] == e.Position
			switch {
			case has && missing:
				return fmt.Errorf("person %d was given %v, and told that it is missing", s.person, e.Position)
			case !has && !missing:
				return fmt.Errorf("person %d from %v lost %v: the next is %v", s.person, s.from, e.Position, given[:min(1, len(given))])
			case has:
				given = given[1:]
			}
		}
	}
	if len(given) > 0 {
		return fmt.Errorf("person %d was given %v, which nobody expected", s.person, given[0])
	}
	for _, g := range s.gaps {
		if g.to.After(kept) || !g.to.After(g.from) {
			return fmt.Errorf("person %d was told of the gap %v, but everything after %v is kept", s.person, g, kept)
		}
	}
	return nil
}

// follow takes until the person has everything up to the end, in several connections
// of random length, the way a client with a bad line does.
func (p *past) follow(s *story, end int, random *rand.Rand) error {
	since := s.from
	buf := make([]*router.Message, 1+random.IntN(100))
	for since.LSN < cdc.LSN(end) {
		woken := make(chan struct{}, 1)
		sub, err := p.router.Subscribe(router.Request{Person: pastPerson(s.person), Since: &since, Wake: func(error) {
			select {
			case woken <- struct{}{}:
			default:
			}
		}})
		if err != nil {
			return err
		}
		for range 1 + random.IntN(60) {
			taken, err := sub.Take(buf)
			if errors.Is(err, router.ErrSlow) {
				break
			}
			if err != nil {
				return err
			}
			for _, m := range buf[:taken.N] {
				if err := s.take(m); err != nil {
					return err
				}
			}
			if since = taken.Cursor; since.LSN >= cdc.LSN(end) {
				break
			}
			if taken.More {
				continue
			}
			select {
			case <-woken:
			case <-p.over: // the last transactions need not have been theirs
			}
		}
		sub.Close()
	}
	return nil
}

// read asks for one page after the other until the end.
func (p *past) read(t *testing.T, s *story, end int, random *rand.Rand) error {
	since := s.from
	for since.LSN < cdc.LSN(end) {
		page, err := p.router.Page(t.Context(), pastPerson(s.person), nil, &since, 1+random.IntN(300))
		if err != nil {
			return err
		}
		if page.Gap != nil {
			if err := s.take(page.Gap); err != nil {
				return err
			}
		}
		for _, m := range page.Messages {
			if err := s.take(m); err != nil {
				return err
			}
		}
		if since.After(page.Cursor) {
			return fmt.Errorf("a page after %v ends at %v", since, page.Cursor)
		}
		since = page.Cursor
	}
	return nil
}

// Clients join, page and are cut off at random positions while events arrive as fast as
// the store takes them and old ones are removed. Every event that is owed is given once
// or told to be missing, and missing is only what was removed.
func TestManyJoinAndPageUnderLoadAndTrimsAndNothingIsLostOrDoubled(t *testing.T) {
	const before, end = 1000, 4000
	p := newPast(t)
	p.fill(t, before)
	var wg sync.WaitGroup
	var stories []*story
	for i := range 16 {
		random := rand.New(rand.NewPCG(7, uint64(i)))
		s := &story{person: int64(i % (teachers + 1))}
		if s.person == teachers {
			s.person = admin
		}
		s.from = cdc.Position{LSN: cdc.LSN(random.IntN(before)), Index: random.Uint32N(4)}
		stories = append(stories, s)
		wg.Go(func() {
			follow := func() error { return p.follow(s, end, random) }
			if i%4 == 0 {
				follow = func() error { return p.read(t, s, end, random) }
			}
			if err := follow(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		for pause := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-p.over:
				pause.Stop()
				return
			case <-pause.C:
			}
			if _, err := p.store.Trim(morning.Add(time.Duration(p.newest.Load()-800)*time.Second), 0); err != nil {
				t.Error(err)
				return
			}
		}
	})
	began, events := time.Now(), 0
	for lsn := before + 1; lsn <= end; lsn++ {
		if err := p.commit(lsn); err != nil {
			t.Error(err)
			break
		}
		events += len(pastEvents(lsn))
	}
	rate := float64(events) / time.Since(began).Seconds()
	close(p.over)
	wg.Wait()
	kept := p.store.Kept()
	given, gaps := 0, 0
	for _, s := range stories {
		require.NoError(t, s.check(end, kept))
		given += len(s.got)
		gaps += len(s.gaps)
	}
	stats := p.router.Stats()
	require.Greater(t, stats.Resumed+stats.Reset, uint64(len(stories)))
	t.Logf("%.0f events/s, %d given, %d gaps, %d joins, %d slow", rate, given, gaps, stats.Resumed+stats.Reset, stats.Slow)
}

func TestASinceBeforeWhatRetentionLeftGetsOneGapThenAllThatIsKeptThenWhatHappens(t *testing.T) {
	const end = 4000
	for _, c := range []struct {
		name string
		trim func(p *past) (int, error)
	}{
		{"by age", func(p *past) (int, error) { return p.store.Trim(morning.Add(3000*time.Second), 0) }},
		{"by size", func(p *past) (int, error) { return p.store.Trim(time.Time{}, 200<<10) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPast(t)
			p.fill(t, end)
			removed, err := c.trim(p)
			require.NoError(t, err)
			require.Greater(t, removed, 1000)
			kept := p.store.Kept()
			require.Less(t, kept.LSN, cdc.LSN(end-100))
			for _, since := range []cdc.Position{{}, {LSN: 500, Index: 1}, {LSN: kept.LSN, Index: kept.Index - 1}} {
				sub, err := p.router.Subscribe(router.Request{Person: pastPerson(admin), Since: &since, Wake: func(error) {}})
				require.NoError(t, err)
				require.False(t, sub.Resumed())
				s := &story{person: admin, from: since}
				next := int(p.newest.Load()) + 1
				require.NoError(t, p.commit(next))
				for more := true; more; {
					buf := make([]*router.Message, 77)
					taken, err := sub.Take(buf)
					require.NoError(t, err)
					for _, m := range buf[:taken.N] {
						require.NoError(t, s.take(m))
					}
					more = taken.More
				}
				require.Equal(t, []span{{since, kept}}, s.gaps)
				require.NoError(t, s.check(next, kept))

				s = &story{person: admin, from: since}
				require.NoError(t, p.read(t, s, next, rand.New(rand.NewPCG(1, 2))))
				require.Equal(t, []span{{since, kept}}, s.gaps, "the same over HTTP")
				require.NoError(t, s.check(next, kept))
				sub.Close()
			}
			sub, err := p.router.Subscribe(router.Request{Person: pastPerson(admin), Since: &kept, Wake: func(error) {}})
			require.NoError(t, err)
			require.True(t, sub.Resumed(), "from the edge of what is kept nothing is missing")
			sub.Close()
		})
	}
}

// Somebody to whom nothing happened for long has a cursor that is newer than their last
// event; what was removed before it is nothing to them.
func TestAnIdlePersonsCursorOutlivesTheHistoryBeforeIt(t *testing.T) {
	p := newPast(t)
	idle := pastPerson(99)
	sub, err := p.router.Subscribe(router.Request{Person: idle, Wake: func(error) {}})
	require.NoError(t, err)
	p.fill(t, 300)
	taken, err := sub.Take(make([]*router.Message, 10))
	require.NoError(t, err)
	require.Zero(t, taken.N)
	sub.Close()
	cursor := taken.Cursor // what a ping, pong or metrics carries
	removed, err := p.store.Trim(morning.Add(time.Hour), 0)
	require.NoError(t, err)
	require.Positive(t, removed)
	require.Equal(t, cursor, p.store.Kept(), "the whole history is gone")

	mine := &cdc.Event{
		Position: cdc.Position{LSN: 301, Index: 1}, Kind: cdc.Grade, Time: morning,
		Audience: cdc.Audience{People: []cdc.ID{idle.ID}}, Body: []byte(`{}`),
	}
	p.batch.Reset()
	p.batch.Append(mine)
	require.NoError(t, p.batch.Commit())
	p.router.Publish(router.Batch{Cursor: mine.Position, Events: []*cdc.Event{mine}})
	sub, err = p.router.Subscribe(router.Request{Person: idle, Since: &cursor, Wake: func(error) {}})
	require.NoError(t, err)
	defer sub.Close()
	require.True(t, sub.Resumed())
	buf := make([]*router.Message, 10)
	taken, err = sub.Take(buf)
	require.NoError(t, err)
	require.Equal(t, 1, taken.N)
	require.Equal(t, mine.Position, buf[0].Position)
}
