// Package web is the dashboard page and the JavaScript client, embedded in the
// binary: plain HTML, CSS and ES modules, as the browser reads them, with no
// build step. The client is a package of its own, in the folder client; its comments
// and spaces are left out when it is served.
//
// In come GET requests, out go the files. The page speaks to the gateway that
// served it: ws/dashboard/, api/session and api/events, relative to its own
// address, so it also works below a path of a reverse proxy.
//
// # Promises
//
//   - The page loads nothing from elsewhere, and runs no inline script or style:
//     the Content-Security-Policy forbids both, and forbids turning text into
//     markup. What the LMS holds is shown as text. Who may show the page in a
//     frame is said to Handler.
//   - A token in the address (/#token=KEY) leaves the address bar at once, is
//     never part of a request for the page, and is forgotten with the tab.
//   - Without a token the page signs in by the LMS's session cookie, where the gateway
//     takes it.
//   - The page says how the connection is, always. After a cut it resumes, and
//     shows no event twice.
//   - The client is under 5 KB compressed, loads nothing, and keeps no token. Pages of
//     any origin may import it; who may connect is the gateway's to say.
//   - After an upgrade of the binary the next load shows the new page; until
//     then the browser's copy is confirmed by its ETag.
//
// Handler may be used from any number of goroutines.
package web

import (
	"cmp"
	"net/http"
	"strings"
)

// policy is the page's Content-Security-Policy, up to who may frame it. 'self' in connect-src covers the
// WebSocket of the same host. form-action 'none' keeps the token out of any URL
// even when the script that handles the sign-in form did not load.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors "

// Handler serves the page at / and its files beside it. Everything else is 404. Pages
// of the ancestors, origins or 'self', may show it in a frame; without any, none may.
func Handler(ancestors ...string) http.Handler {
	policy := policy + cmp.Or(strings.Join(ancestors, " "), "'none'")
	mux := http.NewServeMux()
	for _, a := range assets(policy) {
		pattern := "GET /" + a.name
		if a.name == "index.html" {
			pattern = "GET /{$}"
		}
		mux.Handle(pattern, a)
	}
	return mux
}
