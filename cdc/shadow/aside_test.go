package shadow

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

var atSeven = time.Date(2026, 11, 23, 8, 0, 0, 0, time.FixedZone("", 3600))

const sevenName = "damaged-20261123T070000.000Z"

func TestADirectoryIsSetAsideWholeAndANewOneBegins(t *testing.T) {
	dir, whole := sessions(t)
	before, err := os.ReadDir(dir)
	require.NoError(t, err)
	aside, err := setAside(dir, atSeven, vfs.Default)
	require.NoError(t, err)
	require.Equal(t, dir+"."+sevenName, aside)
	after, err := os.ReadDir(aside)
	require.NoError(t, err)
	require.Len(t, after, len(before))
	requireNew(t, dir)
	require.Equal(t, "whole", verdict(t, aside, whole), "it was sound all the time")
}

// requireNew opens a directory that nothing is in.
func requireNew(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(dir, Config{})
	require.NoError(t, err)
	_, begun := s.Checkpoint()
	require.False(t, begun)
	requireWhole(t, s, 0)
	require.NoError(t, s.Close())
}

func TestADirectoryInUseIsNotSetAside(t *testing.T) {
	dir, _ := sessions(t)
	s, err := Open(dir, Config{})
	require.NoError(t, err)
	_, err = SetAside(dir)
	require.ErrorContains(t, err, "data directory "+dir+" is in use by another schoolbell")
	require.NoError(t, s.Close())
}

// mounted is a file system on which a directory is a mount: it cannot be renamed. Of
// the files in it so many can.
type mounted struct {
	vfs.FS
	dir   string
	files int
}

func (m *mounted) Rename(from, to string) error {
	if from == m.dir {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EBUSY}
	}
	if m.files--; m.files < 0 {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EIO}
	}
	return m.FS.Rename(from, to)
}

// As in a container's volume, or below /var/lib without the right to write there.
func TestADirectoryThatCannotBeRenamedIsSetAsideInsideItself(t *testing.T) {
	dir, whole := sessions(t)
	aside, err := setAside(dir, atSeven, &mounted{vfs.Default, dir, 1000})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, sevenName), aside)
	requireNew(t, dir)
	require.NoError(t, os.Remove(filepath.Join(aside, damageNote)))
	require.Equal(t, "whole", verdict(t, aside, whole))
}

func TestASettingAsideThatWasInterruptedLooksNeverLikeANewDirectory(t *testing.T) {
	sound, whole := sessions(t)
	entries, err := os.ReadDir(sound)
	require.NoError(t, err)
	files := len(entries) - 1 // the lock stays
	for n := range files {
		dir := copied(t, sound)
		_, err := setAside(dir, atSeven, &mounted{vfs.Default, dir, n})
		require.ErrorContains(t, err, "data directory "+dir+": a write failed")
		require.Equal(t, "refused", verdict(t, dir, whole), "after %d files", n)
		_, err = setAside(dir, atSeven.Add(time.Second), &mounted{vfs.Default, dir, 1000})
		require.NoError(t, err)
		requireNew(t, dir)
	}
}
