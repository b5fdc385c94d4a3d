package projection_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/projection"
)

// moved is a message for a person.
func moved(user int64, fields string) cdc.Message {
	return cdc.Message{User: cdc.IntID(user), Type: "exam_moved", Fields: []byte(fields)}
}

// post publishes a message.
func (g *gateway) post(m cdc.Message, key string) cdc.Position {
	g.t.Helper()
	at, _, err := g.Publish(context.Background(), m, key)
	require.NoError(g.t, err)
	return at
}

// history is all that is kept, each as its id and whom it is for.
func (g *gateway) history() (all []string) {
	for e, err := range g.store.Events(cdc.Position{}, cdc.Position{LSN: 1 << 60}) {
		require.NoError(g.t, err)
		all = append(all, fmt.Sprintf("%v %v %v", e.Position, e.Kind, e.Audience))
	}
	return all
}

func TestAMessageStandsBehindEverythingThatWasToldOrApplied(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	require.Equal(t, cdc.Position{LSN: 5, Index: 1}, g.post(moved(1, `,"room":12`), ""))
	require.Equal(t, cdc.Position{LSN: 5, Index: 2}, g.post(cdc.Message{Type: "all.admins"}, ""))
	g.Advance(60, clock(60))
	require.Equal(t, cdc.Position{LSN: 60, Index: 1}, g.post(moved(1, ""), ""))
	// A transaction whose commit begins at that very byte comes behind it.
	set(l, tabs.assignments, l.assignments, 11, assignment{title: "Next", author: 1, status: "published"})
	require.NoError(t, g.Apply(t.Context(), l.tx(60)))
	require.Equal(t, cdc.Position{LSN: 61, Index: 1}, g.post(moved(1, ""), ""))
	g.Advance(70, clock(100)) // closes one
	require.Equal(t, cdc.Position{LSN: 70, Index: 2}, g.post(moved(1, ""), ""))

	var ids []string
	for _, r := range g.published {
		for _, e := range r.Events {
			ids = append(ids, fmt.Sprintf("%v %v %v", e.Position, e.Kind, e.Audience))
		}
		require.False(t, g.published[0].Events[0].Position.After(r.Cursor))
	}
	require.Equal(t, []string{
		"0/5.1 custom {[1] false}", "0/5.2 custom {[] true}", "0/3C.1 custom {[1] false}", "0/3C.2 assignment {[1] true}",
		"0/3D.1 custom {[1] false}", "0/46.1 assignment_closed {[1] true}", "0/46.2 custom {[1] false}",
	}, ids)
	require.Equal(t, ids, g.history())
	require.EqualValues(t, 5, g.Stats().Events[cdc.Custom])
	require.Equal(t, cdc.Position{LSN: 70, Index: 2}, g.Cursor())
}

func TestAMessageIsInTheHistoryAndCoveredBeforeAnybodyIsTold(t *testing.T) {
	g, _, _ := newTimedGateway(t)
	tellings := 0
	g.telling = func(r projection.Result) {
		tellings++
		require.Equal(t, r.Events[0].Position, g.store.Newest())
		require.Len(t, g.history(), tellings)
	}
	first := g.post(moved(1, ""), "key")
	g.close()
	g.open()
	require.Equal(t, first, g.Cursor(), "a kill right then does not take it back")
	require.Equal(t, cdc.Position{LSN: 5, Index: 2}, g.post(moved(1, ""), ""), "nor gives its id to another one")
	require.Equal(t, 2, tellings)
}

func TestAMessageSaysWhatWasPublishedAndItsIDAndTime(t *testing.T) {
	g, _, _ := newTimedGateway(t)
	before := time.Now().Truncate(time.Microsecond)
	g.post(moved(1, `,"room":1.0e400,"big":12345678901234567890`), "")
	e := g.published[0].Events[0]
	require.False(t, e.Time.Before(before) || e.Time.After(time.Now()))
	at, err := json.Marshal(e.Time.Format("2006-01-02T15:04:05.000000Z"))
	require.NoError(t, err)
	require.Equal(t, `{"type":"exam_moved","id":"0/5.1","room":1.0e400,"big":12345678901234567890,"timestamp":`+string(at)+`}`, string(e.Body))
}

func TestAMessageWaitsForNoOtherThanTheGroupBeforeIt(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	set(l, tabs.users, l.users, 2, user{email: "u@x", role: "tutor", active: true})
	set(l, tabs.assignments, l.assignments, 11, assignment{title: "Next", author: 1, status: "published"})
	tx := l.tx(50)
	tx.More = true // so that it waits in a group
	require.NoError(t, g.Apply(t.Context(), tx))
	set(l, tabs.assignments, l.assignments, 12, assignment{title: "Last", author: 1, status: "published"})
	tx = l.tx(60)
	tx.More = true
	require.NoError(t, g.Apply(t.Context(), tx))
	g.post(moved(1, ""), "")
	require.Equal(t, []string{"0/32.1 assignment", "0/3C.1 assignment", "0/3D.1 custom"}, kinds(told(g)))
}

// kinds leaves the times out.
func kinds(all []string) []string {
	for i := range all {
		all[i] = all[i][:strings.LastIndexByte(all[i], ' ')]
	}
	return all
}

func TestAMessageForNobodyIsRefusedAndNothingIsPublishedBeforeTheSnapshot(t *testing.T) {
	g := newGateway(t, t.TempDir(), 0)
	t.Cleanup(func() { g.close() })
	_, _, err := g.Publish(t.Context(), moved(1, ""), "k")
	require.ErrorIs(t, err, cdc.ErrNotYet)
	_, _, err = g.Publish(t.Context(), cdc.Message{Type: "a"}, "k")
	require.ErrorIs(t, err, cdc.ErrNotYet)

	g2, l, tabs := newTimedGateway(t)
	_, _, err = g2.Publish(t.Context(), moved(99, ""), "k")
	require.ErrorIs(t, err, cdc.ErrNoPerson)
	set(l, tabs.users, l.users, 99, user{email: "u@x", role: "student"})
	require.NoError(t, g2.Apply(t.Context(), l.tx(50)))
	at, repeated, err := g2.Publish(t.Context(), moved(99, ""), "k")
	require.NoError(t, err)
	require.False(t, repeated, "a refusal takes no key")
	require.Equal(t, "0/33.1", at.String())
}

func TestTheSameMessageUnderTheSameKeyIsToldOnceThroughKillsAndSnapshots(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	set(l, tabs.users, l.users, 3, user{email: "v@x", role: "teacher", active: true})
	require.NoError(t, g.Apply(t.Context(), l.tx(50)))
	first := g.post(moved(3, `,"room":1`), "key-1")
	again := func(why string) {
		t.Helper()
		n := len(g.published)
		at, repeated, err := g.Publish(t.Context(), moved(3, `,"room":1`), "key-1")
		require.NoError(t, err, why)
		require.True(t, repeated, why)
		require.Equal(t, first, at, why)
		require.Len(t, g.published, n, why)
		for _, other := range []cdc.Message{moved(3, `,"room":2`), moved(1, `,"room":1`), {Type: "exam_moved", Fields: []byte(`,"room":1`)}, {User: cdc.IntID(3), Type: "b", Fields: []byte(`,"room":1`)}} {
			_, _, err = g.Publish(t.Context(), other, "key-1")
			require.ErrorIs(t, err, cdc.ErrKeyReused, why)
		}
	}
	again("at once")
	g.close()
	g.open()
	again("after a restart")
	require.NoError(t, g.reset(l.snapshot(tabs, 60)))
	again("after a comparison with a snapshot")
	require.NoError(t, g.reset(l.snapshot(tabs, 70)))
	again("after another one, in the generation that there was at first")
	remove(l, tabs.users, l.users, 3)
	require.NoError(t, g.Apply(t.Context(), l.tx(80)))
	again("whoever it was for is gone")
	require.Len(t, g.history(), 1)
	require.NotEqual(t, first, g.post(moved(1, ""), "key-2"))
	require.Len(t, g.history(), 2)
}

func TestKeysAreForgottenByAgeAndWhenTheyAreTooMany(t *testing.T) {
	g, _, _ := newTimedGateway(t)
	for i := range 10 {
		g.post(moved(1, ""), fmt.Sprint("key-", i))
	}
	forgotten, err := g.ForgetKeys(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, forgotten)
	g.close()
	g.open() // which counts them
	g.KeepKeys(7)
	forgotten, err = g.ForgetKeys(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, 3, forgotten, "the oldest")
	_, repeated, err := g.Publish(t.Context(), moved(1, ""), "key-2")
	require.NoError(t, err)
	require.False(t, repeated)
	_, repeated, err = g.Publish(t.Context(), moved(1, ""), "key-3")
	require.NoError(t, err)
	require.True(t, repeated)
	forgotten, err = g.ForgetKeys(time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, 8, forgotten)
	forgotten, err = g.ForgetKeys(time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Zero(t, forgotten)
}

func TestWhoeverPublishesDuringALongTransactionIsToldToComeAgain(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	set(l, tabs.users, l.users, 2, user{email: "u@x", role: "tutor", active: true})
	tx := l.tx(50)
	changes, reading, goOn := tx.Changes, make(chan struct{}), make(chan struct{})
	tx.Changes = func(yield func(*cdc.Change, error) bool) {
		close(reading)
		<-goOn
		changes(yield)
	}
	applied := make(chan error)
	go func() { applied <- g.Apply(t.Context(), tx) }()
	<-reading
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err := g.Publish(ctx, moved(1, ""), "key")
	require.ErrorIs(t, err, cdc.ErrNotYet)

	// One that waits for longer is told behind the transaction.
	var at cdc.Position
	published := make(chan error)
	go func() {
		var err error
		at, _, err = g.Publish(t.Context(), moved(2, ""), "key")
		published <- err
	}()
	close(goOn)
	require.NoError(t, <-applied)
	err = <-published
	if err != nil { // it came before the transaction after all: nobody waits for anybody's row
		require.ErrorIs(t, err, cdc.ErrNoPerson)
	} else {
		require.Equal(t, "0/33.1", at.String())
	}
	require.NotContains(t, strings.Join(g.history(), "\n"), "[1]", "what was not published is not told later")
}

func TestManyPublishAtOnceAmongTransactionsAndAllIsToldInOrder(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	const publishers, each = 8, 40
	var all sync.WaitGroup
	for n := range publishers {
		all.Go(func() {
			for i := range each {
				key := fmt.Sprint("key-", n/2, "-", i) // two publish the same
				if _, _, err := g.Publish(t.Context(), moved(1, fmt.Sprintf(`,"n":%d,"i":%d`, n/2, i)), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for commit := cdc.LSN(10); commit < 80; commit += 10 {
		set(l, tabs.assignments, l.assignments, 100+int(commit), assignment{title: "A", author: 1, status: "published"})
		require.NoError(t, g.Apply(t.Context(), l.tx(commit)))
		g.Advance(commit+5, clock(commit))
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
	}
	all.Wait()
	last, messages := cdc.Position{}, map[string]bool{}
	for _, r := range g.published {
		for _, e := range r.Events {
			require.True(t, e.Position.After(last))
			last = e.Position
			if e.Kind == cdc.Custom {
				var m struct{ N, I int }
				require.NoError(t, json.Unmarshal(e.Body, &m))
				require.False(t, messages[fmt.Sprint(m)], "told twice")
				messages[fmt.Sprint(m)] = true
			}
		}
		require.False(t, last.After(r.Cursor))
	}
	require.Len(t, messages, publishers/2*each)
	require.Len(t, g.history(), publishers/2*each+7)
}

func TestWhoeverHasTheTurnTakesAlongAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := newTimedGateway(t)
		release := g.HoldTurn()
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				if _, _, err := g.Publish(t.Context(), moved(1, fmt.Sprintf(`,"i":%d`, i)), ""); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		release()
		all.Wait()
		require.Len(t, g.published, 1, "one write to the disk for all")
		require.Len(t, g.published[0].Events, 5)
	})
}

// A commit may begin at the very byte behind which a message for admins stands.
func TestAMessageForAdminsIsForThoseWhoWereWhenItWasPublished(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	set(l, tabs.users, l.users, 2, user{email: "a@x", role: "admin", active: true})
	require.NoError(t, g.Apply(t.Context(), l.tx(40)))
	g.Advance(50, clock(50))
	g.post(cdc.Message{Type: "a"}, "")
	before := g.post(cdc.Message{Type: "a"}, "")
	set(l, tabs.users, l.users, 1, user{email: "t@x", role: "admin", active: true})
	set(l, tabs.users, l.users, 2, user{email: "a@x", role: "teacher", active: true})
	set(l, tabs.assignments, l.assignments, 11, assignment{title: "Next", author: 1, status: "published"})
	require.NoError(t, g.Apply(t.Context(), l.tx(50)))
	after := g.post(cdc.Message{Type: "a"}, "")
	for range 2 { // and after a restart
		for _, test := range []struct {
			person int64
			at     cdc.Position
			want   bool
		}{
			{1, before, false}, {2, before, true}, {1, cdc.Position{LSN: 50, Index: 3}, true}, {2, cdc.Position{LSN: 50, Index: 3}, false},
			{1, after, true}, {2, after, false}, {2, cdc.Position{LSN: 40, Index: 1}, true},
		} {
			require.Equal(t, test.want, g.WasAdmin(cdc.IntID(test.person), test.at), test)
		}
		g.close()
		g.open()
	}
}
