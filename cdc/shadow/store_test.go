package shadow_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/stretchr/testify/require"
)

func open(t testing.TB, dir string) *shadow.Store {
	t.Helper()
	s, err := shadow.Open(dir, shadow.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// commit puts what fill says into one batch.
func commit(t testing.TB, s *shadow.Store, fill func(b *shadow.Batch)) {
	t.Helper()
	b := s.NewBatch()
	fill(b)
	require.NoError(t, b.Commit())
}

func get(t testing.TB, s *shadow.Store, key string) string {
	t.Helper()
	v, ok, err := s.Get([]byte(key), nil)
	require.NoError(t, err)
	if !ok {
		return "(none)"
	}
	return string(v)
}

func scan(t testing.TB, s *shadow.Store, prefix string) []string {
	t.Helper()
	all := []string{}
	for p, err := range s.Scan([]byte(prefix)) {
		require.NoError(t, err)
		all = append(all, string(p.Key)+"="+string(p.Value))
	}
	return all
}

func at(lsn int, index int) cdc.Position {
	return cdc.Position{LSN: cdc.LSN(lsn), Index: uint32(index)}
}

func checkpoint(lsn int) shadow.Checkpoint {
	return shadow.Checkpoint{
		Checkpoint: cdc.Checkpoint{
			Source:  cdc.Source{System: "7301", Timeline: 2, Database: "lms", Slot: "schoolbell", Lineage: "16384 16390", Offset: 1 << 40},
			Applied: cdc.LSN(lsn),
			Last:    cdc.Mark{XID: 731, Commit: cdc.LSN(lsn) - 1, End: cdc.LSN(lsn), Time: 1_795_000_000_000_000 + int64(lsn)},
		},
		Profile:  "abc",
		Complete: true, Generation: 0x20,
		Begun: []time.Time{noon.Add(-time.Hour), noon},
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)

func event(lsn, index int) *cdc.Event {
	return &cdc.Event{
		Position: at(lsn, index), Kind: cdc.Grade, Time: noon.Add(time.Duration(lsn) * time.Second),
		Assignment: cdc.IntID(7),
		Audience:   cdc.Audience{People: []cdc.ID{cdc.IntID(3), cdc.IntID(5)}, Admins: true},
		Body:       []byte(`{"type":"grade","n":` + strconv.Itoa(lsn) + `}`),
	}
}

func TestABatchIsSeenWholeAfterCommitAndNotBefore(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) { b.Set([]byte("a"), []byte("old")) })

	b := s.NewBatch()
	b.Set([]byte("a"), []byte("1"))
	b.Set([]byte("b"), []byte("2"))
	b.Append(event(10, 1))
	b.SetCheckpoint(checkpoint(11))
	require.Equal(t, "old", get(t, s, "a"))
	_, ok := s.Checkpoint()
	require.False(t, ok)

	require.NoError(t, b.Commit())
	require.Equal(t, []string{"a=1", "b=2"}, scan(t, s, ""))
	require.Equal(t, []*cdc.Event{event(10, 1)}, events(t, s, at(0, 0), at(10, 1)))
	c, ok := s.Checkpoint()
	require.True(t, ok)
	require.Equal(t, checkpoint(11), c)

	b.Reset()
	b.Delete([]byte("a"))
	require.NoError(t, b.Commit())
	require.Equal(t, "(none)", get(t, s, "a"))
	c, _ = s.Checkpoint()
	require.Equal(t, checkpoint(11), c, "a batch without a checkpoint leaves it")
}

func TestEverythingIsThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, func(b *shadow.Batch) {
		b.DropHistory(at(5, 0))
		b.Set([]byte("a"), []byte("1"))
		b.Append(event(10, 1))
		b.SetCheckpoint(checkpoint(11))
	})
	require.NoError(t, s.Close())

	s = open(t, dir)
	require.Equal(t, "1", get(t, s, "a"))
	require.Equal(t, []*cdc.Event{event(10, 1)}, events(t, s, at(0, 0), at(99, 0)))
	require.Equal(t, at(5, 0), s.Kept())
	c, ok := s.Checkpoint()
	require.True(t, ok)
	require.Equal(t, checkpoint(11), c)
}

func TestTheProjectionsKeysAndTheStoresDoNotTouch(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) {
		b.Set([]byte{0}, []byte("first"))
		b.Set([]byte{shadow.Reserved - 1, 0xff, 0xff}, []byte("last"))
		b.Append(event(10, 1))
		b.SetCheckpoint(checkpoint(11))
	})
	require.Len(t, scan(t, s, ""), 2)
	require.Len(t, scan(t, s, "\xef\xff"), 1)

	commit(t, s, func(b *shadow.Batch) { b.DeletePrefix(nil) })
	require.Empty(t, scan(t, s, ""))
	require.Len(t, events(t, s, at(0, 0), at(99, 0)), 1)

	for _, key := range []string{"", "\xf0", "\xfe", "\xffcheckpoint"} {
		b := s.NewBatch()
		b.Set([]byte("kept out"), nil)
		b.Set([]byte(key), nil)
		require.ErrorContains(t, b.Commit(), "projection")
		require.Equal(t, "(none)", get(t, s, "kept out"))
		_, _, err := s.Get([]byte(key), nil)
		require.ErrorContains(t, err, "projection")
	}
}

func TestDeletePrefixTakesThePrefixOnlyAndWhatCameBefore(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) {
		for _, k := range []string{"a", "b", "b\xff", "b\xff\xff1", "bz", "c"} {
			b.Set([]byte(k), nil)
		}
	})
	commit(t, s, func(b *shadow.Batch) {
		b.DeletePrefix([]byte("b\xff"))
		b.Set([]byte("b\xffnew"), nil)
	})
	require.Equal(t, []string{"a=", "b=", "bz=", "b\xffnew=", "c="}, scan(t, s, ""))
	commit(t, s, func(b *shadow.Batch) { b.DeletePrefix([]byte("b")) })
	require.Equal(t, []string{"a=", "c="}, scan(t, s, ""))
}

func TestAScanSeesOneMomentAndMayStopAndAsk(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) {
		b.Set([]byte("a1"), []byte("1"))
		b.Set([]byte("a2"), []byte("2"))
	})
	seen := 0
	for p, err := range s.Scan([]byte("a")) {
		require.NoError(t, err)
		seen++
		commit(t, s, func(b *shadow.Batch) {
			b.DeletePrefix([]byte("a"))
			b.Set([]byte("a3"), []byte("3"))
		})
		require.Equal(t, "(none)", get(t, s, string(p.Key)))
	}
	require.Equal(t, 2, seen)
	for range s.Scan(nil) {
		break
	}
}

func TestAGetIntoALargeEnoughBufferDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) { b.Set([]byte("key"), make([]byte, 100)) })
	key, dst := []byte("key"), make([]byte, 0, 100)
	allocs := testing.AllocsPerRun(1000, func() {
		v, ok, err := s.Get(key, dst)
		if !ok || err != nil || &v[0] != &dst[:1][0] {
			panic("not in dst")
		}
	})
	require.Zero(t, allocs)
}

func TestOpenMakesTheDirectoryForItsUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, dir)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.Positive(t, s.DiskUsage())
}

func TestCloseEndsIterationsAndRefusesWhatFollows(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, func(b *shadow.Batch) {
		for i := range 100 {
			b.Append(event(i+1, 1))
		}
	})
	closed := make(chan error)
	var last error
	n := 0
	for _, err := range s.Events(at(0, 0), at(1000, 0)) {
		if last = err; err != nil {
			break
		}
		if n++; n == 1 {
			go func() { closed <- s.Close() }()
			for s.Sync() == nil { // until Close is under way
			}
		}
	}
	require.ErrorIs(t, last, shadow.ErrClosed)
	require.NoError(t, <-closed)
	require.NoError(t, s.Close(), "a second Close does nothing")

	_, _, err := s.Get([]byte("a"), nil)
	require.ErrorIs(t, err, shadow.ErrClosed)
	require.ErrorIs(t, s.Sync(), shadow.ErrClosed)
	_, err = s.Trim(noon, 0)
	require.ErrorIs(t, err, shadow.ErrClosed)
	for _, err := range s.Scan(nil) {
		require.ErrorIs(t, err, shadow.ErrClosed)
	}
	require.Zero(t, s.DiskUsage())
}
