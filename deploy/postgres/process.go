package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// command prepares one of PostgreSQL's programs, as the server's account.
func (s *Server) command(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.Dir = dir
	cmd.SysProcAttr = s.account.attributes()
	for _, v := range os.Environ() {
		// PGPORT, PGDATA and the like mean another server; the messages are read by
		// this package, in English.
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") && !strings.HasPrefix(v, "LANG") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	return cmd
}

// process is a running postmaster.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
	err    error         // why; written before exited is closed
}

// startProcess starts cmd with its output appended to logFile.
//
// The parent-death signal that endWithUs asks for on Linux is sent when the
// thread that forked ends, not when its process does, and Go ends a thread
// whenever a goroutine locked to it returns. So the fork happens on a thread that
// is locked to a goroutine which lives as long as the child.
func startProcess(cmd *exec.Cmd, logFile string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	endWithUs(cmd.SysProcAttr)
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		if p.err = cmd.Wait(); p.err == nil {
			p.err = errors.New("the server ended by itself")
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// ended reports whether the process is no more, stopped by us or not.
func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// patience is how long a fast shutdown may take: a replication client that does
// not confirm delays it, and nothing in a throw-away server is worth the wait.
const patience = 10 * time.Second

// stop ends the process and returns when it has ended.
func (p *process) stop(mode string) error {
	var signals []os.Signal
	switch mode {
	case "fast":
		signals = []os.Signal{syscall.SIGINT, syscall.SIGQUIT, os.Kill}
	case "immediate":
		signals = []os.Signal{syscall.SIGQUIT, os.Kill}
	default:
		return fmt.Errorf("shutdown mode %q, want fast or immediate", mode)
	}
	for _, sig := range signals {
		if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-p.exited:
			return nil
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("stop PostgreSQL: process %d does not end", p.cmd.Process.Pid)
}
