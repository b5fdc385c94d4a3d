package postgres

import "syscall"

// endWithUs asks the kernel to end the child when we end, however we do. SIGQUIT
// is PostgreSQL's immediate shutdown; nothing throw-away deserves a checkpoint.
func endWithUs(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGQUIT }
