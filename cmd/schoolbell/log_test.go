package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever reads the log at info finds what happened, in order, and nothing per event.
func TestTheLogReadsLikeAStory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve()
	s.ready()
	d := s.watch(s.school.Admins[0])
	s.grade(77)
	s.sees(d, 1)
	s.reattach()
	gateway.says(0, `"msg":"following the log"`, `"away"`)
	require.Zero(t, gateway.stop(10*time.Second))

	var story []string
	said := map[string]map[string]any{}
	for line := range strings.Lines(gateway.text()) {
		var record map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		message := record["msg"].(string)
		if message != "not following the log" || len(story) == 0 || story[len(story)-1] != message { // as often as it takes
			story = append(story, message)
		}
		said[message] = record
	}
	require.Equal(t, []string{
		"starting", "listening", "making the slot, which waits for the transactions that run now", "made the slot", "reading the tables", "took the snapshot",
		"following the log", "not following the log", "following the log", "stopping", "stopped",
	}, story)
	require.NotEmpty(t, said["not following the log"]["again_in"])
	require.NotEmpty(t, said["following the log"]["postgres"])
	require.NotZero(t, said["reading the tables"]["expected"])
	require.Equal(t, "terminated signal received", said["stopping"]["reason"])
	require.NotEmpty(t, said["stopped"]["ran"])
}
