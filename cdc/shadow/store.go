package shadow

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/schoolbell/schoolbell/cdc"
)

// Config tunes a Store. The zero value works.
type Config struct {
	CacheBytes    int64        // memory for blocks that were read, what was written last included; default 12 MB
	MemtableBytes int          // of that for what was written last, taken up to twice; default 4 MB
	Log           *slog.Logger // default slog.Default()

	// Committed is told the size of every batch, and Synced how long every Sync took.
	// They must not block; nil: nobody wants to know.
	Committed func(bytes int)
	Synced    func(took time.Duration)
}

// Store is the content of one data directory. See the package comment for what it
// promises and who may call it.
type Store struct {
	dir  string
	db   *pebble.DB
	disk *disk
	lock *pebble.Lock
	gate gate

	committed func(bytes int)
	synced    func(took time.Duration)

	mu         sync.Mutex // guards the following, and keeps Commit and Trim apart
	checkpoint Checkpoint
	has        bool         // there is a checkpoint
	newest     cdc.Position // of the history
	covered    cdc.Position // newest by a checkpoint
	kept       cdc.Position
	lost       cdc.Position
	drops      int   // how often the history was dropped whole
	events     int64 // in the history
}

// Pair is one entry of a Scan, valid until the next one is read.
type Pair struct{ Key, Value []byte }

// Get reads the value of a key into dst, which it grows if it must. It does not
// see batches that are not committed.
func (s *Store) Get(key, dst []byte) (val []byte, ok bool, err error) {
	if err := checkKey(key); err != nil {
		return dst[:0], false, err
	}
	if err := s.enter(); err != nil {
		return dst[:0], false, err
	}
	defer s.gate.leave()
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst[:0], false, s.health()
	}
	if err != nil {
		return dst[:0], false, s.readError(err)
	}
	dst = append(dst[:0], v...)
	if err := closer.Close(); err != nil {
		return dst[:0], false, s.readError(err)
	}
	return dst, true, nil
}

// Scan yields the projection's entries whose keys start with prefix, in the order
// of the keys, as they are when the iteration starts; an empty prefix yields all.
// After an error it yields nothing more.
func (s *Store) Scan(prefix []byte) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		lower, upper, err := span(prefix)
		if err != nil {
			yield(Pair{}, err)
			return
		}
		err = s.walk(lower, upper, func(key, value []byte) (bool, error) {
			return yield(Pair{key, value}, nil), nil
		})
		if err != nil {
			yield(Pair{}, err)
		}
	}
}

// walk calls visit with the entries from lower up to before upper until it answers
// false. What it passes is valid during the call.
func (s *Store) walk(lower, upper []byte, visit func(key, value []byte) (more bool, err error)) error {
	return s.iterate(lower, upper, (*pebble.Iterator).First, (*pebble.Iterator).Next, visit)
}

// walkBack is walk in the other direction: the last entry comes first.
func (s *Store) walkBack(lower, upper []byte, visit func(key, value []byte) (more bool, err error)) error {
	return s.iterate(lower, upper, (*pebble.Iterator).Last, (*pebble.Iterator).Prev, visit)
}

func (s *Store) iterate(lower, upper []byte, begin, next func(*pebble.Iterator) bool,
	visit func(key, value []byte) (more bool, err error),
) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return s.readError(err)
	}
	defer func() {
		if cerr := it.Close(); err == nil && cerr != nil {
			err = s.readError(cerr)
		}
	}()
	for ok := begin(it); ok; ok = next(it) {
		if s.gate.closing() {
			return ErrClosed
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return s.readError(err)
		}
		more, err := visit(it.Key(), value)
		if errors.Is(err, errCutShort) {
			return s.readError(err)
		}
		if err != nil || !more {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return s.readError(err)
	}
	return s.health()
}

// Sync makes every batch durable whose Commit has returned; commits go on meanwhile. After an error the
// store is of no more use: Close it.
func (s *Store) Sync() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	began := time.Now()
	s.disk.syncLogs()
	if err := s.health(); err != nil {
		return err
	}
	s.synced(time.Since(began))
	return nil
}

// Checkpoint is the one of the last batch that set one; false if none ever did.
func (s *Store) Checkpoint() (Checkpoint, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checkpoint, s.has
}

// DiskUsage is how many bytes the directory takes.
func (s *Store) DiskUsage() int64 {
	if s.enter() != nil {
		return 0
	}
	defer s.gate.leave()
	return int64(s.db.Metrics().DiskSpaceUsage())
}

// DiskFree is how many bytes an ordinary user may still write to the file system of the
// directory, whoever else fills it.
func (s *Store) DiskFree() (int64, error) {
	usage, err := s.disk.GetDiskUsage(s.dir)
	if err != nil {
		return 0, fmt.Errorf("ask how much room the file system of data directory %s has: %w", s.dir, err)
	}
	return int64(min(usage.AvailBytes, math.MaxInt64)), nil
}

// Close makes everything committed durable and ends the store's goroutines.
// Iterations that are under way end with ErrClosed at their next step, and Close
// waits for that. If the store had failed, Close repeats why.
func (s *Store) Close() error {
	if !s.gate.shut() {
		return nil
	}
	err := s.db.Close()
	if lerr := s.lock.Close(); err == nil {
		err = lerr
	}
	if failure := s.health(); failure != nil {
		return failure
	}
	if err != nil {
		return explain(s.dir, err)
	}
	return nil
}

// Failure is why the store takes nothing more and must be closed, with the remedy;
// nil while all is well.
func (s *Store) Failure() error { return s.health() }

// Failed is closed as soon as there is a Failure, whoever ran into it.
func (s *Store) Failed() <-chan struct{} { return s.disk.frozen }

// enter admits a call unless the store is closed or has failed; leave the gate
// after it.
func (s *Store) enter() error {
	if err := s.health(); err != nil {
		return err
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	return nil
}

// health is why the store has failed, nil while it has not.
func (s *Store) health() error {
	if err := s.disk.failure(); err != nil {
		return explain(s.dir, err)
	}
	return nil
}

// readError explains a failed read, which may be the consequence of a write that
// failed before it. What is damaged at one place is trusted at no other: it is the
// store's end.
func (s *Store) readError(err error) error {
	s.disk.fail(err)
	return s.health()
}

// gate counts the calls under way, for Close to wait for. A lock for reading would
// not do: a call made inside an iteration would wait for the Close that waits for
// the iteration.
type gate struct {
	mu   sync.Mutex
	n    int
	done chan struct{} // not nil: shutting; closed when n is 0
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done != nil {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.done != nil {
		close(g.done)
	}
}

func (g *gate) closing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done != nil
}

// shut refuses further calls and waits for those under way. Only the first call
// of it answers true.
func (g *gate) shut() bool {
	g.mu.Lock()
	if g.done != nil {
		g.mu.Unlock()
		return false
	}
	g.done = make(chan struct{})
	if g.n == 0 {
		close(g.done)
	}
	g.mu.Unlock()
	<-g.done
	return true
}
