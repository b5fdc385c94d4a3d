package web_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// A module that is found only by reading another one costs a round trip more.
func TestThePageNamesEveryModuleThatItsScriptImports(t *testing.T) {
	all := files(t)
	imported := regexp.MustCompile(`(?m)from ?'\./([\w.]+)'`)
	var want []string
	for next := []string{"app.js"}; len(next) > 0; next = next[1:] {
		for _, found := range imported.FindAllStringSubmatch(all[next[0]], -1) {
			if !slices.Contains(want, found[1]) {
				want = append(want, found[1])
				next = append(next, found[1])
			}
		}
	}
	require.Greater(t, len(want), 10)
	var named []string
	for _, found := range regexp.MustCompile(`rel="modulepreload" href="([^"]+)"`).FindAllStringSubmatch(all["index.html"], -1) {
		named = append(named, found[1])
	}
	require.ElementsMatch(t, want, named)
	require.Less(t, strings.LastIndex(all["index.html"], "modulepreload"), strings.Index(all["index.html"], "uPlot"), "what the first view does not need comes last")
}

// The first view takes two chains of requests that do not wait for each other: the
// connection for the numbers, and how much happened, then what, for the feed.
func TestTheFeedDoesNotWaitForTheConnectionNorTheNumbersForTheFeed(t *testing.T) {
	g := newGateway(t)
	answer := make(chan struct{})
	g.happens = func(q url.Values) string {
		if q.Get("step") == "120" {
			<-answer // the bars are under the numbers, and wait for nobody either
		}
		return `{"counts":{"submission":[2]},"recent":"0/100.0","cursor":"0/210.0","complete":true}`
	}
	late := func(n int) string { return handIn(n, n, n, fmt.Sprintf("Late%d", n), 0) }
	g.history = func(since, _ string) string {
		switch since {
		case "0/100.0":
			return fmt.Sprintf(`{"events":[%s,%s],"cursor":"0/210.0","more":false,"gap":null}`,
				handIn(1, 1, 11, "Anna", time.Minute), handIn(2, 2, 12, "Ben", time.Minute))
		case "0/210.0": // what happened after the one and before the other, and what the connection tells
			return fmt.Sprintf(`{"events":[%s,%s],"cursor":"0/230.1","more":false,"gap":null}`, late(0x11), late(0x30))
		}
		return "asked for since=" + since
	}
	page := webtest.Open(t)
	page.Go(g.url + "#token=key-1")
	s := g.next()
	page.WaitRow("Ben Lee handed in Essay 2")
	page.WaitState("connecting")
	s.welcome("0/220.0", false)
	page.WaitTile("ungraded_submissions", "1,204")
	s.send("%s", late(0x30))
	page.WaitRow("Late48 Lee handed in Essay 48")
	close(answer)
	rows(page, 4)
	require.Equal(t, []string{
		"Late48 Lee handed in Essay 48", "Late17 Lee handed in Essay 17", "Ben Lee handed in Essay 2", "Anna Lee handed in Essay 1",
	}, page.Feed(), "in order, each once")
	page.WaitText(`.tile[data-count="pending_submissions"] .hour`, "4 handed in")
	require.Empty(t, page.Faults())
}

func TestWhoComesBeforeTheGatewayIsThereIsShownWhatHappenedOnceItIs(t *testing.T) {
	g := newGateway(t)
	var there atomic.Bool
	g.happens = func(url.Values) string {
		if !there.Load() {
			return "not yet"
		}
		return `{"counts":{"submission":[1]},"recent":"0/100.0","cursor":"0/210.0","complete":true}`
	}
	g.history = func(string, string) string {
		return fmt.Sprintf(`{"events":[%s],"cursor":"0/210.0","more":false,"gap":null}`, handIn(1, 1, 11, "Anna", time.Minute))
	}
	page := webtest.Open(t)
	page.Go(g.url + "#token=key-1")
	s := g.next()
	page.Wait(`!document.querySelector('#chart .problem').hidden`)
	there.Store(true)
	s.welcome("0/220.0", false)
	page.WaitRow("Anna Lee handed in Essay 1")
	page.Wait(`document.querySelector('#chart .problem').hidden`)
}
