package web_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// pageOfTheLMS has both elements, signed in by a token of the LMS's.
const pageOfTheLMS = `<!doctype html><html lang="ru"><title>LMS</title>
<script type="module" src="/widgets.js"></script>
<script type="module">
	await customElements.whenDefined('schoolbell-feed');
	const getToken = () => 'key-1';
	for (const name of ['schoolbell-tiles', 'schoolbell-feed']) {
		document.body.append(Object.assign(document.createElement(name), { getToken }));
	}
</script>`

func TestThePartsOfThePageStandInPagesOfTheLMSOverOneConnection(t *testing.T) {
	g := newGateway(t)
	page := webtest.Open(t)
	page.Go(g.url + "lms")
	s := g.next()
	require.Equal(t, "key-1", s.token)
	s.welcome("0/100.0", false)
	shows := func(name, text string) {
		t.Helper()
		page.Wait(`document.querySelector('` + name + `').shadowRoot.textContent.replace(/\s/g, ' ').includes('` + text + `')`)
	}
	shows("schoolbell-tiles", "1 204")
	shows("schoolbell-tiles", "Ждут оценки")
	s.send("%s", handIn(1, 1, 11, "Anna", 0))
	shows("schoolbell-feed", "Anna Lee")
	shows("schoolbell-feed", "Essay 1")
	s.send(`{"type":"metrics","pending_submissions":3,"ungraded_submissions":1205,"active_students":58,"total_assignments":12,"cursor":"0/201.1","timestamp":%q}`, now())
	shows("schoolbell-tiles", "1 205")
	require.EqualValues(t, 1, g.asked.Load(), "one connection for both")
	require.Empty(t, page.Faults())
}
