package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

func TestEveryQueryToTheLMSsDatabaseIsCountedByWhatItIsFor(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms+sessionTables)
	put(t, db, "golden-session-0", readGolden(t)[0].Data)
	pool := open(t, db)
	tokens, sessions := auth.NewTokens(pool, django), newSessions(pool, secretKey)
	asks := func(kind string, n uint64, question func()) {
		t.Helper()
		want := auth.Queries(pool)
		want[kind] += n
		question()
		require.Equal(t, want, auth.Queries(pool))
	}
	require.Equal(t, map[string]uint64{"sign_in": 0, "gathered": 0, "recheck": 0, "check": 0}, auth.Queries(pool))

	var mine, session auth.Identity
	var err error
	asks("sign_in", 1, func() { mine, err = tokens.Authenticate(t.Context(), token("key-of-7")) })
	require.NoError(t, err)
	asks("sign_in", 1, func() { _, err = tokens.Authenticate(t.Context(), token("of-nobody")) })
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
	asks("sign_in", 0, func() { _, err = tokens.Authenticate(t.Context(), token("")) })
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
	asks("sign_in", 2, func() { session, err = sessions.Authenticate(t.Context(), cookie("golden-session-0")) })
	require.NoError(t, err)
	asks("gathered", 1, func() { _, err = tokens.Authenticate(auth.Gathered(t.Context()), token("key-of-7")) })
	require.NoError(t, err)
	asks("recheck", 1, func() { _, err = tokens.Recheck(t.Context(), []auth.Identity{mine}) })
	require.NoError(t, err)
	asks("recheck", 1, func() { _, err = sessions.Recheck(t.Context(), []auth.Identity{session}) })
	require.NoError(t, err)
	asks("check", 2, func() { err = (auth.Ways{tokens, sessions}).Check(t.Context()) })
	require.NoError(t, err)
}

// The LMS's answer about a credential counts for a while, whatever it was.
func TestCredentialsThatTheLMSNeedNotBeAskedAboutAreCounted(t *testing.T) {
	lms := newLMS(t, byHeader)
	lms.says("good", `{"id":7}`)
	way := introspection(t, auth.IntrospectionConfig{URL: lms.url + "/api/me"})
	remembered := func(hits, misses uint64) {
		t.Helper()
		h, m := way.Remembered()
		require.Equal(t, []uint64{hits, misses}, []uint64{h, m})
	}
	remembered(0, 0)
	id := signedIn(t, way, "good")
	remembered(0, 1)
	signedIn(t, way, "good")
	remembered(1, 1)
	for range 3 {
		_, err := way.Authenticate(t.Context(), token("bad"))
		require.ErrorIs(t, err, auth.ErrUnauthenticated)
	}
	remembered(3, 2)
	_, err := way.Recheck(t.Context(), []auth.Identity{id})
	require.NoError(t, err)
	remembered(3, 2)
}
