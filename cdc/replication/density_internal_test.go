package replication

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTransactionsAreDenseWhenThousandsASecondFollowOneAnother(t *testing.T) {
	var d density
	now := time.Now()
	hear := func(n int, every time.Duration) {
		for range n {
			now = now.Add(every)
			d.hear(now)
		}
	}
	require.False(t, d.dense(), "nothing was heard")
	hear(10, 10*time.Microsecond)
	require.False(t, d.dense(), "a few at once")
	hear(300, 100*time.Microsecond)
	require.True(t, d.dense())
	d.hear(now.Add(-time.Hour))
	require.True(t, d.dense(), "one whose moment is before the last one's")
	d.hear(now)
	require.False(t, d.dense(), "an hour later")
	hear(1000, time.Millisecond)
	require.False(t, d.dense())
	hear(1000, 100*time.Microsecond)
	require.True(t, d.dense())
}
