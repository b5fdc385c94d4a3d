package web_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// How long a task took says more about the machine than about the page, so it is logged.
// What decides is what does not hang on the machine: how often the feed was written, and
// how much of it there is.
func TestABurstIsWrittenFrameByFrameAndThePageDoesNotGrow(t *testing.T) {
	page, s := live(t, newGateway(t))
	page.Value(`void (() => {
		window.writes = 0;
		new MutationObserver(() => { window.writes++; }).observe(document.getElementById('feed'), { childList: true });
		window.long = [];
		new PerformanceObserver((list) => { window.long.push(...list.getEntries().map((e) => Math.round(e.duration))); }).observe({ type: 'longtask' });
	})()`, nil)
	const most = 200 * 10 // rows, and what is in each
	burst := func(from, to int) (nodes int) {
		for n := from; n < to; n++ { // each of another student and assignment, so that none are put together
			s.send("%s", handIn(n, n%50, n, fmt.Sprintf("Anna%d", n), 0))
		}
		page.Wait(fmt.Sprintf(`document.querySelector('#feed > li').textContent.includes('Anna%d')`, to-1))
		page.Value(`document.querySelectorAll('#feed *').length`, &nodes)
		return nodes
	}
	require.Less(t, burst(1, 1001), most)
	var writes int
	var long []int
	page.Value(`window.writes`, &writes)
	page.Value(`window.long`, &long)
	t.Logf("1,000 events: the feed was written %d times; tasks of more than 50 ms: %v", writes, long)
	require.Less(t, writes, 500, "events are put together by the frame")
	require.Less(t, burst(1001, 4001), most, "the feed keeps the newest rows alone")
	require.Empty(t, page.Faults())
}
