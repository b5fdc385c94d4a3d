package replication_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/replication"
)

func TestWhatASnapshotWillTakeIsEstimated(t *testing.T) {
	s := newSchool(t)
	e, err := replication.EstimateSnapshot(t.Context(), s.cfg)
	require.NoError(t, err)
	require.Equal(t, 2, e.Tables)
	s.exec(t, "INSERT INTO people (id, email) SELECT n, 'somebody' FROM generate_series(1, 30000) n")
	s.exec(t, "INSERT INTO work SELECT '', n, n, 'a' FROM generate_series(1, 20000) n")
	e, err = replication.EstimateSnapshot(t.Context(), s.cfg)
	require.NoError(t, err)
	require.Greater(t, e.Rows, int64(5_000), "nobody has analyzed the tables")
	s.exec(t, "ANALYZE people, work")
	e, err = replication.EstimateSnapshot(t.Context(), s.cfg)
	require.NoError(t, err)
	require.Equal(t, replication.Estimate{Rows: 50_000, Tables: 2, Took: 500 * time.Millisecond}, e)
}
