package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

const (
	dialTimeout = 15 * time.Second
	// A gateway sends metrics every 10 s and a ping every 30 s, unless it is
	// configured otherwise. Being wrong costs a reconnect that resumes.
	idleTimeout = 2 * time.Minute
	largest     = 1 << 20 // bytes of a message; a larger one is no gateway's
)

// ending is how a session ended that may be tried again.
type ending struct {
	why        string
	greeted    bool          // a welcome had come
	retryAfter time.Duration // what the gateway asked for; 0: nothing
}

// frame is what tail understands of a message (protocol.md).
type frame struct {
	Type            string          `json:"type"`
	ID              string          `json:"id"`
	Cursor          string          `json:"cursor"`
	Timestamp       string          `json:"timestamp"`
	Recovered       bool            `json:"recovered"`
	UserEmail       string          `json:"user_email"`
	UserRole        string          `json:"user_role"`
	SubmissionID    json.RawMessage `json:"submission_id"`
	AssignmentID    json.RawMessage `json:"assignment_id"`
	AssignmentTitle string          `json:"assignment_title"`
	Student         struct {
		Email     string `json:"email"`
		FirstName string `json:"first_name"`
		LastName  string `json:"last_name"`
	} `json:"student"`
	Grade        json.RawMessage `json:"grade"`
	Title        string          `json:"title"`
	DueDate      string          `json:"due_date"`
	Reason       string          `json:"reason"`
	From         string          `json:"from"`
	To           string          `json:"to"`
	Count        *int64          `json:"count"`
	Reconnect    *bool           `json:"reconnect"`
	RetryAfterMS int64           `json:"retry_after_ms"`
}

// session is one connection, from the handshake to its end. An error is final.
func (t *tail) session(ctx context.Context) (ending, error) {
	conn, end, err := t.dial(ctx)
	if conn == nil {
		return end, err
	}
	// Ctrl-C says goodbye beside the read that waits; Read's own context would cut
	// the connection without a word.
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		goodbye(conn)
	})
	defer func() {
		if !stop() {
			<-said
		}
		_ = conn.CloseNow()
	}()
	return t.read(context.WithoutCancel(ctx), conn)
}

// goodbye closes the connection properly, but waits for no one longer than a second.
func goodbye(conn *websocket.Conn) {
	cut := time.AfterFunc(time.Second, func() { _ = conn.CloseNow() })
	defer cut.Stop()
	_ = conn.Close(websocket.StatusNormalClosure, "")
}

func (t *tail) dial(ctx context.Context) (*websocket.Conn, ending, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	u := *t.url
	if t.cursor != "" {
		query := u.Query()
		query.Set("since", t.cursor)
		u.RawQuery = query.Encode()
	}
	conn, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Token " + t.token.Reveal()}},
	})
	switch {
	case err == nil:
		conn.SetReadLimit(largest)
		return conn, ending{}, nil
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		end, err := t.refused(resp)
		return nil, end, err
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // the rest is the address, which the sentence has already
	}
	return nil, ending{why: fmt.Sprintf("no gateway to be reached at %s: %v", t.url, err)}, nil
}

// refused reads a plain HTTP answer: some are final, others pass.
func (t *tail) refused(resp *http.Response) (ending, error) {
	var body struct{ Error, Detail string }
	b, _ := io.ReadAll(resp.Body)
	_ = json.Unmarshal(b, &body) // a proxy's page is no JSON; the status will do
	said := fmt.Sprintf("%d %s", resp.StatusCode, cmp.Or(body.Error, http.StatusText(resp.StatusCode)))
	if body.Detail != "" {
		said += ": " + body.Detail
	}
	said = printable(said)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return ending{}, refusedError{fmt.Sprintf("the gateway refused the token (%s); log in to the LMS and pass the token it gives", said)}
	case http.StatusForbidden:
		return ending{}, refusedError{fmt.Sprintf("the gateway refused the account (%s); pass the token of an active account whose role may connect", said)}
	case http.StatusBadRequest:
		return ending{}, refusedError{fmt.Sprintf("the gateway refused the request (%s); look at --since, --type, --assignment and --url", said)}
	case http.StatusNotFound:
		return ending{}, refusedError{fmt.Sprintf("no gateway at %s (%s); give the address up to /ws/dashboard/", t.url, said)}
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // absent: 0, our own backoff
	return ending{why: "the gateway answered " + said, retryAfter: time.Duration(seconds) * time.Second}, nil
}

// read takes messages until the connection ends.
func (t *tail) read(ctx context.Context, conn *websocket.Conn) (ending, error) {
	var end ending
	var farewell frame // the last disconnect message
	for {
		readCtx, cancel := context.WithTimeout(ctx, idleTimeout)
		_, data, err := conn.Read(readCtx)
		cancel()
		if err != nil {
			return end.closed(err, farewell)
		}
		var f frame
		// A custom message may use our names for other types; its type is enough.
		if err := json.Unmarshal(data, &f); f.Type == "" {
			t.note("a message without a type is left out (%v)", err)
			continue
		}
		switch f.Type {
		case "ping":
			if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`)); err != nil {
				return end.closed(err, farewell)
			}
			t.advance(f.Cursor)
		case "pong", "metrics", "subscribed":
			t.advance(f.Cursor)
		case "welcome":
			end.greeted = true
			t.welcome(f)
		case "disconnect":
			farewell = f
		case "auth", "error": // answers to what we do not ask
		default:
			if err := t.print(f, data); err != nil {
				return end, err
			}
			t.advance(cmp.Or(f.ID, f.To))
		}
	}
}

// welcome says who we are. Its cursor is where to continue only if nothing was
// asked for: otherwise what comes before it is still to come, after a gap if some of
// that is not kept.
func (t *tail) welcome(f frame) {
	t.note("connected to %s as %s (%s)", t.url, f.UserEmail, f.UserRole)
	if t.cursor == "" {
		t.cursor = f.Cursor
	}
}

func (t *tail) advance(cursor string) { t.cursor = cmp.Or(cursor, t.cursor) }

// closed says how the connection ended, and whether that is the end.
func (end ending) closed(err error, farewell frame) (ending, error) {
	code := websocket.CloseStatus(err)
	end.retryAfter = time.Duration(farewell.RetryAfterMS) * time.Millisecond
	closeErr, _ := errors.AsType[websocket.CloseError](err)
	reason := printable(cmp.Or(farewell.Reason, closeErr.Reason))
	switch {
	case code == 4401:
		return end, refusedError{"the gateway ended the session (4401 credentials_revoked): the token is gone or the account is no longer active; log in to the LMS and pass the token it gives"}
	case code == 4403:
		return end, refusedError{"the gateway ended the session (4403 role_not_allowed): the account's role is none that may connect any more; have its role given back in the LMS"}
	case farewell.Reconnect != nil && !*farewell.Reconnect:
		return end, refusedError{fmt.Sprintf("the gateway ended the session and asked not to come back (%d %s); its log says why", code, reason)}
	case code == websocket.StatusPolicyViolation:
		end.retryAfter = max(end.retryAfter, maxBackoff)
	}
	switch {
	case code != -1:
		end.why = fmt.Sprintf("the gateway closed the connection (%d %s)", code, reason)
	case errors.Is(err, context.DeadlineExceeded):
		end.why = fmt.Sprintf("nothing heard from the gateway for %v", idleTimeout)
	default:
		end.why = fmt.Sprintf("the connection was lost (%v)", err)
	}
	return end, nil
}
