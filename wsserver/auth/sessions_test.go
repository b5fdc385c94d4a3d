package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

var djangoSessions = auth.SessionTable{
	Schema: "public", Table: "django_session", UserSchema: "public", UserTable: "accounts_user", Cookie: "sessionid",
}

func newSessions(pool *pgxpool.Pool, secrets ...string) *auth.Sessions {
	return auth.NewSessions(pool, djangoSessions, auth.SessionConfig{Secrets: secrets})
}

// Promise: whoever Django takes for somebody is taken for the same one here, and who
// is nobody there is nobody here.
func TestASessionCountsWhileDjangoTakesIt(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, sessionTables)
	lms := startDjango(t, db, secretKey)
	sessions := newSessions(open(t, db), secretKey)

	var open []auth.Identity
	requireSame := func(key, want, why string) {
		t.Helper()
		require.Equal(t, want, lms.do("who", key), "Django: %s", why)
		id, err := sessions.Authenticate(t.Context(), cookie(key))
		require.Equal(t, want, id.User, why)
		if want == "" {
			require.ErrorIs(t, err, auth.ErrUnauthenticated, why)
			require.NotErrorIs(t, err, auth.ErrNoCredential, why)
			return
		}
		require.NoError(t, err, why)
		require.Equal(t, "session", id.Way)
		open = append(open, id)
	}
	requireRevoked := func(want ...int) {
		t.Helper()
		revoked, err := sessions.Recheck(t.Context(), open)
		require.NoError(t, err)
		require.Equal(t, want, revoked)
		open = nil
	}

	tom, compressed := lms.do("login", 7), lms.do("login", 7, 5000)
	tina, sso := lms.do("login", 8), lms.do("login", 9)
	requireSame(tom, "7", "a fresh session")
	require.WithinDuration(t, time.Now().Add(14*24*time.Hour), open[0].Expires, time.Minute, "Django's two weeks")
	requireSame(compressed, "7", "a compressed one")
	requireSame(tina, "8", "another person's")
	requireSame(sso, "9", "an account without a password")
	requireSame(lms.do("visit", 10), "", "nobody is signed in")
	requireSame("0123456789abcdefghijklmnopqrstuv", "", "an unknown key")
	if *update {
		writeGolden(t, db, lms.do("version"))
	}

	lms.do("logout", tom)
	requireSame(tom, "", "after the logout")
	requireRevoked(0)

	requireSame(tina, "8", "still there")
	requireSame(sso, "9", "still there")
	lms.do("set_password", 8, "another")
	requireSame(tina, "", "after somebody changed the password")
	requireRevoked(0)

	tina = lms.do("login", 8)
	requireSame(tina, "8", "signed in again")
	again := lms.do("set_password", 8, "a third", tina)
	requireSame(tina, "", "the key from before the change")
	requireSame(again, "8", "the person who changed it stays signed in, under a new key")
	requireRevoked(0)

	requireSame(again, "8", "still there")
	lms.do("expire", again, 3600)
	moved, err := sessions.Recheck(t.Context(), open)
	require.NoError(t, err)
	require.Empty(t, moved)
	require.WithinDuration(t, time.Now().Add(time.Hour), open[0].Expires, time.Minute, "the LMS moved it")
	lms.do("expire", again, -1)
	requireSame(again, "", "expired")
	requireRevoked(0)

	requireSame(sso, "9", "still there")
	exec(t, db, `DELETE FROM accounts_user WHERE id = 9`)
	requireSame(sso, "", "of an account that is gone")
	requireRevoked(0)
}

func TestSessionsOutliveAChangeOfTheSecretByItsFallbacks(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, sessionTables)
	key := startDjango(t, db, formerSecret).do("login", 7)
	pool := open(t, db)
	for _, c := range []struct {
		want    string
		secrets []string
	}{
		{"7", []string{formerSecret}},
		{"7", []string{secretKey, formerSecret}},
		{"7", []string{secretKey, "another", formerSecret}},
		{"", []string{secretKey}},
		{"", []string{secretKey, "another"}},
	} {
		id, err := newSessions(pool, c.secrets...).Authenticate(t.Context(), cookie(key))
		require.Equal(t, c.want, id.User, "%v: %v", c.secrets, err)
	}
}

func TestOnlyListedBackendsCountIfThereIsAList(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, sessionTables)
	key := startDjango(t, db, secretKey).do("login", 7, 0, "school.ldap.Backend")
	pool := open(t, db)
	for _, c := range []struct {
		want     string
		backends []string
	}{
		{"7", nil},
		{"7", []string{"django.contrib.auth.backends.ModelBackend", "school.ldap.Backend"}},
		{"", []string{"django.contrib.auth.backends.ModelBackend"}},
	} {
		id, err := auth.NewSessions(pool, djangoSessions, auth.SessionConfig{Secrets: []string{secretKey}, Backends: c.backends}).
			Authenticate(t.Context(), cookie(key))
		require.Equal(t, c.want, id.User, "%v: %v", c.backends, err)
	}
}

// golden is a session that a Django wrote, for machines that have none, and the
// password that the account had then.
type golden struct {
	Django, Data string
	User         string
	Password     *string
}

func writeGolden(t *testing.T, db, version string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `SELECT $1::text, session_data, user_id, password
		FROM (SELECT session_data, (ARRAY['7', '7', '8', '9'])[row_number() OVER (ORDER BY expire_date)] user_id FROM django_session) s
		JOIN accounts_user u ON u.id::text = s.user_id ORDER BY 3, length(session_data)`, version)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[golden])
	require.NoError(t, err)
	text, err := json.MarshalIndent(all, "", "\t")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("testdata/sessions.json", append(text, '\n'), 0o644))
}

func readGolden(t testing.TB) (all []golden) {
	t.Helper()
	text, err := os.ReadFile("testdata/sessions.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &all))
	require.Len(t, all, 4)
	return all
}

// put stores a session under a key, as it is.
func put(t *testing.T, db, key, data string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), `INSERT INTO django_session VALUES ($1, $2, now() + interval '1 hour')
		ON CONFLICT (session_key) DO UPDATE SET session_data = $2`, key, data)
	require.NoError(t, err)
}

func TestGoldenSessionsAndThoseOfSomebodyElse(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, sessionTables)
	pool := open(t, db)
	sessions := newSessions(pool, secretKey)
	for i, g := range readGolden(t) {
		key := fmt.Sprintf("golden-session-%d", i)
		put(t, db, key, g.Data)
		id, err := sessions.Authenticate(t.Context(), cookie(key))
		require.NoError(t, err, "written by Django %s", g.Django)
		require.Equal(t, g.User, id.User)
		require.WithinDuration(t, time.Now().Add(time.Hour), id.Expires, time.Minute)
		_, err = newSessions(pool, formerSecret).Authenticate(t.Context(), cookie(key))
		require.ErrorIs(t, err, auth.ErrUnauthenticated, "another secret")
	}
	exec(t, db, `UPDATE accounts_user SET password = 'changed'`)
	_, err := sessions.Authenticate(t.Context(), cookie("golden-session-0"))
	require.ErrorContains(t, err, "has another password now")
	exec(t, db, `UPDATE django_session SET expire_date = now()`)
	_, err = sessions.Authenticate(t.Context(), cookie("golden-session-0"))
	require.ErrorContains(t, err, "is not known, or has ended")
}

func TestTheKeyOfASessionThatNowIsSomebodyElsesProvesNothing(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, sessionTables)
	all := readGolden(t)
	put(t, db, "the-same-key", all[0].Data)
	sessions := newSessions(open(t, db), secretKey)
	id, err := sessions.Authenticate(t.Context(), cookie("the-same-key"))
	require.NoError(t, err)
	// Two without a password of their own, which is no password that they share.
	put(t, db, "the-same-key", all[3].Data)
	exec(t, db, `UPDATE accounts_user SET password = NULL WHERE id = 7`)
	revoked, err := sessions.Recheck(t.Context(), []auth.Identity{id})
	require.NoError(t, err)
	require.Equal(t, []int{0}, revoked)
}

func TestWhichCookieCounts(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, sessionTables)
	for i, g := range readGolden(t) {
		put(t, db, fmt.Sprintf("golden-session-%d", i), g.Data)
	}
	sessions := newSessions(open(t, db), secretKey)
	for header, want := range map[string]string{
		"sessionid=golden-session-0":                             "7",
		"sessionid=golden-session-0; sessionid=golden-session-2": "8", // as for Django
		"a=b; sessionid=golden-session-2; c=d":                   "8",
		"sessionid=":                                             "none",
		"SESSIONID=golden-session-0":                             "none",
		"a=b":                                                    "none",
		"sessionid=golden-session":                               "",
		"sessionid=" + strings.Repeat("x", 513):                  "",
		"sessionid=golden-session-%":                             "",
	} {
		id, err := sessions.Authenticate(t.Context(), with("Cookie", header))
		switch want {
		case "none":
			require.ErrorIs(t, err, auth.ErrNoCredential, header)
		case "":
			require.ErrorIs(t, err, auth.ErrUnauthenticated, header)
			require.NotErrorIs(t, err, auth.ErrNoCredential, header)
		default:
			require.NoError(t, err, header)
			require.Equal(t, want, id.User, header)
		}
	}
}

func TestTheTokenOfARequestComesBeforeItsCookie(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms+sessionTables)
	put(t, db, "golden-session-0", readGolden(t)[0].Data)
	pool := open(t, db)
	ways := auth.Ways{auth.NewTokens(pool, django), newSessions(pool, secretKey)}
	ask := func(header, query string) (auth.Identity, error) {
		r := request(header, query)
		r.AddCookie(&http.Cookie{Name: "sessionid", Value: "golden-session-0"})
		return ways.Authenticate(t.Context(), r)
	}
	for _, c := range []struct{ header, query, user, way string }{
		{"", "", "7", "session"},
		{"", "token=", "7", "session"},
		{"Basic eDp5", "", "7", "session"},
		{"", "token=key-of-8", "8", "token"},
		{"Token key-of-8", "", "8", "token"},
	} {
		id, err := ask(c.header, c.query)
		require.NoError(t, err)
		require.Equal(t, c.user, id.User)
		require.Equal(t, c.way, id.Way)
	}
	for _, c := range []struct{ header, query string }{{"Token wrong", ""}, {"Token", ""}, {"", "token=wrong"}} {
		_, err := ask(c.header, c.query)
		require.ErrorIs(t, err, auth.ErrUnauthenticated, "a wrong token is not passed over")
	}
}

// asked counts what the database is asked.
type asked struct{ n atomic.Int64 }

func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	a.n.Add(1)
	return ctx
}

func (*asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestASignInAsksTwiceAndAThousandSessionsOnce(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms+sessionTables)
	put(t, db, "golden-session-0", readGolden(t)[0].Data)
	cfg := open(t, db).Config()
	count := &asked{}
	cfg.ConnConfig.Tracer = count
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	for _, way := range []struct {
		auth.Way
		r      *http.Request
		signIn int64
	}{{newSessions(pool, secretKey), cookie("golden-session-0"), 2}, {auth.NewTokens(pool, django), token("key-of-7"), 1}} {
		ways := auth.Ways{way}
		before := count.n.Load()
		id, err := ways.Authenticate(t.Context(), way.r)
		require.NoError(t, err)
		require.Equal(t, way.signIn, count.n.Load()-before)
		for _, c := range []struct {
			sessions int
			asks     int64
		}{{0, 0}, {1, 1}, {1000, 1}, {1001, 2}, {3000, 3}} {
			ids := make([]auth.Identity, c.sessions)
			for i := range ids {
				ids[i] = id
			}
			before := count.n.Load()
			revoked, err := ways.Recheck(t.Context(), ids)
			require.NoError(t, err)
			require.Empty(t, revoked)
			require.Equal(t, c.asks, count.n.Load()-before, "%d sessions", c.sessions)
		}
	}
}

// Bad cookies by the thousand are no thousand questions, and keep nobody out.
func TestSessionsAreGatheredToo(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, sessionTables)
	put(t, db, "golden-session-0", readGolden(t)[0].Data)
	pool := open(t, db)
	sessions := newSessions(pool, secretKey)
	ctx := auth.Gathered(t.Context())
	_, err := sessions.Authenticate(ctx, cookie("golden-session-0"))
	require.NoError(t, err)
	before, began := pool.Stat().AcquireCount(), time.Now()
	var asking sync.WaitGroup
	for n := range 200 {
		asking.Go(func() {
			_, err := sessions.Authenticate(ctx, cookie(fmt.Sprintf("nobodys-session-%d", n)))
			assert.ErrorIs(t, err, auth.ErrUnauthenticated)
			assert.NotErrorIs(t, err, auth.ErrUnavailable)
		})
	}
	asking.Go(func() {
		id, err := sessions.Authenticate(ctx, cookie("golden-session-0"))
		assert.NoError(t, err)
		assert.Equal(t, "7", id.User)
	})
	asking.Wait()
	// One of these is for the account of who is somebody.
	require.LessOrEqual(t, pool.Stat().AcquireCount()-before, 2+int64(time.Since(began)/auth.GatherFor))
}

func TestADatabaseThatIsDownDoesNotLookLikeAWrongSession(t *testing.T) {
	sessions := newSessions(open(t, nowhere(t)), secretKey)
	_, err := sessions.Authenticate(t.Context(), cookie("golden-session-0"))
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.NotErrorIs(t, err, auth.ErrUnauthenticated)
	revoked, err := sessions.Recheck(t.Context(), make([]auth.Identity, 3))
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.Empty(t, revoked)
	require.ErrorContains(t, sessions.Check(t.Context()), "fix: start it")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %v", sessions, sessions, *sessions, err), "s3cret")
}

func TestCheckSaysWhatSessionsLackAndTheRemedyWorks(t *testing.T) {
	db := pgtest.Database(t)
	role := "bell_of_sessions"
	exec(t, db, sessionTables+`; CREATE ROLE `+role+` LOGIN PASSWORD 's3cret'`)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), db)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(t, err)
	})
	put(t, db, "golden-session-0", readGolden(t)[0].Data)
	address, err := url.Parse(db)
	require.NoError(t, err)
	address.User = url.UserPassword(role, "s3cret")
	pool := open(t, address.String())
	sessions := newSessions(pool, secretKey)

	err = sessions.Check(t.Context())
	require.ErrorContains(t, err, `the role "bell_of_sessions" may not look up sessions; fix: GRANT USAGE ON SCHEMA "public" TO "bell_of_sessions"; `+
		`GRANT SELECT ("session_key", "session_data", "expire_date") ON "public"."django_session" TO "bell_of_sessions"; `)
	require.ErrorContains(t, err, `GRANT SELECT ("id", "password") ON "public"."accounts_user" TO "bell_of_sessions";`)
	missing, err := newSessions(open(t, db), secretKey).Grants(t.Context(), role)
	require.NoError(t, err)
	require.Len(t, missing, 4)
	exec(t, db, strings.Join(missing[:2], ";"))
	require.ErrorContains(t, sessions.Check(t.Context()), `("id", "password")`, "the account's table is still closed")
	_, err = sessions.Authenticate(t.Context(), cookie("golden-session-0"))
	require.ErrorIs(t, err, auth.ErrUnavailable, "a missing right is no wrong session")
	exec(t, db, strings.Join(missing[2:], ";"))
	require.NoError(t, sessions.Check(t.Context()))
	missing, err = sessions.Grants(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, missing)
	_, err = sessions.Authenticate(t.Context(), cookie("golden-session-0"))
	require.NoError(t, err)

	exec(t, db, `ALTER TABLE django_session RENAME expire_date TO ends`)
	require.ErrorContains(t, sessions.Check(t.Context()), "so they are not Django's; fix: name Django's under auth.session.from")
	exec(t, db, `DROP TABLE django_session`)
	require.ErrorContains(t, sessions.Check(t.Context()), `there is no table "public"."django_session" for sessions`)
}
