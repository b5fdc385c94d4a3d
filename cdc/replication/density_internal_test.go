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
	for range 300 { // as they come from several connections
		now = now.Add(300 * time.Microsecond)
		for _, moment := range []int{0, -200, -100} {
			d.hear(now.Add(time.Duration(moment) * time.Microsecond))
			require.True(t, d.dense())
		}
	}
	hear(1, time.Hour)
	require.False(t, d.dense(), "an hour later")
	hear(1000, time.Millisecond)
	require.False(t, d.dense())
	hear(1000, 100*time.Microsecond)
	require.True(t, d.dense())
}
