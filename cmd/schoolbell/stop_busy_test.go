package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

// Whatever the gateway does at that moment, SIGTERM ends it with 0 within 5 s: a
// service manager kills later, and another exit code wakes somebody up.
func TestSIGTERMEndsTheGatewayWithinFiveSecondsWhateverItDoes(t *testing.T) {
	t.Parallel()
	program := buildProgram(t)
	for name, busy := range map[string]func(*testing.T, string) *process{
		"clients that do not read, replays and handshakes": stuckClients,
		"a large transaction":                              largeTransaction,
		"a snapshot":                                       snapshotUnderWay,
		"waiting to make the slot":                         slotNotMade,
		"waiting for a slot in use":                        slotInUse,
		"waiting for a server that is down":                serverDown,
		"a server that went down":                          serverWentDown,
		"a server that does not answer any more":           serverFrozen,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gateway := busy(t, program)
			began := time.Now()
			require.Zero(t, gateway.stop(5*time.Second), gateway.text())
			t.Logf("exit 0 after %v", time.Since(began).Round(time.Millisecond))
			require.Empty(t, said(gateway.text()))
		})
	}
}

// serveAs starts the gateway that a program is.
func (s *site) serveAs(program string, more ...string) *process {
	s.t.Helper()
	return startProgram(s.t, program, append([]string{
		"serve", "--database", s.url, "--slot", s.slot, "--data", s.data, "--listen", s.address, "--admin-listen", s.admin,
	}, more...)...)
}

// stuckClients has all kinds of clients that are in no hurry, while the LMS commits as
// fast as it can.
func stuckClients(t *testing.T, program string) *process {
	s := newSite(t)
	gateway := s.serveAs(program, "--queue", "1000000") // so that the slow ones are still there
	s.ready()
	admin, teacher := s.school.Admins[0], s.school.Teachers[0]
	d := s.watch(admin)
	d.mu.Lock()
	begin := d.position.String()
	d.mu.Unlock()
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = NULL`)
	lms := connectTo(t, s.url)
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	t.Cleanup(func() { cancel(); load.Wait() })
	load.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, err := lms.Exec(context.Background(), `UPDATE assignments_assignmentsubmission SET grade = $1 WHERE submitted_at IS NOT NULL`, i%100)
			if err != nil {
				t.Errorf("the LMS: %v", err)
				return
			}
		}
	})
	d.await(t, "history", func() bool { return len(d.events) > 10_000 })

	for range 5 {
		s.slim(teacher, "") // and never reads
		s.slim(teacher, begin)
	}
	// One that reads what it missed, and one that reads what happens: they are told.
	for _, since := range []string{begin, ""} {
		in := bufio.NewReaderSize(s.slim(admin, since), 4096)
		var reading sync.WaitGroup
		reading.Go(func() {
			var last []byte
			for {
				op, payload, err := peekFrame(in)
				if err != nil || op == 8 {
					var bye farewell
					if err != nil || json.Unmarshal(last, &bye) != nil || bye.Code != 1001 || bye.After <= 0 || binary.BigEndian.Uint16(payload) != 1001 {
						t.Errorf("a client that reads was left with %q, %q, %v", last, payload, err)
					}
					return
				}
				last = append(last[:0], payload...)
			}
		})
		t.Cleanup(reading.Wait)
	}

	// Handshakes: not begun, begun, and one whose token is still being looked up.
	send := func(text string) {
		conn, err := net.Dial("tcp", s.address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
	}
	send("")
	send("GET /ws/dashboard/ HTTP/1.1\r\nHost: x\r\nUpgr")
	dba := connectTo(t, s.url)
	_, err := dba.Exec(t.Context(), `BEGIN; LOCK TABLE authtoken_token`)
	require.NoError(t, err)
	send(handshake(s.address, admin.Token, ""))
	s.blocked(dba.PgConn().PID())
	return gateway
}

func handshake(address, token, since string) string {
	return fmt.Sprintf("GET /ws/dashboard/?since=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Token %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", url.QueryEscape(since), address, token)
}

// slim is a socket whose system takes little that was not read.
func (s *site) slim(p school.Person, since string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(s.t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = io.WriteString(conn, handshake(s.address, p.Token, since))
	require.NoError(s.t, err)
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) { // and nothing of what follows
		head = append(head, 0)
		_, err = io.ReadFull(conn, head[len(head)-1:])
		require.NoError(s.t, err)
	}
	require.Contains(s.t, string(head), "HTTP/1.1 101 ")
	return conn
}

// blocked waits until somebody waits for a lock of the backend pid.
func (s *site) blocked(pid uint32) {
	s.t.Helper()
	s.eventually(`SELECT count(*) > 0 FROM pg_stat_activity WHERE $1::int = ANY (pg_blocking_pids(pid))`, int(pid))
}

// eventually asks the database until the answer is yes.
func (s *site) eventually(sql string, args ...any) {
	s.t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for range 3000 {
		var yes bool
		require.NoError(s.t, s.conn.QueryRow(s.t.Context(), sql, args...).Scan(&yes))
		if yes {
			return
		}
		<-poll.C
	}
	s.t.Fatalf("never true: %s", sql)
}

// manyUsers adds students in one transaction.
const manyUsers = `INSERT INTO accounts_user (id, email, first_name, last_name, role, is_superuser, is_staff, is_active, date_joined)
	SELECT n, 's' || n || '@school.example', 'Stu', 'Dent', 'student', false, false, true, now() FROM generate_series(1000001, 1000000 + $1::int) n`

func largeTransaction(t *testing.T, program string) *process {
	s := newSite(t)
	gateway := s.serveAs(program)
	s.ready()
	s.exec(manyUsers, 200_000)
	s.rowsComing()
	return gateway
}

// rowsComing waits until the gateway is in the middle of the new accounts.
func (s *site) rowsComing() {
	s.t.Helper()
	get(s.t, "http://"+s.admin+"/metrics", func(_ int, page string) bool {
		rows, _ := strconv.ParseFloat(metric(page, `schoolbell_replication_rows_total{op="insert",table="public.accounts_user"}`), 64)
		return rows > 0
	})
}

func snapshotUnderWay(t *testing.T, program string) *process {
	s := newSite(t)
	s.exec(manyUsers, 300_000)
	gateway := s.serveAs(program)
	s.waiting(`"snapshot":{"ok":false`, "reading public.accounts_user")
	return gateway
}

func slotNotMade(t *testing.T, program string) *process {
	s := newSite(t)
	lms := connectTo(t, s.url)
	_, err := lms.Exec(t.Context(), `BEGIN; DELETE FROM authtoken_token`)
	require.NoError(t, err)
	gateway := s.serveAs(program)
	s.waiting("making the slot")
	s.blocked(lms.PgConn().PID())
	return gateway
}

func slotInUse(t *testing.T, program string) *process {
	s := newSite(t)
	gateway := s.serveAs(program)
	s.ready()
	require.Zero(t, gateway.stop(5*time.Second))
	other, err := pgconn.Connect(t.Context(), s.url+"&replication=database&application_name=other")
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close(context.WithoutCancel(t.Context())) })
	other.Frontend().SendQuery(&pgproto3.Query{String: "START_REPLICATION SLOT " + s.slot + " LOGICAL 0/0 (proto_version '1', publication_names 'schoolbell')"})
	require.NoError(t, other.Frontend().Flush())
	_, err = other.ReceiveMessage(t.Context()) // CopyBothResponse: it has the slot
	require.NoError(t, err)
	gateway.restart()
	s.waiting("(other)")
	return gateway
}

func serverDown(t *testing.T, program string) *process {
	server := pgtest.Own(t, nil)
	s := siteAt(t, server.URL("postgres"))
	require.NoError(t, server.Halt("fast"))
	gateway := s.serveAs(program)
	s.waiting("not running")
	return gateway
}

func serverWentDown(t *testing.T, program string) *process {
	server := pgtest.Own(t, nil)
	s := siteAt(t, server.URL("postgres"))
	gateway := s.serveAs(program)
	s.ready()
	s.dial(s.school.Admins[0])
	require.NoError(t, server.Halt("immediate"))
	get(t, s.base()+"/readyz", func(status int, _ string) bool { return status != 200 })
	return gateway
}

// serverFrozen has the process that sends us the log stopped in the middle of it: the
// connection is there, and nobody at the other end.
func serverFrozen(t *testing.T, program string) *process {
	s := newSite(t)
	gateway := s.serveAs(program)
	s.ready()
	s.exec(manyUsers, 200_000)
	s.rowsComing()
	pid, err := strconv.Atoi(s.ask(`SELECT active_pid::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	return gateway
}
