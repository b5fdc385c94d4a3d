package web_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// observed keeps what the desktop is shown, and leaves it to the test whether the page is in
// the background, and when the ten seconds between two notes are over.
const observed = `(() => {
	window.notes = [];
	const Real = window.Notification;
	window.Notification = class extends Real {
		constructor(...all) {
			super(...all);
			notes.push(this);
		}
		close() {
			super.close();
			this.closed = true;
		}
	};
	window.background = (hidden) => {
		Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
		document.dispatchEvent(new Event('visibilitychange'));
	};
	const every = window.setInterval;
	window.setInterval = (what, ms) => { if (ms === 10_000) window.tenSeconds = what; else every(what, ms); };
})()`

func TestTheDesktopIsNotifiedOfWhatHappensWhileNobodyLooks(t *testing.T) {
	g := newGateway(t)
	page := webtest.Open(t)
	page.Before(observed)
	page.Go(g.url + "#token=key-1")
	s := g.next()
	s.welcome("0/100.0", false)
	page.WaitState("live")
	notes := func(want ...string) { // those that are shown once ten seconds are over
		t.Helper()
		shown := []string{}
		page.Value(`(tenSeconds(), notes.filter((note) => !note.closed).map((note) => note.title + ': ' + note.body))`, &shown)
		require.Equal(t, append([]string{}, want...), shown)
	}
	happens := func(n int) {
		s.send("%s", handIn(n, n, n, fmt.Sprintf("Anna%d", n), 0))
		page.WaitRow(fmt.Sprintf("Anna%d Lee handed in Essay %d", n, n))
	}
	away := func(is bool) { page.Value(fmt.Sprintf(`void background(%t)`, is), nil) }

	page.Permit("notifications", false)
	page.Click("#notify")
	page.WaitText("#notify-problem:not([hidden])", "does not allow")
	page.Wait(`!document.getElementById('notify').checked`)
	page.Permit("notifications", true)
	page.Click("#notify")
	page.Wait(`document.getElementById('notify-problem').hidden && document.getElementById('notify').checked`)

	happens(1)
	notes() // somebody looks
	away(true)
	notes() // and saw that
	happens(2)
	notes("One new event: Anna2 Lee handed in Essay 2")
	for n := 3; n <= 6; n++ {
		happens(n)
	}
	notes("4 new events: Anna3 Lee handed in Essay 3\nAnna4 Lee handed in Essay 4\nAnna5 Lee handed in Essay 5")
	var like struct{ Tag, Icon string }
	page.Value(`(({ tag, icon }) => ({ tag, icon }))(notes[0])`, &like)
	require.Equal(t, "schoolbell", like.Tag, "a new one replaces the old one")
	require.Equal(t, g.url+"icon.svg", like.Icon)
	away(false)
	notes() // whoever is back sees it on the page

	away(true)
	happens(7)
	away(false)
	notes() // also what the desktop was to be shown
	away(true)
	happens(8)
	notes("One new event: Anna8 Lee handed in Essay 8")
	page.Value(`void document.getElementById('sign-out').click()`, nil)
	notes() // it goes with whoever signs out
	require.Empty(t, page.Faults())

	// The wish is remembered, for as long as the browser allows it.
	page.Reload()
	page.Wait(`document.getElementById('notify')?.checked`)
	page.Permit("notifications", false)
	page.Reload()
	page.WaitState("signed-out")
	page.Wait(`!document.getElementById('notify').checked`)
}
