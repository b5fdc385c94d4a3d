package router_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

func TestActivityIsCountedFromItsBeginningAndSaysWhereTheNewestBegin(t *testing.T) {
	s := newSchool(router.Config{})
	began := time.Unix(1_800_000_000, 0)
	for i := 1; i <= 200; i++ { // one a second
		e := event(pos(100*i, 1), false, 7)
		e.Time = began.Add(time.Duration(i) * time.Second)
		s.commit(e)
	}
	other := event(pos(30_000, 1), true, 8)
	other.Time = began.Add(200 * time.Second)
	s.commit(other)

	a, err := s.Activity(t.Context(), teacher(7), nil, began.Add(101*time.Second), 50*time.Second, 3)
	require.NoError(t, err)
	require.Equal(t, []int{50, 50, 0}, a.Counts[cdc.Grade], "and none of somebody else's")
	require.Equal(t, []int{0, 0, 0}, a.Counts[cdc.Submission])
	require.Equal(t, pos(14_000, 1), a.Recent, "60 come after it")
	require.Equal(t, pos(30_000, 1), a.Cursor)
	require.True(t, a.Complete)

	a, err = s.Activity(t.Context(), admin(9), nil, began, time.Hour, 1)
	require.NoError(t, err)
	require.Equal(t, []int{1}, a.Counts[cdc.Grade])

	s.memory.trim(pos(15_000, 1))
	a, err = s.Activity(t.Context(), teacher(7), nil, began, time.Hour, 1)
	require.NoError(t, err)
	require.Equal(t, []int{50}, a.Counts[cdc.Grade], "what is not kept is not counted")
	require.Equal(t, pos(15_000, 1), a.Recent)

	_, err = s.Activity(t.Context(), cdc.Person{ID: cdc.IntID(7), Role: cdc.Student, Active: true}, nil, began, time.Hour, 1)
	require.ErrorIs(t, err, router.ErrRole)
}

func TestWhatIsOlderThanTheActivityIsNotLookedAt(t *testing.T) {
	s := newSchool(router.Config{})
	began := time.Unix(1_800_000_000, 0)
	for i := 1; i <= 3; i++ {
		e := event(pos(1000*i, 1), false, 7)
		e.Time = began.Add(time.Duration(i) * time.Hour)
		s.commit(e)
	}
	a, err := s.Activity(t.Context(), teacher(7), nil, began.Add(170*time.Minute), time.Hour, 1)
	require.NoError(t, err)
	require.Equal(t, []int{1}, a.Counts[cdc.Grade])
	require.Equal(t, pos(2001, 0), a.Recent, "the search went past the two before")
}

func TestOfMoreActivityThanIsLookedAtTheNewestIsCounted(t *testing.T) {
	const most, more = 100 * 4096, 5000
	s := newSchool(router.Config{})
	began := time.Unix(1_800_000_000, 0)
	e := event(pos(1, 1), false, 7)
	e.Time = began
	s.commit(e)
	for i := 2; i < most+more; i++ {
		next := *e
		next.Position = pos(i, 1)
		if i > most {
			next.Time = began.Add(time.Hour)
		}
		s.memory.add(&next)
	}
	last := event(pos(most+more, 1), false, 7)
	last.Time = began.Add(2 * time.Hour)
	s.commit(last)

	a, err := s.Activity(t.Context(), teacher(7), nil, began, time.Hour, 3)
	require.NoError(t, err)
	require.False(t, a.Complete, "and says so")
	require.Equal(t, []int{most - more, more - 1, 1}, a.Counts[cdc.Grade], "the oldest are left out")
	require.Equal(t, pos(most+more-60, 1), a.Recent, "60 come after it")
	require.Equal(t, pos(most+more, 1), a.Cursor)

	// As many as are looked at are all there is to say.
	s.memory.trim(pos(more, 1))
	a, err = s.Activity(t.Context(), teacher(7), nil, began, time.Hour, 3)
	require.NoError(t, err)
	require.True(t, a.Complete)
	require.Equal(t, []int{most - more, more - 1, 1}, a.Counts[cdc.Grade])
}
