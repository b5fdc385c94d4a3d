package shadow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/wal"
)

// examine looks at the files of the key-value store before it opens them, and
// writes nothing. The store below reads its list of tables (the manifest) as far
// as it can, takes what the list does not name for rubbish, which it removes, and
// goes on with its log wherever that begins. So a list that lost its end, or a log
// that lost a file, would make batches vanish from the middle, silently. Here the
// numbers that every batch bears are followed from the list through the log: what
// a crash leaves has no hole.
func (s *Store) examine() error {
	base := s.disk.FS
	if err := notedDamage(base, s.dir); err != nil {
		return err
	}
	about, err := pebble.Peek(s.dir, base)
	if err != nil {
		return err
	}
	logs, err := wal.Scan(wal.Dir{FS: base, Dirname: s.dir})
	if err != nil {
		return err
	}
	if !about.Exists {
		return s.examineNew(logs)
	}
	list, err := s.readList(about.ManifestFilename)
	if err != nil {
		return err
	}
	next := max(list.lastBatch, firstBatch-1) + 1
	for _, l := range logs {
		if uint64(l.Num) < list.firstLog {
			continue
		}
		if next, err = follow(l, next); err != nil {
			return err
		}
	}
	return nil
}

// examineNew sees that a directory without a store is not one that lost its head.
func (s *Store) examineNew(logs wal.Logs) error {
	names, err := s.disk.FS.List(s.dir)
	if err != nil {
		return err
	}
	isTable := func(name string) bool { return strings.HasSuffix(name, ".sst") }
	if len(logs) > 0 || slices.ContainsFunc(names, isTable) {
		return errors.New("the file marker.manifest.* is gone")
	}
	return nil
}

// firstBatch is the number that the key-value store begins with.
const firstBatch = 10

// tableList is what the list of tables says of the log.
type tableList struct {
	firstLog  uint64 // files of the log with a smaller number are in the tables
	lastBatch uint64 // everything up to this number is in the tables, or in the log from firstLog on
}

func (s *Store) readList(path string) (l tableList, err error) {
	f, err := s.disk.FS.Open(filepath.Join(s.dir, filepath.Base(path)))
	if err != nil {
		return l, err
	}
	defer f.Close()
	records := record.NewReader(f, 0)
	for n := 0; ; n++ {
		r, err := records.Next()
		var edit []byte
		if err == nil {
			edit, err = io.ReadAll(r)
		}
		switch {
		case err == nil:
			l.read(edit)
		case errors.Is(err, io.EOF), record.IsInvalidRecord(err): // a crash may cut the end off
			if n == 0 {
				return l, errors.New("the list of tables is empty")
			}
			return l, nil
		default:
			return l, err
		}
	}
}

// read takes the numbers from one entry of the list. They stand at its beginning,
// each after a tag; the rest names tables.
func (l *tableList) read(edit []byte) {
	const comparer, firstLog, nextFile, lastBatch, previousLog = 1, 2, 3, 4, 9
	r := bytes.NewReader(edit)
	for {
		tag, err := binary.ReadUvarint(r)
		if err != nil {
			return
		}
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return
		}
		switch tag {
		case comparer:
			_, _ = r.Seek(int64(n), io.SeekCurrent)
		case firstLog:
			l.firstLog = n
		case lastBatch:
			l.lastBatch = n
		case nextFile, previousLog:
		default:
			return
		}
	}
}

// follow reads one file of the log, whose first batch must bear at most the number
// next, and answers the number that comes after its last one. Where the file ends
// is for the store below to judge: after it everything bears a higher number.
func follow(l wal.LogicalLog, next uint64) (uint64, error) {
	r := l.OpenForRead()
	defer r.Close()
	for {
		batch, _, err := r.NextRecord()
		if err != nil {
			return next, nil
		}
		var head [batchrepr.HeaderLen]byte
		if _, err := io.ReadFull(batch, head[:]); err != nil {
			return next, nil
		}
		h, _ := batchrepr.ReadHeader(head[:])
		if h.Count == 0 {
			continue
		}
		if uint64(h.SeqNum) > next {
			return 0, fmt.Errorf("the log lacks the batches %d to %d before those in %s.log", next, uint64(h.SeqNum)-1, l.Num)
		}
		next = max(next, uint64(h.SeqNum)+uint64(h.Count))
	}
}
