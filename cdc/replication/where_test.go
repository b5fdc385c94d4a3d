package replication_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

func TestTheSnapshotLeavesOutRowsThatNobodyWants(t *testing.T) {
	s := bareSchool(t, pgtest.Database(t))
	types := map[string]uint32{}
	spec := work
	spec.Keep = []string{"assignment", "note", "tenant"} // of which it has two
	spec.Where = func(typeOf func(column string) (uint32, bool)) string {
		for _, name := range []string{"mark", "student", "junk"} {
			if typ, ok := typeOf(name); ok {
				types[name] = typ
			}
		}
		return "mark = 'new' OR mark = 'old'"
	}
	all := people
	all.Where = func(func(column string) (uint32, bool)) string { return "" }
	s.cfg.Tables = []cdc.TableSpec{all, spec}
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	s.exec(t, "INSERT INTO work VALUES ('n', 1, 1, 'new'), ('n', 1, 2, 'gone'), ('n', 1, 3, NULL), ('n', 1, 4, 'old');"+
		"INSERT INTO people (id) VALUES (1), (2)")
	k := newSink()
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "the stream", streaming(r))
	require.Len(t, k.table(all), 2)
	require.Len(t, k.table(work), 2)
	require.Equal(t, map[string]uint32{"mark": 25, "student": 23}, types)
	require.EqualValues(t, 4, r.Status().Snapshot.Rows)
	require.EqualValues(t, 4, r.Status().Snapshot.Expected)
	require.Equal(t, []string{"note", "assignment", "student", "mark"}, names(k.words["work"]))

	s.exec(t, "INSERT INTO work VALUES ('n', 2, 9, 'gone')")
	until(t, "the row in the log", func() bool { return len(k.table(work)) == 3 })
}

func names(t *cdc.Table) []string {
	var out []string
	for _, c := range t.Columns {
		out = append(out, c.Name)
	}
	return out
}
