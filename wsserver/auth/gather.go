package auth

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// GatherFor is how long a question waits for others to be asked together with it.
const GatherFor = 100 * time.Millisecond

type gatheredKey struct{}

// Gathered marks a question that may wait for others: where many of them will turn out
// to be about bad credentials, they are asked together, one question every GatherFor at
// most, instead of refusing the good ones among them.
func Gathered(ctx context.Context) context.Context {
	return context.WithValue(ctx, gatheredKey{}, true)
}

func isGathered(ctx context.Context) bool { return ctx.Value(gatheredKey{}) != nil }

// errCrowd means that more is asked at once than one question is about.
var errCrowd = fmt.Errorf("more than %d questions within %v; is this an attack?", most, GatherFor)

// A gatherer asks about many keys at once. What it finds is no longer kept than it takes
// to tell those who asked.
type gatherer[V any] struct {
	question func(ctx context.Context, keys []string) (map[string]V, error)

	mu   sync.Mutex // guards what follows
	open *gathering[V]
}

// gathering is one question, and who waits for its answer.
type gathering[V any] struct {
	keys map[string]struct{} // guarded by gatherer.mu until the question is asked
	done chan struct{}       // closed when what follows is there
	all  map[string]V
	err  error
}

// of is the answer about one key; the zero value where there is none.
func (g *gatherer[V]) of(ctx context.Context, key string) (V, error) {
	var none V
	g.mu.Lock()
	mine := g.open
	first := mine == nil
	if first {
		mine = &gathering[V]{keys: map[string]struct{}{}, done: make(chan struct{})}
		g.open = mine
	}
	if len(mine.keys) >= most {
		g.mu.Unlock()
		return none, errCrowd
	}
	mine.keys[key] = struct{}{}
	g.mu.Unlock()
	if first {
		// Others rely on it, so it is asked also when the first has gone meanwhile.
		g.ask(context.WithoutCancel(ctx), mine)
	}
	select {
	case <-mine.done:
		return mine.all[key], mine.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// ask waits for others, and puts the question.
func (g *gatherer[V]) ask(ctx context.Context, mine *gathering[V]) {
	time.Sleep(GatherFor)
	g.mu.Lock()
	g.open = nil
	g.mu.Unlock()
	keys := make([]string, 0, len(mine.keys))
	for key := range mine.keys {
		keys = append(keys, key)
	}
	defer close(mine.done)
	ctx = asking(ctx, forMany)
	mine.err = ask(ctx, func(ctx context.Context) (err error) {
		mine.all, err = g.question(ctx, keys)
		return err
	})
}
