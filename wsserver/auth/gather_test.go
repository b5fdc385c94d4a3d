package auth_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

func TestGatheredQuestionsAreAskedTogetherAndEverybodyGetsTheirAnswer(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms)
	pool := open(t, db)
	tokens := auth.NewTokens(pool, django)
	require.NoError(t, tokens.Check(t.Context()))
	before, began := pool.Stat().AcquireCount(), time.Now()
	ctx := auth.Gathered(t.Context())
	var asking sync.WaitGroup
	wrong := make(chan error, 3000)
	for i := range 1500 {
		asking.Go(func() {
			_, err := tokens.Authenticate(ctx, token(fmt.Sprintf("no-such-key-%d", i%900)))
			if !errors.Is(err, auth.ErrUnauthenticated) {
				wrong <- fmt.Errorf("a bad token: %w", err)
			}
		})
		if i%10 == 0 {
			asking.Go(func() {
				id, err := tokens.Authenticate(ctx, token("key-of-7"))
				if err != nil || id.User != "7" {
					wrong <- fmt.Errorf("a good token is %v's: %w", id, err)
				}
			})
		}
	}
	asking.Wait()
	close(wrong)
	require.NoError(t, <-wrong)
	asked := pool.Stat().AcquireCount() - before
	require.LessOrEqual(t, asked, 1+int64(time.Since(began)/auth.GatherFor))
	require.Positive(t, asked)

	exec(t, db, `DELETE FROM authtoken_token WHERE key = 'key-of-7'; INSERT INTO authtoken_token (key, user_id) VALUES ('newer-key-of-7', 7)`)
	_, err := tokens.Authenticate(ctx, token("key-of-7"))
	require.ErrorIs(t, err, auth.ErrUnauthenticated, "nothing is remembered")
	id, err := tokens.Authenticate(ctx, token("newer-key-of-7"))
	require.NoError(t, err)
	require.Equal(t, "7", id.User)
}

// Another type of key: what it cannot hold spoils nobody else's question.
func TestAGatheredQuestionWithNonsenseInItSpoilsNobodyElses(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, `CREATE TABLE keys (key uuid, user_id bigint);
		INSERT INTO keys VALUES ('0af5c4a0-0000-4000-8000-000000000001', 7), ('0af5c4a0-0000-4000-8000-000000000002', 8), ('0af5c4a0-0000-4000-8000-000000000002', 9)`)
	tokens := auth.NewTokens(open(t, db), auth.TokenTable{Schema: "public", Table: "keys", Key: "key", User: "user_id"})
	ctx := auth.Gathered(t.Context())
	answers := map[string]error{}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, key := range []string{"nonsense", "0af5c4a0-0000-4000-8000-000000000001", "0af5c4a0-0000-4000-8000-000000000002"} {
		asking.Go(func() {
			_, err := tokens.Authenticate(ctx, token(key))
			mu.Lock()
			defer mu.Unlock()
			answers[key[len(key)-1:]] = err
		})
	}
	asking.Wait()
	require.NoError(t, answers["1"])
	require.ErrorIs(t, answers["e"], auth.ErrUnauthenticated)
	require.ErrorIs(t, answers["2"], auth.ErrUnauthenticated, "a key that stands for two proves neither")
}

func TestWhoGoesWhileAGatheredQuestionWaitsTakesNobodyAlong(t *testing.T) {
	db := pgtest.Database(t)
	exec(t, db, lms)
	tokens := auth.NewTokens(open(t, db), django)
	require.NoError(t, tokens.Check(t.Context()))
	gone, leave := context.WithCancel(auth.Gathered(t.Context()))
	leave()
	var asking sync.WaitGroup
	asking.Go(func() { _, _ = tokens.Authenticate(gone, token("key-of-8")) })
	id, err := tokens.Authenticate(auth.Gathered(t.Context()), token("key-of-7"))
	require.NoError(t, err)
	require.Equal(t, "7", id.User)
	asking.Wait()
}

func TestADatabaseThatIsDownIsNoWrongTokenForAGatheredQuestionEither(t *testing.T) {
	tokens := auth.NewTokens(open(t, "postgres://nobody@127.0.0.1:1/none"), django)
	_, err := tokens.Authenticate(auth.Gathered(t.Context()), token("key-of-7"))
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.NotErrorIs(t, err, auth.ErrUnauthenticated)
}
