package projection_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/projection"
)

// echoing is the transaction with an echo, behind which another one has arrived already.
func echoing(tx *cdc.Tx, text string, more bool) *cdc.Tx {
	tx.Echoes, tx.More = [][]byte{[]byte(text)}, more
	return tx
}

func TestAnEchoPassesWithItsTransactionAndIsNoEvent(t *testing.T) {
	for _, rows := range []int{0, 1} { // or so few in memory that every transaction is large
		g, l, tabs := newTimedGateway(t)
		g.close()
		g.rows = rows
		g.open()
		var passed []string
		g.telling = func(r projection.Result) {
			for range r.Events {
				passed = append(passed, "event")
			}
			for _, text := range r.Echoes {
				passed = append(passed, string(text))
			}
		}
		require.NoError(t, g.Apply(t.Context(), echoing(l.tx(50), "alone", false)))
		require.Equal(t, []string{"alone"}, passed)
		require.Equal(t, cdc.Position{LSN: 51}, g.Cursor())
		require.Zero(t, g.Checkpoint().Last, "as of a transaction that changes nothing")

		// It waits with its transaction for what is stored with it.
		set(l, tabs.users, l.users, 2, user{email: "u@x", role: "student", active: true})
		set(l, tabs.assignments, l.assignments, 11, assignment{title: "Next", author: 1, status: "published"})
		set(l, tabs.submissions, l.submissions, 7, submission{assignment: 11, student: 2, submittedAt: "2026-01-01 00:00:00+00"})
		require.NoError(t, g.Apply(t.Context(), echoing(l.tx(60), "with rows", true)))
		require.NoError(t, g.Apply(t.Context(), echoing(l.tx(70), "behind", false)))
		require.Equal(t, []string{"alone", "event", "event", "with rows", "behind"}, passed)

		require.Len(t, g.history(), 2)
		require.Zero(t, g.Stats().Events[cdc.Custom])
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		g.close()
		g.open()
		require.Equal(t, cdc.Position{LSN: 71}, g.Cursor(), "and is confirmed like others")
	}
}
