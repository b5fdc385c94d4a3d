package wsserver

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheLimitsTakeNoMoreMemoryForAMillionAddresses(t *testing.T) {
	l := newLimits(Config{}.withDefaults())
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, goroutines := inUse(), runtime.NumGoroutine()
	for i := range 1_000_000 {
		address := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		q, no := l.ask(address, uint64(i)+1)
		require.Nil(t, no)
		l.refused(q)
	}
	require.Less(t, inUse(), before+1<<20)
	require.Equal(t, goroutines, runtime.NumGoroutine())
	runtime.KeepAlive(l)
}

func TestALedgerForgetsWhoWasNotAskedForForTheLongestTime(t *testing.T) {
	l := newLedger[int, int]()
	now := time.Duration(0)
	for i := range 10 * ledgerShelves * ledgerPlaces {
		now++
		*l.of(i, now) = i + 1
		now++
		if *l.of(0, now) != 1 {
			require.FailNow(t, "who is asked for all the time is forgotten", "after %d others", i)
		}
	}
	known := 0
	for i := range ledgerShelves * ledgerPlaces {
		if *l.of(-i-1, now) != 0 {
			known++
		}
	}
	require.Zero(t, known, "nothing is known of whom we never saw")
}

func TestAMeterGivesBackWithTime(t *testing.T) {
	var m meter
	a := allowance{burst: 3, rate: 2}
	for range 3 {
		require.Zero(t, m.take(a, time.Second))
	}
	require.InDelta(t, 500*time.Millisecond, m.take(a, time.Second), 2)
	require.InDelta(t, 100*time.Millisecond, m.take(a, 1400*time.Millisecond), 2)
	require.Zero(t, m.take(a, 1500*time.Millisecond+10))
	require.NotZero(t, m.take(a, 1500*time.Millisecond+10))
	m.giveBack()
	require.Zero(t, m.take(a, 1500*time.Millisecond+10))
}

// A thousand that are asked at once have not failed yet, and still only so many of them
// are asked one by one.
func TestOnlySoManyAreAskedOneByOneBeforeAnyAnswerIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(Config{MaxFailures: 7}.withDefaults())
		address := netip.MustParseAddr("192.0.2.1")
		var alone []question
		for i := range uint64(1000) {
			q, no := l.ask(address, i+1)
			require.Nil(t, no)
			if !q.gathered {
				alone = append(alone, q)
			}
		}
		require.Len(t, alone, 7)
		for _, q := range alone[:3] {
			l.answered(q, true)
		}
		again := 0
		for i := range uint64(1000) {
			if q, no := l.ask(address, i+1); no == nil && !q.gathered {
				again++
			}
		}
		require.Equal(t, 3, again, "what turned out to be good is given back")
	})
}

// However many addresses there are, all of them together have an allowance, too.
func TestBadCredentialsOfManyAddressesAreBoundedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(Config{MaxFailures: 7}.withDefaults())
		alone := 0
		for i := range 10_000 {
			q, no := l.ask(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}), uint64(i)+1)
			require.Nil(t, no)
			if !q.gathered {
				alone++
			}
			l.refused(q)
		}
		require.Equal(t, 70, alone)
	})
}

func TestTheAddressIsThatOfTheNearestWhoIsNoProxyOfOurs(t *testing.T) {
	var log bytes.Buffer
	s := New(Deps{Log: slog.New(slog.NewTextHandler(&log, nil))}, Config{TrustedProxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
	}})
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "192.0.2.1:4711", nil, "192.0.2.1"},
		{"a proxy that is trusted", "10.0.0.1:80", []string{"192.0.2.1"}, "192.0.2.1"},
		{"a proxy of IPv6", "[fd00::1]:80", []string{"192.0.2.1"}, "192.0.2.1"},
		{"a proxy that speaks IPv4 over IPv6", "[::ffff:10.0.0.1]:80", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"two proxies", "10.0.0.1:80", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"two headers", "10.0.0.1:80", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"what the client has invented stands left", "10.0.0.1:80", []string{"203.0.113.7, 192.0.2.1"}, "192.0.2.1"},
		{"also when it names a proxy of ours", "10.0.0.1:80", []string{"10.0.0.9, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"with a port", "10.0.0.1:80", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"of IPv6 the network", "10.0.0.1:80", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::"},
		{"of IPv6 in brackets", "10.0.0.1:80", []string{"[2001:db8:1:2::9]:4711"}, "2001:db8:1:2::"},
		{"no address", "10.0.0.1:80", []string{"192.0.2.1, unknown"}, "10.0.0.1"},
		{"nothing", "10.0.0.1:80", []string{""}, "10.0.0.1"},
		{"no header", "10.0.0.1:80", nil, "10.0.0.1"},
		{"proxies all the way", "10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tt.peer
		r.Header["X-Forwarded-For"] = tt.forwarded
		require.Equal(t, tt.want, s.client(r).String(), tt.name)
	}
	require.Empty(t, log.String())

	for range 3 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "203.0.113.1:80"
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		require.Equal(t, "203.0.113.1", s.client(r).String(), "anybody can send this header")
	}
	require.Equal(t, 1, strings.Count(log.String(), "trusted_proxies"), "said once: %s", log.String())
}
