//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreFileLimit lets a write beyond the limit on the size of files (ulimit -f,
// LimitFSIZE) fail as one to a full disk does, with a sentence, instead of ending the
// process with a stack trace.
func ignoreFileLimit() { signal.Ignore(syscall.SIGXFSZ) }
