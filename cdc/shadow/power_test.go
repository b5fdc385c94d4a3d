package shadow

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
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

// The disk itself is asked by Sync alone: a commit costs no more than leaving our memory.
func TestOnlySyncWaitsForTheDisk(t *testing.T) {
	fs := vfs.NewCrashableMem()
	require.NoError(t, fs.MkdirAll("/data", 0o700))
	s, err := open("/data", Config{}, fs)
	require.NoError(t, err)
	b := s.NewBatch()
	commit := func(n int) {
		b.Reset()
		b.Set([]byte("n"), fmt.Append(nil, n))
		require.NoError(t, b.Commit())
	}
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
