package shadow

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
)

// A file system that forgets what was not synced, as a machine does whose power fails.
// What was committed since may be there or not; the batches are whole in any case.
func TestWhatSyncPromisedSurvivesAPowerCutAndEveryBatchIsWhole(t *testing.T) {
	for seed := range uint64(40) {
		fs := vfs.NewCrashableMem()
		require.NoError(t, fs.MkdirAll("/data", 0o700))
		dir, err := fs.OpenDir("/")
		require.NoError(t, err)
		require.NoError(t, dir.Sync())
		s, err := open("/data", Config{MemtableBytes: 256 << 10}, fs) // logs are exchanged often
		require.NoError(t, err)
		draw := rand.New(rand.NewPCG(seed, 1))
		n := 1 + draw.IntN(200)
		synced, err := work(s, n)
		require.NoError(t, err)
		after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: draw.IntN(101), RNG: draw})
		require.NoError(t, s.Close())

		s, err = open("/data", Config{}, after)
		require.NoError(t, err, "seed %d", seed)
		at, _ := s.Checkpoint()
		require.GreaterOrEqual(t, int(at.Applied), synced, "seed %d", seed)
		requireWhole(t, s, int(at.Applied))
		require.NoError(t, s.Close())
	}
}

// numbers commits the number that it is given.
func numbers(t *testing.T, s *Store) func(n int) {
	b := s.NewBatch()
	return func(n int) {
		b.Reset()
		b.Set([]byte("n"), fmt.Append(nil, n))
		require.NoError(t, b.Commit())
	}
}

// The disk itself is asked by Sync alone: a commit costs no more than leaving our memory.
func TestOnlySyncWaitsForTheDisk(t *testing.T) {
	fs := vfs.NewCrashableMem()
	require.NoError(t, fs.MkdirAll("/data", 0o700))
	s, err := open("/data", Config{}, fs)
	require.NoError(t, err)
	commit := numbers(t, s)
	is := func(fs vfs.FS) string {
		s, err := open("/data", Config{}, fs)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		v, _, err := s.Get([]byte("n"), nil)
		require.NoError(t, err)
		return string(v)
	}
	commit(1)
	require.NoError(t, s.Sync())
	commit(2)
	require.Equal(t, "1", is(fs.CrashClone(vfs.CrashCloneCfg{})))
	require.NoError(t, s.Sync())
	require.Equal(t, "2", is(fs.CrashClone(vfs.CrashCloneCfg{})))
	require.NoError(t, s.Close())
}

// stalling is a disk that takes its time over syncs of the log, from when it is told to.
type stalling struct {
	on      atomic.Bool
	reached chan struct{} // closed by the first sync
	release chan struct{}
	once    sync.Once
}

func (*stalling) String() string { return "stalling" }

func (s *stalling) MaybeError(op errorfs.Op) error {
	if op.Kind == errorfs.OpFileSyncData && filepath.Ext(op.Path) == ".log" && s.on.Load() {
		s.once.Do(func() { close(s.reached) })
		<-s.release
	}
	return nil
}

func TestCommitsGoOnWhileTheDiskIsAsked(t *testing.T) {
	disk := &stalling{reached: make(chan struct{}), release: make(chan struct{})}
	s, err := open(t.TempDir(), Config{}, errorfs.Wrap(vfs.Default, disk))
	require.NoError(t, err)
	commit := numbers(t, s)
	commit(1)
	disk.on.Store(true)
	synced := make(chan error, 2)
	go func() { synced <- s.Sync() }()
	<-disk.reached
	commit(2)                          // which a commit that waits for the disk would not come out of
	go func() { synced <- s.Sync() }() // and who asks for that one waits for the disk as well
	require.Never(t, func() bool { return len(synced) > 0 }, 20*time.Millisecond, time.Millisecond)
	close(disk.release)
	require.NoError(t, <-synced)
	require.NoError(t, <-synced)
	require.NoError(t, s.Close())
}
