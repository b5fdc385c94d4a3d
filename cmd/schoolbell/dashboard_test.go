package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/wsserver/schematest"
)

// protocol is what the documents say of it, read once for all tests.
var protocol = sync.OnceValues(func() (*schematest.Documents, error) {
	return schematest.Open(filepath.Join(repository, "wsserver"))
})

// counts are a client's four tiles.
type counts struct {
	Pending  int64 `json:"pending_submissions"`
	Ungraded int64 `json:"ungraded_submissions"`
	Active   int64 `json:"active_students"`
	Total    int64 `json:"total_assignments"`
}

// received is one event as a client read it.
type received struct {
	id        string
	kind      string
	timestamp time.Time
	fields    string // canonical, without the id and the time
}

func (r received) stage() int {
	switch r.kind {
	case "assignment":
		return 0
	case "assignment_closed":
		return 2
	}
	return 1
}

// dashboard is one person's client. It stays connected as a good client does:
// whatever ends the connection, it comes back with the last position it has.
type dashboard struct {
	base   string // of the gateway, http://host:port
	person int64
	token  string
	asks   time.Duration // it pings so often, and gives up a connection that is silent; 0: it trusts the server
	shy    time.Duration // it waits so long after a refusal; 0: as after anything else

	mu       sync.Mutex // guards what follows
	changed  chan struct{}
	position cdc.Position // it has everything up to here
	events   []received
	counts   counts
	at       cdc.Position // of the counts
	welcomes int
	refused  string   // code of the last refusal, "" while connected
	told     []string // codes of refusals and of goodbyes, all
	stays    []stay
	fault    error // what the protocol does not allow
}

// stay is one connection that was welcomed.
type stay struct {
	began  cdc.Position // the cursor of its welcome
	counts counts       // of its welcome
	last   cdc.Position // the newest event; zero: there was none
	ended  websocket.StatusCode
}

func newDashboard(base string, person int64, token string) *dashboard {
	return &dashboard{base: base, person: person, token: token, changed: make(chan struct{})}
}

// forDashboards are the limits of a gateway that dashboards connect to: these come back
// after 20 ms whatever they are told, which is what the ordinary limits are there to stop.
func forDashboards() []string {
	return []string{"--max-sessions-per-person", "1000", "--handshakes-per-address", "10000"}
}

// run keeps it connected until ctx ends.
func (d *dashboard) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := d.connect(ctx)
		wait := 20 * time.Millisecond
		d.update(func() {
			if d.refused != "" {
				wait = max(wait, d.shy)
			}
			if f, ok := errors.AsType[faultError](err); ok && d.fault == nil {
				d.fault = f
			}
		})
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// faultError is something that must never happen, unlike a connection that ends.
type faultError struct{ error }

func fault(format string, args ...any) error { return faultError{fmt.Errorf(format, args...)} }

func (d *dashboard) connect(ctx context.Context) error {
	d.mu.Lock()
	since, before := d.position, len(d.stays)
	d.mu.Unlock()
	address := d.base + "/ws/dashboard/"
	if !since.IsZero() {
		address += "?since=" + url.QueryEscape(since.String())
	}
	dialing, cancel := d.patience(ctx)
	defer cancel()
	conn, resp, err := websocket.Dial(dialing, address, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Token " + d.token}}})
	if err != nil {
		if resp != nil {
			var refusal struct{ Error string }
			_ = json.NewDecoder(resp.Body).Decode(&refusal)
			d.update(func() {
				d.refused = refusal.Error
				d.told = append(d.told, refusal.Error)
			})
		}
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	defer d.ask(ctx, conn)()
	for {
		reading, cancel := d.patience(ctx)
		_, data, err := conn.Read(reading)
		cancel()
		if err != nil {
			d.update(func() {
				if n := len(d.stays); n > before {
					d.stays[n-1].ended = websocket.CloseStatus(err)
				}
			})
			return err
		}
		if err := d.receive(ctx, conn, data, !since.IsZero()); err != nil {
			return err
		}
	}
}

// patience bounds one wait for the server, if the client has none without end.
func (d *dashboard) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.asks == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, 3*time.Second)
}

// ask pings until the answer is called: each pong brings a cursor, so that somebody
// without events knows where they stand.
func (d *dashboard) ask(ctx context.Context, conn *websocket.Conn) (stop func()) {
	if d.asks == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	asking.Go(func() {
		tick := time.NewTicker(d.asks)
		defer tick.Stop()
		for ctx.Err() == nil {
			writing, done := d.patience(ctx)
			err := conn.Write(writing, websocket.MessageText, []byte(`{"type":"ping"}`))
			done()
			if err != nil {
				return // whoever reads finds out
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	return func() { cancel(); asking.Wait() }
}

func (d *dashboard) receive(ctx context.Context, conn *websocket.Conn, data []byte, resuming bool) error {
	var m struct {
		Type    string
		Cursor  string
		Resumed bool
		Reason  string
		From    string
		To      string
		Metrics json.RawMessage
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return fault("person %d: no JSON: %s", d.person, data)
	}
	if documents, err := protocol(); err != nil {
		return faultError{err}
	} else if err := documents.Sent(data); err != nil {
		return fault("person %d: %w", d.person, err)
	}
	switch m.Type {
	case "welcome":
		if resuming && !m.Resumed {
			return fault("person %d: not resumed: %s", d.person, data)
		}
		var now stay
		if err := json.Unmarshal(m.Metrics, &now.counts); err != nil {
			return faultError{err}
		}
		now.began, _ = cdc.ParsePosition(m.Cursor)
		d.update(func() {
			d.refused = ""
			d.welcomes++
			d.stays = append(d.stays, now)
			if !resuming {
				d.position = now.began
			}
		})
	case "metrics":
		cursor, err := cdc.ParsePosition(m.Cursor)
		if err != nil {
			return faultError{err}
		}
		d.update(func() {
			_ = json.Unmarshal(data, &d.counts)
			d.at = cursor
			if cursor.After(d.position) {
				d.position = cursor
			}
		})
	case "ping":
		return conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`))
	case "gap":
		if m.Reason != "bulk" {
			return fault("person %d: %s", d.person, data)
		}
		return d.fetch(ctx, m.From, m.To)
	case "assignment", "submission", "grade", "assignment_closed", examMoved:
		return d.add(data)
	case "pong":
		cursor, err := cdc.ParsePosition(m.Cursor)
		if err != nil {
			return faultError{err}
		}
		d.update(func() {
			if cursor.After(d.position) {
				d.position = cursor
			}
		})
	case "disconnect":
		d.update(func() { d.told = append(d.told, m.Reason) })
	default:
		return fault("person %d: %s", d.person, data)
	}
	return nil
}

// add takes an event, which must come after everything before it.
func (d *dashboard) add(data []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return faultError{err}
	}
	r := received{id: fields["id"].(string), kind: fields["type"].(string)}
	at, err := cdc.ParsePosition(r.id)
	if err != nil {
		return faultError{err}
	}
	if r.timestamp, err = time.Parse(time.RFC3339Nano, fields["timestamp"].(string)); err != nil {
		return faultError{err}
	}
	delete(fields, "id")
	delete(fields, "timestamp")
	r.fields = canonical(fields)
	d.update(func() {
		if !at.After(d.position) {
			err = fault("person %d: %s came after %v", d.person, data, d.position)
			return
		}
		d.position = at
		d.events = append(d.events, r)
		d.stays[len(d.stays)-1].last = at
	})
	return err
}

// fetch reads the events of a gap from the history.
func (d *dashboard) fetch(ctx context.Context, from, to string) error {
	end, err := cdc.ParsePosition(to)
	if err != nil {
		return faultError{err}
	}
	for more := true; more; {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/events?limit=1000&since="+url.QueryEscape(from), nil)
		req.Header.Set("Authorization", "Token "+d.token)
		resp, err := freshClient().Do(req)
		if err != nil {
			return err
		}
		var page struct {
			Events []json.RawMessage
			Cursor string
			More   bool
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("history: %d %w", resp.StatusCode, err)
		}
		for _, e := range page.Events {
			var m struct{ ID string }
			_ = json.Unmarshal(e, &m)
			if at, _ := cdc.ParsePosition(m.ID); at.After(end) {
				return nil
			}
			if err := d.add(e); err != nil {
				return err
			}
		}
		from, more = page.Cursor, page.More
		if at, _ := cdc.ParsePosition(from); !end.After(at) {
			return nil
		}
	}
	return nil
}

// freshClient has no connections yet, so that a dead one is not met again.
func freshClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
}

func (d *dashboard) update(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	close(d.changed)
	d.changed = make(chan struct{})
}

// await waits until ok, which is called with d.mu held.
func (d *dashboard) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.NoError(t, d.until(t.Context(), what, ok))
}

// until is await for those who are not the test's goroutine.
func (d *dashboard) until(ctx context.Context, what string, ok func() bool) error {
	patience := time.After(2 * time.Minute)
	for {
		d.mu.Lock()
		done, changed := ok(), d.changed
		state := fmt.Sprintf("at %v, %d events, counts of %v, refused %q", d.position, len(d.events), d.at, d.refused)
		wrong := d.fault
		d.mu.Unlock()
		if wrong != nil || done {
			return wrong
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("person %d: %s did not come: %s: %w", d.person, what, state, context.Cause(ctx))
		case <-patience:
			return fmt.Errorf("person %d: %s did not come: %s", d.person, what, state)
		}
	}
}
