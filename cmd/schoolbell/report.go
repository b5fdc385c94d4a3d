package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/cmd/schoolbell/archive"
)

// What a report takes, at most.
const (
	reportPart = 15 * time.Second // for one file of it
	reportPage = 8 << 20          // of a page of the gateway
	reportLog  = 2 << 20          // of the end of a log
)

func newReportCmd() *cobra.Command {
	var out, log string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write an archive about this installation for a support ticket",
		Long: `Write one archive (tar.gz) that somebody who helps from afar can work with: the
configuration, what schoolbell check says, what the server says of the slot and the
publication, /readyz, /metrics, the configuration and the end of the log of the
gateway that runs, the sizes in the data directory, and what machine it is.

It holds no secret and nobody's name, e-mail address, token or mark, and no row of
the LMS's; look into it before you send it all the same. What cannot be had, as the
gateway or the database is down, is noted in contents.txt with its reason.

Run it with serve's configuration, as the gateway is asked at admin_listen and the
database by its URL. The gateway's log is what it keeps in memory; --log adds the end
of a file, say of a gateway that has ended (journalctl -u schoolbell -o cat > FILE).`,
		Example: "  schoolbell report --config /etc/schoolbell/schoolbell.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at := time.Now().UTC()
			name := "schoolbell-report-" + at.Format("20060102T150405Z")
			if out == "" {
				out = name + ".tar.gz"
			}
			w, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("make the archive: %w; fix: name another file with --out", err)
			}
			r, archived := newReport(cmd, log, w, name, at)
			if err := errors.Join(r.write(cmd.Context()), archived.Close(), w.Close()); err != nil {
				return errors.Join(err, os.Remove(out))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is written: %d files%s; look into it, then attach it\n", out, r.had, r.lacks())
			return nil
		},
	}
	addConfigFlags(cmd.Flags())
	cmd.Flags().StringVar(&out, "out", "", "The `file` to write (default: schoolbell-report-TIME.tar.gz)")
	cmd.Flags().StringVar(&log, "log", "", "A `file` of the gateway's log, of which the end is added")
	return cmd
}

// reportWriter writes one report.
type reportWriter struct {
	archive *archive.Archive
	cfg     Config
	from    places
	wrong   error  // with the configuration
	log     string // file of the log; "": none
	had     int    // files
	missing []string
}

func newReport(cmd *cobra.Command, log string, w io.Writer, name string, at time.Time) (*reportWriter, *archive.Archive) {
	r := &reportWriter{log: log}
	r.cfg, r.from, r.wrong = loadPlaces(cmd.Flags(), os.Environ(), "database")
	if r.wrong != nil {
		for _, s := range settings() {
			if s.key == "admin_listen" {
				r.cfg.AdminListen = Address(s.def) // where it probably is
			}
		}
	}
	r.archive = archive.New(w, name, at, archive.NewRedactor(secrets(r.cfg)))
	return r, r.archive
}

// secrets are all that the configuration holds.
func secrets(cfg Config) []string {
	all := append([]string{cfg.Database.Reveal(), cfg.SessionSecret.Reveal()}, cfg.SessionSecretFallbacks.Reveal()...)
	all = append(all, cfg.PublishTokens.Reveal()...)
	for _, header := range cfg.IntrospectHeaders.Reveal() {
		_, value, _ := strings.Cut(header, ":")
		all = append(all, header, strings.TrimSpace(value))
	}
	if db, err := pgconn.ParseConfig(cfg.Database.Reveal()); err == nil {
		all = append(all, db.Password)
	}
	if key, err := os.ReadFile(cfg.JWTKeys); err == nil && !bytes.ContainsRune(bytes.TrimSpace(key), '\n') {
		all = append(all, string(bytes.TrimSpace(key))) // the secret of HS256 is one line
	}
	return all
}

// lacks says of what is missing, for the last line.
func (r *reportWriter) lacks() string {
	if len(r.missing) == 0 {
		return ""
	}
	return ", and why others are missing (" + strings.Join(r.missing, ", ") + ") stands in contents.txt"
}

// write adds every file, or the reason why it is missing.
func (r *reportWriter) write(ctx context.Context) error {
	p, err := profile.Open(r.cfg.Profile)
	if r.wrong != nil {
		err = r.wrong
	}
	database := func(make func(ctx context.Context, p *profile.Profile) (string, error)) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			if err != nil {
				return "", err
			}
			return make(ctx, p)
		}
	}
	page := func(path string) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) { return fetch(ctx, string(r.cfg.AdminListen), path) }
	}
	for _, file := range []struct {
		name  string
		isLog bool
		make  func(context.Context) (string, error)
	}{
		{"version.txt", false, func(context.Context) (string, error) { return aboutBuild() }},
		{"machine.txt", false, func(context.Context) (string, error) { return aboutMachine(), nil }},
		{"config.txt", false, r.config},
		{"data.txt", false, func(context.Context) (string, error) { return aboutData(r.cfg.Data) }},
		{"check.txt", true, database(r.check)},
		{"database.json", false, database(func(ctx context.Context, p *profile.Profile) (string, error) {
			return replication.Describe(ctx, replicationConfig(r.cfg, p, slog.New(slog.DiscardHandler)))
		})},
		{"gateway/readyz.json", true, page("/readyz")},
		{"gateway/metrics.txt", false, page("/metrics")},
		{"gateway/config.txt", false, page("/config")},
		{"gateway/log.jsonl", true, page("/log")},
		{"log.txt", true, r.logFile},
	} {
		if err := r.add(ctx, file.name, file.isLog, file.make); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// errNotAsked: there is no such file, and none is missed.
var errNotAsked = errors.New("not asked for")

func (r *reportWriter) add(ctx context.Context, name string, isLog bool, make func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, reportPart)
	defer cancel()
	text, err := make(ctx)
	switch {
	case errors.Is(err, errNotAsked):
		return nil
	case err != nil:
		r.missing = append(r.missing, name)
		r.archive.Missing(name, err)
		return nil
	}
	r.had++
	if isLog {
		return r.archive.AddLog(name, text)
	}
	return r.archive.Add(name, text)
}

func (r *reportWriter) config(context.Context) (string, error) {
	var b strings.Builder
	if r.wrong != nil {
		return "", r.wrong
	}
	writeConfig(&b, r.cfg, r.from)
	return b.String(), nil
}

// check is what schoolbell check writes.
func (r *reportWriter) check(ctx context.Context, p *profile.Profile) (string, error) {
	var b strings.Builder
	cmd := &cobra.Command{}
	cmd.SetContext(ctx)
	cmd.SetOut(&b)
	report(&b, check(cmd, r.cfg, p, true))
	return b.String(), nil
}

func (r *reportWriter) logFile(context.Context) (string, error) {
	if r.log == "" {
		return "", errNotAsked
	}
	f, err := os.Open(r.log)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > reportLog {
		if _, err := f.Seek(-reportLog, io.SeekEnd); err != nil {
			return "", err
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, reportLog))
	return string(text), err
}

// fetch reads a page of the gateway that runs, whatever it answers: not to be ready is an
// answer, too.
func fetch(ctx context.Context, address, path string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy
	answer, err := client.Do(r)
	if err != nil {
		return "", fmt.Errorf("no gateway answers at admin_listen: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return "", fmt.Errorf("what answers at admin_listen has no %s, and is perhaps no schoolbell of this version", path)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, reportPage))
	return string(text), err
}

func aboutBuild() (string, error) {
	b := readBuild()
	text, err := json.MarshalIndent(b, "", "  ")
	return b.String() + "\n" + string(text) + "\n", err
}

// aboutMachine has nothing that names it, or whoever uses it.
func aboutMachine() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s, %d processors, time %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().Format(time.RFC3339))
	for _, path := range []string{"/etc/os-release", "/proc/sys/kernel/osrelease", "/proc/meminfo", "/proc/loadavg"} {
		if text, err := os.ReadFile(path); err == nil { // other systems have others
			fmt.Fprintf(&b, "\n%s:\n%s", path, text)
		}
	}
	return b.String()
}

// aboutData is the sizes in the data directory, and the room beside it.
func aboutData(dir string) (string, error) {
	var b strings.Builder
	var all int64
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the gateway writes meanwhile
		}
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		all += info.Size()
		fmt.Fprintf(&b, "%12d %s %s\n", info.Size(), info.ModTime().UTC().Format(time.RFC3339), name)
		return nil
	})
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "%12d in all\n", all)
	if disk, err := vfs.Default.GetDiskUsage(dir); err == nil {
		fmt.Fprintf(&b, "%12d free of %d on its disk\n", disk.AvailBytes, disk.TotalBytes)
	}
	return b.String(), nil
}
