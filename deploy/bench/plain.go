//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// plain is the process that schoolbell is compared with: the least server that gets
// the same bytes to the same sockets, without credentials, history, order over a
// reconnect, limits or slow clients. Its sockets sign in with the key of their
// person, or as everybody.
type plain struct {
	listener net.Listener

	mu      sync.Mutex // guards what follows
	sockets map[string][]*peer
	failed  error // of what runs on by itself
}

// everybody is the token of sockets that get every message.
const everybody = "everybody"

// peer is one socket. Its descriptor is written to without asking Go's poller, which
// is there for when it is full.
type peer struct {
	conn net.Conn
	fd   int
}

// runPlain is the program as that process.
func runPlain(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p := &plain{listener: l, sockets: map[string][]*peer{}}
	go p.accept() // until the process ends
	return serveRequests(in, out, p.do)
}

func (p *plain) do(r request) (answer, error) {
	p.mu.Lock()
	failed := p.failed
	p.mu.Unlock()
	if failed != nil {
		return answer{}, failed
	}
	switch r.Do {
	case "address":
		return answer{Address: p.listener.Addr().String()}, nil
	case "burst":
		return p.burst(r)
	case "listen":
		return answer{}, p.listen(r.URL)
	case "poll":
		return answer{}, p.poll(r.URL)
	default:
		return answer{}, fmt.Errorf("a plain server cannot %q", r.Do)
	}
}

func (p *plain) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			p.fail(err)
			return
		}
		if err := p.welcome(conn.(*net.TCPConn)); err != nil {
			p.fail(fmt.Errorf("let a client in: %w", err))
		}
	}
}

func (p *plain) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = errors.Join(p.failed, err)
}

func (p *plain) welcome(conn *net.TCPConn) error {
	r, err := http.ReadRequest(bufio.NewReaderSize(conn, 1024))
	if err != nil {
		return err
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Token ")
	to := &peer{conn: conn}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if err := raw.Control(func(fd uintptr) { to.fd = int(fd) }); err != nil {
		return err
	}
	p.mu.Lock()
	p.sockets[token] = append(p.sockets[token], to)
	p.mu.Unlock()
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	return to.write(append([]byte(head), encodeFrame([]byte(`{"type":"welcome"}`))...))
}

// write writes all of it, at once where the kernel takes it.
func (to *peer) write(b []byte) error {
	n, err := syscall.Write(to.fd, b)
	if err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
		return err
	}
	if n = max(n, 0); n < len(b) {
		_, err = to.conn.Write(b[n:])
		return err
	}
	return nil
}

// burst writes the text with n marks, one after another, to everybody. All frames are
// encoded before the clock starts.
func (p *plain) burst(r request) (answer, error) {
	before, behind, found := strings.Cut(r.Text, string(markKey))
	if !found {
		return answer{}, fmt.Errorf("the text %q has no mark", r.Text)
	}
	behind = strings.TrimLeft(behind, "0123456789")
	var writes [][]byte
	for i := range r.N {
		if i%r.Each == 0 {
			writes = append(writes, nil)
		}
		last := &writes[len(writes)-1]
		*last = append(*last, encodeFrame([]byte(before+string(markKey)+strconv.Itoa(r.First+i)+behind))...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := answer{At: time.Now().UnixNano()}
	for _, b := range writes {
		for _, to := range p.sockets[everybody] {
			if err := to.write(b); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// grade is what the database says of a mark.
type grade struct {
	Type       string    `json:"type"`
	Submission int64     `json:"submission_id"`
	Assignment int64     `json:"assignment_id"`
	Owner      int64     `json:"owner"`
	Grade      int       `json:"grade"`
	Timestamp  time.Time `json:"timestamp"`
}

// tell writes a grade to those who may see it.
func (p *plain) tell(g grade) error {
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	frame := encodeFrame(text)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, token := range []string{everybody, strconv.FormatInt(g.Owner, 10)} {
		for _, to := range p.sockets[token] {
			if err := to.write(frame); err != nil {
				return err
			}
		}
	}
	return nil
}

// notifySQL makes the trigger, which sends nothing yet.
const notifySQL = `
	CREATE FUNCTION notify_of_grade() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_notify('grades', json_build_object('type', 'grade', 'submission_id', NEW.id, 'assignment_id', NEW.assignment_id,
			'owner', (SELECT author_id FROM assignments_assignment WHERE id = NEW.assignment_id), 'grade', NEW.grade, 'timestamp', now())::text);
		RETURN NULL;
	END $$;
	CREATE TRIGGER notify_of_grade AFTER UPDATE ON assignments_assignmentsubmission FOR EACH ROW
		WHEN (NEW.grade IS DISTINCT FROM OLD.grade) EXECUTE FUNCTION notify_of_grade();
	ALTER TABLE assignments_assignmentsubmission DISABLE TRIGGER notify_of_grade`

// withTrigger runs do while the trigger fires.
func (l *lms) withTrigger(ctx context.Context, do func() error) error {
	if err := l.exec(ctx, `ALTER TABLE assignments_assignmentsubmission ENABLE TRIGGER notify_of_grade`); err != nil {
		return err
	}
	return errors.Join(do(), l.exec(ctx, `ALTER TABLE assignments_assignmentsubmission DISABLE TRIGGER notify_of_grade`))
}

// listen tells what the trigger sends, from when it returns on.
func (p *plain) listen(url string) error {
	ctx := context.Background() // until the process ends
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `LISTEN grades`); err != nil {
		return err
	}
	go func() {
		for {
			n, err := conn.WaitForNotification(ctx)
			if err != nil {
				p.fail(err)
				return
			}
			var g grade
			if err := errors.Join(json.Unmarshal([]byte(n.Payload), &g), p.tell(g)); err != nil {
				p.fail(err)
			}
		}
	}()
	return nil
}

// pollInterval is how often a dashboard that polls asks.
const pollInterval = time.Second

// poll tells what is new every second, from when it returns on. It asks for all
// dashboards at once, which is kind: usually every one asks for itself.
func (p *plain) poll(url string) error {
	ctx := context.Background() // until the process ends
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	known := map[int64]int{}
	if _, err := news(ctx, conn, known); err != nil {
		return err
	}
	go func() {
		for range time.Tick(pollInterval) {
			grades, err := news(ctx, conn, known)
			for _, g := range grades {
				err = errors.Join(err, p.tell(g))
			}
			if err != nil {
				p.fail(err)
				return
			}
		}
	}()
	return nil
}

// news are the grades of the last seconds that are not known yet, and are from now on.
func news(ctx context.Context, conn *pgx.Conn, known map[int64]int) (fresh []grade, err error) {
	rows, err := conn.Query(ctx, `SELECT 'grade', s.id, s.assignment_id, a.author_id, s.grade, s.updated_at FROM assignments_assignmentsubmission s
		JOIN assignments_assignment a ON a.id = s.assignment_id WHERE s.grade IS NOT NULL AND s.updated_at > now() - interval '10 s'`)
	if err != nil {
		return nil, err
	}
	grades, err := pgx.CollectRows(rows, pgx.RowToStructByPos[grade])
	for _, g := range grades {
		if known[g.Submission] != g.Grade {
			known[g.Submission] = g.Grade
			fresh = append(fresh, g)
		}
	}
	return fresh, err
}
