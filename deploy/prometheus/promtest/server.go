package promtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// patience is how long an answer is waited for, on a machine however busy.
const patience = 2 * time.Minute

// poll is how often it is asked for.
const poll = 50 * time.Millisecond

// Server is a Prometheus. Its methods ask it.
type Server struct {
	t    testing.TB
	base string // of its addresses
}

// Start runs a Prometheus with the configuration prometheus.yml of a folder, until the
// test ends.
func Start(t testing.TB, dir string) *Server {
	t.Helper()
	program := find(t, "prometheus")
	for range 5 {
		if s := try(t, program, dir); s != nil {
			return s
		}
	}
	t.Fatal("five times somebody else took the port that was free")
	return nil
}

// try answers nil where the port was taken in the moment before the server took it.
func try(t testing.TB, program, dir string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	var said bytes.Buffer
	cmd := exec.Command(program, "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", t.TempDir(), "--web.listen-address", address, "--log.level", "warn")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	s := &Server{t, "http://" + address}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for late := time.After(patience); ; {
		select {
		case <-ended:
			require.Contains(t, said.String(), "address already in use")
			return nil
		case <-late:
			t.Fatalf("Prometheus was not ready after %v", patience)
		case <-tick.C:
		}
		if resp, err := http.Get(s.base + "/-/ready"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s
			}
		}
	}
}

// Ask answers what an expression is now; the error is that it is none.
func (s *Server) Ask(expression string) (model.Vector, error) {
	var found struct {
		ResultType string
		Result     model.Vector
	}
	err := s.get("query?query="+url.QueryEscape(expression), &found)
	return found.Result, err
}

// get asks the HTTP API for what an address below /api/v1/ has.
func (s *Server) get(address string, found any) error {
	resp, err := http.Get(s.base + "/api/v1/" + address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: found}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read the answer to %s: %w", address, err)
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return nil
}

// Await asks until an expression has a value.
func (s *Server) Await(expression string) model.Vector {
	s.t.Helper()
	var vector model.Vector
	s.await(func() (problem string) {
		var err error
		vector, err = s.Ask(expression)
		require.NoError(s.t, err, expression)
		if len(vector) == 0 {
			return expression + " has no value"
		}
		return ""
	})
	return vector
}

// Firing are the names of the alerts that fire now.
func (s *Server) Firing() map[string]bool {
	s.t.Helper()
	var all struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	require.NoError(s.t, s.get("alerts", &all))
	names := map[string]bool{}
	for _, a := range all.Alerts {
		if a.State == "firing" {
			names[a.Labels[model.AlertNameLabel]] = true
		}
	}
	return names
}

// AwaitAlerts waits until all of these fire.
func (s *Server) AwaitAlerts(names ...string) {
	s.t.Helper()
	s.await(func() (problem string) {
		firing := s.Firing()
		var silent []string
		for _, name := range names {
			if !firing[name] {
				silent = append(silent, name)
			}
		}
		if len(silent) > 0 {
			return strings.Join(silent, ", ") + ": not firing"
		}
		return ""
	})
}

// AwaitSilence waits until nothing fires but these.
func (s *Server) AwaitSilence(but ...string) {
	s.t.Helper()
	s.await(func() (problem string) {
		firing := s.Firing()
		for _, name := range but {
			delete(firing, name)
		}
		for name := range firing {
			return name + " fires"
		}
		return ""
	})
}

// await calls until there is no problem.
func (s *Server) await(problem func() string) {
	s.t.Helper()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var last string
	for late := time.After(patience); ; {
		if last = problem(); last == "" {
			return
		}
		select {
		case <-late:
			s.t.Fatalf("after %v: %s", patience, last)
		case <-tick.C:
		}
	}
}
