package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// spoil changes some bytes in every table file of the data directory, where a process
// that has it open sees them too.
func (s *site) spoil() {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.data, "*.sst"))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, names)
	for _, name := range names {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		require.NoError(s.t, err)
		info, err := f.Stat()
		require.NoError(s.t, err)
		for at := int64(0); at < info.Size()-100; at += 1000 {
			_, err := f.WriteAt([]byte("damage"), at)
			require.NoError(s.t, err)
		}
		require.NoError(s.t, f.Close())
	}
}

// settled is a site that has run, with a few hundred events in its history, all of it
// in table files. It answers the position that a client has by then.
func settled(t *testing.T) (s *site, gateway *process, since string) {
	t.Helper()
	s = newSite(t)
	gateway = s.serve()
	s.ready()
	d := s.watch(s.school.Admins[0])
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = NULL`)
	n := 0
	for mark := range 20 {
		s.exec(`UPDATE assignments_assignmentsubmission SET grade = $1 WHERE submitted_at IS NOT NULL`, mark)
		n += int(s.number(`SELECT count(*)::text FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL`))
	}
	s.sees(d, n)
	require.Greater(t, n, 300)
	require.Zero(t, gateway.stop(5*time.Second))
	gateway.restart()
	s.ready()
	d.mu.Lock()
	defer d.mu.Unlock()
	return s, gateway, d.events[0].id
}

// comeBack connects with a position, and answers the welcome and a reader of what
// follows, without heartbeats and metrics.
func (s *site) comeBack(p school.Person, since string) (welcome map[string]any, next func() map[string]any) {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.base()+"/ws/dashboard/?token="+p.Token+"&since="+url.QueryEscape(since), nil)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	next = func() map[string]any {
		for {
			_, data, err := conn.Read(s.t.Context())
			require.NoError(s.t, err)
			var m map[string]any
			require.NoError(s.t, json.Unmarshal(data, &m))
			if m["type"] != "ping" && m["type"] != "metrics" {
				return m
			}
		}
	}
	return next(), next
}

// page reads a part of somebody's history.
func (s *site) page(p school.Person, query string) (status int, page map[string]any) {
	s.t.Helper()
	resp, err := http.Get(s.base() + "/api/events?token=" + p.Token + query)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(body, &page))
	return resp.StatusCode, page
}

const rebuildRemedy = `start with --rebuild: the directory is moved aside and a new one filled from a new snapshot, without the history$`

// refusedAsLost expects the program, started again as it is, to end with one sentence.
func (s *site) refusedAsLost(gateway *process, sentence string) {
	s.t.Helper()
	before := len(said(gateway.text()))
	gateway.restart()
	require.Equal(s.t, 1, gateway.wait(20*time.Second), gateway.text())
	all := said(gateway.text())[before:]
	require.Len(s.t, all, 1)
	require.Regexp(s.t, sentence, all[0])
}

// rebuilt expects that with --rebuild the gateway comes back with another directory, and
// that nobody is left to believe that they have seen everything.
func (s *site) rebuilt(since string) {
	s.t.Helper()
	s.serve("--rebuild")
	s.ready()
	aside, err := filepath.Glob(s.data + ".damaged-*")
	require.NoError(s.t, err)
	require.Len(s.t, aside, 1)
	s.t.Cleanup(func() { require.NoError(s.t, os.RemoveAll(aside[0])) })
	kept, err := filepath.Glob(filepath.Join(aside[0], "*.sst"))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, kept, "nothing was removed")

	admin := s.school.Admins[0]
	s.grade(98)
	welcome, next := s.comeBack(admin, since)
	require.Equal(s.t, false, welcome["resumed"])
	gap := next()
	require.Equal(s.t, "gap", gap["type"], gap)
	require.Equal(s.t, "history_lost", gap["reason"])
	require.Equal(s.t, since, gap["from"])
	require.InDelta(s.t, 98, next()["grade"], 0, "what the new history holds follows")
	s.grade(99)
	require.InDelta(s.t, 99, next()["grade"], 0, "and then what happens")
	status, page := s.page(admin, "&since="+since)
	require.Equal(s.t, http.StatusOK, status)
	require.Len(s.t, page["events"], 2)
	require.Equal(s.t, "history_lost", page["gap"].(map[string]any)["reason"])
	require.Equal(s.t, gap["to"], page["gap"].(map[string]any)["to"])
	welcome, _ = s.comeBack(admin, gap["to"].(string))
	require.Equal(s.t, true, welcome["resumed"], "from there on nothing is missing")

	now := newOracle(s.t, s.url).counts(s.t)[admin.ID]
	d := s.watch(admin)
	d.await(s.t, "the right counts", func() bool { return d.counts == now })
}

func TestADataDirectoryDamagedBetweenTwoRunsIsRefusedAndRebuiltWhenAsked(t *testing.T) {
	t.Parallel()
	s, gateway, since := settled(t)
	require.Zero(t, gateway.stop(5*time.Second))
	s.spoil()
	s.refusedAsLost(gateway, `^(load the shadow: )?data directory `+s.data+` is damaged \(.*\); `+rebuildRemedy)
	s.refusedAsLost(gateway, `^data directory `+s.data+` is damaged \(found earlier: .*\); `+rebuildRemedy)
	s.rebuilt(since)
}

func TestADataDirectoryOfALaterVersionIsRefusedAndRebuiltWhenAsked(t *testing.T) {
	t.Parallel()
	s, gateway, since := settled(t)
	require.Zero(t, gateway.stop(5*time.Second))
	marker, err := filepath.Glob(filepath.Join(s.data, "marker.format-version.*"))
	require.NoError(t, err)
	require.Len(t, marker, 1)
	require.NoError(t, os.Rename(marker[0], filepath.Join(s.data, "marker.format-version.000099.999")))
	s.refusedAsLost(gateway, `^data directory `+s.data+` was written by a newer schoolbell \(.*\); run that version, or `+rebuildRemedy)
	s.rebuilt(since)
}

// The gateway comes across the damage when somebody asks for old events. It tells nobody
// anything that it could not read, and ends.
func TestADataDirectoryDamagedUnderARunningGatewayEndsItWithOneSentence(t *testing.T) {
	t.Parallel()
	s, gateway, since := settled(t)
	admin := s.school.Admins[0]
	d := s.watch(admin)
	s.spoil()
	status, page := s.page(admin, "&limit=1000")
	require.Equal(t, http.StatusServiceUnavailable, status, page)
	require.Equal(t, 1, gateway.wait(20*time.Second), gateway.text())
	require.Len(t, said(gateway.text()), 1)
	require.Regexp(t, `^data directory `+s.data+` is damaged \(.*\); `+rebuildRemedy, said(gateway.text())[0])
	require.NotContains(t, gateway.text(), "goroutine ", "no stack trace")
	s.sees(d, 0)
	s.refusedAsLost(gateway, `^data directory `+s.data+` is damaged \(found earlier: .*\); `+rebuildRemedy)
	s.rebuilt(since)
}
