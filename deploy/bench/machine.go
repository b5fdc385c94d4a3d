//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is where, when and by which words the figures were made.
type machine struct {
	Cores      int       `json:"cores"`
	Model      string    `json:"model"`
	Memory     int64     `json:"memory_bytes"`
	Kernel     string    `json:"kernel"`
	Go         string    `json:"go"`
	PostgreSQL string    `json:"postgresql"` // of the last server
	Revision   string    `json:"revision"`
	Command    string    `json:"command"`
	Began      time.Time `json:"began"`
}

func (m machine) String() string {
	postgres := ""
	if m.PostgreSQL != "" {
		postgres = "PostgreSQL " + m.PostgreSQL + ", "
	}
	return fmt.Sprintf("%d cores of %s, %d GB, Linux %s, %s%s, revision %s, %s: `%s`",
		m.Cores, m.Model, m.Memory>>30, m.Kernel, postgres, m.Go, m.Revision, m.Began.Format("2006-01-02 15:04 MST"), m.Command)
}

func describeMachine(ctx context.Context) machine {
	m := machine{
		Cores: runtime.NumCPU(), Model: "an unnamed processor", Go: runtime.Version(), Revision: revision(ctx),
		Command: strings.Join(append([]string{"go run ./deploy/bench"}, os.Args[1:]...), " "), Began: time.Now().UTC(),
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if name := field(string(text), "model name"); name != "" {
			m.Model = name
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		m.Memory = kilobytes(field(string(text), "MemTotal"))
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	return m
}

// revision is the source tree's, marked where it was changed since.
func revision(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// look is what the machine did while we did nothing.
type look struct {
	Measure string  `json:"measure"`
	Load    string  `json:"load_average"`
	Busy    float64 `json:"busy_cores"`
}

// warning says that others use the machine, "" if they do not.
func (l look) warning() string {
	if l.Busy <= 0.1*float64(runtime.NumCPU()) {
		return ""
	}
	return fmt.Sprintf("before %s others kept %.1f of %d cores busy (load average %s)", l.Measure, l.Busy, runtime.NumCPU(), l.Load)
}

// lookAtMachine waits a moment and says how busy the others are. The load average
// still knows of our last measure, so that it is printed but does not judge.
func lookAtMachine(measure string) (look, error) {
	const moment = 500 * time.Millisecond
	before, err := busyTime()
	if err != nil {
		return look{}, err
	}
	time.Sleep(moment)
	after, err := busyTime()
	if err != nil {
		return look{}, err
	}
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return look{}, err
	}
	return look{
		Measure: measure, Load: strings.Join(strings.Fields(string(text))[:3], " "), Busy: (after - before).Seconds() / moment.Seconds(),
	}, nil
}

// busyTime is how long all cores together have worked since the machine began.
func busyTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var ticks int64
	for i, word := range strings.Fields(line)[1:] {
		const idle, wait, guest = 3, 4, 8 // guests' time is in the others', too
		if i == idle || i == wait || i >= guest {
			continue
		}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// tick is the unit of times in /proc: USER_HZ is 100 wherever Linux runs.
const tick = 10 * time.Millisecond

// processor is time on the cores.
type processor struct{ User, System time.Duration }

func (p processor) total() time.Duration { return p.User + p.System }

func (p processor) minus(q processor) processor {
	return processor{p.User - q.User, p.System - q.System}
}

// processorOf is what a process has taken so far.
func processorOf(pid int) (processor, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processor{}, err
	}
	_, behind, _ := strings.Cut(string(text), ") ") // the name before may hold anything
	words := strings.Fields(behind)
	if len(words) < 13 {
		return processor{}, fmt.Errorf("/proc/%d/stat has %d fields behind the name, want at least 13", pid, len(words))
	}
	user, err := strconv.ParseInt(words[11], 10, 64)
	if err != nil {
		return processor{}, err
	}
	system, err := strconv.ParseInt(words[12], 10, 64)
	return processor{time.Duration(user) * tick, time.Duration(system) * tick}, err
}

// memoryOf is one of a process's sizes, like VmRSS or VmHWM (the peak), in bytes.
func memoryOf(pid int, name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	value := field(string(text), name)
	if value == "" {
		return 0, fmt.Errorf("/proc/%d/status has no %s", pid, name)
	}
	return float64(kilobytes(value)), nil
}

// field is what stands behind a name and a colon.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kilobytes reads "123 kB", in bytes.
func kilobytes(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// raiseFileLimit lets this process and those it starts open so many files, or as
// many as it may, which it answers.
func raiseFileLimit(want uint64) (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	raised := syscall.Rlimit{Cur: max(want, limit.Max), Max: max(want, limit.Max)} // root may raise both
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
		return raised.Cur, nil
	}
	limit.Cur = limit.Max
	return limit.Cur, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
