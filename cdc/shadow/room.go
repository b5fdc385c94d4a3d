package shadow

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// leastRoom is how many bytes the disk has to have left: what a busy minute may need.
const leastRoom = 64 << 20

// probeName is the file that Check writes and removes. One that a kill left is nothing to
// the key-value store.
const probeName = "check.probe"

// Check says what will keep the store from taking more, before a write of its own fails and
// is its end: the disk is nearly full, or the directory is not there any more or may not be
// written. It tries, by a small file, so it is not to be called all the time.
func (s *Store) Check() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	base := s.disk.FS // a failure here is not the store's end
	if err := tryWrite(base, filepath.Join(s.dir, probeName)); err != nil {
		return explain(s.dir, &errWrite{"create", err})
	}
	usage, err := base.GetDiskUsage(s.dir)
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
		return nil
	case err != nil:
		return explain(s.dir, err)
	case usage.AvailBytes < leastRoom:
		return fmt.Errorf("data directory %s has %d MB of room left, want %d; make room there or raise the quota before the next write fails, which ends the gateway",
			s.dir, usage.AvailBytes>>20, leastRoom>>20)
	}
	return nil
}

func tryWrite(base vfs.FS, name string) error {
	f, err := base.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte{1})
	return errors.Join(err, f.Close(), base.Remove(name))
}
