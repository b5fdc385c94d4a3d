package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/schoolbell/schoolbell/router"
)

// BenchmarkResume is what it costs to find somebody's few events among those of a day:
// a teacher comes back to 50,000 events of others.
func BenchmarkResume(b *testing.B) {
	store, err := shadow.Open(b.TempDir(), shadow.Config{})
	require.NoError(b, err)
	defer store.Close()
	const n = 50_000
	batch := store.NewBatch()
	for i := range n {
		batch.Append(&cdc.Event{
			Position: cdc.Position{LSN: cdc.LSN(i + 1), Index: 1}, Kind: cdc.Grade, Assignment: cdc.IntID(7),
			Audience: cdc.Audience{People: []cdc.ID{cdc.IntID(3), cdc.IntID(5)}, Admins: true},
			Body:     fmt.Appendf(nil, `{"type":"grade","pad":"%0370d"}`, i),
		})
	}
	require.NoError(b, batch.Commit())
	var mu sync.RWMutex
	turns := map[cdc.ID][]cdc.LSN{cdc.IntID(1): {0}}
	r := router.New(store, router.Config{WasAdmin: func(person cdc.ID, at cdc.Position) bool {
		mu.RLock()
		defer mu.RUnlock()
		was := false
		for _, turn := range turns[person] {
			was = was != (turn <= at.LSN)
		}
		return was
	}})
	r.Start(cdc.Position{LSN: n, Index: 1})
	for _, c := range []struct {
		name string
		who  cdc.Person
	}{
		{"to events of others", cdc.Person{ID: cdc.IntID(9), Role: cdc.Teacher, Active: true}},
		{"as an admin to all of them", cdc.Person{ID: cdc.IntID(1), Role: cdc.Admin, Active: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			buf := make([]*router.Message, 256)
			for b.Loop() {
				sub, err := r.Subscribe(router.Request{Person: c.who, Since: &cdc.Position{LSN: 0, Index: 1}, Wake: func(error) {}})
				require.NoError(b, err)
				for more := true; more; {
					taken, err := sub.Take(buf)
					require.NoError(b, err)
					more = taken.More
				}
				sub.Close()
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
		})
	}
}
