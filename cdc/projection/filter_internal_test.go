package projection

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

func TestAFilterForgetsNoKeyAndErrsSeldom(t *testing.T) {
	const keys = 1_000_000
	var f filter
	require.False(t, f.mayHold(cdc.IntID(1)))
	for n := range int64(keys) {
		f.add(cdc.IntID(n))
	}
	wrong := 0
	for n := range int64(keys) {
		require.True(t, f.mayHold(cdc.IntID(n)))
		if f.mayHold(cdc.IntID(keys + n)) {
			wrong++
		}
	}
	require.Less(t, wrong, keys/200)
}
