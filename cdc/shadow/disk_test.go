package shadow_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/stretchr/testify/require"
)

type fillReport struct {
	Synced         int
	Commit, Sync   string
	Get, Close     string
	StillRefusing  bool
	NoSpaceIsNamed bool
}

// childFillsTheDisk commits until it is refused. No file of its own may grow past
// a limit: the nearest that a process without rights comes to a full disk.
func childFillsTheDisk(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := shadow.Open(dir, shadow.Config{MemtableBytes: 4 << 20})
	must(err)
	must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}))
	var r fillReport
	b := s.NewBatch()
	for n := 1; err == nil; n++ {
		b.Reset()
		putBatch(b, n)
		if err = b.Commit(); err == nil && n%7 == 0 {
			if err = s.Sync(); err == nil {
				r.Synced = n
			}
		}
	}
	r.NoSpaceIsNamed = strings.Contains(err.Error(), "no room")
	b.Reset()
	putBatch(b, 1_000_000)
	r.Commit, r.Sync = fmt.Sprint(b.Commit()), fmt.Sprint(s.Sync())
	_, _, err = s.Get([]byte("newest"), nil)
	r.Get = fmt.Sprint(err)
	r.StillRefusing = b.Commit() != nil
	r.Close = fmt.Sprint(s.Close())
	must(json.NewEncoder(os.Stdout).Encode(r))
}

func TestAFullDiskEndsNeitherTheProcessNorTheData(t *testing.T) {
	dir := t.TempDir()
	out, err := child(t, "fill", dir).Output()
	require.NoError(t, err, "%s", out)
	var r fillReport
	require.NoError(t, json.Unmarshal(out, &r), "%s", out)
	require.Positive(t, r.Synced)
	require.True(t, r.NoSpaceIsNamed)
	require.True(t, r.StillRefusing)
	for _, said := range []string{r.Commit, r.Sync, r.Get, r.Close} {
		require.Contains(t, said, "data directory "+dir+": no room to write")
		require.NotContains(t, said, "\n")
	}
	checkWhole(t, dir, r.Synced)
}

func TestADirectoryThatCannotBeUsedIsExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	_, err := shadow.Open(file, shadow.Config{})
	require.ErrorContains(t, err, "data directory "+file+" is a file; choose another")
	_, err = shadow.Open(filepath.Join(file, "below"), shadow.Config{})
	require.ErrorContains(t, err, "a part of its path is a file")
}

// Root may write everywhere, so this one goes on as nobody, in a copy of the test
// binary that nobody can reach.
func TestADirectoryThatIsNotOursIsExplained(t *testing.T) {
	base, err := os.MkdirTemp("", "shadow")
	require.NoError(t, err)
	defer os.RemoveAll(base)
	require.NoError(t, os.Chmod(base, 0o755))
	dir := filepath.Join(base, "data")
	require.NoError(t, os.Mkdir(dir, 0o555))

	cmd := child(t, "open", dir)
	if os.Geteuid() == 0 {
		cmd.Path = filepath.Join(base, "test")
		require.NoError(t, exec.Command("cp", cmd.Args[0], cmd.Path).Run())
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	for _, where := range []string{dir, filepath.Join(dir, "below")} {
		c := *cmd
		c.Env = append(os.Environ(), childEnv+"=open", childDirEnv+"="+where)
		out, err := c.Output()
		require.Error(t, err)
		require.Contains(t, string(out), "data directory "+where+" cannot be written by this user")
	}
}
