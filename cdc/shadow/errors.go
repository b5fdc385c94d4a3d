package shadow

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// ErrClosed is returned by what runs into Close: the program is ending, and
// nothing is wrong with the data.
var ErrClosed = errors.New("the data directory has been closed")

var errCutShort = errors.New("an entry is cut short")

// errWrite marks what a failed write left behind.
type errWrite struct {
	op  string
	err error
}

func (e *errWrite) Error() string { return e.op + ": " + e.err.Error() }
func (e *errWrite) Unwrap() error { return e.err }

// explain turns what went wrong in dir into one sentence with its remedy.
func explain(dir string, err error) error {
	err = oneLine{err}
	_, isWrite := errors.AsType[*errWrite](err)
	_, isSystem := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("data directory %s: no room to write (%w); "+
			"make room there or raise the quota, then start again: nothing that was confirmed is lost", dir, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("data directory %s cannot be written by this user (%w); "+
			"give it to the user that schoolbell runs as (chown, mode 0700) on a file system mounted read-write, or choose another with --data", dir, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("data directory %s cannot be made, a part of its path is a file (%w); choose another with --data", dir, err)
	case isWrite:
		return fmt.Errorf("data directory %s: a write failed (%w); "+
			"see the system's log for the disk, then start again: nothing that was confirmed is lost", dir, err)
	case isSystem && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("data directory %s cannot be read (%w); see the system's log for the disk, then start again", dir, err)
	case strings.Contains(err.Error(), "unknown format major version"): // it has no type
		return fmt.Errorf("data directory %s was written by a newer schoolbell (%w); run that version, or %s", dir, err, startOver)
	}
	return damaged(dir, err)
}

// startOver is the remedy that always works.
const startOver = "move the directory away and start again: it is rebuilt from a new snapshot, without the history"

func damaged(dir string, err error) error {
	return fmt.Errorf("data directory %s is damaged (%w); %s", dir, oneLine{err}, startOver)
}

// oneLine is an error whose several lines stand in one.
type oneLine struct{ err error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.err.Error(), "\n", "; ") }
func (e oneLine) Unwrap() error { return e.err }
