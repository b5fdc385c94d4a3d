package projection_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// with is the transaction with messages.
func with(tx *cdc.Tx, messages ...string) *cdc.Tx {
	for _, m := range messages {
		tx.Messages = append(tx.Messages, []byte(m))
	}
	return tx
}

func forUser(id int) string {
	return fmt.Sprintf(`{"user":%d,"type":"exam_moved","data":{"n":%[1]d}}`, id)
}

func TestMessagesOfATransactionComeBehindItsEventsWithItsTime(t *testing.T) {
	for _, rows := range []int{0, 1} { // or so few in memory that every transaction is large
		g, l, tabs := newTimedGateway(t)
		g.close()
		g.rows = rows
		g.open()
		set(l, tabs.users, l.users, 2, user{email: "u@x", role: "student", active: true})
		set(l, tabs.assignments, l.assignments, 11, assignment{title: "Next", author: 1, status: "published"})
		set(l, tabs.submissions, l.submissions, 7, submission{assignment: 11, student: 2, submittedAt: "2026-01-01 00:00:00+00"})
		tx := with(l.tx(50), forUser(1), `{"group":"dashboard_metrics","type":"a"}`, forUser(2))
		require.NoError(t, g.Apply(t.Context(), tx))
		require.Equal(t, []string{
			"0/32.1 assignment 08:00:50", "0/32.2 submission 08:00:50", "0/32.3 custom 08:00:50", "0/32.4 custom 08:00:50", "0/32.5 custom 08:00:50",
		}, told(g), "for somebody whose row the transaction made, too")
		require.Len(t, g.history(), 5)
		require.Equal(t, cdc.Position{LSN: 51}, g.Cursor())

		// One that changes nothing of ours tells its messages all the same.
		require.NoError(t, g.Apply(t.Context(), with(l.tx(60), forUser(1))))
		require.NoError(t, g.Apply(t.Context(), l.tx(70)))
		require.Equal(t, []string{"0/3C.1 custom 08:01:00"}, told(g))
		require.Equal(t, cdc.LSN(50), g.Checkpoint().Last.Commit, "of transactions with changes: messages are not always asked for")
		require.EqualValues(t, 4, g.Stats().Heard["published"])
		require.EqualValues(t, 4, g.Stats().Events[cdc.Custom])

		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		g.close()
		g.open()
		require.Equal(t, cdc.Position{LSN: 71}, g.Cursor())
		require.Len(t, g.history(), 6)
	}
}

func TestWhatIsNoMessageIsCountedAndStopsNothing(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	var log bytes.Buffer
	g.close()
	g.log = slog.New(slog.NewTextHandler(&log, nil))
	g.open()
	remove(l, tabs.users, l.users, 1)
	tx := with(l.tx(50), `secret`, `{"user":1,"type":"gone","data":{"s":"secret"}}`, `{"user":99,"type":"secret"}`, `{"group":"secret","type":"a"}`, "\xff", "",
		`{"user":99,"type":"grade"}`)
	tx.Messages = append(tx.Messages, nil, []byte(`{"group":"dashboard_metrics","type":"last"}`))
	tx.MessagesLeft = 5
	require.NoError(t, g.Apply(t.Context(), tx))
	require.Equal(t, []string{"0/32.1 custom 08:00:50"}, told(g))
	require.Equal(t, map[string]uint64{"published": 1, "malformed": 5, "unknown_user": 2, "too_large": 1, "too_many": 5}, g.Stats().Heard)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "once in a while")
	require.Contains(t, log.String(), `lsn=0/32 reason="the message is no JSON; fix: write one object like`)
	require.NotContains(t, log.String(), "secret", "what is published may be anybody's")
}

func TestMessagesThatWaitInAGroupAreTold(t *testing.T) {
	g, l, tabs := newTimedGateway(t)
	first := with(l.tx(50), forUser(1))
	first.More = true
	require.NoError(t, g.Apply(t.Context(), first))
	set(l, tabs.assignments, l.assignments, 11, assignment{title: "Next", author: 1, status: "published"})
	second := with(l.tx(60), forUser(1))
	second.More = true
	require.NoError(t, g.Apply(t.Context(), second))
	require.NoError(t, g.Apply(t.Context(), with(l.tx(70), forUser(1))))
	require.Equal(t, []string{"0/32.1 custom", "0/3C.1 assignment", "0/3C.2 custom", "0/46.1 custom"}, kinds(told(g)))
	require.Len(t, g.history(), 4)
}

func TestATransactionThatBreaksOffTellsNoMessage(t *testing.T) {
	g, l, _ := newTimedGateway(t)
	tx := with(l.tx(50), forUser(1))
	broken := *tx
	broken.Changes = func(yield func(*cdc.Change, error) bool) { yield(nil, fmt.Errorf("the connection is gone")) }
	require.Error(t, g.Apply(t.Context(), &broken))
	require.Empty(t, g.history())
	require.Zero(t, g.Stats().Heard["published"])
	require.NoError(t, g.Apply(t.Context(), tx))
	require.Equal(t, []string{"0/32.1 custom"}, kinds(told(g)))
}
