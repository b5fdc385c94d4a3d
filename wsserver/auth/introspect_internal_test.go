package auth

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func digestOf(n int) (d digest) {
	copy(d[:], fmt.Sprint(n))
	return d
}

func TestAVerdictCountsForItsTimeAndNeverLongerThanTheCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVerdicts(10 * time.Second)
		good, ends, bad := digestOf(1), digestOf(2), digestOf(3)
		v.note(good, verdict{user: "7"}, time.Now())
		v.note(ends, verdict{user: "8", expires: time.Now().Add(4 * time.Second)}, time.Now())
		v.note(bad, verdict{why: "no"}, time.Now())
		expect := func(d digest, want knowledge) {
			t.Helper()
			said, got := v.of(d)
			require.Equal(t, want, got)
			if got != fresh {
				require.Zero(t, said)
			}
		}
		time.Sleep(4*time.Second - time.Nanosecond)
		expect(ends, fresh)
		time.Sleep(time.Nanosecond)
		expect(ends, stale)
		time.Sleep(6*time.Second - time.Nanosecond)
		expect(good, fresh)
		expect(bad, fresh)
		time.Sleep(time.Nanosecond)
		expect(good, stale)
		expect(bad, none)
		expect(digestOf(4), none)

		v.note(good, verdict{why: "logged out"}, time.Now())
		expect(good, fresh)
		v.note(good, verdict{user: "7"}, time.Now().Add(-time.Second))
		said, _ := v.of(good)
		require.Empty(t, said.user, "an older question that was answered later tells nothing new")
		time.Sleep(10 * time.Second)
		expect(good, none)
	})
}

func TestVerdictsTakeNoMoreMemoryHoweverManyCredentialsCome(t *testing.T) {
	v := newVerdicts(time.Hour)
	v.note(digestOf(-1), verdict{user: "7"}, time.Now())
	v.note(digestOf(-2), verdict{user: "8"}, time.Now())
	for i := range 2 * mostSeen {
		v.note(digestOf(i), verdict{why: "no"}, time.Now())
	}
	require.LessOrEqual(t, len(v.bad.recent)+len(v.bad.before), mostSeen)
	for i := range 2 * mostSeen {
		v.note(digestOf(-10-i), verdict{user: "9"}, time.Now())
		if _, known := v.of(digestOf(-1)); known != fresh {
			t.Fatal("who comes again is not forgotten")
		}
	}
	require.LessOrEqual(t, len(v.good.recent)+len(v.good.before), mostSeen)
	_, known := v.of(digestOf(-2))
	require.Equal(t, none, known)
}

func TestALaneLetsThroughSoManyASecondAndSoManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(10, 3)
		var through, atOnce, most atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if l.enter(t.Context(), time.Minute) != nil {
					return
				}
				through.Add(1)
				most.Store(max(most.Load(), atOnce.Add(1)))
				time.Sleep(50 * time.Millisecond)
				atOnce.Add(-1)
				l.leave()
			})
		}
		time.Sleep(3*time.Second + 60*time.Millisecond)
		require.InDelta(t, 10+30, through.Load(), 1, "what was saved up, and three seconds' worth")
		all.Wait()
		require.EqualValues(t, 100, through.Load())
		require.EqualValues(t, 3, most.Load())

		// Whoever would have to wait for too long is told so at once.
		time.Sleep(time.Second)
		for range 10 + 20 {
			_, ok := l.turn(2 * time.Second)
			require.True(t, ok)
		}
		time.Sleep(time.Second)
		_, ok := l.turn(900 * time.Millisecond)
		require.False(t, ok)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, l.enter(gone, time.Minute), context.Canceled)
	})
}

func FuzzAnswerOfAnLMS(f *testing.F) {
	for _, seed := range []string{
		`{"id":7}`, `{"id":"x","end":1,"role":["a"]}`, `[[[[`, `{"id":1e999,"end":1e308}`, `null`, `{"id":{"id":[]}}`, "<html>",
		`{"errorcode":"invalidtoken"}`, `{"id":7,"end":"9999-12-31T23:59:59Z","role":"a"}`, `{"id":7,"end":-1}`,
	} {
		f.Add(200, "/id", seed)
	}
	f.Add(401, "/0/data/userid", `[{"data":{"userid":1}}]`)
	f.Fuzz(func(t *testing.T, status int, pointer, body string) {
		w, err := NewIntrospection(IntrospectionConfig{
			URL: "https://lms.example.org", User: pointer, Expires: "/end", Code: "/errorcode", Codes: []string{"invalidtoken"}, Role: "/role", Requires: []string{"/role=a"},
		})
		if err != nil {
			return
		}
		v, err := w.read(status, []byte(body))
		switch {
		case err != nil:
			require.Zero(t, v)
		case v.user == "":
			require.NotEmpty(t, v.why)
		default:
			require.Equal(t, 200, status)
			require.LessOrEqual(t, len(v.user), longest)
			require.True(t, v.expires.IsZero() || v.expires.After(time.Now().Add(-time.Minute)))
		}
	})
}
