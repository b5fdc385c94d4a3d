//go:build !unix

package wsserver

import "syscall"

// rawOf: nothing can be written without waiting, and each session has its own writer.
func rawOf(line) syscall.RawConn { return nil }

// writeNow is never called.
func (*batch) writeNow(syscall.RawConn) {}

func (*batch) write(uintptr) bool { return true }
