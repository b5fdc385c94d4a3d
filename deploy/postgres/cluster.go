package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// versionPattern finds the version in what `postgres --version` prints, behind
// which packagers put their own: "postgres (PostgreSQL) 15.18 (Debian ...)".
var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\S+)`)

func (s *Server) readVersion(ctx context.Context) (string, error) {
	out, err := s.command(ctx, "/", "postgres", "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %s: %w: %s; fix: install PostgreSQL's server for this machine, or name another with %s",
			filepath.Join(s.bin, "postgres"), err, strings.TrimSpace(string(out)), binVariable)
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return "", fmt.Errorf("%s is not PostgreSQL: --version answers %q", filepath.Join(s.bin, "postgres"), out)
	}
	return string(match[1]), nil
}

// create makes the cluster and starts it, on another port when somebody took ours
// between finding and using it.
func (s *Server) create(ctx context.Context, settings map[string]string) error {
	fmt.Fprintf(s.log, "making a PostgreSQL %s cluster in %s\n", s.version, s.dir)
	s.password = rand.Text()
	if err := s.writeFile("password", s.password+"\n"); err != nil {
		return err
	}
	// The locale C exists everywhere and sorts everywhere alike.
	initdb := s.command(ctx, s.dir, "initdb", "--pgdata", s.Dir(), "--username", superuser, "--pwfile", "password",
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, lastLines(out))
	}
	if err := s.writeFile("data/pg_hba.conf", hba); err != nil {
		return err
	}
	if err := s.include(); err != nil {
		return err
	}
	const attempts = 5
	for attempt := 1; ; attempt++ {
		var err error
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err := s.configure(settings); err != nil {
			return err
		}
		fmt.Fprintf(s.log, "starting PostgreSQL on 127.0.0.1:%d\n", s.port)
		if s.process, err = s.launch(ctx); err == nil {
			return nil
		}
		if !isPortTaken(err) || attempt == attempts {
			return err
		}
	}
}

const superuser = "postgres"

// hba trusts everybody on this machine but the superuser: whoever is that can run
// programs as the server's account, and the machine may have other users.
const hba = `# database   user      address        method
host all         postgres  127.0.0.1/32   scram-sha-256
host all         all       127.0.0.1/32   trust
host replication postgres  127.0.0.1/32   scram-sha-256
host replication all       127.0.0.1/32   trust
`

// ownSettings is the file, beside the data directory, with the settings that make
// the server ours. ALTER SYSTEM goes over them.
const ownSettings = "schoolbell.conf"

func (s *Server) configure(settings map[string]string) error {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"wal_level":               "logical",
		"max_wal_senders":         "40",
		"max_replication_slots":   "40",
		"max_connections":         "200",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"log_line_prefix":         "%m [%p] %q%u@%d ",
	}
	maps.Copy(all, settings)
	all["port"] = strconv.Itoa(s.port)
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, strings.ReplaceAll(all[name], "'", "''"))
	}
	return s.writeFile(ownSettings, conf.String())
}

// writeFile writes a file of the server's folder, for the server's account to read
// whatever our umask is: the folder itself is closed to everybody else.
func (s *Server) writeFile(name, content string) error {
	name = filepath.Join(s.dir, name)
	if err := errors.Join(os.WriteFile(name, []byte(content), 0o600), os.Chmod(name, 0o644)); err != nil {
		return fmt.Errorf("write the server's settings: %w", err)
	}
	return nil
}

// include makes postgresql.conf read our settings last.
func (s *Server) include() error {
	f, err := os.OpenFile(filepath.Join(s.Dir(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write the server's settings: %w", err)
	}
	_, err = fmt.Fprintf(f, "include '../%s'\n", ownSettings)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the server's settings: %w", err)
	}
	return nil
}

// startTimeout is ample for crash recovery on a slow disk.
const startTimeout = 2 * time.Minute

// launch starts the server process and waits until the server, and not another
// one on the same port, answers.
func (s *Server) launch(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("the server was not ready after %v", startTimeout))
	defer cancel()
	logFile := filepath.Join(s.dir, "postgres.log")
	before := fileSize(logFile)
	p, err := startProcess(s.command(context.WithoutCancel(ctx), s.dir, "postgres", "-D", s.Dir()), logFile)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := s.answers(ctx)
		if err == nil {
			return p, nil
		}
		select {
		case <-p.exited:
			return nil, &startError{cause: p.err, log: tail(logFile, before)}
		case <-ctx.Done():
			stopErr := p.stop("immediate")
			return nil, errors.Join(&startError{cause: fmt.Errorf("%w; last: %w", context.Cause(ctx), err), log: tail(logFile, before)}, stopErr)
		case <-poll.C:
		}
	}
}

// answers returns nil when the server on our port is ready and is ours.
func (s *Server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgconn.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	result := conn.ExecParams(ctx, "SELECT current_setting('data_directory')", nil, nil, nil, nil).Read()
	if result.Err != nil {
		return result.Err
	}
	if got := string(result.Rows[0][0]); got != s.Dir() {
		return fmt.Errorf("another PostgreSQL, of %s, listens on port %d", got, s.port)
	}
	return nil
}

// startError is a server that did not start, with what it said.
type startError struct {
	cause error
	log   []byte
}

func (e *startError) Error() string {
	return fmt.Sprintf("start PostgreSQL: %v; its log:\n%s", e.cause, lastLines(e.log))
}

func (e *startError) Unwrap() error { return e.cause }

// isPortTaken reports whether the server did not start because its port was in use.
func isPortTaken(err error) bool {
	start, ok := errors.AsType[*startError](err)
	return ok && strings.Contains(string(start.log), "Address already in use")
}

// freePort is a port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// tail reads the file from an offset on; what cannot be read is shown as such.
func tail(name string, from int64) []byte {
	b, err := os.ReadFile(name)
	if err != nil {
		return []byte(err.Error())
	}
	return b[min(from, int64(len(b))):]
}

// lastLines are the last 20 lines, enough for PostgreSQL's reason and its hint.
func lastLines(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
