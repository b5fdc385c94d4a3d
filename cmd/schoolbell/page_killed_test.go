package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

func TestAPageWhoseGatewayIsKilledShowsEveryEventOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.serve()
	s.ready()
	page := webtest.Open(t)
	page.Go(s.base() + "/#token=" + s.school.Teachers[0].Token)
	page.WaitState("live")
	var want []string
	create := func(when string) {
		for n := range 5 {
			title := fmt.Sprintf("%s %d", when, n)
			s.exec(`INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
				VALUES ($1, '', $2, 'published', now(), now())`, title, s.school.Teachers[0].ID)
			want = append(want, "New assignment: "+title)
		}
	}
	create("before")
	page.WaitText("#feed", "before 4")
	p.kill()
	create("meanwhile")
	p.restart()
	create("behind it")
	page.WaitText("#feed", "behind it 4")
	page.WaitState("live")
	got := page.Feed()
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}
