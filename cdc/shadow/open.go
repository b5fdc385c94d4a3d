package shadow

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/schoolbell/schoolbell/cdc"
)

// Open opens the store in dir, which it creates with mode 0700 if there is none,
// and brings it back to where the last checkpoint left the history.
func Open(dir string, cfg Config) (*Store, error) {
	return open(dir, cfg, vfs.Default)
}

func open(dir string, cfg Config, base vfs.FS) (*Store, error) {
	dir = filepath.Clean(dir)
	if err := makeDir(dir, base); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir, base)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, lock: lock, disk: newDisk(base, dir), committed: cfg.Committed, synced: cfg.Synced}
	if s.committed == nil {
		s.committed = func(int) {}
	}
	if s.synced == nil {
		s.synced = func(time.Duration) {}
	}
	if err := s.open(options(cfg, s.disk, lock)); err != nil {
		return nil, ours(base, dir, err)
	}
	return s, nil
}

// open looks at the files before the key-value store does, which may remove some.
func (s *Store) open(o *pebble.Options) (err error) {
	if err = s.examine(); err == nil {
		s.db, err = pebble.Open(s.dir, o)
	}
	if err != nil {
		_ = s.lock.Close() // nothing of ours is under it
		if first := s.health(); first != nil {
			return first
		}
		return explain(s.dir, err)
	}
	if err = s.health(); err == nil {
		err = s.load()
	}
	if err == nil {
		err = s.sign()
	}
	if err != nil {
		_ = s.Close() // nothing was written that anybody counts on
	}
	return err
}

func makeDir(dir string, base vfs.FS) error {
	info, err := base.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("data directory %s is a file; choose another with --data", dir)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return explain(dir, err)
	}
	if err := base.MkdirAll(dir, 0o700); err != nil {
		return explain(dir, &errWrite{"mkdir", err})
	}
	parent, err := base.OpenDir(filepath.Dir(dir))
	if err != nil {
		return explain(dir, err)
	}
	if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
		return explain(dir, &errWrite{"sync", err})
	}
	return nil
}

func lockDir(dir string, base vfs.FS) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, base)
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return nil, explain(dir, &errWrite{path.Op, path.Err})
	}
	if err != nil {
		return nil, fmt.Errorf("data directory %s is in use by another schoolbell (%w); "+
			"stop that one, or choose another directory with --data", dir, err)
	}
	return lock, nil
}

func options(cfg Config, d *disk, lock *pebble.Lock) *pebble.Options {
	c := &chatter{log: cmp.Or(cfg.Log, slog.Default()), d: d}
	// What was written last is taken from the cache: of 12 MB, 4 while little is written and
	// 8 under load, when another 4 wait outside of it to be used again. A larger cache did
	// not pay, as the system has one of its own: of a transaction of a million rows the peak
	// was 4 MB lower with 12 than with 14, and the processor's time the same, as it was with 24
	// and room for one more memtable (40 MB more). Among 10,000,000 threads, asked for at
	// random, a Get took 12 µs with 10 MB as with 24. Smaller memtables do cost: with 2 MB
	// each a third more of the processor, for more files to be compacted.
	o := &pebble.Options{
		FS:        d,
		Lock:      lock,
		CacheSize: cmp.Or(cfg.CacheBytes, 12<<20),
		// The format is named, so that a new version of the store below cannot
		// change it, and with it the way back, unasked. It is not a later one, because
		// from the next on the log notes up to where it was synced, and would call a
		// power cut damage where a sync was put off (see logFile).
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		MemTableSize:                uint64(cmp.Or(cfg.MemtableBytes, 4<<20)),
		MemTableStopWritesThreshold: 2,
		// Two cores are shared with the log's reader: few, larger files, compacted
		// one at a time, and writers held back only when that cannot keep up.
		L0CompactionThreshold:      8,
		L0StopWritesThreshold:      24,
		LBaseMaxBytes:              64 << 20,
		CompactionConcurrencyRange: func() (lower, upper int) { return 1, 1 },
		MaxOpenFiles:               256,
		BytesPerSync:               512 << 10,
		WALBytesPerSync:            512 << 10, // spreads what a Sync would have to write at once
		FlushDelayDeleteRange:      10 * time.Second,
		Logger:                     c,
		EventListener:              c.listener(),
	}
	o.Experimental.SpanPolicyFunc = apart
	// What was flushed last is soon compacted, if it is not the history, whose blocks are
	// compressed; and it is what most reads look into.
	o.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	for i := range o.Levels {
		if i > 0 {
			o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
		}
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most keys asked for the first time are not there
		o.Levels[i].IndexBlockSize = 64 << 10
	}
	return o
}

// apart keeps the history in tables of its own, which nothing overlaps: they stay as they
// were flushed, while those of the rows are compacted with one another again and again.
func apart(key []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	switch {
	case key[0] < historyPrefix:
		return policy, []byte{historyPrefix}, nil
	case key[0] == historyPrefix:
		return policy, historyEnd(), nil
	}
	return policy, nil, nil
}

// load reads what the store says of itself and removes what no checkpoint covers.
func (s *Store) load() error {
	if err := s.checkFormat(); err != nil {
		return err
	}
	if v, ok, err := s.meta(checkpointKey()); err != nil {
		return err
	} else if ok {
		s.has = true
		if s.checkpoint, s.newest, err = readCheckpoint(v); err != nil {
			return damaged(s.dir, err)
		}
	}
	for _, at := range []struct {
		key      []byte
		position *cdc.Position
	}{{keptKey(), &s.kept}, {lostKey(), &s.lost}} {
		if v, ok, err := s.meta(at.key); err != nil {
			return err
		} else if ok {
			if *at.position, _, err = cutPosition(v); err != nil {
				return damaged(s.dir, err)
			}
		}
	}
	s.covered = s.newest
	if err := s.loadEvents(); err != nil {
		return err
	}
	return s.dropUncovered()
}

// checkFormat refuses a directory of another version, or of somebody else, and
// marks a new one.
func (s *Store) checkFormat() error {
	v, ok, err := s.meta(formatKey())
	if err != nil {
		return err
	}
	if ok {
		if len(v) != 4 {
			return damaged(s.dir, errCutShort)
		}
		if got := binary.BigEndian.Uint32(v); got != format {
			return &LostError{
				dir: s.dir, what: fmt.Sprintf("has format %d, this schoolbell reads %d", got, format),
				remedy: "run the version that wrote it, or " + startOver,
			}
		}
		return nil
	}
	err = s.walk(nil, nil, func(key, _ []byte) (bool, error) {
		return false, fmt.Errorf("data directory %s holds a store that is not schoolbell's; choose another with --data", s.dir)
	})
	if err != nil {
		return err
	}
	if err := s.db.Set(formatKey(), binary.BigEndian.AppendUint32(nil, format), pebble.Sync); err != nil {
		return explain(s.dir, err)
	}
	s.disk.syncLogs()
	return s.health()
}

// dropUncovered removes the events after the newest one that a checkpoint covers.
// They belong to a transaction, or a snapshot, that was written in several batches
// and whose last one did not come: the log will bring it again, whole. A block is one
// batch's, so none has events on both sides.
func (s *Store) dropUncovered() error {
	from := pastHistoryKey(s.covered)
	if s.covered == (cdc.Position{}) {
		from = []byte{historyPrefix}
	}
	found, err := s.countEvents(from, historyEnd())
	if err != nil || found == 0 {
		return err
	}
	s.events = max(s.events-found, 0)
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.DeleteRange(from, historyEnd(), nil); err != nil {
		return explain(s.dir, err)
	}
	if err := setEvents(b, s.events, nil); err != nil {
		return explain(s.dir, err)
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return explain(s.dir, err)
	}
	s.disk.syncLogs()
	return s.health()
}

// meta reads one of the store's own keys.
func (s *Store) meta(key []byte) ([]byte, bool, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.readError(err)
	}
	v = append([]byte(nil), v...)
	return v, true, closer.Close()
}
