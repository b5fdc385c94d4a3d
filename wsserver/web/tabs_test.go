package web_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
	"github.com/stretchr/testify/require"
)

// ring connects the client in a tab that shows nothing else; it notes what it is told.
func ring(page *webtest.Page, g *gateway, options string) {
	page.Go(g.url + "bare")
	page.Value(`void import('/schoolbell.js').then(({ connect }) => {
		Object.assign(window, { told: [], states: [], gaps: [], people: [] });
		window.bell = connect(`+options+`);
		bell.addEventListener('event', ({ detail }) => told.push(detail.id));
		bell.addEventListener('gap', ({ detail }) => gaps.push(detail.reason));
		bell.addEventListener('welcome', ({ detail }) => people.push(detail.user_id));
		bell.addEventListener('state', ({ detail }) => states.push(detail.state));
	})`, nil)
}

// freeze has nothing run in a tab until thaw is called: its script waits for an answer.
func (g *gateway) freeze(page *webtest.Page) (thaw func()) {
	page.Value(`void setTimeout(() => {
		const request = new XMLHttpRequest();
		request.open('GET', '/hang', false);
		request.send();
	})`, nil)
	<-g.hung
	return func() { <-g.hung }
}

// waitTold waits until a tab has been told these events, in this order and no others.
func waitTold(page *webtest.Page, ids ...string) {
	list := ""
	for i, id := range ids {
		if i > 0 {
			list += ","
		}
		list += id
	}
	page.Wait(fmt.Sprintf(`window.told?.join() === %q`, list))
}

func waitLast(page *webtest.Page, state string) {
	page.Wait(fmt.Sprintf(`window.states?.at(-1) === %q`, state))
}

// twoTabs share one connection, which the first one has.
func twoTabs(t *testing.T, g *gateway) (leader, follower *webtest.Page, s *session) {
	t.Helper()
	browser := webtest.Open(t)
	leader, follower = browser.Tab(), browser.Tab()
	ring(leader, g, `{ token: 'key-1' }`)
	s = g.next()
	s.welcome("0/100.0", false)
	waitLast(leader, "live")
	ring(follower, g, `{ token: 'key-1' }`)
	waitLast(follower, "live")
	follower.Wait(`people.join() === '7'`)
	return leader, follower, s
}

func TestTabsShareOneConnection(t *testing.T) {
	g := newGateway(t)
	leader, follower, s := twoTabs(t, g)
	s.send("%s", assignment("0/200.1", 1, "Essay 1"))
	s.send("%s", assignment("0/200.1", 1, "Essay 1")) // again, as a careless gateway might
	s.send("%s", assignment("0/200.2", 2, "Essay 2"))
	waitTold(leader, "0/200.1", "0/200.2")
	waitTold(follower, "0/200.1", "0/200.2")
	s.send(`{"type":"gap","reason":"retention","from":"0/200.2","to":"0/300.0","count":4,"timestamp":%q}`, now())
	follower.Wait(`gaps.join() === 'retention' && bell.cursor === '0/300.0'`)
	require.EqualValues(t, 1, g.asked.Load())

	// What the connection does, every tab says; and any may have it tried again.
	g.refuse = func() (int, string) { return 503, "not_ready" }
	require.NoError(t, s.conn.CloseNow())
	waitLast(follower, "reconnecting")
	g.refuse = func() (int, string) { return 0, "" }
	follower.Wait(`bell.retry() || states.at(-1) === 'connecting'`)
	s = g.next()
	require.Equal(t, "0/300.0", s.since)
	s.welcome("0/300.0", true)
	waitLast(follower, "live")
	// Whether a tab hears it from the leader or, as the next one, from the gateway is a race.
	g.refuse = func() (int, string) { return 401, "unauthenticated" }
	require.NoError(t, s.conn.Close(4401, "credentials_revoked"))
	waitLast(leader, "signed-out")
	waitLast(follower, "signed-out")
}

func TestATabWhoseLeaderDiesTakesOverWithoutLossOrRepeat(t *testing.T) {
	g := newGateway(t)
	leader, follower, s := twoTabs(t, g)
	s.send("%s", assignment("0/200.1", 1, "Essay 1"))
	waitTold(follower, "0/200.1")
	leader.Close()
	s = g.next()
	require.Equal(t, "0/200.1", s.since)
	s.welcome("0/200.2", true)
	s.send("%s", assignment("0/200.2", 2, "Essay 2"))
	waitTold(follower, "0/200.1", "0/200.2")
	waitLast(follower, "live")
	follower.Wait(`people.join() === '7,7'`)
}

func TestATabWhoseLeaderSaysGoodbyeTakesOver(t *testing.T) {
	g := newGateway(t)
	leader, follower, _ := twoTabs(t, g)
	leader.Value(`bell.close()`, nil)
	s := g.next()
	s.welcome("0/100.0", true)
	s.send("%s", assignment("0/200.1", 1, "Essay 1"))
	waitTold(follower, "0/200.1")
	waitTold(leader)
}

func TestALeaderThatIsFrozenIsReplaced(t *testing.T) {
	g := newGateway(t)
	leader, follower, s := twoTabs(t, g)
	thaw := g.freeze(leader)
	// Its clock runs twenty times as fast: at one look it asks, at the next it takes over.
	follower.Value(`void (() => { window.clock = Date.now; const began = clock(); Date.now = () => began + 20 * (clock() - began); })()`, nil)
	s2 := g.next()
	follower.Value(`void (Date.now = clock)`, nil)
	require.Equal(t, "0/100.0", s2.since)
	s2.welcome("0/100.0", true)
	waitLast(follower, "live")
	thaw()
	_, _, err := s.conn.Read(t.Context())
	require.Error(t, err, "the old leader lets go of its connection")
	s2.send("%s", assignment("0/200.1", 1, "Essay 1"))
	waitTold(follower, "0/200.1")
	waitTold(leader, "0/200.1")
	follower.Close()
	require.Equal(t, "0/200.1", g.next().since, "and may lead again")
}

func TestOthersTokensPeopleAndFiltersNeverShare(t *testing.T) {
	g := newGateway(t)
	var who atomic.Int64
	g.cookie = func() int { return int(who.Load()) }
	browser := webtest.Open(t)
	for i, options := range []string{
		`{ token: 'key-1' }`, `{ token: 'key-2' }`, `{ token: 'key-1', filter: { types: ['grade'] } }`,
		`{ token: 'key-1', filter: { assignments: [3] } }`, `{ token: 'key-1', share: false }`,
	} {
		ring(browser.Tab(), g, options)
		g.next().welcome("0/100.0", false)
		require.EqualValues(t, i+1, g.asked.Load(), options)
	}
	for _, user := range []int64{7, 8} {
		who.Store(user)
		ring(browser.Tab(), g, `{}`)
		g.next().welcome("0/100.0", false)
	}
	// Whoever has somebody else's cookie by now leaves the others.
	tab := browser.Tab()
	who.Store(7)
	ring(tab, g, `{}`)
	waitLast(tab, "live")
	require.EqualValues(t, 7, g.asked.Load())
}

func TestATabThatComesBehindTheOthersIsGivenWhatItMissed(t *testing.T) {
	g := newGateway(t)
	sent := make(chan struct{}) // while the history is read, the connection goes on
	g.history = func(since, _ string) string {
		switch since {
		case "0/50.0":
			<-sent
			return fmt.Sprintf(`{"events":[%s],"cursor":"0/60.1","more":true,"gap":{"type":"gap","reason":"retention","from":"0/50.0","to":"0/55.0","count":null,"timestamp":%q}}`,
				assignment("0/60.1", 1, "Essay 1"), now())
		case "0/60.1":
			return fmt.Sprintf(`{"events":[%s],"cursor":"0/100.0","more":false,"gap":null}`, assignment("0/70.1", 2, "Essay 2"))
		}
		return "asked for since=" + since
	}
	_, follower, s := twoTabs(t, g)
	late := follower.Tab()
	ring(late, g, `{ token: 'key-1', since: '0/50.0' }`)
	waitLast(late, "catching-up")
	s.send("%s", assignment("0/200.1", 3, "Essay 3"))
	waitTold(follower, "0/200.1")
	close(sent)
	waitTold(late, "0/60.1", "0/70.1", "0/200.1")
	waitLast(late, "live")
	late.Wait(`states.includes('catching-up') && gaps.join() === 'retention'`)
	s.send("%s", assignment("0/200.2", 4, "Essay 4"))
	waitTold(late, "0/60.1", "0/70.1", "0/200.1", "0/200.2")
	require.EqualValues(t, 1, g.asked.Load())
}
