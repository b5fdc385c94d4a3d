//go:build unix

package postgres

import "syscall"

// attributes are as whom and how a program of the server's runs: in a process group
// of its own, so that Ctrl-C in a terminal reaches us only, and the server ends
// when it is told to.
func (a *account) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		attributes.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attributes
}
