package auth

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// queryKind is what for the LMS's database is asked.
type queryKind int

const (
	forSignIn  queryKind = iota // somebody shows a credential
	forMany                     // about the credentials of many at once, as they are Gathered
	forRecheck                  // whether credentials still hold
	forCheck                    // whether credentials could be looked up
)

// QueryKinds are the words that Queries counts by.
var QueryKinds = [...]string{forSignIn: "sign_in", forMany: "gathered", forRecheck: "recheck", forCheck: "check"}

type queryKindKey struct{}

// asking has the queries of a question counted as of a kind; otherwise they are forSignIn.
func asking(ctx context.Context, kind queryKind) context.Context {
	return context.WithValue(ctx, queryKindKey{}, kind)
}

// queryCounter counts the queries of a pool.
type queryCounter struct {
	counts [len(QueryKinds)]atomic.Uint64
}

// TraceQueryStart is for pgx.
func (q *queryCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	kind, _ := ctx.Value(queryKindKey{}).(queryKind)
	q.counts[kind].Add(1)
	return ctx
}

// TraceQueryEnd is for pgx.
func (*queryCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Queries counts what was asked through a pool that OpenPool made, by QueryKinds.
func Queries(pool *pgxpool.Pool) map[string]uint64 {
	all := make(map[string]uint64, len(QueryKinds))
	if q, ok := pool.Config().ConnConfig.Tracer.(*queryCounter); ok {
		for i, kind := range QueryKinds {
			all[kind] = q.counts[i].Load()
		}
	}
	return all
}
