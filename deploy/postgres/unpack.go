package postgres

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// install unpacks the archive into home, whole or not at all: beside it first, and
// then by one rename. Of two that do so at once, the first one's stays.
func install(archive []byte, home string) error {
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(home), ".unpacking-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	if err := unpack(archive, part); err != nil {
		return err
	}
	// Neither MkdirTemp nor our umask may close it to the server's account.
	err = filepath.WalkDir(part, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := os.Rename(part, home); err != nil && !holdsServer(filepath.Join(home, "native", "bin")) {
		return err
	}
	return nil
}

// unpack writes the archive's files into dir and then makes the links that npm
// cannot carry. os.Root refuses every name that leads out of dir, by dots or by a
// link.
func unpack(archive []byte, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	for files := tar.NewReader(unzipped); ; {
		h, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		// npm's archives hold one folder, package, and in it nothing but files.
		name, ok := strings.CutPrefix(h.Name, "package/")
		if !ok || h.Typeflag != tar.TypeReg {
			return fmt.Errorf("entry %q is no file of an npm package", h.Name)
		}
		if err := writeFile(root, name, files, h.FileInfo().Mode()&0o111 != 0); err != nil {
			return err
		}
	}
	return link(root)
}

func writeFile(root *os.Root, name string, content io.Reader, executable bool) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// link makes the links listed in the package's native/pg-symlinks.json.
func link(root *os.Root) error {
	const list = "native/pg-symlinks.json"
	b, err := root.ReadFile(list)
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(b, &links); err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	for _, l := range links {
		if !filepath.IsLocal(l.Source) || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("%s: link from %q to %q leads out of the package", list, l.Target, l.Source)
		}
		to, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return err
		}
		if err := root.Symlink(to, l.Target); err != nil {
			return err
		}
	}
	return nil
}
