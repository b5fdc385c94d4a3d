package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres"
)

// childVariable makes the test binary a program that runs a server until its
// standard input ends.
const childVariable = "SCHOOLBELL_POSTGRES_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// child answers with two lines, the server's URL and folder, or with what was
// wrong. Its umask closes to others whatever it does not open on purpose.
func child() int {
	syscall.Umask(0o077)
	s, err := postgres.Start(context.Background(), postgres.Options{Log: os.Stderr})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("%s\n%s\n", s.URL("postgres"), s.Dir())
	io.Copy(io.Discard, os.Stdin)
	if err := s.Stop(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// runningChild is a test binary that runs a server.
type runningChild struct {
	cmd      *exec.Cmd
	stdin    io.Closer
	url, dir string
}

// startChild starts the test binary as the named user; "" is ourselves.
func startChild(t *testing.T, as string) *runningChild {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := &runningChild{}
	if as == "" {
		c.cmd = exec.CommandContext(t.Context(), self)
	} else {
		c.cmd = exec.CommandContext(t.Context(), copyFor(t, self))
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, as)}
	}
	c.cmd.Dir = "/"
	c.cmd.Env = append(os.Environ(), childVariable+"=1")
	var said strings.Builder
	c.cmd.Stderr = &said
	c.stdin, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	lines := bufio.NewScanner(stdout)
	var answer []string
	for len(answer) < 2 && lines.Scan() {
		answer = append(answer, lines.Text())
	}
	require.Len(t, answer, 2, "the child said %q and %s", answer, &said)
	c.url, c.dir = answer[0], answer[1]
	return c
}

func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	require.NoError(t, err)
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// copyFor copies the test binary out of the go command's folder, which is closed
// to other users.
func copyFor(t *testing.T, self string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "schoolbell-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	b, err := os.ReadFile(self)
	require.NoError(t, err)
	name := filepath.Join(dir, "child")
	require.NoError(t, os.WriteFile(name, b, 0o755))
	return name
}
