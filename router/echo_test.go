package router_test

import (
	"runtime"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

// bodies takes all that waits.
func bodies(t *testing.T, s *router.Subscription) (all []string) {
	t.Helper()
	buf := make([]*router.Message, 64)
	for {
		taken, err := s.Take(buf)
		require.NoError(t, err)
		for _, m := range buf[:taken.N] {
			all = append(all, string(m.Body))
		}
		if !taken.More {
			return all
		}
	}
}

func TestAnEchoIsForWhoListensAloneAndWhoListensHearsNothingElse(t *testing.T) {
	r := router.New(&memory{}, router.Config{Queue: 16, BulkLimit: 2})
	woken := 0
	_, err := r.Listen(func(error) { woken++ })
	require.ErrorIs(t, err, router.ErrNotStarted)
	r.Start(pos(10, 0))
	ear, err := r.Listen(func(ended error) {
		require.NoError(t, ended)
		woken++
	})
	require.NoError(t, err)
	var people []*router.Subscription
	for _, p := range []cdc.Person{teacher(7), admin(1)} {
		s, err := r.Subscribe(router.Request{Person: p, Wake: func(error) {}})
		require.NoError(t, err)
		people = append(people, s)
	}

	e := event(pos(11, 1), true, 7)
	r.Publish(router.Batch{Cursor: pos(12, 0), People: []cdc.Person{admin(1)}, Events: []*cdc.Event{e}, Echoes: [][]byte{[]byte(`a "text"`)}})
	r.Publish(router.Batch{Cursor: pos(13, 0), Echoes: [][]byte{[]byte("another")}})
	require.Equal(t, 1, woken)
	require.Equal(t, []string{`{"type":"self_check","text":"a \"text\""}`, `{"type":"self_check","text":"another"}`}, bodies(t, ear))
	for _, s := range people {
		require.Equal(t, []string{string(e.Body)}, bodies(t, s))
	}
	stats := r.Stats()
	require.Equal(t, []any{2, uint64(1), uint64(2), 1}, []any{stats.Subscriptions, stats.Published, stats.Delivered, stats.QueueHigh})

	ear.Close()
	ear.Close()
	_, err = ear.Take(make([]*router.Message, 1))
	require.ErrorIs(t, err, router.ErrClosed)
	r.Publish(router.Batch{Cursor: pos(14, 0), Echoes: [][]byte{[]byte("to nobody")}})
	require.Equal(t, 1, woken)
	require.Equal(t, 2, r.Stats().Subscriptions)
}

// A check that goes on for months leaves nothing behind.
func TestWhoHasListenedIsForgotten(t *testing.T) {
	r := router.New(&memory{}, router.Config{})
	r.Start(pos(10, 0))
	ear, err := r.Listen(func(error) {})
	require.NoError(t, err)
	ear.Close()
	left := weak.Make(ear)
	runtime.GC()
	require.Nil(t, left.Value())
	runtime.KeepAlive(r)
}

func TestWhoListensAndDoesNotTakeIsClosedAsSlow(t *testing.T) {
	r := router.New(&memory{}, router.Config{Queue: 16, BulkLimit: 2})
	r.Start(pos(10, 0))
	var reason error
	ear, err := r.Listen(func(ended error) { reason = ended })
	require.NoError(t, err)
	for range 17 {
		r.Publish(router.Batch{Cursor: pos(11, 0), Echoes: [][]byte{[]byte("text")}})
	}
	require.ErrorIs(t, reason, router.ErrSlow)
	_, err = ear.Take(make([]*router.Message, 1))
	require.ErrorIs(t, err, router.ErrSlow)
	ear.Close()
	require.Zero(t, r.Stats().Slow, "nobody was lost")
}
