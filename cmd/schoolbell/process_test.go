package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is the program, running on its own.
type process struct {
	t       testing.TB
	program string
	args    []string
	env     []string
	prepare func(*exec.Cmd) // where and as whom it runs; nil: here, as we
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended

	mu     sync.Mutex
	output bytes.Buffer // guarded by mu: of all its lives
}

// start runs the program with these arguments until the test ends: this very
// binary, so that the race detector, if it is on, looks at it too.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	return startProgram(t, os.Args[0], args...)
}

// buildProgram makes the program as it is delivered, without C: its store's caches then
// are part of Go's heap. What lasts minutes under the race detector takes seconds with
// it.
func buildProgram(t testing.TB) string {
	t.Helper()
	program, err := delivered()
	require.NoError(t, err)
	return program
}

// delivered is built once, beside the test's own binary, with which it is removed.
var delivered = sync.OnceValues(func() (string, error) {
	program := os.Args[0] + ".delivered"
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w: %s", err, out)
	}
	return program, nil
})

func startProgram(t testing.TB, program string, args ...string) *process {
	t.Helper()
	return startPrepared(t, &process{t: t, program: program, args: args})
}

func startPrepared(t testing.TB, p *process) *process {
	t.Helper()
	p.restart()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			out := p.text()
			t.Logf("the program's last words:\n%s", out[max(0, len(out)-8000):])
		}
	})
	return p
}

// restart runs it again after it has ended.
func (p *process) restart() {
	p.t.Helper()
	require.NoError(p.t, p.begin())
}

func (p *process) begin() error {
	p.cmd = exec.Command(p.program, p.args...)
	p.cmd.Env = append(os.Environ(), mainVariable+"=1")
	p.cmd.Env = append(p.cmd.Env, p.env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if p.prepare != nil {
		p.prepare(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(p.cmd, p.done)
	return nil
}

// Write takes the program's output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// kill ends it as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends it as an operator would, and answers the exit code.
func (p *process) stop(within time.Duration) int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.wait(within)
}

// wait answers the exit code.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		p.t.Fatalf("the program had not ended after %v:\n%s", within, p.text())
	}
	return p.cmd.ProcessState.ExitCode()
}

// ports are those that a test has: it keeps them while its program is away.
var ports sync.Map

// freePort is an address that nobody listens on, so that a program can come back to it.
// It is below those that a system gives to outgoing connections: a thousand clients that
// knock while the program is away would take it.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))
		if _, taken := ports.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// get fetches a page, again and again until ok likes it.
func get(t testing.TB, url string, ok func(status int, body string) bool) string {
	t.Helper()
	var status int
	var body string
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for range 1500 {
		if resp, err := http.Get(url); err == nil {
			b, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if status, body = resp.StatusCode, string(b); ok(status, body) {
				return body
			}
		}
		<-retry.C
	}
	t.Fatalf("%s: %d %s", url, status, body)
	return ""
}

func ready(status int, _ string) bool { return status == http.StatusOK }

// metric reads one number of a metrics page.
func metric(page, name string) string {
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// value is that number, 0 where there is none.
func value(page, name string) float64 {
	v, _ := strconv.ParseFloat(metric(page, name), 64)
	return v
}
