package main

import (
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The disk has no more room while the gateway runs. It ends with a sentence rather
// than telling what it may not remember, and goes on where it was when there is room.
func TestAFullDiskEndsTheGatewayWithOneSentenceAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve()
	s.ready()
	d := s.watch(s.school.Admins[0])
	s.grade(51)
	s.sees(d, 1)

	limitFiles(t, gateway.cmd.Process.Pid, 4096)
	s.grade(52)
	require.Equal(t, 1, gateway.wait(20*time.Second), gateway.text())
	require.Len(t, said(gateway.text()), 1)
	require.Contains(t, said(gateway.text())[0], "data directory "+s.data+": no room to write (")
	require.Contains(t, said(gateway.text())[0], "; make room there or raise the quota, then start again: nothing that was confirmed is lost")
	require.NotContains(t, gateway.text(), "goroutine ", "no stack trace")

	s.grade(53)
	gateway.restart()
	s.ready()
	s.sees(d, 3)
}

// limitFiles makes every file of a process as if its disk were full beyond so many
// bytes, which needs no disk and no root.
func limitFiles(t *testing.T, pid int, bytes uint64) {
	t.Helper()
	require.NoError(t, limitFileSize(pid, bytes))
}

func limitFileSize(pid int, bytes uint64) error {
	var limit syscall.Rlimit
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, 0, uintptr(unsafe.Pointer(&limit)), 0, 0)
	if errno != 0 {
		return errno
	}
	limit.Cur = bytes
	_, _, errno = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
