package replication_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// A disk may take long. Transactions arrive meanwhile, none of them is confirmed, and all
// are once the disk has done.
func TestNoTransactionWaitsForASync(t *testing.T) {
	s := newSchool(t)
	k := newSink()
	reached, release := make(chan struct{}, 100), make(chan struct{})
	k.onSync = func() {
		reached <- struct{}{}
		<-release
	}
	r, _ := s.run(t, k, cdc.Checkpoint{})
	until(t, "it follows the log", streaming(r))
	insert := func(id int) {
		t.Helper()
		s.exec(t, "INSERT INTO people (id) VALUES ($1)", id)
		until(t, "it arrives", func() bool { return k.table(people)[strconv.Itoa(id)] != "" })
	}
	insert(1)
	<-reached
	before := r.Status().Confirmed
	insert(2)
	insert(3)
	require.Equal(t, before, r.Status().Confirmed)
	applied := r.Status().Applied
	close(release)
	until(t, "it is confirmed", func() bool { return r.Status().Confirmed >= applied })
}
