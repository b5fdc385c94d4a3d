//go:build unix

package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// Somebody tries it: an ordinary user, whatever we are, with no home and nothing set
// but PATH. Ctrl-C is pressed when the first event was seen.
func TestTheDemoShowsAnEventWithinAMinuteAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	d := startDemo(t, true, "--rate", "20")
	teacher := d.address(`teacher +(http://\S+)/#token=(\S+)`)
	admin := d.address(`admin +(http://\S+)/#token=(\S+)`)
	d.address(`tutor +(http://\S+)/#token=(\S+)`)
	require.Regexp(t, `terminal \S+ tail --url \S+ --token \S+`, d.text())
	metrics := d.address(`metrics +(http://\S+)()`)

	client := newDashboard(admin[0], 0, admin[1])
	var running sync.WaitGroup
	running.Go(func() { client.run(t.Context()) })
	t.Cleanup(running.Wait)
	client.await(t, "first event", func() bool { return len(client.events) > 0 })
	require.Less(t, time.Since(d.began), time.Minute)
	require.Equal(t, http.StatusOK, statusOf(t, teacher[0]+"/"))
	resp, err := http.Get(metrics[0])
	require.NoError(t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(page), "schoolbell_")

	require.NoError(t, d.cmd.Process.Signal(os.Interrupt))
	require.Zero(t, d.wait(20*time.Second), d.text())
	d.leftNothing()
}

// Where the LMS has no tokens that we read, those that are printed are the demo's own.
func TestTheDemoShowsAnEventWhateverTheLMS(t *testing.T) {
	t.Parallel()
	for _, lms := range demoLMSs()[1:] {
		t.Run(lms, func(t *testing.T) {
			d := startDemo(t, false, "--lms", lms, "--rate", "20")
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			t.Cleanup(func() { cancel(); running.Wait() })
			for _, role := range []string{"admin", "teacher", "tutor"} {
				address := d.address(role + ` +(http://\S+)/#token=(\S+)`)
				client := newDashboard(address[0], 0, address[1])
				running.Go(func() { client.run(ctx) })
				client.await(t, "welcome", func() bool { return client.welcomes > 0 })
				if role == "admin" {
					client.await(t, "first event", func() bool { return len(client.events) > 0 })
				}
			}
			require.NoError(t, d.cmd.Process.Signal(os.Interrupt))
			require.Zero(t, d.wait(20*time.Second), d.text())
			d.leftNothing()
		})
	}
}

func TestTheDemoSaysWhichLMSsThereAre(t *testing.T) {
	t.Parallel()
	d := startDemo(t, false, "--lms", "moodel")
	require.Equal(t, 2, d.wait(time.Minute))
	require.Contains(t, d.text(), `--lms is "moodel", want one of django, moodle, canvas; the nearest is moodle`)
}

func TestTheDemoEndsByItselfAfterItsDuration(t *testing.T) {
	t.Parallel()
	d := startDemo(t, false, "--duration", "4s")
	require.Zero(t, d.wait(time.Minute), d.text())
	require.Greater(t, time.Since(d.began), 4*time.Second)
	d.leftNothing()
}

// A second of patience is not enough for the start: what was begun is undone.
func TestTheDemoLeavesNothingBehindWhenItIsStoppedAtOnce(t *testing.T) {
	t.Parallel()
	d := startDemo(t, false)
	d.waitFor(`starting PostgreSQL`)
	require.NoError(t, d.cmd.Process.Signal(os.Interrupt))
	require.Zero(t, d.wait(20*time.Second), d.text())
	d.leftNothing()
}

// demoProcess is a demo whose temporary folder is its own.
type demoProcess struct {
	*process
	began time.Time
	temp  string
}

func startDemo(t *testing.T, ordinary bool, args ...string) *demoProcess {
	t.Helper()
	bin := pgtest.Server(t).Bin() // so that this test is skipped where there is none
	temp, err := os.MkdirTemp("", "schoolbell-demo-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(temp)) })
	require.NoError(t, os.Chmod(temp, 0o777)) // another user makes its folders in it
	program, err := os.Executable()
	require.NoError(t, err)
	attributes := &syscall.SysProcAttr{}
	if nobody := anybodyElse(t); ordinary && nobody != nil {
		attributes.Credential = nobody
		program = copyProgram(t)
	}
	d := &demoProcess{process: &process{t: t}, began: time.Now(), temp: temp}
	d.cmd = exec.Command(program, append([]string{"demo", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)...)
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp, mainVariable + "=1", "SCHOOLBELL_POSTGRES_BIN=" + bin}
	d.cmd.Dir = temp
	d.cmd.SysProcAttr = attributes
	d.cmd.Stdout, d.cmd.Stderr = d, d
	require.NoError(t, d.cmd.Start())
	d.done = make(chan struct{})
	go func() { _ = d.cmd.Wait(); close(d.done) }()
	t.Cleanup(func() {
		_ = d.cmd.Process.Signal(os.Interrupt) // a kill would leave its PostgreSQL
		<-d.done
		if t.Failed() {
			t.Log(d.text())
		}
	})
	return d
}

// anybodyElse is an ordinary user's account, nil when we are one ourselves.
func anybodyElse(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// copyProgram puts this program where everybody may run it: go test keeps it in a
// folder of its own.
func copyProgram(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "schoolbell-program-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	program := filepath.Join(dir, "schoolbell")
	self, err := os.Executable()
	require.NoError(t, err)
	content, err := os.ReadFile(self)
	require.NoError(t, err)
	writeProgram(t, program, content)
	return program
}

// writeProgram writes a program that is started next. What another test forks meanwhile
// would have it open for a moment, and it could not be started: "text file busy".
func writeProgram(t *testing.T, to string, content []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(t, os.WriteFile(to, content, 0o755))
}

// waitFor waits until the demo has said something, and answers the pattern's parts.
func (d *demoProcess) waitFor(pattern string) []string {
	d.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for time.Since(d.began) < time.Minute {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(d.text()); found != nil {
			return found[1:]
		}
		select {
		case <-look.C:
		case <-d.done:
			d.t.Fatalf("it ended before it said %q", pattern)
		}
	}
	d.t.Fatalf("it did not say %q within a minute", pattern)
	return nil
}

// address is an address with its token that the demo prints.
func (d *demoProcess) address(pattern string) []string {
	d.t.Helper()
	return d.waitFor(pattern + `\s`)
}

// leftNothing sees that neither a file nor a process is left.
func (d *demoProcess) leftNothing() {
	d.t.Helper()
	left, err := os.ReadDir(d.temp)
	require.NoError(d.t, err)
	require.Empty(d.t, left)
	processes, err := exec.Command("ps", "-A", "-o", "args").Output()
	require.NoError(d.t, err)
	require.NotContains(d.t, string(processes), d.temp)
}
