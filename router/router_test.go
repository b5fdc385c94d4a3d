package router_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

func TestASubscriptionSeesEventsInCommitOrderEachOneOnceEvenWhenTwoOfItsGroupsReceiveIt(t *testing.T) {
	s := newSchool(router.Config{})
	head := s.join(t, admin(7), nil)
	other := s.join(t, admin(8), nil)
	mine := s.join(t, teacher(9), nil)

	s.commit(event(pos(2, 1), true, 7, 9), event(pos(2, 2), true, 7))
	s.commit(event(pos(3, 1), true), event(pos(3, 2), false, 9))

	require.Equal(t, []string{"0/2.1", "0/2.2", "0/3.1"}, drain(t, head))
	require.Equal(t, []string{"0/2.1", "0/2.2", "0/3.1"}, drain(t, other))
	require.Equal(t, []string{"0/2.1", "0/3.2"}, drain(t, mine))
}

func TestGroupsBearTheProtocolsNames(t *testing.T) {
	require.Equal(t, "dashboard_user_42", router.UserGroup(cdc.IntID(42)).String())
	require.Equal(t, "dashboard_metrics", router.MetricsGroup().String())
}

func TestAMessageIsEncodedOnceForAllReceivers(t *testing.T) {
	s := newSchool(router.Config{})
	a, b := s.join(t, admin(1), nil), s.join(t, admin(2), nil)
	s.commit(event(pos(2, 1), true))
	var x, y [1]*router.Message
	_, err := a.Take(x[:])
	require.NoError(t, err)
	_, err = b.Take(y[:])
	require.NoError(t, err)
	require.Same(t, x[0], y[0])
}

func TestPublishNeverWaitsForASubscriberOneThatFallsBehindIsClosedWithErrSlow(t *testing.T) {
	s := newSchool(router.Config{Queue: 10, BulkLimit: 4})
	woken := 0
	slow, err := s.Subscribe(router.Request{Person: teacher(1), Wake: func(error) { woken++ }})
	require.NoError(t, err)
	defer slow.Close()
	brisk := s.join(t, teacher(1), nil)
	for i := 2; i < 20; i++ {
		s.commit(event(pos(i, 1), false, 1))
		require.Len(t, drain(t, brisk), 1)
	}
	_, err = slow.Take(make([]*router.Message, 1))
	require.ErrorIs(t, err, router.ErrSlow)
	require.Equal(t, 2, woken, "once for the first message, once for the end")
	require.EqualValues(t, 1, s.Stats().Slow)
	require.Equal(t, 10, s.Stats().QueueHigh)
}

func TestWakeIsCalledWhenAnEmptyQueueFills(t *testing.T) {
	s := newSchool(router.Config{})
	woken := 0
	sub, err := s.Subscribe(router.Request{Person: teacher(1), Wake: func(error) { woken++ }})
	require.NoError(t, err)
	defer sub.Close()
	s.commit(event(pos(2, 1), false, 1), event(pos(2, 2), false, 1))
	s.commit(event(pos(3, 1), false, 1))
	require.Equal(t, 1, woken)
	drain(t, sub)
	s.commit(event(pos(4, 1), false, 1))
	require.Equal(t, 2, woken)
}

func TestSubscribersArriveOnlyAfterStart(t *testing.T) {
	r := router.New(&memory{}, router.Config{})
	_, err := r.Subscribe(router.Request{Person: teacher(1), Wake: func(error) {}})
	require.ErrorIs(t, err, router.ErrNotStarted)
	_, err = r.Page(t.Context(), teacher(1), nil, nil, 1)
	require.ErrorIs(t, err, router.ErrNotStarted)
}

func TestWhatWasTakenFromSomebodyIsTakenBeforeAnyLaterEvent(t *testing.T) {
	tests := []struct {
		name string
		to   func(cdc.Person) cdc.Person
		err  error
		want []string
	}{
		{"a deactivated person's subscriptions end", func(p cdc.Person) cdc.Person { p.Active = false; return p }, router.ErrInactive, nil},
		{"a role that may not see dashboards ends them", func(p cdc.Person) cdc.Person { p.Role = cdc.Student; return p }, router.ErrRole, nil},
		{"who is no admin any more sees what happened while they were, and then what is theirs", func(p cdc.Person) cdc.Person { p.Role = cdc.Tutor; return p }, nil, []string{"0/2.1", "0/2.2", "0/3.2"}},
		{"who stays admin sees all", func(p cdc.Person) cdc.Person { return p }, nil, []string{"0/2.1", "0/2.2", "0/3.1", "0/3.2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSchool(router.Config{})
			sub := s.join(t, admin(1), nil)
			s.commit(event(pos(2, 1), true, 5), event(pos(2, 2), true, 1))
			s.Publish(router.Batch{
				Cursor: pos(3, 2), People: []cdc.Person{tt.to(admin(1))},
				Events: []*cdc.Event{event(pos(3, 1), true), event(pos(3, 2), false, 1)},
			})
			if tt.err != nil {
				_, err := sub.Take(make([]*router.Message, 1))
				require.ErrorIs(t, err, tt.err)
				return
			}
			require.Equal(t, tt.want, drain(t, sub))
		})
	}
}

func TestWhichRolesMaySubscribeIsConfigured(t *testing.T) {
	student := func(id int64) cdc.Person { return cdc.Person{ID: cdc.IntID(id), Role: cdc.Student, Active: true} }
	nobody := func(id int64) cdc.Person { return cdc.Person{ID: cdc.IntID(id), Active: true} }
	s := newSchool(router.Config{Roles: []cdc.Role{cdc.Student, cdc.Admin}})
	for _, refused := range []cdc.Person{teacher(1), nobody(1)} {
		_, err := s.Subscribe(router.Request{Person: refused, Wake: func(error) {}})
		require.ErrorIs(t, err, router.ErrRole)
		_, err = s.Page(t.Context(), refused, nil, nil, 1)
		require.ErrorIs(t, err, router.ErrRole)
	}
	inactive := student(1)
	inactive.Active = false
	_, err := s.Subscribe(router.Request{Person: inactive, Wake: func(error) {}})
	require.ErrorIs(t, err, router.ErrInactive)

	// Who was an admin is a student now, and sees only what concerns them; who becomes a
	// teacher has to go.
	sub := s.join(t, admin(1), nil)
	s.Publish(router.Batch{
		Cursor: pos(2, 2), People: []cdc.Person{student(1)},
		Events: []*cdc.Event{event(pos(2, 1), true), event(pos(2, 2), false, 1)},
	})
	require.Equal(t, []string{"0/2.2"}, drain(t, sub))
	s.Publish(router.Batch{Cursor: pos(3, 1), People: []cdc.Person{teacher(1)}, Events: []*cdc.Event{event(pos(3, 1), false, 1)}})
	_, err = sub.Take(make([]*router.Message, 1))
	require.ErrorIs(t, err, router.ErrRole)
}

func TestAPersonWhoBecomesAdminSeesTheSameBatchAsOne(t *testing.T) {
	s := newSchool(router.Config{})
	sub := s.join(t, teacher(1), nil)
	s.Publish(router.Batch{Cursor: pos(2, 1), People: []cdc.Person{admin(1)}, Events: []*cdc.Event{event(pos(2, 1), true)}})
	require.Equal(t, []string{"0/2.1"}, drain(t, sub))
}

func TestAReplayGivesWhatSomebodyCouldSeeWhenItHappened(t *testing.T) {
	// An admin until 3, a teacher until 5, an admin again.
	s := newSchool(router.Config{WasAdmin: func(_ cdc.ID, at cdc.Position) bool { return at.LSN < 3 || at.LSN >= 5 }})
	for lsn := 2; lsn <= 6; lsn++ {
		s.commit(event(pos(lsn, 1), true), event(pos(lsn, 2), false, 1))
	}
	want := []string{"0/2.1", "0/2.2", "0/3.2", "0/4.2", "0/5.1", "0/5.2", "0/6.1", "0/6.2"}
	for _, person := range []cdc.Person{admin(1), teacher(1)} {
		require.Equal(t, want, drain(t, s.join(t, person, new(pos(1, 0)))))
		page, err := s.Page(t.Context(), person, nil, new(pos(1, 0)), 100)
		require.NoError(t, err)
		require.Len(t, page.Messages, len(want))
	}
}

func TestRightsTakenInTheMiddleOfAReplayEndIt(t *testing.T) {
	s := newSchool(router.Config{})
	s.commit(event(pos(2, 1), true), event(pos(2, 2), false, 1))
	sub := s.join(t, admin(1), new(pos(1, 0)))
	p := admin(1)
	p.Active = false
	s.memory.during = func() { s.Publish(router.Batch{Cursor: pos(4, 0), People: []cdc.Person{p}}) }
	_, err := sub.Take(make([]*router.Message, 8))
	require.ErrorIs(t, err, router.ErrInactive)
}

func TestWhatCannotBeGivenIsSaidBulk(t *testing.T) {
	s := newSchool(router.Config{BulkLimit: 3})
	head, few := s.join(t, admin(1), nil), s.join(t, teacher(2), nil)
	var events []*cdc.Event
	for i := 1; i <= 10; i++ {
		var people []int64
		if i%5 == 0 {
			people = []int64{2}
		}
		events = append(events, event(pos(2, i), true, people...))
	}
	s.commit(events...)
	s.commit(event(pos(3, 1), true))
	require.Equal(t, []string{"0/2.1", "0/2.2", "0/2.3", "gap bulk 0/2.3-0/2.10 7", "0/3.1"}, drain(t, head))
	require.Equal(t, []string{"0/2.5", "0/2.10"}, drain(t, few))
	require.EqualValues(t, 1, s.Stats().Gaps["bulk"])

	again := s.join(t, admin(1), new(pos(2, 3)))
	require.Len(t, drain(t, again), 8, "the rest is in the history")
}

func TestABulkThatComesInPartsIsSaidOnceAndNoCursorPassesItBefore(t *testing.T) {
	s := newSchool(router.Config{BulkLimit: 2})
	sub := s.join(t, teacher(1), nil)
	buf := make([]*router.Message, 8)
	for part := range 3 {
		events := []*cdc.Event{event(pos(2, 3*part+1), false, 1), event(pos(2, 3*part+2), false, 1), event(pos(2, 3*part+3), false, 1)}
		s.memory.add(events...)
		s.Publish(router.Batch{Events: events, More: true})
		taken, err := sub.Take(buf)
		require.NoError(t, err)
		require.Equal(t, pos(2, 2), taken.Cursor, "what is held has not been told")
	}
	s.Publish(router.Batch{Cursor: pos(3, 0)})
	taken, err := sub.Take(buf)
	require.NoError(t, err)
	require.Equal(t, 1, taken.N)
	require.Contains(t, string(buf[0].Body), `"reason":"bulk","from":"0/2.2","to":"0/2.9","count":7,`)
	require.Equal(t, pos(3, 0), taken.Cursor)
}

func TestABulkOfSeveralTransactionsInOneBatchIsSaidInItsPlace(t *testing.T) {
	s := newSchool(router.Config{BulkLimit: 1})
	sub := s.join(t, teacher(2), nil)
	s.commit(event(pos(2, 1), false, 2), event(pos(2, 2), false, 2), event(pos(3, 1), false, 2))
	require.Equal(t, []string{"0/2.1", "gap bulk 0/2.1-0/2.2 1", "0/3.1"}, drain(t, sub))
}

func TestMessagesOneByOneBehindTheSameTransactionAreNoBulk(t *testing.T) {
	s := newSchool(router.Config{BulkLimit: 2})
	sub := s.join(t, teacher(1), nil)
	for i := range 7 {
		s.commit(event(pos(2, i+1), false, 1))
	}
	require.Equal(t, []string{"0/2.1", "0/2.2", "0/2.3", "0/2.4", "0/2.5", "0/2.6", "0/2.7"}, drain(t, sub))
}

func TestACursorShortOfTheEventsHidesNothingFromWhoJoinsThen(t *testing.T) {
	s := newSchool(router.Config{})
	e := event(pos(2, 1), false, 1)
	s.memory.add(e)
	s.Publish(router.Batch{Cursor: pos(2, 0), Events: []*cdc.Event{e}})
	require.Equal(t, []string{"0/2.1"}, drain(t, s.join(t, teacher(1), new(pos(1, 0)))))
	require.Equal(t, pos(2, 1), s.Cursor())
}

func TestClosingLeavesNothingBehind(t *testing.T) {
	s := newSchool(router.Config{})
	var subs []*router.Subscription
	for i := range 50 {
		subs = append(subs, s.join(t, admin(int64(i%7)), new(pos(1, 0))))
	}
	require.Equal(t, 50, s.Stats().Subscriptions)
	for i, sub := range subs {
		if i%3 != 1 {
			sub.Close()
			sub.Close()
		}
	}
	s.commit(event(pos(2, 1), true, 1))
	for i, sub := range subs {
		if i%3 == 1 {
			require.Equal(t, []string{"0/2.1"}, drain(t, sub))
			sub.Close()
		}
		_, err := sub.Take(make([]*router.Message, 1))
		require.ErrorIs(t, err, router.ErrClosed)
	}
	require.Zero(t, s.Stats().Subscriptions)
	require.Zero(t, s.Stats().Replaying)
}

func BenchmarkFanOutTo1000Subscriptions(b *testing.B) {
	s := newSchool(router.Config{})
	subs := make([]*router.Subscription, 0, 1000)
	for i := range 1000 {
		subs = append(subs, s.join(b, teacher(int64(10_000+i)), nil))
	}
	buf := make([]*router.Message, 64)
	people := make([]int64, 1000)
	for i := range people {
		people[i] = int64(10_000 + i)
	}
	n := 1
	b.ReportAllocs()
	for b.Loop() {
		n++
		e := event(pos(n, 1), false, people...)
		s.Publish(router.Batch{Cursor: e.Position, Events: []*cdc.Event{e}})
		for _, sub := range subs {
			_, _ = sub.Take(buf)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}

// An event costs one message, however many receive it.
func TestAnEventIsAllocatedOnceForAllItsReceivers(t *testing.T) {
	allocated := func(receivers int) float64 {
		s := newSchool(router.Config{})
		subs := make([]*router.Subscription, receivers)
		for i := range subs {
			subs[i] = s.join(t, teacher(1), nil)
		}
		e := event(pos(2, 1), false, 1)
		buf := make([]*router.Message, 2)
		lsn := 2
		return testing.AllocsPerRun(100, func() {
			lsn++
			e.Position = pos(lsn, 1)
			s.Publish(router.Batch{Cursor: e.Position, Events: []*cdc.Event{e}})
			for _, sub := range subs {
				_, _ = sub.Take(buf)
			}
		})
	}
	require.EqualValues(t, 2, allocated(1), "its message, and the cursor")
	require.EqualValues(t, 2, allocated(1000))
}
