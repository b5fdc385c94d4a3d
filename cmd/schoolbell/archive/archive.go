package archive

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Archive is one that is being written.
type Archive struct {
	redact *Redactor
	folder string
	at     time.Time
	packed *gzip.Writer
	files  *tar.Writer
	list   strings.Builder
}

// New begins an archive whose files are in a folder of that name.
func New(w io.Writer, folder string, at time.Time, redact *Redactor) *Archive {
	packed := gzip.NewWriter(w)
	return &Archive{redact: redact, folder: folder, at: at, packed: packed, files: tar.NewWriter(packed)}
}

// Add adds a file.
func (a *Archive) Add(name, text string) error { return a.write(name, a.redact.Text(text)) }

// AddLog adds the lines of a log.
func (a *Archive) AddLog(name, text string) error { return a.write(name, a.redact.Log(text)) }

// Missing notes why a file is not there.
func (a *Archive) Missing(name string, why error) {
	fmt.Fprintf(&a.list, "%-24s not to be had: %s\n", name, a.redact.Log(strings.ReplaceAll(why.Error(), "\n", "; ")))
}

func (a *Archive) write(name, text string) error {
	fmt.Fprintf(&a.list, "%-24s %d bytes\n", name, len(text))
	return a.put(name, text)
}

func (a *Archive) put(name, text string) error {
	err := a.files.WriteHeader(&tar.Header{
		Name: a.folder + "/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: a.at, Typeflag: tar.TypeReg,
	})
	if err == nil {
		_, err = io.WriteString(a.files, text)
	}
	if err != nil {
		return fmt.Errorf("write %s into the archive: %w", name, err)
	}
	return nil
}

// Close adds contents.txt, which lists the files and why others are missing, and ends the
// archive.
func (a *Archive) Close() error {
	return errors.Join(a.put("contents.txt", a.list.String()), a.files.Close(), a.packed.Close())
}
