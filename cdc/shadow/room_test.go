package shadow

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// smallDisk says how much room there is, and whether it may be written.
type smallDisk struct {
	vfs.FS
	room     atomic.Uint64
	readOnly atomic.Bool
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.room.Load()}, nil
}

func (d *smallDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if d.readOnly.Load() {
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EROFS}
	}
	return d.FS.Create(name, c)
}

func TestADiskThatWillSoonTakeNoMoreIsSaidBeforeAWriteFails(t *testing.T) {
	disk := &smallDisk{FS: vfs.Default}
	disk.room.Store(64 << 20)
	dir := t.TempDir()
	s, err := open(dir, Config{}, disk)
	require.NoError(t, err)
	require.NoError(t, s.Check())

	disk.room.Store(64<<20 - 1)
	require.EqualError(t, s.Check(), "data directory "+dir+" has 63 MB of room left, want 64; "+
		"make room there or raise the quota before the next write fails, which ends the gateway")
	disk.room.Store(1 << 30)
	require.NoError(t, s.Check())

	disk.readOnly.Store(true)
	require.ErrorContains(t, s.Check(), "data directory "+dir+" cannot be written by this user (")
	require.NoError(t, s.Failure(), "looking is no failure")
	disk.readOnly.Store(false)
	require.NoError(t, s.Check())
	require.NoFileExists(t, dir+"/"+probeName)

	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Check(), ErrClosed)
}

func TestADataDirectoryThatIsGoneIsSaid(t *testing.T) {
	dir := t.TempDir() + "/data"
	s, err := Open(dir, Config{})
	require.NoError(t, err)
	require.NoError(t, os.Rename(dir, dir+".moved"))
	require.ErrorContains(t, s.Check(), "data directory "+dir)
	require.NoError(t, os.Rename(dir+".moved", dir))
	require.NoError(t, s.Check())
	require.NoError(t, s.Close())
}

// What a kill between the two halves of a check leaves is no damage.
func TestAFileThatACheckLeftIsNothing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/"+probeName, []byte{1}, 0o600))
	for range 2 {
		s, err := Open(dir, Config{})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
}
