package shadow

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/schoolbell/schoolbell/cdc"
	"github.com/stretchr/testify/require"
)

// breaking fails every write from number n on, of the kinds it is told of.
type breaking struct {
	n     int64
	count atomic.Int64
}

func (b *breaking) String() string { return fmt.Sprintf("from write %d on", b.n) }

func (b *breaking) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpRename, errorfs.OpReuseForWrite, errorfs.OpRemove, errorfs.OpMkdirAll,
		errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo,
		errorfs.OpFilePreallocate:
		if b.count.Add(1) >= b.n {
			return syscall.ENOSPC
		}
	}
	return nil
}

// work commits batches that each hold the same number in a key, an event and the
// checkpoint, with enough in them for flushes and compactions, until an error.
func work(s *Store, batches int) (synced int, err error) {
	b := s.NewBatch()
	value := make([]byte, 20_000)
	for n := 1; n <= batches; n++ {
		b.Reset()
		putWork(b, n, value)
		if err := b.Commit(); err != nil {
			return synced, err
		}
		if n%5 == 0 {
			if err := s.Sync(); err != nil {
				return synced, err
			}
			synced = n
		}
	}
	return synced, nil
}

func putWork(b *Batch, n int, value []byte) {
	b.Set(fmt.Appendf(nil, "key %d", n%50), value)
	b.Set([]byte("n"), fmt.Append(nil, n))
	b.Append(&cdc.Event{Position: cdc.Position{LSN: cdc.LSN(n), Index: 1}, Body: value})
	b.SetCheckpoint(Checkpoint{Checkpoint: cdc.Checkpoint{Applied: cdc.LSN(n)}})
}

// requireWhole finds the batches 1 to n of work in s, and nothing of another.
func requireWhole(t *testing.T, s *Store, n int) {
	t.Helper()
	events := 0
	for e, err := range s.Events(cdc.Position{}, cdc.Position{LSN: 1 << 40}) {
		require.NoError(t, err)
		events++
		require.Equal(t, cdc.LSN(events), e.Position.LSN)
	}
	require.Equal(t, n, events)
	v, ok, err := s.Get([]byte("n"), nil)
	require.NoError(t, err)
	require.Equal(t, n > 0, ok)
	if ok {
		require.Equal(t, fmt.Sprint(n), string(v))
	}
}

func TestWhicheverWriteFailsNothingThatWasSyncedIsLost(t *testing.T) {
	const batches = 100
	cfg := Config{MemtableBytes: 256 << 10}
	count := &breaking{n: 1 << 60}
	s, err := open("data", cfg, errorfs.Wrap(vfs.NewMem(), count))
	require.NoError(t, err)
	_, err = work(s, batches)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	total := count.count.Load()
	require.Greater(t, total, int64(100))

	refused := 0
	for n := int64(1); n < total; n += 1 + total/150 {
		mem := vfs.NewMem()
		synced := 0
		s, err := open("data", cfg, errorfs.Wrap(mem, &breaking{n: n}))
		if err == nil {
			synced, err = work(s, batches)
			if err != nil {
				require.Equal(t, err, s.Sync(), "and it stays so")
				require.Equal(t, err, s.Failure())
				_, _, gerr := s.Get([]byte("n"), nil)
				require.Equal(t, err, gerr)
			}
			cerr := s.Close()
			if err == nil {
				err = cerr // the last writes are those of Close, or come after it
			}
		}
		if err != nil {
			refused++
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorContains(t, err, "data directory data: no room to write")
		}
		if _, serr := mem.Stat("data"); serr != nil {
			continue // not even the directory was made
		}
		s, err = open("data", cfg, mem)
		require.NoError(t, err, "after a failure at write %d", n)
		c, _ := s.Checkpoint()
		require.GreaterOrEqual(t, int(c.Applied), synced)
		requireWhole(t, s, int(c.Applied))
		require.NoError(t, s.Close())
	}
	require.Greater(t, refused, 50)
}

func TestAFrozenDiskTouchesNothingMore(t *testing.T) {
	mem := vfs.NewMem()
	d := newDisk(mem, "dir")
	require.NoError(t, d.MkdirAll("dir", 0o700))
	f, err := d.Create("dir/a", "")
	require.NoError(t, err)
	_, err = f.Write([]byte("before"))
	require.NoError(t, err)

	d.fail(errors.New("first"))
	d.fail(errors.New("second"))
	require.EqualError(t, d.failure(), "first")
	n, err := f.Write([]byte("after"))
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.NoError(t, d.Remove("dir/a"))
	require.NoError(t, d.Rename("dir/a", "dir/b"))
	_, err = d.Create("dir/c", "")
	require.NoError(t, err)
	require.NoError(t, f.Close())

	list, err := mem.List("dir")
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, list)
	info, err := mem.Stat("dir/a")
	require.NoError(t, err)
	require.EqualValues(t, len("before"), info.Size())
}

func TestTheStoreBelowCannotEndTheProcess(t *testing.T) {
	s, err := open("data", Config{}, vfs.NewMem())
	require.NoError(t, err)
	c := &chatter{d: s.disk}
	c.Fatalf("%s", errors.New("the manifest is gone"))
	require.ErrorContains(t, s.Sync(), "the manifest is gone")
	require.ErrorContains(t, s.NewBatch().Commit(), "data directory data")
	require.Error(t, s.Close())
}
