package shadow

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/schoolbell/schoolbell/cdc"
	"github.com/stretchr/testify/require"
)

// filled makes a store with content in tables and in the log, and closes it.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := Open(dir, Config{MemtableBytes: 256 << 10})
	require.NoError(t, err)
	_, err = work(s, 100)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	return dir
}

// readAll opens the store and reads everything in it.
func readAll(dir string) error {
	s, err := Open(dir, Config{})
	if err != nil {
		return err
	}
	defer s.Close()
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

func TestADamagedDirectoryIsRefusedWithTheRemedy(t *testing.T) {
	flip := func(t *testing.T, name string) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		b[len(b)/3] ^= 0x40
		require.NoError(t, os.WriteFile(name, b, 0o600))
	}
	for _, c := range []struct {
		name, glob string
		damage     func(t *testing.T, name string)
	}{
		{"a bit of a table is flipped", "*.sst", flip},
		{"a bit of the manifest is flipped", "MANIFEST-*", flip},
		{"a table is gone", "*.sst", func(t *testing.T, name string) { require.NoError(t, os.Remove(name)) }},
		{"a table is cut short", "*.sst", func(t *testing.T, name string) { require.NoError(t, os.Truncate(name, 1000)) }},
		{"the manifest is gone", "MANIFEST-*", func(t *testing.T, name string) { require.NoError(t, os.Remove(name)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filled(t)
			require.NoError(t, readAll(dir))
			names, err := filepath.Glob(filepath.Join(dir, c.glob))
			require.NoError(t, err)
			require.NotEmpty(t, names)
			for _, name := range names {
				c.damage(t, name)
			}
			err = readAll(dir)
			require.ErrorContains(t, err, "data directory "+dir+" is damaged")
			require.ErrorContains(t, err, "move the directory away and start again")
			require.NotContains(t, err.Error(), "\n")
		})
	}
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
	dir := t.TempDir()
	s, err := Open(dir, Config{})
	require.NoError(t, err)
	require.NoError(t, s.db.Set(formatKey(), binary.BigEndian.AppendUint32(nil, format+1), pebble.Sync))
	require.NoError(t, s.Close())

	_, err = Open(dir, Config{})
	require.ErrorContains(t, err, "data directory "+dir+" has format 3, this schoolbell reads 2")
	require.ErrorContains(t, err, "run the version that wrote it")
}

func TestAFormatOfTheFutureIsRefusedWithTheRemedy(t *testing.T) {
	dir := filled(t)
	marker, err := filepath.Glob(filepath.Join(dir, "marker.format-version.*"))
	require.NoError(t, err)
	require.Len(t, marker, 1)
	require.NoError(t, os.Rename(marker[0], filepath.Join(dir, "marker.format-version.000099.999")))

	_, err = Open(dir, Config{})
	require.ErrorContains(t, err, "data directory "+dir+" was written by a newer schoolbell")
}

func TestAStoreOfSomebodyElseIsRefused(t *testing.T) {
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{Logger: &chatter{log: slog.New(slog.DiscardHandler)}})
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("theirs"), nil, pebble.Sync))
	require.NoError(t, db.Close())

	_, err = Open(dir, Config{})
	require.ErrorContains(t, err, "holds a store that is not schoolbell's")
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
			stored.concerns([]byte{9}, true)
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
	require.ErrorContains(t, readAll(dir), "is damaged")
}
