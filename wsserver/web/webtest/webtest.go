// Package webtest looks at the dashboard page through a real Chromium, for the
// tests of whatever serves it.
//
// In come the address of a page and what a test wants to see there; out comes
// what a person would see: tiles, the feed's sentences, the state of the
// connection, a screenshot. Waiting is for something to appear, never for a time
// to pass; after 10 s the test fails and says what was there instead.
//
// A Page has a Chromium of its own, which ends with the test, its folder too.
package webtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/lacking"
)

// patience is how long a page may take to show what a test waits for.
const patience = 30 * time.Second

// Page is one tab. Its methods may be used from the test's goroutine only.
type Page struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string // guarded by mu: what the page's console called an error
}

// Open starts a Chromium with a profile of its own and one empty tab, and with the
// flags, as on its command line but for the two dashes. Where there is none the test is
// skipped, or fails when SCHOOLBELL_TEST_REQUIRE is 1.
func Open(t testing.TB, flags ...string) *Page {
	t.Helper()
	bin := find(t)
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(bin), chromedp.Headless, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1100, 900),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
	}
	for _, flag := range flags {
		options = append(options, chromedp.Flag(flag, true))
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	p := &Page{t: t}
	ctx, end := chromedp.NewContext(allocator, chromedp.WithListener(p.listen))
	p.ctx = ctx
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // asks Chromium to end, and waits
		end()
		stop()
	})
	require.NoError(t, chromedp.Do(ctx), "start %s", bin)
	return p
}

// Tab opens another tab of the same browser, with the same cookies and locks.
func (p *Page) Tab() *Page {
	p.t.Helper()
	tab := &Page{t: p.t}
	ctx, end := chromedp.NewContext(p.ctx, chromedp.WithListener(tab.listen))
	tab.ctx = ctx
	p.t.Cleanup(end)
	require.NoError(p.t, chromedp.Do(ctx), "open a tab")
	return tab
}

// Close closes a tab that Tab opened.
func (p *Page) Close() {
	p.t.Helper()
	require.NoError(p.t, chromedp.Cancel(p.ctx))
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if bin, err := exec.LookPath(name); err == nil {
			return bin
		}
	}
	lacking.End(t, "no Chromium in PATH: apt-get install chromium")
	return ""
}

// listen keeps what the console shows in red. It runs in chromedp's goroutine.
func (p *Page) listen(event any) {
	var fault string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			fault = e.Entry.Text + " " + e.Entry.URL
		}
	case *runtime.EventExceptionThrown:
		fault = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	}
	if fault != "" {
		p.mu.Lock()
		p.faults = append(p.faults, fault)
		p.mu.Unlock()
	}
}

// Faults are the errors in the page's console so far: exceptions, violations of
// the Content-Security-Policy, requests that failed.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.faults...)
}

// Go opens an address.
func (p *Page) Go(url string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Navigate(url)))
}

// Before has a script run in every document that is opened from now on, before its own.
func (p *Page) Before(script string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	require.NoError(p.t, err)
}

// Reload is the browser's reload.
func (p *Page) Reload() {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Reload()))
}

// Value reads what a JavaScript expression is in the page into a variable, as
// JSON would; nil where only its effect matters.
func (p *Page) Value(expression string, into any) {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]byte](expression))
	require.NoError(p.t, err, expression)
	if into != nil {
		require.NoError(p.t, json.Unmarshal(value, into), expression)
	}
}

// Text is the text of the first element that a CSS selector finds, "" for none.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	var s string
	p.Value(fmt.Sprintf(`document.querySelector(%s)?.innerText ?? ''`, quote(selector)), &s)
	return strings.TrimSpace(s)
}

// URL is what the address bar shows.
func (p *Page) URL() string {
	p.t.Helper()
	var s string
	p.Value("location.href", &s)
	return s
}

// Tile is one of the four numbers, by its name in the protocol.
func (p *Page) Tile(count string) string {
	p.t.Helper()
	return p.Text(tile(count))
}

func tile(count string) string { return fmt.Sprintf(`.tile[data-count=%q] dd`, count) }

// Feed is the feed's sentences, newest first.
func (p *Page) Feed() []string {
	p.t.Helper()
	var rows []string
	p.Value(`[...document.querySelectorAll('#feed > li > p')].map(p => p.textContent)`, &rows)
	return rows
}

// WaitTile waits until a tile shows a number.
func (p *Page) WaitTile(count, want string) {
	p.t.Helper()
	p.WaitText(tile(count), want)
}

// WaitText waits until the element that a CSS selector finds contains a text.
func (p *Page) WaitText(selector, want string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf(`document.querySelector(%s)?.textContent.includes(%s)`, quote(selector), quote(want)))
}

// WaitRow waits until the feed's newest sentence is this one.
func (p *Page) WaitRow(sentence string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf(`document.querySelector('#feed li p')?.textContent === %s`, quote(sentence)))
}

// WaitState waits for a state of the connection: connecting, catching-up, live,
// waiting, stopped or signed-out.
func (p *Page) WaitState(state string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf(`document.getElementById('connection')?.dataset.state === %s`, quote(state)))
}

// Wait waits until a JavaScript expression is true in the page. chromedp's own
// Poll builds a function from text, which the page's policy forbids.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	script := fmt.Sprintf(`new Promise(done => { const look = () => (%s) ? done(true) : setTimeout(look, 10); look(); })`, expression)
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise)); err != nil {
		p.t.Fatalf("%s is not so after %v (%v); the page says:\n%s\nconsole: %q",
			expression, patience, err, p.Text("body"), p.Faults())
	}
}

// Click clicks the element that a CSS selector finds, once it can be seen.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.act(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible), "click "+selector)
}

// Type types a text into a field; "\r" at its end is the return key.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.act(chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible), "type into "+selector)
}

func (p *Page) act(action chromedp.Action[chromedp.Void], what string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, action), what)
}

// Press presses a key as somebody does who has no mouse: "\t", "\r", " ", or chromedp's names.
func (p *Page) Press(key string) {
	p.t.Helper()
	p.act(chromedp.KeyEvent(key), fmt.Sprintf("press %q", key))
}

// Barriers are what axe-core calls serious or critical in the page: what it is, and where.
// Without axe-core, which deploy/test.sh installs, the test is skipped, or fails when
// SCHOOLBELL_TEST_REQUIRE is 1.
func (p *Page) Barriers() []string {
	p.t.Helper()
	_, here, _, _ := goruntime.Caller(0)
	axe, err := os.ReadFile(filepath.Join(filepath.Dir(here), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		lacking.End(p.t, "no axe-core: npm ci --prefix wsserver/web/webtest")
	}
	p.Value("void (() => {"+string(axe)+"\n})()", nil)
	p.Value(`void axe.run(document, { resultTypes: ['violations'] }).then((result) => {
		window.barriers = result.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical')
			.map((v) => v.id + ': ' + v.nodes.map((n) => n.target + ' ' + n.failureSummary).join(' | '));
	})`, nil)
	p.Wait("window.barriers")
	var found []string
	p.Value("window.barriers", &found)
	p.Value("void delete window.barriers", nil)
	return found
}

// Permit has the browser allow something to pages, or deny it, by its name in the web's
// permissions.
func (p *Page) Permit(what string, allowed bool) {
	p.t.Helper()
	setting := browser.PermissionSettingDenied
	if allowed {
		setting = browser.PermissionSettingGranted
	}
	_, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: what}, Setting: setting,
	})
	require.NoError(p.t, err)
}

// Held is what a page holds of the browser's memory once the garbage is gone.
type Held struct {
	Heap             int64 // of JavaScript, in bytes
	Nodes, Listeners int64 // of the DOM, in the document or not
}

// Held has the garbage collected, and counts what is left.
func (p *Page) Held() Held {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, heapprofiler.CollectGarbage, cdp.Empty{})
	require.NoError(p.t, err)
	heap, err := chromedp.Call(p.ctx, runtime.GetHeapUsage, cdp.Empty{})
	require.NoError(p.t, err)
	dom, err := chromedp.Call(p.ctx, memory.GetDOMCounters, cdp.Empty{})
	require.NoError(p.t, err)
	return Held{int64(heap.UsedSize), dom.Nodes, dom.JsEventListeners}
}

// Look sets the width of the window and whether the person prefers a dark page.
func (p *Page) Look(width int64, dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.EmulateViewport(width, 900)))
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		},
	})
	require.NoError(p.t, err)
}

// Screenshot writes what can be seen to NAME.png in the folder that
// SCHOOLBELL_TEST_SCREENSHOTS names; without it, it does nothing.
func (p *Page) Screenshot(name string) {
	p.t.Helper()
	dir := os.Getenv("SCHOOLBELL_TEST_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(p.t, err)
	require.NoError(p.t, os.MkdirAll(dir, 0o755))
	require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

// quote writes a string as JavaScript does.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return string(b)
}
