package shadow_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/stretchr/testify/require"
)

func child(t *testing.T, what, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+what, childDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
}

// putBatch is batch number n, in which everything says n: a counter, a key of its
// own, three events and the checkpoint. Every tenth is a large one.
func putBatch(b *shadow.Batch, n int) {
	v := binary.BigEndian.AppendUint64(nil, uint64(n))
	b.Set([]byte("newest"), v)
	b.Set(append([]byte("own"), v...), v)
	for i := range 3 {
		e := event(n, i+1)
		if n%10 == 0 {
			e.Body = make([]byte, 50_000)
		}
		b.Append(e)
	}
	b.SetCheckpoint(checkpoint(n))
}

func childCommits(dir string) {
	s, err := shadow.Open(dir, shadow.Config{MemtableBytes: 1 << 20})
	must(err)
	c, _ := s.Checkpoint()
	b := s.NewBatch()
	for n := int(c.Applied) + 1; ; n++ {
		b.Reset()
		putBatch(b, n)
		must(b.Commit())
		fmt.Println(n)
		if n%7 == 0 {
			must(s.Sync())
		}
	}
}

func TestWhatCommitPromisedSurvivesAKillAndEveryBatchIsWhole(t *testing.T) {
	dir := t.TempDir()
	last := 0
	for round := range 6 {
		cmd := child(t, "commit", dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		committed := 0
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			require.NoError(t, err, "the child said %q", lines.Text())
			if committed = n; n >= last+50*(round+1) {
				_ = cmd.Process.Signal(syscall.SIGKILL) // goes on reading what was said before the kill
			}
		}
		require.ErrorContains(t, cmd.Wait(), "killed")
		require.Greater(t, committed, last)
		last = checkWhole(t, dir, committed)
	}
}

// checkWhole opens the store and finds the batches 1 to n there, each one whole,
// where n is at least so many.
func checkWhole(t *testing.T, dir string, atLeast int) (n int) {
	t.Helper()
	s := open(t, dir)
	defer func() { require.NoError(t, s.Close()) }()
	c, ok := s.Checkpoint()
	require.True(t, ok || atLeast == 0)
	n = int(c.Applied)
	require.GreaterOrEqual(t, n, atLeast)
	if n > 0 {
		require.Equal(t, string(binary.BigEndian.AppendUint64(nil, uint64(n))), get(t, s, "newest"))
	}
	require.Len(t, scan(t, s, "own"), n)
	next := cdc.Position{LSN: 1, Index: 1}
	for e, err := range s.Events(cdc.Position{}, at(1<<40, 0)) {
		require.NoError(t, err)
		require.Equal(t, next, e.Position)
		if next.Index++; next.Index > 3 {
			next = cdc.Position{LSN: next.LSN + 1, Index: 1}
		}
	}
	require.Equal(t, at(n+1, 1), next)
	require.EqualValues(t, 3*n, s.HistoryEvents())
	return n
}

func childOpens(dir string) {
	s, err := shadow.Open(dir, shadow.Config{})
	must(err)
	must(s.Close())
	fmt.Println("opened")
}

func TestASecondProcessIsToldWhichDirectoryIsInUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)

	out, err := child(t, "open", dir).Output()
	require.Error(t, err)
	require.Contains(t, string(out), "data directory "+dir+" is in use by another schoolbell")
	require.Equal(t, 1, strings.Count(string(out), "\n"), "one sentence")
	_, err = shadow.Open(dir, shadow.Config{})
	require.ErrorContains(t, err, dir+" is in use")

	require.NoError(t, s.Close())
	out, err = child(t, "open", dir).Output()
	require.NoError(t, err, "%s", out)
}
