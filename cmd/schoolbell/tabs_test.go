package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// Three tabs, one socket. The tab that has it is closed, the gateway is killed and comes
// back, and the LMS goes on meanwhile: each tab is told every event once, in order.
func TestManyTabsShareOneSocketThroughEverything(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gateway := s.serve()
	s.ready()
	teacher := s.school.Teachers[0]
	open := func(page *webtest.Page) *webtest.Page {
		page.Go(s.base() + "/")
		page.WaitState("signed-out") // the dashboard has no connection of its own
		page.Value(fmt.Sprintf(`void import('/schoolbell.js').then(({ connect }) => {
			Object.assign(window, { told: [], states: [] });
			window.bell = connect({ token: %q });
			bell.addEventListener('assignment', ({ detail }) => told.push(detail.title));
			bell.addEventListener('state', ({ detail }) => states.push(detail.state));
		})`, teacher.Token), nil)
		page.Wait(`window.states?.at(-1) === 'live'`)
		return page
	}
	var titles []string
	assign := func(n int) {
		for range n {
			title := fmt.Sprintf("Essay %d", len(titles)+1)
			titles = append(titles, title)
			s.exec(`INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
				VALUES ($1, '', $2, 'published', now(), now())`, title, teacher.ID)
		}
	}
	browser := webtest.Open(t)
	leader := open(browser.Tab())
	tabs := []*webtest.Page{open(browser.Tab()), open(browser.Tab())}
	haveAll := func() {
		t.Helper()
		for _, tab := range tabs {
			tab.Wait(fmt.Sprintf(`told.length >= %d`, len(titles)))
			var told []string
			tab.Value(`told`, &told)
			require.Equal(t, titles, told)
			tab.Wait(`states.at(-1) === 'live'`)
		}
		page := get(t, "http://"+s.admin+"/metrics", ready)
		require.Equal(t, "1", metric(page, `schoolbell_sessions{role="teacher"}`))
	}
	assign(3)
	haveAll()

	leader.Close()
	assign(3)
	haveAll()

	gateway.kill()
	assign(3)
	gateway.restart()
	haveAll()

	// Whoever comes back later has what was missed, beside those who lead.
	var since string
	tabs[1].Value(`bell.cursor`, &since)
	tabs[1].Value(`bell.close()`, nil)
	assign(3)
	tabs[1].Value(fmt.Sprintf(`void import('/schoolbell.js').then(({ connect }) => {
		window.bell = connect({ token: %q, since: %q });
		bell.addEventListener('assignment', ({ detail }) => told.push(detail.title));
		bell.addEventListener('state', ({ detail }) => states.push(detail.state));
	})`, teacher.Token, since), nil)
	haveAll()
	for _, tab := range tabs {
		var everywhere string
		tab.Value(`location.href + JSON.stringify(sessionStorage) + JSON.stringify(localStorage) + document.cookie`, &everywhere)
		require.False(t, strings.Contains(everywhere, teacher.Token), everywhere)
	}
}
