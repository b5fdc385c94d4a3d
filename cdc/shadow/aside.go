package shadow

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Two files of ours lie beside those of the key-value store, which lets them be.
const (
	signature  = "SCHOOLBELL" // says whose directory it is, also when nothing else can be read
	damageNote = "DAMAGED"    // says what was found; the directory is not to be opened again
)

// SetAside moves what a data directory holds out of the way, after Open has
// answered a LostError, and says where to. Nothing is removed. The directory as a
// whole becomes <dir>.damaged-<time>; where that cannot be, because it is mounted
// there or what holds it is not ours to write, its files go to a folder inside it.
func SetAside(dir string) (aside string, err error) {
	return setAside(filepath.Clean(dir), time.Now(), vfs.Default)
}

func setAside(dir string, now time.Time, base vfs.FS) (aside string, err error) {
	lock, err := lockDir(dir, base)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	name := "damaged-" + now.UTC().Format("20060102T150405.000Z")
	aside = dir + "." + name
	err = base.Rename(dir, aside)
	if err == nil {
		return aside, syncDir(filepath.Dir(dir), base)
	}
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EXDEV) {
		return "", explain(dir, &errWrite{"rename", err})
	}
	aside = filepath.Join(dir, name)
	if err := moveInside(dir, aside, base); err != nil {
		return "", explain(dir, &errWrite{"rename", err})
	}
	return aside, nil
}

// moveInside moves the files of dir into a new folder below it. The note of damage
// goes last but one and the signature last, so that a move that was interrupted
// leaves a directory that says both.
func moveInside(dir, aside string, base vfs.FS) error {
	if err := base.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	if notedDamage(base, dir) == nil {
		if err := writeFile(base, dir, damageNote, "files were moved to "+aside+"\n"); err != nil {
			return err
		}
	}
	names, err := base.List(dir)
	if err != nil {
		return err
	}
	last := []string{damageNote, signature}
	names = slices.DeleteFunc(names, func(name string) bool {
		return name == "LOCK" || strings.HasPrefix(name, "damaged-") || slices.Contains(last, name)
	})
	for _, group := range [][]string{names, last[:1], last[1:]} {
		for _, name := range group {
			if err := base.Rename(filepath.Join(dir, name), filepath.Join(aside, name)); err != nil {
				return err
			}
		}
		if err := errors.Join(syncDir(aside, base), syncDir(dir, base)); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string, base vfs.FS) error {
	d, err := base.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sign writes into a directory that it is schoolbell's.
func (s *Store) sign() error {
	if signed(s.disk.FS, s.dir) {
		return nil
	}
	if err := writeFile(s.disk.FS, s.dir, signature, "This is the data directory of a schoolbell, which alone writes here.\n"); err != nil {
		s.disk.fail(&errWrite{"write", err})
	}
	return s.health()
}

func signed(base vfs.FS, dir string) bool {
	_, err := base.Stat(filepath.Join(dir, signature))
	return err == nil
}

// ours takes from a LostError the offer to start over where nothing says that the
// directory is schoolbell's: it may be the database of somebody else, whom moving
// it would harm.
func ours(base vfs.FS, dir string, err error) error {
	lost, ok := errors.AsType[*LostError](err)
	if !ok || lost.err == nil || signed(base, dir) {
		return err
	}
	return fmt.Errorf("data directory %s holds a store that cannot be read, and nothing says that it is schoolbell's (%w); "+
		"choose another with --data, or move it away if you know it", dir, lost.err)
}

// noteDamage keeps the next Open from going on until it comes across the same
// again. If the note cannot be written, that is what happens.
func noteDamage(base vfs.FS, dir string, found error) {
	if signed(base, dir) {
		_ = writeFile(base, dir, damageNote, oneLine{found}.Error()+"\n")
	}
}

// notedDamage is what an earlier run has found; nil if nothing.
func notedDamage(base vfs.FS, dir string) error {
	f, err := base.Open(filepath.Join(dir, damageNote))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return err
	}
	return errors.New("found earlier: " + strings.TrimSpace(string(text)))
}

func writeFile(base vfs.FS, dir, name, text string) error {
	f, err := base.Create(filepath.Join(dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	return errors.Join(err, f.Sync(), f.Close(), syncDir(dir, base))
}
