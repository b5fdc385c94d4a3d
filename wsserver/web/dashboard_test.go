package web_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// handIn is a submission of somebody, some time ago.
func handIn(n, assignment, student int, name string, age time.Duration) string {
	return fmt.Sprintf(`{"type":"submission","id":"0/%X.1","submission_id":%d,"assignment_id":%d,"assignment_title":"Essay %d",`+
		`"student":{"id":%d,"email":"s%d@school.example","first_name":%q,"last_name":"Lee"},"timestamp":%q}`,
		0x200+n, n, assignment, assignment, student, student, name, ago(age))
}

func rows(page *webtest.Page, n int) {
	page.Wait(fmt.Sprintf(`document.querySelectorAll('#feed > li').length === %d`, n))
}

func choose(page *webtest.Page, selector, value string) {
	page.Value(fmt.Sprintf(`void (() => { const e = document.querySelector(%q); e.dispatchEvent(new Event('focus')); e.value = %q; e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); })()`, selector, value), nil)
}

func TestTheFeedIsFilteredByKindAssignmentPersonAndText(t *testing.T) {
	page, s := live(t, newGateway(t))
	s.send("%s", handIn(1, 1, 11, "Anna", time.Hour))
	s.send("%s", handIn(2, 2, 12, "Ben", time.Hour))
	s.send("%s", grade("0/300.1", 1, "Anna", "Lee", "7"))
	s.send(`{"type":"fire_drill","id":"0/301.1","text":"Everybody out","timestamp":%q}`, now())
	rows(page, 4)
	choose(page, "#by-kind", "grade")
	rows(page, 1)
	require.Equal(t, []string{"Anna Lee got 7 for Essay 1"}, page.Feed())
	choose(page, "#by-kind", "other")
	page.WaitRow("Everybody out")
	choose(page, "#by-kind", "")
	choose(page, "#by-assignment", "1")
	rows(page, 2)
	choose(page, "#by-assignment", "")
	choose(page, "#by-person", "12")
	page.WaitRow("Ben Lee handed in Essay 2")
	rows(page, 1)
	s.send("%s", handIn(0x200, 1, 12, "Ben", 0))
	page.WaitRow("Ben Lee handed in Essay 1") // what comes is filtered, too
	page.Click("#clear")
	rows(page, 5)
	page.Type("#search", "ESSAY 2")
	rows(page, 1)
	page.Type("#search", "9")
	page.Wait(`!document.getElementById('none').hidden`)
}

func TestPauseHoldsTheFeedStillAndSaysHowMuchCame(t *testing.T) {
	page, s := live(t, newGateway(t))
	s.send("%s", handIn(1, 1, 11, "Anna", time.Hour))
	rows(page, 1)
	page.Click("#pause")
	s.send("%s", handIn(2, 2, 12, "Ben", 0))
	s.send("%s", handIn(3, 2, 13, "Cleo", 0))
	page.WaitText("#paused", "Paused, 2 new")
	require.Equal(t, []string{"Anna Lee handed in Essay 1"}, page.Feed())
	page.Click("#pause")
	rows(page, 3)
}

func TestManyAlikeAreOneRowThatUnfolds(t *testing.T) {
	page, s := live(t, newGateway(t))
	for i, name := range []string{"Anna", "Ben", "Cleo", "Dora", "Emil"} {
		s.send("%s", handIn(i, 1, i, name, time.Duration(5-i)*time.Second))
	}
	page.WaitRow("Emil Lee, Dora Lee and 3 more handed in Essay 1")
	rows(page, 1)
	page.Click("#feed button")
	page.Wait(`document.querySelectorAll('#feed li li').length === 5`)
	page.Wait(`document.activeElement.textContent === 'Show less'`) // the focus stays
	page.Press("\r")
	page.Wait(`document.querySelectorAll('#feed li li').length === 0`)
}

func TestANewTabBeginsWithWhatHappenedLast(t *testing.T) {
	g := newGateway(t)
	g.happens = func(url.Values) string {
		return `{"counts":{"submission":[2]},"recent":"0/150.1","cursor":"0/300.1","complete":true}`
	}
	g.history = func(since, _ string) string {
		return fmt.Sprintf(`{"events":[%s,%s],"cursor":"0/300.1","more":false,"gap":null}`, handIn(1, 1, 11, "Anna", time.Minute), handIn(2, 2, 12, since, 0))
	}
	page, _ := live(t, g)
	page.WaitRow("0/150.1 Lee handed in Essay 2")
	require.Equal(t, "Anna Lee handed in Essay 1", page.Feed()[1])
}

func TestWhatHappenedWhileSomebodyWasAwayIsSaid(t *testing.T) {
	g := newGateway(t)
	g.happens = func(q url.Values) string {
		from, err := time.Parse(time.RFC3339, q.Get("from"))
		require.NoError(t, err)
		if time.Since(from) < 2*time.Hour || q.Get("step") == "1800" {
			return `{"counts":{},"recent":"","cursor":"0/100.0","complete":true}`
		}
		counts := strings.Repeat("0,", 399)
		return `{"counts":{"submission":[` + counts + `12],"grade":[` + counts + `1]},"recent":"","cursor":"0/100.0","complete":true}`
	}
	page := webtest.Open(t)
	page.Go(g.url + "bare")
	page.Value(`void localStorage.setItem('schoolbell:page', JSON.stringify({seen: [[7, Date.now() - 5 * 3600_000]]}))`, nil)
	page.Go(g.url + "#token=key-1")
	g.next().welcome("0/100.0", false)
	page.WaitText("#away", "While you were away")
	require.Contains(t, page.Text("#away-counts"), "12 handed in")
	require.Contains(t, page.Text("#away-counts"), "1 graded")
	page.Screenshot("away")
	page.Click("#away-close")
	page.Wait(`document.getElementById('away').hidden`)
}

const essaysJSON = `{"assignments":[` +
	`{"assignment_id":9,"course_id":null,"title":"Essay 9","due_date":"2026-12-01T12:00:00Z","closes":null,"open":true,"pending":4,"ungraded":1,"graded":2},` +
	`{"assignment_id":8,"course_id":null,"title":"Essay 10","due_date":null,"closes":null,"open":false,"pending":0,"ungraded":6,"graded":3}],"before":null}`

func TestTheTableOfAssignmentsIsSortedByWhateverSomebodyAsksFor(t *testing.T) {
	g := newGateway(t)
	g.list = func(path string) string {
		if path == "/api/assignments/9" {
			return essaysJSON[len(`{"assignments":[`) : strings.Index(essaysJSON, `},`)+1]
		}
		if path == "/api/assignments" {
			return essaysJSON
		}
		return ""
	}
	page, _ := live(t, g)
	titles := func(want string) {
		page.Wait(fmt.Sprintf(`[...document.querySelectorAll('#assignments tbody a')].map(a => a.textContent).join() === %q`, want))
	}
	titles("Essay 9,Essay 10")
	require.Contains(t, page.Text("#assignments tbody tr"), "Open")
	page.Click(`[data-column="ungraded"]`)
	titles("Essay 10,Essay 9")
	page.Wait(`document.querySelector('th[aria-sort="descending"] button').dataset.column === 'ungraded'`)
	page.Click(`[data-column="title"]`)
	titles("Essay 9,Essay 10") // as numbers
	page.Click(`[data-column="title"]`)
	titles("Essay 10,Essay 9")

	page.Click(`#assignments a[href="#assignment=9"]`)
	page.WaitText("#one-title", "Essay 9")
	page.WaitText("#one .progress-text", "2 graded, 1 to grade, 4 not handed in")
	page.Click("#back")
	page.Wait(`document.getElementById('one').hidden && !document.getElementById('all').hidden`)
	page.Value(`void (location.hash = '#assignment=77')`, nil)
	page.WaitText("#one .missing:not([hidden])", "not one of yours")
}

func TestThePageSpeaksRussian(t *testing.T) {
	page, s := live(t, newGateway(t))
	s.send("%s", handIn(1, 1, 11, "Anna", time.Hour))
	choose(page, "#language", "ru")
	page.WaitRow("Anna Lee сдаёт Essay 1")
	page.WaitText("#state", "На связи")
	page.WaitText(".tile dt", "Ждут оценки")
	page.Wait(`document.documentElement.lang === 'ru'`)
	for n, want := range map[int]string{1: "Ещё 1 событие произошло", 3: "Ещё 3 события произошли", 5: "Ещё 5 событий произошло"} {
		s.send(`{"type":"gap","reason":"bulk","from":"0/%X.0","to":"0/%X.0","count":%d,"timestamp":%q}`, 0x300+0x10*n, 0x301+0x10*n, n, now())
		page.WaitText("#feed", want)
	}
	page.Screenshot("russian")
	var english []string
	page.Value(`[...document.querySelectorAll('body *')].filter(e => !e.children.length && e.checkVisibility()
		&& /^[a-z ]{4,}$/i.test(e.textContent.trim())).map(e => e.textContent.trim()).filter(t => !['schoolbell', 'Anna Lee', 'English'].includes(t))`, &english)
	require.Empty(t, english, "every word is translated")
	page.Reload()
	page.WaitText("#sign-out", "Выйти") // the language is remembered
}

func TestEveryLanguageHasEveryWord(t *testing.T) {
	page, _ := live(t, newGateway(t))
	page.Value(`void import('./words.js').then(({ LANGUAGES }) => {
		const names = (l) => Object.keys(LANGUAGES[l]).sort().join();
		window.same = Object.keys(LANGUAGES).every((l) => names(l) === names('en'));
	})`, nil)
	page.Wait("window.same !== undefined")
	page.Wait("window.same")
}

func TestEverythingIsReachedByTheKeyboard(t *testing.T) {
	g := newGateway(t)
	g.list = func(string) string { return essaysJSON }
	page, s := live(t, g)
	for i, name := range []string{"Anna", "Ben", "Cleo", "Dora"} {
		s.send("%s", handIn(i, 1, i, name, 0))
	}
	page.Wait(`document.querySelector('#feed button') && document.querySelector('#assignments tbody a')`)
	want := []string{"sign-out", "by-kind", "search", "pause", "Show all 4", "range", "ungraded", "Essay 9", "language", "measure"}
	page.Value(`void document.body.focus()`, nil)
	var seen []string
	for range 60 {
		page.Press("\t")
		var at string
		page.Value(`(() => { const e = document.activeElement; return e.id || e.dataset.column || e.className || e.textContent; })()`, &at)
		seen = append(seen, at)
		if at == "pause" {
			page.Press(" ")
			page.WaitText("#paused", "Paused")
			page.Press(" ")
		}
	}
	require.Subset(t, seen, want)
	var ring string
	page.Value(`(() => { document.getElementById('pause').focus(); return getComputedStyle(document.getElementById('pause')).outlineStyle; })()`, &ring)
	require.Equal(t, "solid", ring, "one sees where one is")
}

func TestNothingKeepsPeopleOut(t *testing.T) {
	g := newGateway(t)
	g.list = func(string) string { return essaysJSON }
	page, s := live(t, g)
	for i := range 5 {
		s.send("%s", handIn(i, 1, i, "Anna", 0))
	}
	s.send("%s", grade("0/300.1", 1, "Anna", "Lee", "7"))
	s.send(`{"type":"gap","reason":"bulk","from":"0/300.1","to":"0/400.1","count":9,"timestamp":%q}`, now())
	page.WaitText("#feed", "9 more events")
	page.WaitText("#assignments tbody", "Essay 9")
	for _, dark := range []bool{false, true} {
		page.Look(1100, dark)
		require.Empty(t, page.Barriers())
	}
	page.Look(360, false)
	require.Empty(t, page.Barriers())
	page.Click("#sign-out")
	page.WaitState("signed-out")
	require.Empty(t, page.Barriers())
}
