package auth

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// longest is the most bytes that a key in a table may have. Anything longer is
// nobody's, and is not worth a query.
const longest = 512

// TokenTable says where the LMS keeps its tokens: names of a schema, a table, and
// of its columns for the token and for the key of the account.
type TokenTable struct{ Schema, Table, Key, User string }

// String is the table's name as SQL writes it.
func (t TokenTable) String() string { return pgx.Identifier{t.Schema, t.Table}.Sanitize() }

// Tokens is the Way of tokens in the LMS's own table.
type Tokens struct {
	pool  *pgxpool.Pool
	table TokenTable
	// The questions: about one, about those that the table has given, about any.
	one, which, any string

	gathered *gatherer[[]tokenRow]
}

// NewTokens asks through a pool that OpenPool made; the pool stays the caller's.
func NewTokens(pool *pgxpool.Pool, table TokenTable) *Tokens {
	key := pgx.Identifier{table.Key}.Sanitize()
	which := fmt.Sprintf("SELECT %s::text, %s::text FROM %s WHERE %[1]s = ", key, pgx.Identifier{table.User}.Sanitize(), table)
	// A key that stands for two accounts proves neither, so two rows are asked for.
	t := &Tokens{pool: pool, table: table, one: which + "$1 LIMIT 2", which: which + "ANY($1)"}
	// Compared as text, or one word that the column's type cannot hold would spoil the
	// question for all. An index on a column of text serves all the same.
	t.any = fmt.Sprintf("SELECT %s::text, %s::text FROM %s WHERE %[1]s::text = ANY($1::text[])", key, pgx.Identifier{table.User}.Sanitize(), table)
	t.gathered = &gatherer[[]tokenRow]{question: t.rows}
	return t
}

// String names the table; the pool's address and password stay inside.
func (t *Tokens) String() string { return "tokens in " + t.table.String() }

// Name is "token".
func (*Tokens) Name() string { return "token" }

// Authenticate says whose token the request carries.
func (t *Tokens) Authenticate(ctx context.Context, r *http.Request) (Identity, error) {
	token, err := fromRequest(r)
	if err != nil {
		return Identity{}, err
	}
	if err := token.possible(); err != nil {
		return Identity{}, err
	}
	found, err := t.ask(ctx, token)
	switch {
	case err != nil:
		return Identity{}, unknown(ctx, "look up a token", t.explain(err))
	case len(found) != 1 || found[0].user == nil:
		return Identity{}, fmt.Errorf("%w: the token is not known; it may have been replaced by a newer login", ErrUnauthenticated)
	}
	// The key as the table writes it: Recheck compares with that.
	return Identity{User: *found[0].user, Way: t.Name(), proof: secret{found[0].key}}, nil
}

// possible says why a token, or the key of a session, cannot be in a table.
func (s secret) possible() error {
	if len(s.key) > longest {
		return fmt.Errorf("%w: the credential is longer than %d bytes", ErrUnauthenticated, longest)
	}
	for i := range len(s.key) {
		if c := s.key[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("%w: the credential has a character that none has", ErrUnauthenticated)
		}
	}
	return nil
}

// Recheck says which tokens are gone, or somebody else's: one question for every
// thousand.
func (t *Tokens) Recheck(ctx context.Context, ids []Identity) (revoked []int, err error) {
	ctx = asking(ctx, forRecheck)
	first := 0
	for part := range slices.Chunk(ids, most) {
		var still map[string]owner
		if err := ask(ctx, func(ctx context.Context) (err error) {
			still, err = t.owners(ctx, part)
			return err
		}); err != nil {
			return revoked, unknown(ctx, "look tokens up again", t.explain(err))
		}
		for i, id := range part {
			if o := still[id.proof.key]; o.rows != 1 || o.user != id.User {
				revoked = append(revoked, first+i)
			}
		}
		first += len(part)
	}
	return revoked, nil
}

// owner is whose a token is, and in how many rows it stands.
type owner struct {
	user string
	rows int
}

func (t *Tokens) owners(ctx context.Context, ids []Identity) (map[string]owner, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = id.proof.key
	}
	rows, err := t.pool.Query(ctx, t.which, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string]owner, len(ids))
	var key string
	var user *string
	_, err = pgx.ForEachRow(rows, []any{&key, &user}, func() error {
		o := found[key]
		o.rows++
		if user != nil {
			o.user = *user
		}
		found[key] = o
		return nil
	})
	return found, err
}

// Check reports what keeps tokens from being looked up, with the remedy.
func (t *Tokens) Check(ctx context.Context) error {
	ctx = asking(ctx, forCheck)
	// The question is the one that Authenticate asks, so the answer holds for it.
	if _, err := t.ask(ctx, secret{"schoolbell-check"}); err != nil {
		return t.explain(err)
	}
	return nil
}

// tokenRow is a row of the table.
type tokenRow struct {
	key  string
	user *string
}

// ask returns the accounts that a token stands for.
func (t *Tokens) ask(ctx context.Context, token secret) (found []tokenRow, err error) {
	if isGathered(ctx) {
		return t.gathered.of(ctx, token.key)
	}
	err = ask(ctx, func(ctx context.Context) error {
		rows, err := t.pool.Query(ctx, t.one, token.key)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r tokenRow, err error) {
			return r, row.Scan(&r.key, &r.user)
		})
		return err
	})
	if unfit(err) {
		return nil, nil
	}
	return found, err
}

// rows are those of many tokens.
func (t *Tokens) rows(ctx context.Context, keys []string) (map[string][]tokenRow, error) {
	rows, err := t.pool.Query(ctx, t.any, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]tokenRow)
	var r tokenRow
	_, err = pgx.ForEachRow(rows, []any{&r.key, &r.user}, func() error {
		found[r.key] = append(found[r.key], r)
		return nil
	})
	return found, err
}
