//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/schoolbell/schoolbell/cdc"
)

// keeper runs the gateway as systemd does: whenever it ends, it is started again. An
// end that no fault explains is a failure.
type keeper struct {
	t       testing.TB
	program string
	args    []string
	failed  context.CancelCauseFunc
	running sync.WaitGroup
	away    sync.Mutex // held while the gateway is kept down

	mu      sync.Mutex // guards what follows
	current *life
	lives   []*life // since the last verdict
	judged  []*life // in the last verdict
	closing bool
	paused  bool // ends are not followed by a start
}

// life is the gateway from one start to its end.
type life struct {
	*process
	ended chan struct{} // closed when the keeper has seen the end
	read  int           // so much of its log was looked at

	mu       sync.Mutex
	explains []int // guarded by mu: the exit codes that would be no surprise
}

const killed = -1 // what ExitCode answers of a process that a signal has ended

func (k *keeper) start() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.begin()
}

// begin starts the gateway; the caller holds k.mu.
func (k *keeper) begin() error {
	l := &life{process: &process{t: k.t, program: k.program, args: k.args}, ended: make(chan struct{})}
	if err := l.begin(); err != nil {
		return err
	}
	k.current = l
	k.lives = append(k.lives, l)
	k.running.Go(func() { k.watch(l) })
	return nil
}

// watch waits for the end of a life, and begins the next.
func (k *keeper) watch(l *life) {
	<-l.done
	defer close(l.ended)
	code := l.cmd.ProcessState.ExitCode()
	if out := l.text(); strings.Contains(out, "\ngoroutine ") || strings.Contains(out, "DATA RACE") {
		k.failed(fmt.Errorf("the gateway crashed:\n%s", lastWordsOf(out)))
	}
	l.mu.Lock()
	explained := slices.Contains(l.explains, code)
	l.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closing {
		return
	}
	if !explained {
		k.failed(fmt.Errorf("the gateway ended by itself with code %d:\n%s", code, lastWordsOf(l.text())))
		return
	}
	if k.paused {
		return
	}
	if err := k.begin(); err != nil {
		k.failed(fmt.Errorf("start the gateway again: %w", err))
	}
}

func lastWordsOf(out string) string { return out[max(0, len(out)-6000):] }

func (k *keeper) now() *life {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

// explain says that this life may end with a code.
func (l *life) explain(code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.explains = append(l.explains, code)
}

// signal sends one; what it does to the process is no surprise.
func (l *life) signal(s syscall.Signal) {
	switch s {
	case syscall.SIGKILL:
		l.explain(killed)
	case syscall.SIGTERM:
		l.explain(0)
		l.explain(killed) // it had only just been started
	}
	_ = l.cmd.Process.Signal(s) // one that has ended needs none
}

// down ends the gateway and keeps it away until the answer is called.
func (k *keeper) down(ctx context.Context, s syscall.Signal) (up func() error, err error) {
	k.away.Lock()
	k.mu.Lock()
	k.paused = true
	l := k.current
	k.mu.Unlock()
	l.signal(s)
	up = func() error {
		defer k.away.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		k.paused = false
		return k.begin()
	}
	select {
	case <-l.ended:
		return up, nil
	case <-ctx.Done():
		return up, fmt.Errorf("the gateway does not end: %w", context.Cause(ctx))
	}
}

// close ends the gateway for good.
func (k *keeper) close() {
	k.mu.Lock()
	k.closing = true
	l := k.current
	k.mu.Unlock()
	if l != nil {
		_ = l.cmd.Process.Kill()
	}
	k.running.Wait()
}

// since answers what recoveries the gateway has spoken of since the last call, oldest
// first, and whether its disk was full.
func (k *keeper) since() (all []recovery, diskFull bool, err error) {
	k.mu.Lock()
	k.judged = k.lives
	k.lives = []*life{k.current}
	lives := k.judged
	k.mu.Unlock()
	for _, l := range lives {
		found, err := l.recoveries()
		if err != nil {
			return nil, false, err
		}
		all = append(all, found...)
		l.mu.Lock()
		diskFull = diskFull || slices.Contains(l.explains, 1)
		l.mu.Unlock()
	}
	return all, diskFull, nil
}

// recoveries reads the log of one life from where it was read last.
func (l *life) recoveries() ([]recovery, error) {
	text := l.text()[l.read:]
	text = text[:strings.LastIndexByte(text, '\n')+1] // the rest of a line is still to come
	l.read += len(text)
	var all []recovery
	for line := range strings.Lines(text) {
		var m struct{ Msg, From, LSN string }
		if json.Unmarshal([]byte(line), &m) != nil || m.Msg != "recovered" {
			continue
		}
		var r recovery
		var err error
		if r.from, err = cdc.ParseLSN(m.From); err != nil {
			return nil, err
		}
		if r.at, err = cdc.ParseLSN(m.LSN); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// lastWords are those of all lives since the last verdict.
func (k *keeper) lastWords() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all strings.Builder
	for _, l := range append(slices.Clone(k.judged), k.lives...) {
		all.WriteString(lastWordsOf(l.text()))
		all.WriteString("----\n")
	}
	return all.String()
}
