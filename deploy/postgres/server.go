package postgres

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Options are all optional.
type Options struct {
	Bin      string            // folder with initdb and postgres; default: the first found, else fetched
	Major    int               // major version, like 15; default: of the first found, whichever that is
	Settings map[string]string // lines for postgresql.conf, over the package's own
	Log      io.Writer         // one line per step; default: none
}

// Server is a running PostgreSQL. Its methods may be called from any goroutine,
// one at a time for those that start or stop it.
type Server struct {
	bin      string
	version  string
	dir      string // ours: data and log
	port     int
	password string   // the superuser's
	account  *account // nil: run as ourselves
	log      io.Writer

	mu      sync.Mutex
	process *process // guarded by mu; nil while halted
}

// Start finds or fetches PostgreSQL's programs, makes a new cluster and starts it.
// It returns when the server accepts connections. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{log: o.Log}
	if s.log == nil {
		s.log = io.Discard
	}
	var err error
	if s.account, err = serverAccount(); err != nil {
		return nil, err
	}
	if s.bin, err = find(ctx, o.Bin, o.Major, s.log); err != nil {
		return nil, err
	}
	if s.version, err = s.readVersion(ctx); err != nil {
		return nil, err
	}
	if s.dir, err = makeDir(s.account); err != nil {
		return nil, err
	}
	if err := s.create(ctx, o.Settings); err != nil {
		os.RemoveAll(s.dir)
		return nil, err
	}
	return s, nil
}

// URL is how to connect to a database of the server, as superuser.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port is the server's TCP port on 127.0.0.1. It stays the same over restarts.
func (s *Server) Port() int { return s.port }

// Bin is the folder of the server's programs.
func (s *Server) Bin() string { return s.bin }

// Dir is the cluster's data directory.
func (s *Server) Dir() string { return filepath.Join(s.dir, "data") }

// Version is the server's version, like "15.18".
func (s *Server) Version() string { return s.version }

// Major is the server's major version, like 15.
func (s *Server) Major() int { return leadingNumber(s.version) }

// Stop shuts the server down and removes its folder. The second call does nothing.
func (s *Server) Stop() error {
	if err := s.Halt("fast"); err != nil {
		return err
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove the server's folder: %w", err)
	}
	return nil
}

// Restart halts the server as Halt does and starts it again on the same port.
func (s *Server) Restart(ctx context.Context, mode string) error {
	if err := s.Halt(mode); err != nil {
		return err
	}
	return s.Resume(ctx)
}

// Halt ends the server process and keeps its data: "fast" with a checkpoint,
// "immediate" as a crash would. A halted server stays halted.
func (s *Server) Halt(mode string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	if err := s.process.stop(mode); err != nil {
		return err
	}
	s.process = nil
	return nil
}

// Resume starts a halted server again, on its old port.
func (s *Server) Resume(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil && !s.process.ended() {
		return nil
	}
	// While the server was down its port was anybody's: an outgoing connection of
	// another program may sit on it for a moment.
	var err error
	for range 50 {
		if s.process, err = s.launch(ctx); err == nil || !isPortTaken(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
	return err
}
