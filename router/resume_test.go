package router_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

func TestResume(t *testing.T) {
	end := cdc.LSN(100)
	tests := []struct {
		name    string
		since   cdc.Position
		resumed bool
		want    []string // of the events 4.1 to 6.1 in the history, and then 7.1 and 9.1 live
	}{
		{"from the last event: nothing but what is live", pos(6, 1), true, []string{"0/7.1", "0/9.1"}},
		{"from the middle of a transaction", pos(5, 1), true, []string{"0/5.2", "0/6.1", "0/7.1", "0/9.1"}},
		{"from the edge of what is kept", pos(3, 9), true, []string{"0/4.1", "0/5.1", "0/5.2", "0/6.1", "0/7.1", "0/9.1"}},
		{"from before what is kept", pos(3, 8), false, []string{"gap retention 0/3.8-0/3.9 ?", "0/4.1", "0/5.1", "0/5.2", "0/6.1", "0/7.1", "0/9.1"}},
		{"from the edge of what was lost", pos(2, 5), false, []string{"gap retention 0/2.5-0/3.9 ?", "0/4.1", "0/5.1", "0/5.2", "0/6.1", "0/7.1", "0/9.1"}},
		{"from before this history", pos(2, 4), false, []string{"gap history_lost 0/2.4-0/3.9 ?", "0/4.1", "0/5.1", "0/5.2", "0/6.1", "0/7.1", "0/9.1"}},
		{"from the very beginning", cdc.Position{}, false, []string{"gap history_lost 0/0.0-0/3.9 ?", "0/4.1", "0/5.1", "0/5.2", "0/6.1", "0/7.1", "0/9.1"}},
		{"from what was told and not durable before a crash", pos(7, 1), true, []string{"0/9.1"}},
		{"from beyond the server's log", pos(101, 1), false, []string{"gap history_lost 0/65.1-0/6.1 ?", "0/7.1", "0/9.1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSchool(router.Config{End: func() cdc.LSN { return end }})
			s.commit(event(pos(4, 1), false, 1), event(pos(5, 1), false, 1), event(pos(5, 2), false, 1), event(pos(6, 1), false, 1))
			s.memory.trim(pos(3, 9))
			s.memory.lost = pos(2, 5)
			sub := s.join(t, teacher(1), &tt.since)
			require.Equal(t, tt.resumed, sub.Resumed())
			require.Equal(t, pos(6, 1), sub.Start())
			s.commit(event(pos(7, 1), false, 1))
			s.commit(event(pos(9, 1), false, 1))
			require.Equal(t, tt.want, drain(t, sub))
		})
	}
}

func TestWhatRetentionRemovesDuringAReplayIsSaid(t *testing.T) {
	s := newSchool(router.Config{})
	s.commit(event(pos(2, 1), false, 1), event(pos(3, 1), false, 1), event(pos(4, 1), false, 1))
	sub := s.join(t, teacher(1), new(pos(1, 0)))
	s.memory.during = func() { s.memory.trim(pos(3, 1)) }
	require.Equal(t, []string{"gap retention 0/1.0-0/3.1 ?", "0/4.1"}, drain(t, sub))
}

func TestAHistoryThatCannotBeReadEndsTheSubscriptionAndClaimsNoLoss(t *testing.T) {
	s := newSchool(router.Config{})
	s.commit(event(pos(2, 1), false, 1))
	sub := s.join(t, teacher(1), new(pos(1, 0)))
	s.memory.broken = errDisk
	for range 2 {
		taken, err := sub.Take(make([]*router.Message, 8))
		require.ErrorIs(t, err, router.ErrUnreadable)
		require.Zero(t, taken)
	}
	require.Zero(t, s.Stats().Replaying)
	s.memory.broken = nil
	require.Equal(t, []string{"0/2.1"}, drain(t, s.join(t, teacher(1), new(pos(1, 0)))), "whoever resumes gets it")
}

func TestAPageIsAPartOfOnesOwnHistory(t *testing.T) {
	s := newSchool(router.Config{})
	s.commit(event(pos(2, 1), true, 1), event(pos(2, 2), true), event(pos(3, 1), false, 1), event(pos(4, 1), true, 1))
	read := func(p cdc.Person, since *cdc.Position, limit int) ([]string, router.Page) {
		page, err := s.Page(t.Context(), p, nil, since, limit)
		require.NoError(t, err)
		var got []string
		for _, m := range page.Messages {
			got = append(got, say(m))
		}
		return got, page
	}
	got, page := read(teacher(1), nil, 2)
	require.Equal(t, []string{"0/2.1", "0/3.1"}, got)
	require.True(t, page.More)
	got, page = read(teacher(1), &page.Cursor, 2)
	require.Equal(t, []string{"0/4.1"}, got)
	require.False(t, page.More)
	require.Equal(t, pos(4, 1), page.Cursor)
	got, _ = read(admin(2), nil, 10)
	require.Equal(t, []string{"0/2.1", "0/2.2", "0/4.1"}, got)

	s.memory.trim(pos(2, 2))
	got, page = read(teacher(1), new(pos(1, 0)), 10)
	require.Equal(t, []string{"0/3.1", "0/4.1"}, got)
	require.Equal(t, "gap retention 0/1.0-0/2.2 ?", say(page.Gap))
	s.memory.lost = pos(1, 1)
	got, page = read(teacher(1), new(pos(1, 0)), 10)
	require.Equal(t, []string{"0/3.1", "0/4.1"}, got)
	require.Equal(t, "gap history_lost 0/1.0-0/2.2 ?", say(page.Gap))
	got, page = read(teacher(1), nil, 10)
	require.Equal(t, []string{"0/3.1", "0/4.1"}, got)
	require.Nil(t, page.Gap, "who asks for what is there misses nothing")

	_, err := s.Page(t.Context(), cdc.Person{ID: cdc.IntID(3), Role: cdc.Student, Active: true}, nil, nil, 1)
	require.ErrorIs(t, err, router.ErrRole)
}

func TestAPageSaysWhatWasRemovedBeforeItAndNeverWhatItGives(t *testing.T) {
	s := newSchool(router.Config{})
	fill := func() {
		s.memory.events, s.memory.kept = nil, cdc.Position{}
		for i := 2; i < 5; i++ {
			s.commit(event(pos(i, 1), false, 1))
		}
	}
	fill()
	s.memory.during = func() { s.memory.trim(pos(3, 1)) } // while the page is read, which still sees everything
	page, err := s.Page(t.Context(), teacher(1), nil, new(pos(1, 0)), 10)
	require.NoError(t, err)
	require.Equal(t, "gap retention 0/1.0-0/3.1 ?", say(page.Gap))
	require.Len(t, page.Messages, 1)
	require.Equal(t, pos(4, 1), page.Cursor)
	require.False(t, page.More)
}

func TestAPageAfterWhatThisServerNeverGaveSaysSo(t *testing.T) {
	s := newSchool(router.Config{End: func() cdc.LSN { return 100 }})
	s.commit(event(pos(4, 1), false, 1))
	page, err := s.Page(t.Context(), teacher(1), nil, new(pos(101, 1)), 10)
	require.NoError(t, err)
	require.Empty(t, page.Messages)
	require.Equal(t, "gap history_lost 0/65.1-0/4.1 ?", say(page.Gap))
	require.Equal(t, pos(4, 1), page.Cursor, "from there on it goes on")
	page, err = s.Page(t.Context(), teacher(1), nil, new(pos(99, 1)), 10)
	require.NoError(t, err)
	require.Nil(t, page.Gap, "we may only be behind")
	require.Equal(t, pos(99, 1), page.Cursor)
}

// A client as it should be: it remembers the newest position it has everything
// up to, and resumes from there.
type client struct {
	person cdc.Person
	from   cdc.Position // it is owed everything of its own after here
	since  cdc.Position
	sub    *router.Subscription
	got    []cdc.Position
}

func (c *client) take(t require.TestingT, n int) (more bool) {
	buf := make([]*router.Message, n)
	taken, err := c.sub.Take(buf)
	require.NoError(t, err)
	for _, m := range buf[:taken.N] {
		c.got = append(c.got, m.Position)
	}
	c.since = taken.Cursor
	return taken.More
}

func (c *client) owed(events []*cdc.Event) []cdc.Position {
	var all []cdc.Position
	for _, e := range events {
		mine := slices.Contains(e.Audience.People, c.person.ID) || e.Audience.Admins && c.person.Role == cdc.Admin
		if mine && e.Position.After(c.from) {
			all = append(all, e.Position)
		}
	}
	return all
}

// Random transactions, subscriptions, cuts and resumes, interleaved at every
// step; what each client has got must be what the history says, exactly.
func TestSubscribeIsAtomicNoGapAndNoOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSchool(router.Config{Queue: 1 << 16, BulkLimit: 1 << 15})
		lsn := 1
		var all []*cdc.Event
		var clients []*client
		audiences := rapid.SliceOfN(rapid.SliceOfNDistinct(rapid.Int64Range(0, 4), 0, 3, rapid.ID), 1, 4)
		commit := func(audiences [][]int64) { // 0 stands for the admins
			lsn += 2
			var tx []*cdc.Event
			for i, people := range audiences {
				rest := slices.DeleteFunc(slices.Clone(people), func(p int64) bool { return p == 0 })
				tx = append(tx, event(pos(lsn, i+1), len(rest) < len(people), rest...))
			}
			all = append(all, tx...)
			s.commit(tx...)
		}
		join := func(c *client, since *cdc.Position) {
			sub, err := s.Subscribe(router.Request{Person: c.person, Since: since, Wake: func(error) {}})
			require.NoError(t, err)
			require.Equal(t, since != nil, sub.Resumed())
			c.sub = sub
		}
		pick := func() *client {
			if len(clients) == 0 {
				t.Skip("nobody is there")
			}
			return clients[rapid.IntRange(0, len(clients)-1).Draw(t, "client")]
		}
		person := func() cdc.Person {
			p := teacher(rapid.Int64Range(1, 4).Draw(t, "person"))
			if p.ID == cdc.IntID(4) {
				p.Role = cdc.Admin
			}
			return p
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) { commit(audiences.Draw(t, "audiences")) },
			"commit while somebody reads the history": func(t *rapid.T) {
				tx := audiences.Draw(t, "audiences")
				s.memory.during = func() { commit(tx) }
			},
			"quiet": func(t *rapid.T) {
				lsn++
				s.Advance(pos(lsn, 0))
			},
			"arrive": func(*rapid.T) {
				c := &client{person: person(), from: s.Cursor(), since: s.Cursor()}
				join(c, nil)
				clients = append(clients, c)
			},
			"return": func(t *rapid.T) {
				c := &client{person: person()}
				c.from = pos(rapid.IntRange(1, lsn).Draw(t, "since"), rapid.IntRange(0, 3).Draw(t, "index"))
				if c.from.After(s.Cursor()) {
					c.from = s.Cursor()
				}
				c.since = c.from
				join(c, &c.from)
				clients = append(clients, c)
			},
			"take": func(t *rapid.T) { pick().take(t, rapid.IntRange(1, 4).Draw(t, "n")) },
			"cut": func(*rapid.T) {
				c := pick()
				c.sub.Close()
				since := c.since
				join(c, &since)
			},
		})
		for _, c := range clients {
			for c.take(t, 8) {
			}
			require.Equal(t, c.owed(all), c.got)
			c.sub.Close()
		}
	})
}

// The same with real concurrency, for the race detector.
func TestJoiningWhileEventsArriveLeavesNoGap(t *testing.T) {
	s := newSchool(router.Config{Queue: 1 << 16})
	const commits, readers = 400, 12
	var all []*cdc.Event
	for i := range commits {
		all = append(all, event(pos(i+2, 1), i%3 == 0, int64(i%4+1)))
	}
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			c := &client{person: teacher(int64(i%4 + 1))}
			if i%3 == 0 {
				c.person.Role = cdc.Admin
			}
			c.from = pos(1, 0)
			c.since = c.from
			for c.since.LSN < commits+1 {
				woken := make(chan struct{}, 1)
				since := c.since
				sub, err := s.Subscribe(router.Request{Person: c.person, Since: &since, Wake: func(error) {
					select {
					case woken <- struct{}{}:
					default:
					}
				}})
				if err != nil {
					t.Error(err)
					return
				}
				c.sub = sub
				for range random.IntN(30) + 1 {
					c.take(t, random.IntN(5)+1)
				}
				sub.Close()
			}
			if !slices.Equal(c.owed(all), c.got) {
				t.Errorf("reader %d: got %v, owed %v", i, c.got, c.owed(all))
			}
		})
	}
	for _, e := range all {
		s.commit(e)
	}
	wg.Wait()
}
