//go:build !unix

package postgres

import "syscall"

// attributes are the defaults where there are neither process groups nor a root.
func (*account) attributes() *syscall.SysProcAttr { return new(syscall.SysProcAttr) }
