package shadow

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system below the key-value store, which panics when a write to
// its log fails, exits the process when one to its manifest does, and without end
// repeats a flush that does not succeed. So a failed write is not reported to it.
// Instead the disk freezes: the error is remembered, and from then on nothing is
// written, renamed or removed, while every such request is answered with success.
// What lies in the directory is then what a process killed at that moment would
// have left, which the next Open can always read. The Store asks failed before it
// tells anybody that something was written or read.
type disk struct {
	vfs.FS
	dir    string
	failed atomic.Pointer[error]
	frozen chan struct{} // closed when failed is set

	mu   sync.Mutex // guards logs
	logs []*logFile // that are open: one, or for a moment two
}

func newDisk(base vfs.FS, dir string) *disk {
	return &disk{FS: base, dir: dir, frozen: make(chan struct{})}
}

// fail freezes the disk; the first reason stays. Damage is noted, because the next
// start need not come across it.
func (d *disk) fail(err error) {
	if !d.failed.CompareAndSwap(nil, &err) {
		return
	}
	if _, lost := errors.AsType[*LostError](explain(d.dir, err)); lost {
		noteDamage(d.FS, d.dir, err)
	}
	close(d.frozen)
}

// failure is why the disk is frozen, nil while it is not.
func (d *disk) failure() error {
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// do runs a write unless the disk is frozen, and freezes it if the write fails.
// It reports whether the write was done.
func (d *disk) do(op string, write func() error) bool {
	if d.failed.Load() != nil {
		return false
	}
	if err := write(); err != nil {
		d.fail(&errWrite{op, err})
		return false
	}
	return true
}

func (d *disk) create(op, name string, open func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	if !d.do(op, func() (err error) { f, err = open(); return err }) {
		return &nowhere{d}, nil
	}
	if filepath.Ext(name) == ".log" {
		return d.log(f), nil
	}
	return &diskFile{f, d}, nil
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create("create", name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.create("open", name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, o...) })
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create("rename", to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d}, nil
}

func (d *disk) Link(from, to string) error {
	d.do("link", func() error { return d.FS.Link(from, to) })
	return nil
}

func (d *disk) Rename(from, to string) error {
	d.do("rename", func() error { return d.FS.Rename(from, to) })
	return nil
}

func (d *disk) MkdirAll(dir string, perm os.FileMode) error {
	d.do("mkdir", func() error { return d.FS.MkdirAll(dir, perm) })
	return nil
}

// Remove lets "does not exist" through: the key-value store counts on it.
func (d *disk) Remove(name string) (err error) {
	d.do("remove", func() error {
		if err = d.FS.Remove(name); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return err
}

func (d *disk) RemoveAll(name string) error {
	d.do("remove", func() error { return d.FS.RemoveAll(name) })
	return nil
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

// diskFile is a file open for writing.
type diskFile struct {
	vfs.File
	d *disk
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.d.do("write", func() error { _, err := f.File.Write(p); return err })
	return len(p), nil
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.do("write", func() error { _, err := f.File.WriteAt(p, off); return err })
	return len(p), nil
}

func (f *diskFile) Sync() error {
	f.d.do("sync", f.File.Sync)
	return nil
}

func (f *diskFile) SyncData() error {
	f.d.do("sync", f.File.SyncData)
	return nil
}

func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	f.d.do("sync", func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, nil
}

// Preallocate is a hint: a disk without room for it may have room for the data.
func (f *diskFile) Preallocate(off, length int64) error {
	if f.d.failed.Load() == nil {
		_ = f.File.Preallocate(off, length)
	}
	return nil
}

func (f *diskFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.d.fail(&errWrite{"close", err})
	}
	return nil
}

// logFile is a file of the key-value store's log. Every batch asks for a sync, so that it
// has left our memory when its Commit returns, and a process that is killed loses
// nothing. The disk itself is asked only by syncLogs, beside the commits that go on, or when
// the file is done with: the next one must not reach the disk before it.
type logFile struct {
	diskFile
	mu   sync.Mutex  // held while the disk is asked
	owed atomic.Bool // a sync was put off
}

func (d *disk) log(f vfs.File) *logFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := &logFile{diskFile: diskFile{f, d}}
	d.logs = append(d.logs, l)
	return l
}

// syncLogs makes durable what was written to the log before the call.
func (d *disk) syncLogs() {
	d.mu.Lock()
	logs := slices.Clone(d.logs)
	d.mu.Unlock()
	for _, l := range logs {
		l.settle()
	}
}

// settle makes up for the syncs that were put off; the disk knows if that failed.
func (f *logFile) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owed.Swap(false) {
		_ = f.diskFile.SyncData()
	}
}

func (f *logFile) Sync() error { return f.SyncData() }

func (f *logFile) SyncData() error {
	f.owed.Store(true)
	return nil
}

func (f *logFile) Close() error {
	f.settle()
	f.d.mu.Lock()
	f.d.logs = slices.DeleteFunc(f.d.logs, func(l *logFile) bool { return l == f })
	f.d.mu.Unlock()
	f.mu.Lock() // whoever has it in hand still
	defer f.mu.Unlock()
	return f.diskFile.Close()
}

// nowhere is a file created on a frozen disk.
type nowhere struct{ d *disk }

func (*nowhere) Close() error                           { return nil }
func (*nowhere) Read([]byte) (int, error)               { return 0, os.ErrInvalid }
func (*nowhere) ReadAt([]byte, int64) (int, error)      { return 0, os.ErrInvalid }
func (*nowhere) Write(p []byte) (int, error)            { return len(p), nil }
func (*nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (*nowhere) Preallocate(int64, int64) error         { return nil }
func (*nowhere) Sync() error                            { return nil }
func (*nowhere) SyncData() error                        { return nil }
func (*nowhere) SyncTo(int64) (bool, error)             { return true, nil }
func (*nowhere) Prefetch(int64, int64) error            { return nil }
func (*nowhere) Fd() uintptr                            { return vfs.InvalidFd }
func (f *nowhere) Stat() (vfs.FileInfo, error)          { return f.d.FS.Stat(f.d.dir) } // any will do: only the size is asked for
