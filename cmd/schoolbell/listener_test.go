package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// position reads itself from JSON.
type position struct{ cdc.Position }

func (p *position) UnmarshalText(text []byte) (err error) {
	p.Position, err = cdc.ParsePosition(string(text))
	return err
}

// told is a message as a listener reads it.
type told struct {
	Type       string
	ID         position
	Submission int64 `json:"submission_id"`
	Grade      int
	gap
}

// gap is what could not be given.
type gap struct {
	Reason   string
	From, To position
	Count    int64
}

// A listener is a person's client that notes what it is told and fetches nothing: what
// a gap stands for is the test's to read.
type listener struct {
	person school.Person

	mu          sync.Mutex // guards what follows
	changed     chan struct{}
	grades      map[int]time.Time // when each mark came
	submissions []int64
	began       time.Time // when the first of them came
	gaps        []gap
	last        cdc.Position
	fault       error
}

// listen connects a listener until the test ends.
func (s *site) listen(p school.Person) *listener {
	s.t.Helper()
	l := &listener{person: p, changed: make(chan struct{}), grades: map[int]time.Time{}}
	conn := s.dial(p)
	conn.SetReadLimit(1 << 20)
	var reading sync.WaitGroup
	s.t.Cleanup(func() { _ = conn.CloseNow(); reading.Wait() })
	reading.Go(func() { l.run(context.WithoutCancel(s.t.Context()), conn) })
	return l
}

func (l *listener) run(ctx context.Context, conn *websocket.Conn) {
	for {
		_, data, err := conn.Read(ctx)
		now := time.Now()
		if err != nil {
			return
		}
		var m told
		if err = json.Unmarshal(data, &m); err == nil && m.Type == "ping" {
			err = conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`))
		}
		l.mu.Lock()
		if err == nil {
			err = l.note(m, now)
		}
		if l.fault == nil && err != nil {
			l.fault = fmt.Errorf("person %d: %s: %w", l.person.ID, data, err)
		}
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
	}
}

// note takes a message; the caller holds l.mu.
func (l *listener) note(m told, at time.Time) error {
	end := m.ID.Position
	switch m.Type {
	case "grade":
		l.grades[m.Grade] = at
	case "submission":
		if len(l.submissions) == 0 {
			l.began = at
		}
		l.submissions = append(l.submissions, m.Submission)
	case "assignment", "assignment_closed":
	case "gap":
		if end = m.To.Position; m.From.Position != l.last {
			return fmt.Errorf("a gap that does not begin at %v, where we were", l.last)
		}
		l.gaps = append(l.gaps, m.gap)
	case "ping", "metrics":
		return nil
	default:
		return fmt.Errorf("what is %q?", m.Type)
	}
	if !end.After(l.last) {
		return fmt.Errorf("it came after %v", l.last)
	}
	l.last = end
	return nil
}

func (l *listener) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	patience := time.After(3 * time.Minute)
	for {
		l.mu.Lock()
		done, changed, wrong := ok(), l.changed, l.fault
		l.mu.Unlock()
		require.NoError(t, wrong)
		if done {
			return
		}
		select {
		case <-changed:
		case <-patience:
			t.Fatalf("person %d: %s did not come", l.person.ID, what)
		}
	}
}

// onlyGap waits for one, and for a thousand submissions before it.
func (l *listener) onlyGap(t *testing.T) gap {
	t.Helper()
	l.await(t, "a gap", func() bool { return len(l.gaps) > 0 })
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Len(t, l.gaps, 1)
	require.Equal(t, "bulk", l.gaps[0].Reason)
	require.Len(t, l.submissions, 1000)
	return l.gaps[0]
}

// first is when the first submission came.
func (l *listener) first() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.began
}
