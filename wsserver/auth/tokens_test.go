package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/wsserver/auth"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// lms is the part of a Django LMS that tokens need, as Django REST framework makes it.
const lms = `
CREATE TABLE authtoken_token (
	key varchar(40) PRIMARY KEY,
	created timestamptz NOT NULL DEFAULT now(),
	user_id bigint UNIQUE
);
INSERT INTO authtoken_token (key, user_id) VALUES ('key-of-7', 7), ('key-of-8', 8), ('key-of-none', NULL);`

var django = auth.TokenTable{Schema: "public", Table: "authtoken_token", Key: "key", User: "user_id"}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := auth.OpenPool(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// request is a dashboard's, with an Authorization header and a query.
func request(header, query string) *http.Request {
	r := httptest.NewRequest("GET", "/ws/dashboard/?"+query, nil)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return r
}

func token(key string) *http.Request { return request("", "token="+url.QueryEscape(key)) }

func TestTheFirstCredentialOfARequestDecides(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms)
	tokens := auth.NewTokens(open(t, db), django)
	for _, c := range []struct{ name, header, query, want string }{
		{"the Token header", "Token key-of-7", "", "7"},
		{"the Bearer header", "Bearer key-of-7", "", "7"},
		{"a scheme in other letters", "tOKEN   key-of-7 ", "", "7"},
		{"the query", "", "token=key-of-8", "8"},
		{"the header before the query", "Token key-of-7", "token=key-of-8", "7"},
		{"the first token of the query", "", "token=key-of-8&token=key-of-7", "8"},
		{"a scheme of somebody else's", "Basic a2V5LW9mLTc=", "token=key-of-8", "8"},
		{"a wrong header, and a right query", "Token wrong", "token=key-of-8", ""},
		{"an empty header, and a right query", "Token", "token=key-of-8", ""},
		{"a header without a scheme", "key-of-7", "", ""},
		{"nothing", "", "", ""},
		{"an empty query", "", "token=", ""},
		{"an unknown token", "", "token=key-of-9", ""},
		{"the beginning of a token", "", "token=key-of-", ""},
		{"a pattern", "", "token=key-of-%25", ""},
		{"another case", "", "token=KEY-OF-7", ""},
		{"a token of nobody's", "", "token=key-of-none", ""},
		{"a quote", "", "token=" + url.QueryEscape("' OR '1'='1"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := tokens.Authenticate(t.Context(), request(c.header, c.query))
			if c.want == "" {
				require.ErrorIs(t, err, auth.ErrUnauthenticated)
				require.NotErrorIs(t, err, auth.ErrUnavailable)
				require.Empty(t, id.User)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, id.User)
		})
	}
}

func TestATokenThatTheLMSDeletedFailsAtTheNextQuestionAndANewOneWorksAtOnce(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms)
	tokens := auth.NewTokens(open(t, db), django)
	_, err := tokens.Authenticate(t.Context(), token("key-of-7"))
	require.NoError(t, err)
	_, err = tokens.Authenticate(t.Context(), token("new"))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)

	exec(t, db, `DELETE FROM authtoken_token WHERE user_id = 7; INSERT INTO authtoken_token (key, user_id) VALUES ('new', 7)`)
	_, err = tokens.Authenticate(t.Context(), token("key-of-7"))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
	id, err := tokens.Authenticate(t.Context(), token("new"))
	require.NoError(t, err)
	require.Equal(t, "7", id.User)
}

func TestWhatCannotBeATokenIsRefusedWithoutAQuery(t *testing.T) {
	tokens := auth.NewTokens(open(t, nowhere(t)), django) // a query would be ErrUnavailable
	for _, key := range []string{
		strings.Repeat("x", 513), "a b", "a\x00b", "a\nb", "a\x7fb", "schlüssel", "\xff\xfe",
	} {
		_, err := tokens.Authenticate(t.Context(), token(key))
		require.ErrorIs(t, err, auth.ErrUnauthenticated, "%q", key)
		require.NotErrorIs(t, err, auth.ErrUnavailable, "%q", key)
	}
	_, err := tokens.Authenticate(t.Context(), token(strings.Repeat("x", 512)))
	require.ErrorIs(t, err, auth.ErrUnavailable, "512 bytes are asked for")
}

func TestATokenOfTwoAccountsProvesNeither(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, `CREATE TABLE keys (key text, owner int); INSERT INTO keys VALUES ('k', 1), ('k', 2)`)
	tokens := auth.NewTokens(open(t, db), auth.TokenTable{Schema: "public", Table: "keys", Key: "key", User: "owner"})
	_, err := tokens.Authenticate(t.Context(), token("k"))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
}

func TestTablesOfOtherLMSs(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, `CREATE SCHEMA "My LMS";
		CREATE TABLE "My LMS"."Keys"";--" ("the ""key""" uuid, "User" text);
		INSERT INTO "My LMS"."Keys"";--" VALUES ('c0ffee00-0000-4000-8000-000000000001', 'nora')`)
	tokens := auth.NewTokens(open(t, db), auth.TokenTable{Schema: "My LMS", Table: `Keys";--`, Key: `the "key"`, User: "User"})
	require.NoError(t, tokens.Check(t.Context()), "a uuid column cannot hold the token that Check asks for")
	id, err := tokens.Authenticate(t.Context(), token("c0ffee00-0000-4000-8000-000000000001"))
	require.NoError(t, err)
	require.Equal(t, "nora", id.User)
	_, err = tokens.Authenticate(t.Context(), token("no-uuid"))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
	require.NotErrorIs(t, err, auth.ErrUnavailable)
}

func TestTheLMSIsOnlyReadByAtMostFourConnections(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms)
	pool := open(t, db+"&pool_max_conns=50&default_transaction_read_only=off&statement_timeout=0&pool_min_conns=3")
	require.EqualValues(t, 4, pool.Config().MaxConns)
	for setting, want := range map[string]string{
		"application_name": "schoolbell-auth", "default_transaction_read_only": "on", "statement_timeout": "2s",
	} {
		var got string
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got))
		require.Equal(t, want, got, setting)
	}
	_, err := pool.Exec(t.Context(), `DELETE FROM authtoken_token`)
	require.ErrorContains(t, err, "read-only transaction")
	require.EqualValues(t, 1, pool.Stat().TotalConns(), "none is opened in advance")
}

func TestADatabaseThatIsDownDoesNotLookLikeAWrongToken(t *testing.T) {
	tokens := auth.NewTokens(open(t, nowhere(t)), django) // opening does not connect
	_, err := tokens.Authenticate(t.Context(), token("key-of-7"))
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.NotErrorIs(t, err, auth.ErrUnauthenticated)
	require.ErrorContains(t, err, "fix: start it")
	require.NotContains(t, err.Error(), "s3cret")
	require.NotContains(t, err.Error(), "key-of-7")
	require.ErrorContains(t, tokens.Check(t.Context()), "fix: start it")
}

func TestNoQuestionTakesLongerThanThreeSeconds(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms)
	for name, pool := range map[string]*pgxpool.Pool{
		"the table is locked":              locked(t, db),
		"all four connections are taken":   taken(t, db),
		"the server accepts and is silent": open(t, silent(t)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := auth.NewTokens(pool, django).Authenticate(t.Context(), token("key-of-7"))
			require.ErrorIs(t, err, auth.ErrUnavailable)
			require.Less(t, time.Since(start), 4*time.Second)
		})
	}
}

// locked is a pool beside a transaction that holds the table, as a migration does.
func locked(t *testing.T, db string) *pgxpool.Pool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), `BEGIN; LOCK TABLE authtoken_token`)
	require.NoError(t, err)
	return open(t, db)
}

func taken(t *testing.T, db string) *pgxpool.Pool {
	t.Helper()
	pool := open(t, db)
	for range 4 {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		t.Cleanup(conn.Release)
	}
	return pool
}

func TestTheEndOfTheAskersContextIsNotTheDatabasesFault(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms)
	tokens := auth.NewTokens(open(t, db), django)
	gone := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	_, err := tokens.Authenticate(ctx, token("key-of-7"))
	require.ErrorIs(t, err, gone)
	require.NotErrorIs(t, err, auth.ErrUnavailable)
	require.NotErrorIs(t, err, auth.ErrUnauthenticated)
}

func TestARestartOfTheDatabaseIsNotNoticed(t *testing.T) {
	server := pgtest.Own(t, nil)
	db := server.URL("postgres")
	exec(t, db, lms)
	tokens := auth.NewTokens(open(t, db), django)
	for _, mode := range []string{"fast", "immediate"} {
		_, err := tokens.Authenticate(t.Context(), token("key-of-7"))
		require.NoError(t, err)
		require.NoError(t, server.Restart(t.Context(), mode))
		id, err := tokens.Authenticate(t.Context(), token("key-of-7"))
		require.NoError(t, err, mode)
		require.Equal(t, "7", id.User)
	}
}

func TestCheckSaysWhatIsMissingAndTheRemedyWorks(t *testing.T) {
	db := pgtest.Database(t)
	role := fmt.Sprintf("bell_%d", len(db))
	exec(t, db, lms+`CREATE SCHEMA app; ALTER TABLE authtoken_token SET SCHEMA app;
		CREATE ROLE "`+role+`" LOGIN PASSWORD 's3cret'`)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), db)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(context.Background(), `DROP OWNED BY "`+role+`"; DROP ROLE "`+role+`"`)
		require.NoError(t, err)
	})
	address, err := url.Parse(db)
	require.NoError(t, err)
	address.User = url.UserPassword(role, "s3cret")
	pool := open(t, address.String())
	table := auth.TokenTable{Schema: "app", Table: "authtoken_token", Key: "key", User: "user_id"}
	tokens := auth.NewTokens(pool, table)

	grant := `GRANT USAGE ON SCHEMA "app" TO "` + role + `"; GRANT SELECT ("key", "user_id") ON "app"."authtoken_token" TO "` + role + `";`
	require.ErrorContains(t, tokens.Check(t.Context()), "fix: "+grant)
	_, err = tokens.Authenticate(t.Context(), token("key-of-7"))
	require.ErrorIs(t, err, auth.ErrUnavailable, "a missing right is not a wrong token")
	require.ErrorContains(t, err, grant)
	owner := auth.NewTokens(open(t, db), table)
	missing, err := owner.Grants(t.Context(), role)
	require.NoError(t, err)
	require.Equal(t, grant, strings.Join(missing, "; ")+";")
	exec(t, db, `GRANT USAGE ON SCHEMA app TO "`+role+`"`)
	require.ErrorContains(t, tokens.Check(t.Context()), "fix: "+grant)
	exec(t, db, grant)
	require.NoError(t, tokens.Check(t.Context()))
	for _, r := range []string{role, ""} {
		missing, err = owner.Grants(t.Context(), r)
		require.NoError(t, err)
		require.Empty(t, missing)
	}
	missing, err = owner.Grants(t.Context(), "not made yet")
	require.NoError(t, err)
	require.Len(t, missing, 2)
	id, err := tokens.Authenticate(t.Context(), token("key-of-7"))
	require.NoError(t, err)
	require.Equal(t, "7", id.User)

	table.Key = "token"
	require.ErrorContains(t, auth.NewTokens(pool, table).Check(t.Context()), `no column "token"`)
	table.Table = "tokens"
	require.ErrorContains(t, auth.NewTokens(pool, table).Check(t.Context()), `no table "app"."tokens"`)
	table.Schema = "nope"
	require.ErrorContains(t, auth.NewTokens(pool, table).Check(t.Context()), `no table "nope"."tokens"`)
}

func TestNoPasswordIsInAnyError(t *testing.T) {
	for _, address := range []string{
		"postgres://bell:s3cret@localhost:99999/lms", "host=localhost port=x user=bell password=s3cret",
	} {
		_, err := auth.OpenPool(t.Context(), address)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3cret")
	}
	tokens := auth.NewTokens(open(t, nowhere(t)), django)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", tokens, tokens, *tokens), "s3cret")
}

// nowhere is the URL of a server that is down.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "postgres://bell:s3cret@" + l.Addr().String() + "/lms?sslmode=disable"
}

// silent is the URL of a server that accepts connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return "postgres://bell:s3cret@" + l.Addr().String() + "/lms?sslmode=disable"
}
