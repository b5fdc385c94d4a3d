package projection

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// What a transaction of a million rows allocates for each of them sets how often memory
// is collected, and with it how much of it there is.
func TestARowGoesAsideAndComesBackWithoutAnAllocation(t *testing.T) {
	row := &touched[thread]{
		key: cdc.IntID(7), order: 3, existed: true, exists: true,
		was: thread{assignment: cdc.IntID(1), student: cdc.IntID(2), tutor: cdc.IntID(5)},
		now: thread{assignment: cdc.IntID(1), student: cdc.IntID(2), tutor: cdc.IntID(5), submitted: 9, graded: 4, hidden: true},
	}
	a := &aside[thread]{table: &table[thread]{prefix: string(keyThread), append: appendThread, read: readThread}}
	back := &touched[thread]{}
	there := func() {
		a.keys(row)
		a.encode(row)
		require.NoError(t, a.decode(back, a.orderKey, a.row))
	}
	there()
	require.Equal(t, row, back)
	require.Zero(t, testing.AllocsPerRun(100, there))
	require.Equal(t, "+tk", string(a.rowKey[:3]))
	require.Equal(t, slices.Concat([]byte("+to"), []byte{0, 0, 0, 0, 0, 0, 0, 3}), a.orderKey)
}
