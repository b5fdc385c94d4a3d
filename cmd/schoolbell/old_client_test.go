package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// An oldClient was written before there were ids, cursors, gaps and goodbyes: it knows the
// messages of the first part of the protocol, their fields, and nothing else. What it does
// not know it ignores. When the connection ends it connects again, as if for the first time.
type oldClient struct {
	address string

	mu      sync.Mutex // guards what follows
	changed chan struct{}
	seen    map[string]int
	strange map[string]bool // types that it ignored
	closed  []websocket.StatusCode
	wrong   string
}

// oldFields are the fields that it relies on, and what each of them is to JSON.
func oldFields() map[string]map[string]string {
	counts := map[string]string{
		"pending_submissions": "number", "ungraded_submissions": "number", "active_students": "number", "total_assignments": "number",
		"timestamp": "time",
	}
	return map[string]map[string]string{
		"welcome":    {"user_id": "number", "user_email": "string", "user_role": "string", "metrics": "counts", "timestamp": "time"},
		"submission": {"submission_id": "number", "assignment_id": "number", "student": "student", "timestamp": "time"},
		"grade":      {"submission_id": "number", "assignment_id": "number", "student": "student", "grade": "number", "timestamp": "time"},
		"assignment": {
			"assignment_id": "number", "title": "string", "description": "string", "due_date": "time or null", "timestamp": "time",
		},
		"assignment_closed": {"assignment_id": "number", "timestamp": "time"},
		"metrics":           counts,
		"ping":              {"timestamp": "time"},
		"pong":              {"timestamp": "time"},
		examMoved:           {"room": "string", "timestamp": "time"}, // what somebody published
	}
}

// is reports whether a value is what an old client takes it for.
func is(value any, what string) bool {
	switch v := value.(type) {
	case nil:
		return what == "time or null"
	case float64:
		return what == "number"
	case string:
		_, err := time.Parse(time.RFC3339Nano, v)
		return what == "string" || err == nil
	case map[string]any:
		fields := map[string]string{"id": "number", "email": "string", "first_name": "string", "last_name": "string"}
		if what == "counts" {
			fields = oldFields()["metrics"]
		}
		return what != "number" && lacks(v, fields, "timestamp") == ""
	}
	return false
}

// lacks is the first field that is not there, or something else; but for one that need not be.
func lacks(m map[string]any, fields map[string]string, but string) string {
	for name, what := range fields {
		value, there := m[name]
		if name != but && (!there || !is(value, what)) {
			return name
		}
	}
	return ""
}

func (c *oldClient) run(ctx context.Context) {
	for ctx.Err() == nil {
		conn, _, err := websocket.Dial(ctx, c.address, nil)
		for err == nil {
			var data []byte
			if _, data, err = conn.Read(ctx); err == nil {
				err = c.receive(ctx, conn, data)
			}
		}
		c.mu.Lock()
		if conn != nil {
			c.closed = append(c.closed, websocket.CloseStatus(err))
			_ = conn.CloseNow()
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *oldClient) receive(ctx context.Context, conn *websocket.Conn, data []byte) error {
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	kind, _ := m["type"].(string)
	fields, known := oldFields()[kind]
	c.mu.Lock()
	if known {
		c.seen[kind]++
		if name := lacks(m, fields, ""); name != "" && c.wrong == "" {
			c.wrong = fmt.Sprintf("%s of %s", name, data)
		}
	} else {
		c.strange[kind] = true
	}
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	switch kind {
	case "welcome":
		return conn.Write(ctx, websocket.MessageText, []byte(`{"type": "ping"}`))
	case "ping":
		return conn.Write(ctx, websocket.MessageText, []byte(`{"type": "pong"}`))
	}
	return nil
}

// saw reports whether it has seen so many of each of these.
func (c *oldClient) saw(t *testing.T, n int, kinds ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(t, c.wrong)
	return !slices.ContainsFunc(kinds, func(kind string) bool { return c.seen[kind] < n })
}

// sees waits until it has.
func (c *oldClient) sees(t *testing.T, n int, kinds ...string) {
	t.Helper()
	patience := time.After(2 * time.Minute)
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if c.saw(t, n, kinds...) {
			return
		}
		select {
		case <-changed:
		case <-patience:
			require.Fail(t, "it did not come", "%v: %v", kinds, c.seen)
		}
	}
}

// tells is with which codes it was closed, what it ignored, and how many grades it saw.
func (c *oldClient) tells() (closed []websocket.StatusCode, strange map[string]bool, grades int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.closed), maps.Clone(c.strange), c.seen["grade"]
}

func TestAClientThatKnowsTheFirstPartOfTheProtocolOnlyWorksUnchanged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	more := []string{"--publish-tokens", service, "--heartbeat", "1s"}
	gateway := s.serve(more...)
	s.ready()
	head := s.school.Admins[0]
	c := &oldClient{
		address: "ws" + s.base()[len("http"):] + "/ws/dashboard?token=" + url.QueryEscape(head.Token),
		changed: make(chan struct{}), seen: map[string]int{}, strange: map[string]bool{},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })

	c.sees(t, 1, "welcome", "pong")
	s.published(fmt.Sprintf(`{"user":%d,"type":"%s","data":{"room":"B 12"}}`, head.ID, examMoved), "")
	for !c.saw(t, 1, "submission", "grade", "assignment", "assignment_closed") {
		_, err := s.school.Step(t.Context(), s.conn)
		require.NoError(t, err)
	}
	c.sees(t, 1, examMoved)
	c.sees(t, 4, "ping", "metrics") // more than may go unanswered
	closed, strange, _ := c.tells()
	require.Empty(t, closed, "its pongs count")
	require.Empty(t, strange, "nothing that it does not know comes to who asks for nothing new")

	require.Zero(t, gateway.stop(5*time.Second), gateway.text())
	s.serve(more...)
	c.sees(t, 2, "welcome", "pong")
	closed, strange, grades := c.tells()
	require.Equal(t, []websocket.StatusCode{websocket.StatusGoingAway}, closed)
	require.Equal(t, map[string]bool{"disconnect": true}, strange)
	s.grade(99)
	c.sees(t, grades+1, "grade")
}
