//go:build !linux

package postgres

import "syscall"

// endWithUs does nothing where the kernel offers nothing: a server outlives a
// kill -9 of ours there.
func endWithUs(*syscall.SysProcAttr) {}
