package shadow_test

import (
	"encoding/binary"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/stretchr/testify/require"
)

// BenchmarkOneRowTransactions is what a transaction of one row asks of the store
// in a school with a million threads: a thread read and written, one event, three
// counters and the checkpoint, with a Sync every thousand.
func BenchmarkOneRowTransactions(b *testing.B) {
	s, threads := school(b)
	batch := s.NewBatch()
	rnd := rand.New(rand.NewPCG(1, 2))
	e := event(1, 1)
	e.Body = make([]byte, 400)
	cp := checkpoint(1)
	var key, dst []byte
	n := 0
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		n++
		key = thread(key, rnd.Uint64N(threads))
		v, ok, err := s.Get(key, dst)
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
		dst = v
		batch.Reset()
		batch.Set(key, v)
		e.Position = at(n, 1)
		batch.Append(e)
		for range 3 {
			key = append(key[:0], 'c', byte(rnd.Uint32()), byte(rnd.Uint32N(8)))
			batch.Set(key, v[:16])
		}
		cp.Applied = e.Position.LSN
		batch.SetCheckpoint(cp)
		if err := batch.Commit(); err != nil {
			b.Fatal(err)
		}
		if n%1000 == 0 {
			if err := s.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/op") // flushes and compactions too
}

func BenchmarkGetOfOneInAMillion(b *testing.B) {
	s, threads := school(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	var key, dst []byte
	b.ReportAllocs()
	for b.Loop() {
		key = thread(key, rnd.Uint64N(threads))
		v, ok, err := s.Get(key, dst)
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
		dst = v
	}
}

func BenchmarkEventsOfADay(b *testing.B) {
	s := open(b, b.TempDir())
	const n = 50_000
	batch := s.NewBatch()
	for i := range n {
		e := event(i+1, 1)
		e.Body = make([]byte, 400)
		batch.Append(e)
	}
	require.NoError(b, batch.Commit())
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			for _, err := range s.Events(at(0, 0), at(n, 1)) {
				require.NoError(b, err)
			}
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("of somebody else", func(b *testing.B) {
		for b.Loop() {
			_, err := s.EventsOf(event(1, 1).Assignment, never, at(0, 0), at(n, 1), n, func(*cdc.Event) bool { panic("not theirs") })
			require.NoError(b, err)
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
	})
}

func thread(dst []byte, i uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst[:0], 't', 1), i*0x9e3779b97f4a7c15)
}

// school is a store with a million threads of 35 bytes.
func school(b *testing.B) (s *shadow.Store, threads uint64) {
	b.Helper()
	s = open(b, b.TempDir())
	threads = 1_000_000
	batch := s.NewBatch()
	value := make([]byte, 35)
	rnd := rand.NewChaCha8([32]byte{1})
	var key []byte
	for i := range threads {
		key = thread(key, i)
		_, _ = rnd.Read(value)
		batch.Set(key, value)
		if batch.Len() > 1<<20 || i == threads-1 {
			require.NoError(b, batch.Commit())
			batch.Reset()
		}
	}
	require.NoError(b, s.Settle(b.Context()))
	return s, threads
}

// cpuTime is what the process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
