package web_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// watchWrites notes how many rows at most were put into the feed, and into the table of
// assignments, by one task, and which tasks were long.
const watchWrites = `(() => {
	window.most = { LI: 0, TR: 0 };
	window.writes = 0;
	window.long = [];
	new MutationObserver((changes) => {
		const added = { LI: 0, TR: 0 };
		for (const change of changes) for (const e of change.addedNodes) if (e.tagName in added) added[e.tagName]++;
		for (const tag in added) window.most[tag] = Math.max(window.most[tag], added[tag]);
		if (added.LI) window.writes++;
	}).observe(document, { childList: true, subtree: true });
	new PerformanceObserver((list) => { window.long.push(...list.getEntries().map((e) => Math.round(e.duration))); }).observe({ type: 'longtask' });
})()`

// How long a task took says more about the machine than about the page, so it is logged.
// What decides is what does not hang on the machine: how much is written at once.
func TestABurstIsWrittenFrameByFrame(t *testing.T) {
	g := newGateway(t)
	var asked atomic.Int64
	g.list = func(string) string { // 200 assignments, all of them other ones each time
		n := asked.Add(1)
		var rows []string
		for i := range 200 {
			rows = append(rows, fmt.Sprintf(`{"assignment_id":%d,"course_id":null,"title":"Essay %d","due_date":null,"closes":null,"open":true,"pending":%d,"ungraded":1,"graded":2}`, i, i, n))
		}
		return `{"assignments":[` + strings.Join(rows, ",") + `],"before":null}`
	}
	page := webtest.Open(t)
	page.Before(watchWrites)
	page.Go(g.url + "#token=key-1")
	s := g.next()
	s.welcome("0/100.0", false)
	page.WaitState("live")
	table := func() { // is whole, and no older than what was asked for last
		page.Wait(fmt.Sprintf(`(() => {
			const all = [...document.querySelectorAll('#assignments tbody tr')].map((row) => row.cells[3].textContent);
			return all.length === 200 && new Set(all).size === 1 && Number(all[0]) >= %d;
		})()`, asked.Load()))
	}
	table()
	for n := range 1000 { // each of another student and assignment, so that none are put together
		s.send("%s", handIn(n, n%50, n, fmt.Sprintf("Anna%d", n), 0))
	}
	page.WaitRow("Anna999 Lee handed in Essay 49")
	rows(page, 200)
	table()
	var most struct{ LI, TR int }
	page.Value(`window.most`, &most)
	require.LessOrEqual(t, most.LI, 15, "rows of the feed at once")
	require.LessOrEqual(t, most.TR, 15, "rows of the table at once")
	var writes int
	var long []int
	page.Value(`window.writes`, &writes)
	page.Value(`window.long`, &long)
	t.Logf("1,000 events: the feed was written %d times; tasks of more than 50 ms: %v", writes, long)
	require.Less(t, writes, 500, "events are put together by the frame")
	require.Empty(t, page.Faults())
}

// movable is a clock that a test moves on.
const movable = `(() => {
	const Real = Date;
	window.later = 0;
	window.Date = class extends Real {
		constructor(...all) { if (all.length) super(...all); else super(Real.now() + window.later); }
		static now() { return Real.now() + window.later; }
	};
})()`

func TestAnOpenPageDoesNotGrowOverADay(t *testing.T) {
	const halfHours, each = 48, 500
	page := webtest.Open(t)
	page.Before(movable)
	g := newGateway(t)
	page.Go(g.url + "#token=key-1")
	s := g.next()
	s.welcome("0/100.0", false)
	page.WaitState("live")
	s.answer() // it is asked whether it is there whenever the clock has jumped
	n := 0
	held := make(map[int]webtest.Held)
	for half := 1; half <= halfHours; half++ {
		page.Value(`void (window.later += 1800_000)`, nil)
		at := -time.Duration(half) * 30 * time.Minute
		for range each { // four of each assignment, of which nobody has heard before
			switch n++; n % 4 {
			case 0:
				s.send(`{"type":"assignment","id":"0/%X.1","assignment_id":%d,"title":"Essay %d","description":"","due_date":null,"timestamp":%q}`, 0x200+n, n, n, ago(at))
			case 1:
				s.send("%s", handIn(n, n, n, fmt.Sprintf("Anna%d", n), at))
			case 2:
				s.send(`{"type":"gap","reason":"bulk","from":"0/%X.0","to":"0/%X.0","count":7,"timestamp":%q}`, 0x200+n-1, 0x200+n, ago(at))
			default:
				s.send(`{"type":"fire_drill","id":"0/%X.1","text":"Drill %d","timestamp":%q}`, 0x200+n, n, ago(at))
			}
		}
		page.WaitRow(fmt.Sprintf("New assignment: Essay %d", n))
		if half%(halfHours/4) == 0 {
			rows(page, 200)
			held[half] = page.Held()
			t.Logf("after %d events: %+v", n, held[half])
		}
	}
	early, late := held[halfHours/2], held[halfHours]
	require.InEpsilon(t, early.Heap, late.Heap, 0.1, "bytes")
	require.InEpsilon(t, early.Nodes, late.Nodes, 0.05, "nodes, in the document or not")
	require.InDelta(t, early.Listeners, late.Listeners, 10)
	require.Empty(t, page.Faults())
}
