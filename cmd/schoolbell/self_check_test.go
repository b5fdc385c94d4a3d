package main

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// withSelfCheck skips where the log brings no messages.
func withSelfCheck(t *testing.T) {
	t.Helper()
	if pgtest.Server(t).Major() < 14 {
		t.Skip("before PostgreSQL 14 the log brings no messages; TestASelfCheckThatCannotBeIsRefusedWithOneSentence")
	}
}

// metrics is the metrics page.
func (s *site) metrics() string {
	s.t.Helper()
	return get(s.t, "http://"+s.admin+"/metrics", ready)
}

// rounds is how many rounds of the self-check have come back.
func (s *site) rounds() int {
	s.t.Helper()
	n, err := strconv.Atoi(metric(s.metrics(), "schoolbell_self_check_seconds_count"))
	require.NoError(s.t, err)
	return n
}

// comesRound waits for some more rounds.
func (s *site) comesRound(more int) {
	s.t.Helper()
	from := s.rounds()
	waitFor(s.t, "rounds of the self-check", func() bool { return s.rounds() >= from+more })
}

// emitted is how many messages were written under the self-check's prefix that a slot of
// the test's own has seen.
func (s *site) emitted(slot string) int64 {
	s.t.Helper()
	return s.number(`SELECT count(*)::text FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL,
		'proto_version', '1', 'publication_names', 'schoolbell', 'messages', 'true')
		WHERE get_byte(data, 0) = ascii('M') AND position('schoolbell.self_check'::bytea IN data) > 0`, slot)
}

// witnessed makes that slot.
func (s *site) witnessed() string {
	s.t.Helper()
	slot := s.slot + "_witness"
	s.exec(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, slot)
	return slot
}

// heard are the types of what a client has been told, up to the answer to its ping.
func (s *site) heard(conn *websocket.Conn) (types []string) {
	s.t.Helper()
	require.NoError(s.t, conn.Write(s.t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
	for len(types) == 0 || types[len(types)-1] != "pong" {
		_, body, err := conn.Read(s.t.Context())
		require.NoError(s.t, err)
		var m struct{ Type string }
		require.NoError(s.t, json.Unmarshal(body, &m))
		types = append(types, m.Type)
	}
	return types
}

// Two gateways check themselves on one database, somebody forges, and nobody is told
// anything of it.
func TestTheSelfCheckComesBackAndNobodyElseHearsOfIt(t *testing.T) {
	t.Parallel()
	withSelfCheck(t)
	s := newSite(t)
	witness := s.witnessed()
	roles := []string{"--self-check", "1s", "--roles", "teacher,tutor,admin,student"}
	s.serve(roles...)
	other := *s
	other.data, other.address, other.admin, other.slot = t.TempDir(), freePort(t), freePort(t), s.slot+"_2"
	other.serve(roles...)
	s.ready()
	other.ready()
	require.Equal(t, "1", metric(s.metrics(), "schoolbell_self_check_ok"))

	token := s.ask(`INSERT INTO authtoken_token VALUES ('a-students-own-token', now(), $1) RETURNING key`, s.school.Students[0].ID)
	people := []*websocket.Conn{s.dial(s.school.Teachers[0]), s.dial(s.school.Tutors[0]), s.dial(s.school.Admins[0]), s.enterBy(token)}
	s.exec(`SELECT pg_logical_emit_message(true, 'schoolbell.self_check', 'forged'), pg_logical_emit_message(false, 'schoolbell.self_check', 'forged'),
		pg_logical_emit_message(true, 'schoolbell.self_check', ''), pg_logical_emit_message(true, 'schoolbell', '{"group":"dashboard_metrics","type":"exam_moved"}')`)
	s.comesRound(2)
	other.comesRound(1)
	require.GreaterOrEqual(t, s.emitted(witness), int64(3))
	for _, conn := range people {
		for _, kind := range s.heard(conn) {
			require.Contains(t, []string{"ping", "metrics", "pong"}, kind)
		}
	}

	// What follows is told as ever, and nothing else has a place in the history.
	admin := s.watch(s.school.Admins[0])
	s.grade(77)
	s.sees(admin, 1)
	require.Equal(t, admin.ids(), s.history(s.school.Admins[0], "0/0.0"))

	page := s.metrics()
	for name, want := range map[string]string{
		`schoolbell_sessions{role="other"}`:                          "0",
		`schoolbell_sessions_by_transport{transport="websocket"}`:    "5",
		`schoolbell_router_subscriptions`:                            "5",
		`schoolbell_handshakes_total{outcome="accepted"}`:            "5",
		`schoolbell_sessions_closed_total{reason="client_closed"}`:   "0",
		`schoolbell_messages_sent_total{type="other"}`:               "0",
		`schoolbell_sql_messages_total{outcome="published"}`:         "0", // sql_messages is off
		`schoolbell_sql_messages_total{outcome="malformed"}`:         "0",
		`schoolbell_sql_messages_total{outcome="not_transactional"}`: "0",
		`schoolbell_events_total{kind="custom"}`:                     "0",
	} {
		require.Equal(t, want, metric(page, name), name)
	}
	s.exec(`SELECT pg_drop_replication_slot($1)`, witness)
}

// The log is confirmed although nothing but the self-check is in it.
func TestTheSelfCheckHoldsNoLog(t *testing.T) {
	t.Parallel()
	withSelfCheck(t)
	s := newSite(t)
	s.serve("--self-check", "1s")
	s.ready()
	for range 2 {
		at := s.ask(`SELECT pg_current_wal_insert_lsn()::text`)
		s.comesRound(1)
		waitFor(t, "the log to be confirmed", func() bool {
			return s.ask(`SELECT (confirmed_flush_lsn >= $2::pg_lsn)::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot, at) == "true"
		})
	}
}

func TestWithoutTheSelfCheckNothingIsWrittenIntoTheLog(t *testing.T) {
	t.Parallel()
	withSelfCheck(t)
	s := newSite(t)
	witness := s.witnessed()
	s.serve("--sql-messages") // which asks for the messages that there are
	s.ready()
	d := s.watch(s.school.Admins[0])
	s.grade(77)
	s.sees(d, 1)
	require.Zero(t, s.emitted(witness))
	page := s.metrics()
	require.NotContains(t, page, "schoolbell_self_check_ok")
	require.Equal(t, "0", metric(page, "schoolbell_self_check_seconds_count"))
	require.NotContains(t, get(t, s.base()+"/readyz", ready), "self_check")
	s.exec(`SELECT pg_drop_replication_slot($1)`, witness)
}

// A network that passes nothing more of the log and breaks nothing off: everything else
// says that all is well.
func TestASelfCheckThatIsStuckSaysWhereAndHealsByItself(t *testing.T) {
	t.Parallel()
	withSelfCheck(t)
	s := newSite(t)
	var network *proxy
	direct := s.url
	s.url = s.addressed(func(u *url.URL) {
		network = startProxy(t, u.Host, true)
		u.Host = network.address()
		q := u.Query()
		q.Set("sslmode", "disable")
		u.RawQuery = q.Encode()
	})
	gateway := s.serve("--self-check", "1s")
	s.url = direct
	s.ready()
	d := s.watch(s.school.Admins[0])

	hangs := newTrap(func(m wireMessage) bool { return m.way == toClient && m.link.followsLog() })
	network.set(hangs)
	s.waiting(`"self_check":{"ok":false,"detail":"what we wrote into PostgreSQL's log has not come out of it within 1s; fix: `,
		`"stream":{"ok":true}`, `"lag":{"ok":true}`)
	require.Equal(t, "0", metric(s.metrics(), "schoolbell_self_check_ok"))
	require.Equal(t, "0", metric(s.metrics(), "schoolbell_ready"))
	late := s.dial(s.school.Teachers[0]) // who comes is served all the same
	require.NoError(t, late.CloseNow())

	network.clear(hangs)
	s.ready()
	require.Equal(t, "1", metric(s.metrics(), "schoolbell_self_check_ok"))
	s.grade(77)
	s.sees(d, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Equal(t, 1, d.welcomes, "nobody was disconnected")
	require.Equal(t, 1, strings.Count(gateway.text(), "the self-check does not come back"))
	require.Equal(t, 1, strings.Count(gateway.text(), "the self-check comes back again"))
}

func TestASelfCheckThatCannotBeIsRefusedWithOneSentence(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	code, out := schoolbell(t, "serve", "--database", s.url, "--self-check", "10ms", "--listen", "127.0.0.1:0")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "self_check is 10ms, want 0 or at least 1s; fix: ")
	if pgtest.Server(t).Major() < 14 {
		s.refuses("self_check is on with PostgreSQL 13, which does not pass on what we announce with pg_logical_emit_message, "+
			"want PostgreSQL 14 or later, or 0; fix: leave self_check out, or upgrade PostgreSQL", "--self-check", "1m")
		return
	}

	// The function may be taken from everybody, also while the gateway runs.
	more := ""
	if pgtest.Server(t).Major() >= 17 {
		more = ", boolean"
	}
	functions := "FUNCTION pg_logical_emit_message(boolean, text, text" + more + "), pg_logical_emit_message(boolean, text, bytea" + more + ")"
	role := s.role("LOGIN REPLICATION")
	s.exec(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ` + role)
	sentence := `right of role "` + role + `" to run pg_logical_emit_message is missing, so that self_check can write nothing into the log, want granted; ` +
		`fix: GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO "` + role + `"`
	s.url = s.as(role)
	gateway := s.serve("--self-check", "1s")
	s.ready()
	s.exec("REVOKE EXECUTE ON " + functions + " FROM PUBLIC")
	s.waiting(`"self_check":{"ok":false,"detail":"`+sentence, `"publication":{"ok":true`)
	code, out = s.check("--self-check", "1m")
	require.Equal(t, 1, code, out)
	require.Len(t, wrong(out), 1)
	require.Contains(t, wrong(out)[0], sentence)
	gateway.restart() // by then it knows the LMS: dashboards come first
	s.waiting(`"self_check":{"ok":false,"detail":"`+sentence, `"snapshot":{"ok":true}`)
	s.exec("GRANT EXECUTE ON " + functions + " TO " + role)
	s.ready()
	code, out = s.check("--self-check", "1m")
	require.Zero(t, code, out)
}

// The listener may speak TLS with a certificate that nobody vouches for, on all interfaces.
func TestTheSelfCheckGoesThroughTLSOnEveryInterface(t *testing.T) {
	t.Parallel()
	withSelfCheck(t)
	s := newSite(t)
	files := newPair(t, time.Now().Add(time.Hour)).in(t, t.TempDir())
	_, port, _ := strings.Cut(s.address, ":")
	s.serve("--self-check", "1s", "--listen", ":"+port, "--tls-certificate", files.TLSCertificate, "--tls-key", files.TLSKey)
	waitFor(t, "the self-check", func() bool { return s.rounds() > 0 })
	require.Equal(t, "1", metric(s.metrics(), "schoolbell_self_check_ok"))
}
