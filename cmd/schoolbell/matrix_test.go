package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// What the gateway answers to whom, by every way to say who one is. Somebody who comes is
// let `in`, or refused:
//
//	401       401 unauthenticated: show another credential
//	inactive  403 account_inactive
//	role      403 role_not_allowed
//
// The dashboard of somebody who is connected stays open (`stays`), or is closed with the
// code. What cannot be has a letter, and its reason below.
const matrix = `
                          token     session   jwt       asked     proxy

comes: valid              in        in        in        in        in
comes: expired            a         401       401       401       b
comes: damaged            401       401       401       401       401
comes: of nobody          401       401       401       401       401
comes: inactive           inactive  inactive  inactive  inactive  inactive
comes: student            role      role      role      role      role

open: expires             a         4401      4401      4401      b
open: revoked             4401      4401      4401      4401      b
open: account inactive    4401      4401      4401      4401      4401
open: account deleted     4401      4401      4401      4401      4401
open: role taken away     4403      4403      4403      4403      4403
open: another role        stays     stays     stays     stays     stays
`

// The reasons.
var cannotBe = map[string]string{
	"a": "a token of the LMS's table has no end: the LMS deletes it, which is `revoked`",
	"b": "a name in a header is no proof that could end or be taken back: the proxy looked when the person came, and asks us nothing later",
}

// matrixWay is one way to say who one is.
type matrixWay interface {
	// flags turn it on.
	flags() []string
	// credential is one for an account, good for so long; 0: an hour.
	credential(account int64, lasts time.Duration) http.Header
	// damage makes another credential of a good one.
	damage(header http.Header) http.Header
	// revoke takes a credential back.
	revoke(header http.Header)
}

func TestMatrixOfEveryWayToSignInAndEveryoneWhoMayNot(t *testing.T) {
	t.Parallel()
	var names []string
	cells := map[string]map[string]string{} // by way, by case
	for line := range strings.Lines(matrix) {
		name, rest, isCase := strings.Cut(line, ": ")
		switch fields := strings.Fields(line); {
		case len(fields) == 0:
		case !isCase:
			names = fields
			for _, way := range names {
				cells[way] = map[string]string{}
			}
		default:
			fields := strings.Fields(rest)
			about := len(fields) - len(names)
			for i, way := range names {
				cells[way][name+": "+strings.Join(fields[:about], " ")] = fields[about+i]
			}
		}
	}
	for name, column := range cells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newMatrixSite(t, name).column(column)
		})
	}
}

// matrixSite is a gateway for one way, and people for every case.
type matrixSite struct {
	*site
	way    matrixWay
	people map[string]school.Person // by case
}

func newMatrixSite(t *testing.T, way string) *matrixSite {
	s := &matrixSite{site: newSite(t), people: map[string]school.Person{}}
	switch way {
	case "token":
		s.way = matrixToken{s}
	case "session":
		s.way = matrixSession{s}
	case "jwt":
		s.way = newMatrixJWT(s)
	case "asked":
		s.way = newMatrixAsked(s)
	case "proxy":
		s.way = matrixProxy{}
	default:
		t.Fatalf("no way is called %q", way)
	}
	return s
}

// account makes an account for a case.
func (s *matrixSite) account(name string, role string, active bool) {
	n := 5000 + len(s.people)
	s.exec(`INSERT INTO accounts_user (id, email, is_superuser, is_staff, date_joined, first_name, last_name, role, is_active, password)
		VALUES ($1, $2, false, false, now(), 'M', 'M', $3, $4, 'x')`, n, fmt.Sprintf("m%d@school.example", n), role, active)
	s.people[name] = school.Person{ID: int64(n)}
}

// column goes through all cases of one way. Everybody is there before the gateway is, so
// that nothing has to be waited for.
func (s *matrixSite) column(cells map[string]string) {
	// An account may go while its credentials are still there.
	s.exec(`ALTER TABLE authtoken_token DROP CONSTRAINT authtoken_token_user_id_fkey`)
	for name := range cells {
		switch name {
		case "comes: student":
			s.account(name, "student", true)
		case "comes: inactive":
			s.account(name, "teacher", false)
		default:
			s.account(name, "teacher", true)
		}
	}
	good := map[string]http.Header{}
	for name, p := range s.people {
		if strings.HasPrefix(name, "open: ") && name != "open: expires" {
			good[name] = s.way.credential(p.ID, 0)
		}
	}
	gone := s.people["comes: of nobody"].ID
	ofNobody := s.way.credential(gone, 0)
	s.exec(`DELETE FROM accounts_user WHERE id = $1`, gone)
	s.serve(append(s.way.flags(), "--recheck", "1s")...)
	s.ready()

	for name, want := range cells {
		p := s.people[name]
		if reason, cannot := cannotBe[want]; cannot {
			s.t.Logf("%s: cannot be: %s", name, reason)
			continue
		}
		s.t.Run(name, func(t *testing.T) {
			t.Parallel()
			switch name {
			case "comes: damaged":
				header := s.way.credential(p.ID, 0)
				s.comes(t, header, "in")
				s.comes(t, s.way.damage(header), want)
			case "comes: of nobody":
				s.comes(t, ofNobody, want)
			case "comes: expired":
				s.comes(t, s.way.credential(p.ID, -time.Minute), want)
			case "open: expires":
				lasts := 3 * time.Second
				conn, err := s.dials(t, s.way.credential(p.ID, lasts))
				for err != nil && lasts < time.Minute { // we were too slow
					lasts *= 3
					conn, err = s.dials(t, s.way.credential(p.ID, lasts))
				}
				require.NoError(t, err)
				s.becomes(t, conn, want)
			case "open: revoked":
				s.open(t, good[name], func() { s.way.revoke(good[name]) }, want)
			case "open: account inactive":
				s.open(t, good[name], func() { s.alone(`UPDATE accounts_user SET is_active = false WHERE id = $1`, p.ID) }, want)
			case "open: account deleted":
				s.open(t, good[name], func() { s.alone(`DELETE FROM accounts_user WHERE id = $1`, p.ID) }, want)
			case "open: role taken away":
				s.open(t, good[name], func() { s.alone(`UPDATE accounts_user SET role = 'student' WHERE id = $1`, p.ID) }, want)
			case "open: another role":
				s.open(t, good[name], func() { s.alone(`UPDATE accounts_user SET role = 'admin' WHERE id = $1`, p.ID) }, want)
			default:
				s.comes(t, s.way.credential(p.ID, 0), want)
			}
		})
	}
}

// alone runs a statement on a connection of its own: cases are parallel.
func (s *matrixSite) alone(sql string, args ...any) {
	s.t.Helper()
	conn := connectTo(s.t, s.url)
	_, err := conn.Exec(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
}

// comes asks /api/session and the socket, which must agree.
func (s *matrixSite) comes(t *testing.T, header http.Header, want string) {
	t.Helper()
	status, code := http.StatusOK, ""
	switch want {
	case "401":
		status, code = http.StatusUnauthorized, "unauthenticated"
	case "inactive":
		status, code = http.StatusForbidden, "account_inactive"
	case "role":
		status, code = http.StatusForbidden, "role_not_allowed"
	default:
		require.Equal(t, "in", want)
	}
	got, body := sessionOf(t, s.base(), header)
	require.Equal(t, status, got, body)
	conn, resp, err := websocket.Dial(t.Context(), s.base()+"/ws/dashboard/", &websocket.DialOptions{HTTPHeader: header})
	if want == "in" {
		require.NoError(t, err)
		_ = conn.CloseNow()
		return
	}
	require.Error(t, err)
	require.Equal(t, status, resp.StatusCode)
	var refusal struct{ Error string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&refusal))
	require.Equal(t, code, refusal.Error)
	require.Contains(t, body, `"error":"`+code+`"`)
}

// open connects, lets something happen, and looks at what becomes of the socket.
func (s *matrixSite) open(t *testing.T, header http.Header, happens func(), want string) {
	t.Helper()
	conn, err := s.dials(t, header)
	require.NoError(t, err)
	happens()
	s.becomes(t, conn, want)
}

func (s *matrixSite) dials(t *testing.T, header http.Header) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(t.Context(), s.base()+"/ws/dashboard/", &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, err
}

// becomes reads until the socket is closed, or somebody who saw nothing sees something.
func (s *matrixSite) becomes(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	before, told := int64(-1), 0
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			require.NoError(t, ctx.Err(), "nothing happened to the socket")
			require.Equal(t, want, fmt.Sprint(int(websocket.CloseStatus(err))), "%v", err)
			require.Equal(t, want, fmt.Sprint(told), "the message before the close frame")
			return
		}
		var m struct {
			Type  string
			Code  int
			Total int64 `json:"total_assignments"`
		}
		require.NoError(t, json.Unmarshal(text, &m))
		switch m.Type {
		case "disconnect":
			told = m.Code
		case "ping":
			require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`)))
		case "metrics":
			// A teacher of nothing sees nothing; an admin everything.
			if before = max(before, m.Total); before > 0 {
				require.Equal(t, "stays", want)
				return
			}
		}
	}
}
