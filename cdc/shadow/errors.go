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
		return &LostError{dir: dir, what: "was written by a newer schoolbell", err: err, remedy: "run that version, or " + startOver}
	}
	return damaged(dir, err)
}

// A LostError says that what a data directory holds can be read no more, or not by
// this version: the shadow and the history are lost. SetAside makes room for new
// ones. A directory that may be somebody else's is never answered with it.
type LostError struct {
	dir, what string
	err       error // nil where what says it all
	remedy    string
}

// Error is one sentence with the remedy.
func (e *LostError) Error() string {
	cause := ""
	if e.err != nil {
		cause = " (" + e.err.Error() + ")"
	}
	return "data directory " + e.dir + " " + e.what + cause + "; " + e.remedy
}

// Unwrap is what was found.
func (e *LostError) Unwrap() error { return e.err }

// startOver is the remedy that always works.
const startOver = "start with --rebuild: the directory is moved aside and a new one filled from a new snapshot, without the history"

func damaged(dir string, err error) error {
	return &LostError{dir: dir, what: "is damaged", err: oneLine{err}, remedy: startOver}
}

// oneLine is an error whose several lines stand in one.
type oneLine struct{ err error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.err.Error(), "\n", "; ") }
func (e oneLine) Unwrap() error { return e.err }
