//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// bench is what the measures have in common. One goroutine uses it.
type bench struct {
	options
	program string // the gateway's, built for this
	self    string // this program's
	dir     string // for data directories; removed at the end
	files   uint64 // that a process may have open
	now     string // the measure that runs
	result  report
	log     io.Writer // what is going on
}

// benchmark runs the measures and writes the table to out. A measure that fails does
// not keep the others from running.
func benchmark(ctx context.Context, o options, out, log io.Writer) error {
	b := &bench{options: o, log: log, result: report{Machine: describeMachine(ctx), Sizes: o.sizes}}
	var err error
	if b.dir, err = os.MkdirTemp("", "schoolbell-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if o.quick {
		b.result.Warnings = append(b.result.Warnings, "the sizes of -quick are too small for figures to be quoted")
	}
	var failures []error
	for _, m := range measures() {
		if len(o.only) > 0 && !slices.Contains(o.only, m.name) {
			continue
		}
		err := b.measure(ctx, m)
		if ctx.Err() != nil {
			err = context.Cause(ctx) // said once, not by all that it broke off
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", m.name, err))
			b.result.Failures = append(b.result.Failures, failures[len(failures)-1].Error())
		}
		if ctx.Err() != nil {
			break
		}
	}
	b.result.writeTable(out)
	return errors.Join(errors.Join(failures...), b.writeJSON())
}

// prepare builds the gateway, without C as it is delivered.
func (b *bench) prepare(ctx context.Context) error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.files, err = raiseFileLimit(65_536); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	b.program = filepath.Join(b.dir, "schoolbell")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.program, "github.com/schoolbell/schoolbell/cmd/schoolbell")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the gateway: %w: %s; fix: run this in schoolbell's source tree", err, bytes.TrimSpace(out))
	}
	return nil
}

func (b *bench) measure(ctx context.Context, m measure) error {
	l, err := lookAtMachine(m.name)
	if err != nil {
		return err
	}
	b.now = m.name
	b.result.Looks = append(b.result.Looks, l)
	b.say("load average %s", l.Load)
	if warning := l.warning(); warning != "" {
		b.warn("%s", warning)
	}
	began := time.Now()
	known := len(b.result.Figures)
	err = m.run(b, ctx)
	for _, f := range b.result.Figures[known:] {
		b.say("%s", f.line())
	}
	b.say("took %v", time.Since(began).Round(time.Second))
	return err
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.log, b.now+": "+format+"\n", args...)
}

// warn says what makes the figures doubtful, now and below the table.
func (b *bench) warn(format string, args ...any) {
	b.result.Warnings = append(b.result.Warnings, fmt.Sprintf(format, args...))
	b.say("warning: "+format, args...)
}

func (b *bench) writeJSON() error {
	if b.json == "" {
		return nil
	}
	f, err := os.Create(b.json)
	if err != nil {
		return err
	}
	return errors.Join(b.result.writeJSON(f), f.Close())
}

// process is a program that runs beside us, and ends with us however we end.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu   sync.Mutex
	text bytes.Buffer // guarded by mu: what it wrote to its standard error
}

// begin starts a program. The kernel ends it when the thread that forked it ends, so
// that thread is kept for it.
func begin(program string, stdin io.Reader, stdout io.Writer, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, p
	// In a group of its own, so that Ctrl-C reaches us only.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // the state has the exit code
			close(p.done)
		}
	}()
	return p, <-started
}

// Write takes what the process writes.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

// words are all that it wrote.
func (p *process) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// failed is an error with the process's last words.
func (p *process) failed(what string) error {
	text := p.words()
	return fmt.Errorf("%s %s; its last words:\n%s", filepath.Base(p.cmd.Path), what, text[max(0, len(text)-2000):])
}

// stop ends it as an operator would.
func (p *process) stop() error {
	if p.ended() {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(30 * time.Second):
		p.kill()
		return p.failed("did not end within 30 s of SIGTERM")
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// until asks again and again until the answer is yes; it is an error when ctx ends or
// patience is over before.
func until(ctx context.Context, every, patience time.Duration, what string, yes func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %v: %s", patience, what))
	defer cancel()
	poll := time.NewTicker(every)
	defer poll.Stop()
	for {
		ok, err := yes()
		if err != nil || ok {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// inTurns runs each of the functions once in every run, the first one another each time.
func (b *bench) inTurns(run ...func() error) error {
	for i := range b.Runs {
		for j := range run {
			if err := run[(i+j)%len(run)](); err != nil {
				return err
			}
		}
	}
	return nil
}
