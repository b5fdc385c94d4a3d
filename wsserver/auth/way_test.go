package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// word is a way that knows whoever names themselves in a header of its own.
type word struct {
	header string
	gone   []string
	until  time.Time
	err    error // of Recheck and Check
	asked  int   // how many identities it was asked about again
}

func (w *word) Name() string { return w.header }

func (w *word) Authenticate(_ context.Context, r *http.Request) (auth.Identity, error) {
	switch user := r.Header.Get(w.header); user {
	case "":
		return auth.Identity{}, auth.ErrNoCredential
	case "wrong":
		return auth.Identity{}, fmt.Errorf("%w: wrong", auth.ErrUnauthenticated)
	case "down":
		return auth.Identity{}, fmt.Errorf("%w: down", auth.ErrUnavailable)
	case "gone":
		return auth.Identity{}, fmt.Errorf("look up: %w", context.Canceled)
	default:
		return auth.Identity{User: user, Way: w.header}, nil
	}
}

func (w *word) Recheck(_ context.Context, ids []auth.Identity) (revoked []int, err error) {
	w.asked += len(ids)
	for i, id := range ids {
		if slices.Contains(w.gone, id.User) && w.err == nil {
			revoked = append(revoked, i)
		}
		ids[i].Expires = w.until
	}
	return revoked, w.err
}

func (w *word) Check(context.Context) error { return w.err }

// with is a request with these headers, in pairs.
func with(pairs ...string) *http.Request {
	r := request("", "")
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	return r
}

func TestTheFirstWayThatFindsItsKindOfCredentialDecides(t *testing.T) {
	ways := auth.Ways{&word{header: "One"}, &word{header: "Two"}}
	for _, c := range []struct {
		name      string
		r         *http.Request
		user, way string
		err       error
		outcome   string
	}{
		{"the first", with("One", "a"), "a", "One", nil, "accepted"},
		{"the second", with("Two", "b"), "b", "Two", nil, "accepted"},
		{"both", with("One", "a", "Two", "b"), "a", "One", nil, "accepted"},
		{"a wrong one is never passed over", with("One", "wrong", "Two", "b"), "", "One", auth.ErrUnauthenticated, "refused"},
		{"nor one that cannot be looked up", with("One", "down", "Two", "b"), "", "One", auth.ErrUnavailable, "unavailable"},
		{"nor one whose asker has gone", with("Two", "gone"), "", "Two", context.Canceled, "abandoned"},
		{"none", with(), "", auth.NoWay, auth.ErrUnauthenticated, "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := ways.Authenticate(t.Context(), c.r)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.user, id.User)
			same, way, err := ways.Attempt(t.Context(), c.r)
			require.Equal(t, id, same)
			require.Equal(t, c.way, way)
			if err == nil {
				require.Equal(t, c.way, id.Way)
			}
			require.Equal(t, c.outcome, auth.OutcomeOf(err))
			require.Contains(t, auth.Outcomes, auth.OutcomeOf(err))
		})
	}
	_, err := ways.Authenticate(t.Context(), with())
	require.ErrorIs(t, err, auth.ErrNoCredential)
}

func TestEveryIdentityIsAskedAboutAgainInItsOwnWay(t *testing.T) {
	one, two := &word{header: "One"}, &word{header: "Two"}
	ways := auth.Ways{one, two}
	var ids []auth.Identity
	for _, r := range []*http.Request{with("Two", "a"), with("One", "a"), with("Two", "b"), with("One", "c"), with("Two", "c")} {
		id, err := ways.Authenticate(t.Context(), r)
		require.NoError(t, err)
		ids = append(ids, id)
	}
	one.gone, two.gone = []string{"c"}, []string{"a", "c"}
	revoked, err := ways.Recheck(t.Context(), ids)
	require.NoError(t, err)
	require.ElementsMatch(t, []int{0, 3, 4}, revoked)
	require.Equal(t, []int{2, 3}, []int{one.asked, two.asked})

	two.err = auth.ErrUnavailable
	revoked, err = ways.Recheck(t.Context(), ids)
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.Equal(t, []int{3}, revoked, "who cannot tell revokes nobody, and keeps nobody else from telling")
	require.ErrorIs(t, ways.Check(t.Context()), auth.ErrUnavailable)

	revoked, err = ways.Recheck(t.Context(), []auth.Identity{{User: "a", Way: "One"}})
	require.NoError(t, err)
	require.Equal(t, []int{0}, revoked, "nothing proves an identity that no way gave")
}

func TestAProofThatEndsLaterByNowEndsLaterWhicheverWayItIsOf(t *testing.T) {
	one, two := &word{header: "One"}, &word{header: "Two"}
	ways := auth.Ways{one, two}
	var ids []auth.Identity
	for _, r := range []*http.Request{with("Two", "a"), with("One", "a"), with("Two", "b")} {
		id, err := ways.Authenticate(t.Context(), r)
		require.NoError(t, err)
		ids = append(ids, id)
	}
	one.until, two.until = time.Unix(1, 0), time.Unix(2, 0)
	revoked, err := ways.Recheck(t.Context(), ids)
	require.NoError(t, err)
	require.Empty(t, revoked)
	for i, want := range []time.Time{two.until, one.until, two.until} {
		require.Equal(t, want, ids[i].Expires)
	}
}

func TestNoProofIsInAnyLogAttributeOrFormattedValue(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms)
	id, err := auth.Ways{auth.NewTokens(open(t, db), django)}.Authenticate(t.Context(), token("key-of-7"))
	require.NoError(t, err)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, id, &id, []any{id, []auth.Identity{id}})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("asked", "who", id, "several", []auth.Identity{id})
	slog.New(slog.NewTextHandler(&out, nil)).Info("asked", "who", id, "several", []auth.Identity{id})
	require.NoError(t, json.NewEncoder(&out).Encode(id))
	require.Contains(t, out.String(), "user 7 by token")
	require.NotContains(t, out.String(), "key-of-7")
	require.NotContains(t, out.String(), fmt.Sprintf("%x", "key-of-7"))
}

func TestRecheckFindsTokensThatAreGoneOrSomebodyElses(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, `CREATE TABLE authtoken_token (key varchar(40), user_id bigint);
		INSERT INTO authtoken_token SELECT 'key-of-' || n, n FROM generate_series(1, 2500) n`)
	tokens := auth.NewTokens(open(t, db), django)
	var ids []auth.Identity
	for n := range 2500 {
		if n < 5 || n > 2490 {
			id, err := tokens.Authenticate(t.Context(), token(fmt.Sprintf("key-of-%d", n+1)))
			require.NoError(t, err)
			ids = append(ids, id)
		}
	}
	first, last := slices.Clone(ids[:5]), slices.Clone(ids[5:])
	ids = slices.Concat(first, slices.Repeat(first[:1], 2500), last, first) // many tabs with one token
	exec(t, db, `DELETE FROM authtoken_token WHERE user_id = 2; UPDATE authtoken_token SET user_id = 99 WHERE user_id = 3;
		INSERT INTO authtoken_token VALUES ('key-of-4', 98); UPDATE authtoken_token SET user_id = NULL WHERE user_id = 2500`)
	revoked, err := tokens.Recheck(t.Context(), ids)
	require.NoError(t, err)
	end := len(ids)
	require.Equal(t, []int{1, 2, 3, end - 6, end - 4, end - 3, end - 2}, revoked)

	revoked, err = tokens.Recheck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, revoked)
}

func TestRecheckKnowsAKeyAsTheTableWritesIt(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, `CREATE TABLE keys (key uuid, owner int); INSERT INTO keys VALUES ('c0ffee00-0000-4000-8000-000000000001', 1)`)
	tokens := auth.NewTokens(open(t, db), auth.TokenTable{Schema: "public", Table: "keys", Key: "key", User: "owner"})
	id, err := tokens.Authenticate(t.Context(), token("{C0FFEE00-0000-4000-8000-000000000001}"))
	require.NoError(t, err)
	revoked, err := tokens.Recheck(t.Context(), []auth.Identity{id})
	require.NoError(t, err)
	require.Empty(t, revoked)
}

func TestADatabaseThatIsDownRevokesNobody(t *testing.T) {
	server := pgtest.Own(t, nil)
	db := server.URL("postgres")
	exec(t, db, lms)
	ways := auth.Ways{auth.NewTokens(open(t, db), django)}
	id, err := ways.Authenticate(t.Context(), token("key-of-7"))
	require.NoError(t, err)
	require.NoError(t, server.Halt("fast"))
	revoked, err := ways.Recheck(t.Context(), []auth.Identity{id})
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.Empty(t, revoked)
}
