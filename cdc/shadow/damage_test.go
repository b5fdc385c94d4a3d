package shadow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/schoolbell/schoolbell/cdc"
	"github.com/stretchr/testify/require"
)

// sessions makes a store as several starts leave it, with tables that no compaction
// has touched, and the end of the log in files of its own; whole is how many batches
// of work it holds.
func sessions(t *testing.T) (dir string, whole int) {
	t.Helper()
	dir = t.TempDir()
	for n := range 4 {
		s, err := Open(dir, Config{MemtableBytes: 512 << 10})
		require.NoError(t, err)
		b := s.NewBatch()
		for range 3 + 20*(n/3) {
			whole++
			b.Reset()
			putWork(b, whole, make([]byte, 20_000))
			require.NoError(t, b.Commit())
		}
		require.NoError(t, s.Close())
	}
	return dir, whole
}

// verdict opens a directory that something was done to, and reads all of it.
func verdict(t *testing.T, dir string, whole int) string {
	t.Helper()
	s, err := Open(dir, Config{})
	if err == nil {
		n := int(s.checkpoint.Applied)
		if err = readAll(s); err == nil {
			requireWhole(t, s, n)
			require.LessOrEqual(t, n, whole)
		}
		if cerr := s.Close(); err == nil {
			require.NoError(t, cerr)
		}
		if err == nil && n == whole {
			return "whole"
		} else if err == nil {
			return "without the end of the log"
		}
	}
	_, lost := errors.AsType[*LostError](err)
	require.True(t, lost, "%v", err)
	require.ErrorContains(t, err, "data directory "+dir+" is damaged (")
	require.ErrorContains(t, err, "; start with --rebuild: the directory is moved aside and a new one filled from a new snapshot, without the history")
	require.NotContains(t, err.Error(), "\n")
	return "refused"
}

func readAll(s *Store) error {
	for _, err := range s.Scan(nil) {
		if err != nil {
			return err
		}
	}
	for _, err := range s.Events(cdc.Position{}, cdc.Position{LSN: 1 << 60}) {
		if err != nil {
			return err
		}
	}
	return s.Sync()
}

// Whatever happens to one file, the store is refused, or lacks nothing but the end of
// its log: there is never a hole before what is there, and nothing is removed.
func TestADamagedDirectoryIsRefusedWithTheRemedyOrLacksTheEndOfItsLog(t *testing.T) {
	dir, whole := sessions(t)
	require.Equal(t, "whole", verdict(t, copied(t, dir), whole))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	tally := map[string]int{}
	for _, entry := range entries {
		name := entry.Name()
		info, err := entry.Info()
		require.NoError(t, err)
		try := func(damage string, do func(file string) error) {
			spoilt := copied(t, dir)
			require.NoError(t, do(filepath.Join(spoilt, name)))
			before := tables(t, spoilt)
			got := verdict(t, spoilt, whole)
			tally[got]++
			switch filepath.Ext(name) {
			case ".log":
			case ".sst":
				require.NotEqual(t, "without the end of the log", got, "%s: %s", name, damage)
				require.True(t, damage == "flipped" || got == "refused", "%s: %s", name, damage)
			default:
				require.True(t, got == "whole" || got == "refused" || strings.HasPrefix(name, "MANIFEST"), "%s: %s: %s", name, damage, got)
			}
			if got == "refused" && filepath.Ext(name) != ".sst" {
				require.Subset(t, tables(t, spoilt), before, "%s: %s", name, damage)
			}
		}
		try("removed", os.Remove)
		const steps = 7
		for i := range steps {
			at := info.Size() * int64(i) / steps
			if at >= info.Size() {
				break
			}
			try("cut short", func(file string) error { return os.Truncate(file, at) })
			try("flipped", func(file string) error { return flip(file, at) })
		}
	}
	t.Log(tally)
}

func copied(t *testing.T, dir string) string {
	t.Helper()
	other := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.CopyFS(other, os.DirFS(dir)))
	return other
}

func flip(file string, at int64) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b[at] ^= 0x40
	return os.WriteFile(file, b, 0o600)
}

func tables(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	return names
}

// The list of tables is swapped for an older one, which a crash cannot do.
func TestAnOldListOfTablesIsRefused(t *testing.T) {
	dir, whole := sessions(t)
	old, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	require.NoError(t, err)
	require.Greater(t, len(old), 1)
	marker, err := filepath.Glob(filepath.Join(dir, "marker.manifest.*"))
	require.NoError(t, err)
	require.Len(t, marker, 1)
	slices.Sort(old)
	require.NoError(t, os.Rename(marker[0], filepath.Join(dir, "marker.manifest.009999."+filepath.Base(old[0]))))
	require.Equal(t, "refused", verdict(t, dir, whole))
}

func TestDamageFoundInTheMiddleOfARunEndsTheStoreAndTheNextOpenKnowsOfIt(t *testing.T) {
	dir, _ := sessions(t)
	s, err := Open(dir, Config{})
	require.NoError(t, err)
	// All is compacted now, so that no table goes away by itself while we damage it.
	require.NoError(t, s.db.Compact(t.Context(), []byte{0}, []byte{0xff, 0xff}, false))
	require.NoError(t, s.Close())
	s, err = Open(dir, Config{})
	require.NoError(t, err)
	for _, name := range tables(t, dir) {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.NoError(t, flip(name, info.Size()/2))
	}
	err = readAll(s)
	_, lost := errors.AsType[*LostError](err)
	require.True(t, lost, "%v", err)
	<-s.Failed()
	require.Equal(t, err, s.Failure())
	b := s.NewBatch()
	b.Set([]byte("a"), nil)
	require.Equal(t, err, b.Commit(), "nothing more is taken")
	require.Equal(t, err, s.Close())

	_, err = Open(dir, Config{})
	_, lost = errors.AsType[*LostError](err)
	require.True(t, lost, "%v", err)
	require.ErrorContains(t, err, "data directory "+dir+" is damaged (found earlier: ")
}

func TestABitFlippedInTheLogNeverYieldsHalfABatch(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Config{})
	require.NoError(t, err)
	_, err = work(s, 30)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	whole, err := os.ReadFile(logs[len(logs)-1])
	require.NoError(t, err)
	shortened := 0
	for at := 1000; at < len(whole); at += len(whole) / 20 {
		spoilt := t.TempDir()
		require.NoError(t, os.CopyFS(spoilt, os.DirFS(dir)))
		b := bytes.Clone(whole)
		b[at] ^= 0x10
		require.NoError(t, os.WriteFile(filepath.Join(spoilt, filepath.Base(logs[len(logs)-1])), b, 0o600))
		s, err := Open(spoilt, Config{})
		if err != nil {
			require.ErrorContains(t, err, "is damaged")
			continue
		}
		n := int(s.checkpoint.Applied)
		require.Less(t, n, 30)
		requireWhole(t, s, n)
		require.NoError(t, s.Close())
		shortened++
	}
	t.Logf("%d of 20 were shortened, the others refused", shortened)
}

func TestAnotherFormatIsRefusedWithTheRemedy(t *testing.T) {
	for _, other := range []uint32{format - 1, format + 1} {
		dir := t.TempDir()
		s, err := Open(dir, Config{})
		require.NoError(t, err)
		require.NoError(t, s.db.Set(formatKey(), binary.BigEndian.AppendUint32(nil, other), pebble.Sync))
		require.NoError(t, s.Close())
		_, err = Open(dir, Config{})
		_, lost := errors.AsType[*LostError](err)
		require.True(t, lost, "%v", err)
		require.EqualError(t, err, fmt.Sprintf("data directory %s has format %d, this schoolbell reads %d; run the version that wrote it, or "+
			"start with --rebuild: the directory is moved aside and a new one filled from a new snapshot, without the history", dir, other, format))
	}
}

// newer makes the store below say that a later version of it wrote it.
func newer(t *testing.T, dir string) {
	t.Helper()
	marker, err := filepath.Glob(filepath.Join(dir, "marker.format-version.*"))
	require.NoError(t, err)
	require.Len(t, marker, 1)
	require.NoError(t, os.Rename(marker[0], filepath.Join(dir, "marker.format-version.000099.999")))
}

func TestAFormatOfTheFutureIsRefusedWithTheRemedy(t *testing.T) {
	dir, _ := sessions(t)
	newer(t, dir)
	_, err := Open(dir, Config{})
	_, lost := errors.AsType[*LostError](err)
	require.True(t, lost, "%v", err)
	require.ErrorContains(t, err, "data directory "+dir+" was written by a newer schoolbell (")
	require.ErrorContains(t, err, "run that version, or start with --rebuild")
}

// It is refused whatever state it is in, and never offered to be moved.
func TestAStoreOfSomebodyElseIsRefused(t *testing.T) {
	theirs := t.TempDir()
	db, err := pebble.Open(theirs, &pebble.Options{Logger: &chatter{log: slog.New(slog.DiscardHandler)}})
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("theirs"), nil, pebble.Sync))
	require.NoError(t, db.Flush())
	require.NoError(t, db.Close())
	for _, c := range []struct {
		name, says string
		change     func(dir string)
	}{
		{"sound", "holds a store that is not schoolbell's; choose another with --data", func(string) {}},
		{"of a later version", "nothing says that it is schoolbell's (", func(dir string) { newer(t, dir) }},
		{"damaged", "nothing says that it is schoolbell's (", func(dir string) {
			for _, name := range tables(t, dir) {
				require.NoError(t, os.Remove(name))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copied(t, theirs)
			c.change(dir)
			_, err = Open(dir, Config{})
			require.ErrorContains(t, err, "data directory "+dir+" holds a store that ")
			require.ErrorContains(t, err, c.says)
			_, lost := errors.AsType[*LostError](err)
			require.False(t, lost)
			require.NotContains(t, err.Error(), "--rebuild")
		})
	}
}

func TestAnEntryThatIsCutShortIsDamage(t *testing.T) {
	e := cdc.Event{
		Assignment: cdc.TextID("a\x00b"), Body: []byte("{}"),
		Audience: cdc.Audience{People: []cdc.ID{cdc.IntID(1), cdc.TextID("x\x00")}},
	}
	value, _ := appendEvent(nil, &e, nil)
	for n := range value[:len(value)-len(e.Body)] {
		stored, err := cutEvent(value[:n])
		if err == nil {
			stored.names([]byte{9})
			_, err = stored.event(cdc.Position{})
		}
		require.Error(t, err, "cut at %d", n)
	}
	point := appendCheckpoint(nil, Checkpoint{Profile: "abc"}, cdc.Position{})
	for n := range point {
		_, _, err := readCheckpoint(point[:n])
		require.ErrorIs(t, err, errCutShort)
	}

	dir := t.TempDir()
	s, err := Open(dir, Config{})
	require.NoError(t, err)
	require.NoError(t, s.db.Set(checkpointKey(), point[:5], pebble.Sync))
	require.NoError(t, s.Close())
	_, err = Open(dir, Config{})
	require.ErrorContains(t, err, "is damaged")
}
