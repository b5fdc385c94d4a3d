// Package web is the dashboard page and the JavaScript client, embedded in the
// binary: plain HTML, CSS and ES modules, as the browser reads them, with no
// build step.
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
//   - After an upgrade of the binary the next load shows the new page; until
//     then the browser's copy is confirmed by its ETag.
//
// Handler may be used from any number of goroutines.
package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// policy is the page's Content-Security-Policy, up to who may frame it. 'self' in connect-src covers the
// WebSocket of the same host. form-action 'none' keeps the token out of any URL
// even when the script that handles the sign-in form did not load.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors "

// asset is one file, ready to be sent.
type asset struct {
	name, contentType, etag string
	body                    []byte
	policy                  string
}

// Handler serves the page at / and its files beside it. Everything else is 404. Pages
// of the ancestors, origins or 'self', may show it in a frame; without any, none may.
func Handler(ancestors ...string) http.Handler {
	policy := policy + cmp.Or(strings.Join(ancestors, " "), "'none'")
	entries, err := static.ReadDir("static")
	if err != nil {
		panic(err) // the embedded folder is there, or this would not have compiled
	}
	mux := http.NewServeMux()
	for _, e := range entries {
		body, err := static.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		a := asset{e.Name(), contentType(e.Name()), `"` + hex.EncodeToString(sum[:12]) + `"`, body, policy}
		pattern := "GET /" + a.name
		if a.name == "index.html" {
			pattern = "GET /{$}"
		}
		mux.Handle(pattern, a)
	}
	return mux
}

// contentType does not ask the operating system's tables, which differ.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// ServeHTTP sends the file, or 304 to a browser that has it.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("ETag", a.etag)
	h.Set("Cache-Control", "no-cache") // keep it, but ask each time whether it is still this one
	h.Set("Content-Security-Policy", a.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("X-Frame-Options") // it cannot say what frame-ancestors says
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.body))
}
