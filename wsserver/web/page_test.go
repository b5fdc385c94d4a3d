package web_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
	"github.com/stretchr/testify/require"
)

// live opens the page as somebody with a token and lets it come to rest.
func live(t *testing.T, g *gateway) (*webtest.Page, *session) {
	t.Helper()
	page := webtest.Open(t)
	page.Go(g.url + "#token=key-1")
	s := g.next()
	s.welcome("0/100.0", false)
	page.WaitState("live")
	return page, s
}

func TestThePageShowsTheCountsAndWhoIsSignedIn(t *testing.T) {
	page, s := live(t, newGateway(t))
	page.WaitTile("ungraded_submissions", "1,204")
	require.Equal(t, "3", page.Tile("pending_submissions"))
	require.Equal(t, "58", page.Tile("active_students"))
	require.Equal(t, "12", page.Tile("total_assignments"))
	require.Equal(t, "nora.lind@school.example", page.Text("#email"))
	require.Equal(t, "teacher", page.Text("#role"))
	require.Equal(t, "Live", page.Text("#state"))

	s.send(`{"type":"metrics","pending_submissions":2,"ungraded_submissions":0,"active_students":58,"total_assignments":12,"cursor":"0/100.0","timestamp":%q}`, now())
	page.WaitTile("ungraded_submissions", "0")
	page.WaitTile("pending_submissions", "2")
	require.Empty(t, page.Faults())
}

// Who signs in after a teacher must not read the teacher's numbers either.
func TestAStudentIsShownNoCounts(t *testing.T) {
	page, s := live(t, newGateway(t))
	page.WaitTile("ungraded_submissions", "1,204")
	s.send(`{"type":"welcome","user_id":7,"user_email":"sam@school.example","user_role":"student","metrics":null,"cursor":"0/100.0","timestamp":%q}`, now())
	page.WaitText("#role", "student")
	page.Wait("document.getElementById('now').hidden")
	s.send(`{"type":"metrics","pending_submissions":2,"ungraded_submissions":0,"active_students":58,"total_assignments":12,"cursor":"0/100.0","timestamp":%q}`, now())
	page.Wait("!document.getElementById('now').hidden")
	require.Empty(t, page.Faults())
}

func TestAnEventAppearsAsASentence(t *testing.T) {
	page, s := live(t, newGateway(t))
	s.send("%s", submission("0/200.1", 12, "Anna", "Petrova"))
	page.WaitRow("Anna Petrova handed in assignment 12")
	s.send("%s", assignment("0/210.1", 12, "Essay 2"))
	page.WaitRow("New assignment: Essay 2")
	s.send("%s", submission("0/220.1", 12, "Anna", "Petrova"))
	page.WaitRow("Anna Petrova handed in Essay 2")
	s.send("%s", grade("0/230.1", 12, "Anna", "Petrova", "0"))
	page.WaitRow("Anna Petrova got 0 for Essay 2")
	s.send("%s", grade("0/240.1", 12, "", "", `"B+"`))
	page.WaitRow("s@school.example got B+ for Essay 2")
	s.send(`{"type":"assignment_closed","id":"0/250.1","assignment_id":12,"timestamp":%q}`, now())
	page.WaitRow("Essay 2 was closed")
	s.send(`{"type":"submission","id":"0/260.1","recovered":true,"submission_id":1,"assignment_id":3,"student":{"id":5},"timestamp":%q}`, now())
	page.WaitRow("student 5 handed in assignment 3")
	require.Equal(t, "told late", page.Text("#feed li .late"))
	s.send(`{"type":"fire_drill","id":"0/270.1","text":"Everybody out","timestamp":%q}`, now())
	page.WaitRow("Everybody out")
}

func TestWhatTheLMSHoldsIsShownAsText(t *testing.T) {
	page, s := live(t, newGateway(t))
	const evil = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`
	s.send("%s", assignment("0/200.1", 12, evil))
	page.WaitRow("New assignment: " + evil)
	s.send("%s", submission("0/210.1", 12, evil, "Ω 😀 اسم"))
	page.WaitRow(evil + " Ω 😀 اسم handed in " + evil)
	s.send(`{"type":"<b>x</b>","id":"0/220.1","timestamp":%q}`, now())
	page.WaitRow("<b>x</b>")
	var elements int
	page.Value(`document.querySelectorAll('#feed img, #feed script, #feed b b').length`, &elements)
	require.Zero(t, elements)
	var title string
	page.Value(`document.title`, &title)
	require.Equal(t, "schoolbell", title)
}

func TestThePolicyForbidsTurningTextIntoMarkup(t *testing.T) {
	page, _ := live(t, newGateway(t))
	var refused bool
	page.Value(`(() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch (e) { return e instanceof TypeError } })()`, &refused)
	require.True(t, refused)
}

func TestATokenLeavesTheAddressBarAtOnce(t *testing.T) {
	g := newGateway(t)
	page, s := live(t, g)
	require.Equal(t, "key-1", s.token)
	require.Equal(t, g.url, page.URL())
	var kept, everywhere string
	page.Value(`JSON.parse(sessionStorage.getItem('schoolbell')).token`, &kept)
	require.Equal(t, "key-1", kept)
	page.Value(`JSON.stringify(localStorage) + document.cookie + document.documentElement.outerHTML`, &everywhere)
	require.NotContains(t, everywhere, "key-1")

	// A link with another token, opened in the same tab, does not reload the page.
	page.Value(`location.hash = '#token=key-2'`, nil)
	require.Equal(t, "key-2", g.next().token)
	page.Wait(`location.hash === ''`)

	page.Click("#sign-out")
	page.WaitState("signed-out")
	var left bool
	page.Value(`sessionStorage.length > 0`, &left)
	require.False(t, left)
}

func TestSigningInByTheForm(t *testing.T) {
	g := newGateway(t)
	page := webtest.Open(t)
	page.Go(g.url)
	page.WaitState("signed-out")
	page.Type("#token", "key-3\r")
	s := g.next()
	require.Equal(t, "key-3", s.token)
	s.welcome("0/100.0", false)
	page.WaitState("live")
	require.Equal(t, g.url, page.URL())
}

func TestAfterACutThePageResumesAndShowsNoEventTwice(t *testing.T) {
	g := newGateway(t)
	page, s := live(t, g)
	s.send("%s", submission("0/200.1", 12, "Anna", "Petrova"))
	s.send("%s", submission("0/200.2", 12, "Ben", "Olsen"))
	page.WaitRow("Ben Olsen handed in assignment 12")
	s.send(`{"type":"disconnect","code":1001,"reason":"going_away","reconnect":true,"retry_after_ms":1}`)
	require.NoError(t, s.conn.Close(websocket.StatusGoingAway, "going_away"))
	page.WaitText("#state", "The server is restarting")

	s = g.next()
	require.Equal(t, "0/200.2", s.since)
	s.welcome("0/300.1", true)
	page.WaitState("catching-up")
	s.heard(`{"type":"ping"}`)
	s.send("%s", submission("0/200.2", 12, "Ben", "Olsen")) // again, as a careless gateway might
	s.send("%s", submission("0/300.1", 12, "Cleo", "Marsh"))
	page.WaitRow("Cleo Marsh handed in assignment 12")
	page.WaitState("live")
	require.Equal(t, []string{
		"Cleo Marsh handed in assignment 12",
		"Ben Olsen handed in assignment 12",
		"Anna Petrova handed in assignment 12",
	}, page.Feed())
}

func TestACutWhileCatchingUpResumesFromTheLastEventThatCame(t *testing.T) {
	g := newGateway(t)
	page, s := live(t, g)
	require.NoError(t, s.conn.CloseNow()) // no last words
	s = g.next()
	require.Equal(t, "0/100.0", s.since)
	s.welcome("F/300.1", true)
	s.send("%s", submission("0/200.1", 12, "Anna", "Petrova"))
	page.WaitRow("Anna Petrova handed in assignment 12")
	require.NoError(t, s.conn.CloseNow())
	s = g.next()
	require.Equal(t, "0/200.1", s.since, "not the cursor of a welcome whose events did not all come")
	s.welcome("F/300.1", true)
	s.heard(`{"type":"ping"}`)
	s.send(`{"type":"pong","cursor":"F/300.1","timestamp":%q}`, now())
	page.WaitState("live")
	require.NoError(t, s.conn.CloseNow())
	require.Equal(t, "F/300.1", g.next().since, "an idle person resumes from the newest cursor")
}

func TestAReloadShowsTheSameFeed(t *testing.T) {
	g := newGateway(t)
	page, s := live(t, g)
	s.send("%s", assignment("0/200.1", 12, "Essay 2"))
	page.WaitRow("New assignment: Essay 2")
	page.Reload()
	s = g.next()
	require.Equal(t, "key-1", s.token)
	require.Equal(t, "0/100.0", s.since)
	s.welcome("0/200.1", true)
	s.send("%s", assignment("0/200.1", 12, "Essay 2"))
	page.WaitRow("New assignment: Essay 2")
	page.WaitState("live")
}

func TestAPingIsAnsweredWithAPong(t *testing.T) {
	_, s := live(t, newGateway(t))
	s.send(`{"type":"ping","cursor":"0/100.0","timestamp":%q}`, now())
	s.heard(`{"type":"pong"}`)
}

func TestARefusalIsShownAsSuch(t *testing.T) {
	for _, c := range []struct {
		status      int
		code        string
		state, text string
	}{
		{401, "unauthenticated", "Signed out", "This token is not known"},
		{403, "role_not_allowed", "Not allowed", "not for people with the role of this account"},
		{403, "account_inactive", "Not allowed", "deactivated"},
	} {
		t.Run(c.code, func(t *testing.T) {
			g := newGateway(t)
			g.refuse = func() (int, string) { return c.status, c.code }
			page := webtest.Open(t)
			page.Go(g.url + "#token=student")
			page.WaitState("stopped")
			require.Equal(t, c.state, page.Text("#state"))
			require.Contains(t, page.Text("#why"), c.text)
			page.Screenshot("refused-" + c.code)
		})
	}
}

func TestAGatewayThatIsNotReadyIsWaitedFor(t *testing.T) {
	g := newGateway(t)
	var ready atomic.Bool
	g.refuse = func() (int, string) {
		if ready.Load() {
			return 0, ""
		}
		return 503, "not_ready"
	}
	page := webtest.Open(t)
	page.Go(g.url + "#token=key-1")
	page.WaitText("#state", "still starting")
	page.WaitText("#countdown", "in ")
	ready.Store(true)
	// Not by the mouse: a try of the page's own hides the button, and waits for next as well.
	page.Value(`document.getElementById('retry').click()`, nil)
	g.next().welcome("0/100.0", false)
	page.WaitState("live")
}

func TestARevokedTokenSignsOut(t *testing.T) {
	for code, state := range map[websocket.StatusCode]string{4401: "Signed out", 4403: "Not allowed"} {
		page, s := live(t, newGateway(t))
		require.NoError(t, s.conn.Close(code, ""))
		page.WaitState("stopped")
		require.Equal(t, state, page.Text("#state"))
		require.NotEmpty(t, page.Text("#why"))
	}
}

func TestAfterAProtocolViolationThePageWaitsAMinute(t *testing.T) {
	page, s := live(t, newGateway(t))
	require.NoError(t, s.conn.Close(websocket.StatusPolicyViolation, "protocol_violation"))
	page.WaitState("waiting")
	var seconds int
	page.Value(`Number(/\d+/.exec(document.getElementById('countdown').textContent)[0])`, &seconds)
	require.InDelta(t, 60, seconds, 2)
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	g := newGateway(t)
	page, s := live(t, g)
	s.send(`{"type":"gap","reason":"retention","from":"0/100.0","to":"0/180.1","count":4,"timestamp":%q}`, now())
	page.WaitRow("4 events before this are older than what is kept, and cannot be shown.")
	require.NoError(t, s.conn.CloseNow())

	s = g.next()
	require.Equal(t, "0/180.1", s.since)
	s.welcome("1/100.0", false)
	page.WaitState("catching-up")
	s.send(`{"type":"gap","reason":"history_lost","from":"0/180.1","to":"0/190.0","count":null,"timestamp":%q}`, now())
	page.WaitRow("Some events before this were lost with the history, and cannot be shown.")
	require.NoError(t, s.conn.CloseNow())

	s = g.next()
	require.Equal(t, "0/190.0", s.since, "what is kept behind the gap is still to come")
	s.welcome("1/100.0", true)
	s.send(`{"type":"pong","cursor":"1/100.0","timestamp":%q}`, now())
	page.WaitState("live")
	require.NoError(t, s.conn.CloseNow())

	// The server was set back: what the page has is of no more use.
	s = g.next()
	require.Equal(t, "1/100.0", s.since)
	s.welcome("0/50.0", false)
	s.send(`{"type":"gap","reason":"history_lost","from":"1/100.0","to":"0/50.0","count":null,"timestamp":%q}`, now())
	page.WaitState("live")
	require.NoError(t, s.conn.CloseNow())
	require.Equal(t, "0/50.0", g.next().since)
}

func TestABulkGapIsFetchedOnDemand(t *testing.T) {
	g := newGateway(t)
	g.history = func(since, limit string) string {
		var first int
		if _, err := fmt.Sscanf(since, "0/200.%d", &first); err != nil || limit != "50" {
			return "asked for since=" + since + "&limit=" + limit
		}
		var events []string
		last := min(first+50, 70)
		for i := first + 1; i <= last; i++ {
			events = append(events, submission(fmt.Sprintf("0/200.%d", i), i, "Anna", "Petrova"))
		}
		if last == 70 { // and what came after the gap, which the page has already
			events = append(events, submission("0/300.1", 99, "Ben", "Olsen"))
		}
		return fmt.Sprintf(`{"events":[%s],"cursor":"0/%d.%d","more":%t,"gap":null}`,
			strings.Join(events, ","), 200, last, last < 70)
	}
	page, s := live(t, g)
	s.send("%s", submission("0/200.1", 1, "Anna", "Petrova"))
	s.send(`{"type":"gap","reason":"bulk","from":"0/200.1","to":"0/200.70","count":69,"timestamp":%q}`, now())
	s.send("%s", submission("0/300.1", 99, "Ben", "Olsen"))
	page.WaitRow("Ben Olsen handed in assignment 99")
	require.Equal(t, "69 more events happened at once and are not shown one by one.", page.Feed()[1])
	page.Click("#feed button")
	page.WaitText("#feed button", "Show more")
	require.Equal(t, "19 more events happened at once and are not shown one by one.", page.Feed()[1])
	require.Len(t, page.Feed(), 53)
	page.Click("#feed button")
	page.Wait(`!document.querySelector('#feed button')`)
	feed := page.Feed()
	require.Len(t, feed, 71)
	for i := range 70 {
		require.Equal(t, fmt.Sprintf("Anna Petrova handed in assignment %d", 70-i), feed[i+1])
	}
}

func TestTheFeedHoldsTheNewest200Rows(t *testing.T) {
	page, s := live(t, newGateway(t))
	for i := 1; i <= 205; i++ {
		s.send("%s", submission(fmt.Sprintf("0/200.%d", i), i, "Anna", "Petrova"))
	}
	page.WaitRow("Anna Petrova handed in assignment 205")
	page.Wait(`document.querySelectorAll('#feed > li').length === 200`)
	feed := page.Feed()
	require.True(t, strings.HasSuffix(feed[199], "assignment 6"))
}

func TestThePageFits360Pixels(t *testing.T) {
	page, s := live(t, newGateway(t))
	s.send("%s", assignment("0/200.1", 12, strings.Repeat("Donaudampfschifffahrt", 8)))
	page.Wait(`document.querySelector('#feed li')`)
	page.Look(360, false)
	page.Wait(`innerWidth === 360 && document.documentElement.scrollWidth <= 360`)
	var beyond []string
	page.Value(`[...document.querySelectorAll('header *, .tile, #feed p, #feed cite, #feed time')]
		.filter(e => e.getBoundingClientRect().right > 360 || e.tagName === 'P' && e.scrollWidth > e.clientWidth).map(e => e.outerHTML)`, &beyond)
	require.Empty(t, beyond)
}

func TestAPageOfHistoryThatIsGoneIsSaid(t *testing.T) {
	g := newGateway(t)
	g.history = func(string, string) string {
		return fmt.Sprintf(`{"events":[%s],"cursor":"0/300.1","more":false,"gap":`+
			`{"type":"gap","reason":"retention","from":"0/100.0","to":"0/200.8","count":null,"timestamp":%q}}`,
			submission("0/200.9", 9, "Anna", "Petrova"), now())
	}
	page, s := live(t, g)
	s.send(`{"type":"gap","reason":"bulk","from":"0/100.0","to":"0/200.9","count":9,"timestamp":%q}`, now())
	page.Click("#feed button")
	page.WaitRow("Anna Petrova handed in assignment 9")
	require.Equal(t, []string{
		"Anna Petrova handed in assignment 9",
		"Some events before this are older than what is kept, and cannot be shown.",
	}, page.Feed())
}
