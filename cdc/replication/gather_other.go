//go:build !linux

package replication

import "net"

// bell never rings where we know of no way to let anything gather.
type bell struct{}

func newBell(net.Conn) *bell { return &bell{} }

func (*bell) wait() bool { return false }

func (*bell) off() {}
