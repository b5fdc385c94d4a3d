package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckSaysWhatASnapshotWillTake(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`ANALYZE`)
	code, out := s.check()
	require.Zero(t, code, out)
	require.Regexp(t, `(?m)^a snapshot reads about \d\d\d rows of 5 tables, which takes less than a second; at a first start, and whenever the log does not continue$`, out)
	s.exec(`INSERT INTO accounts_user (email, password, first_name, last_name, role, is_active, is_superuser, is_staff, date_joined)
		SELECT '', '', '', '', 'student', true, false, false, now() FROM generate_series(1, 200000) n`)
	s.exec(`ANALYZE accounts_user`)
	code, out = s.check()
	require.Zero(t, code, out)
	require.Regexp(t, `(?m)^a snapshot reads about 200,\d\d\d rows of 5 tables, which takes about 2 seconds; `, out)
}
