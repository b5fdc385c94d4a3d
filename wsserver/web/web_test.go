package web_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/schoolbell/schoolbell/wsserver/web"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, method, path string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w.Result()
}

// files reads the folder that is embedded, so that a new file is tested too, and what
// is served of the client.
func files(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("static")
	require.NoError(t, err)
	all := make(map[string]string)
	for _, e := range entries {
		body, err := os.ReadFile("static/" + e.Name())
		require.NoError(t, err)
		all[e.Name()] = string(body)
	}
	for _, name := range []string{"schoolbell.js", "schoolbell.d.ts"} {
		body, err := io.ReadAll(get(t, "GET", "/"+name, nil).Body)
		require.NoError(t, err)
		all[name] = string(body)
	}
	require.Contains(t, all, "index.html")
	return all
}

func TestEveryEmbeddedFileIsServedWithItsType(t *testing.T) {
	types := map[string]string{
		"html": "text/html; charset=utf-8",
		"js":   "text/javascript; charset=utf-8",
		"css":  "text/css; charset=utf-8",
		"svg":  "image/svg+xml",
		"d.ts": "application/typescript; charset=utf-8",
		"txt":  "text/plain; charset=utf-8",
	}
	for name, want := range files(t) {
		t.Run(name, func(t *testing.T) {
			path := "/" + name
			if name == "index.html" {
				path = "/"
			}
			res := get(t, "GET", path, nil)
			require.Equal(t, http.StatusOK, res.StatusCode)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, want, string(body))
			_, ext, _ := strings.Cut(name, ".")
			require.NotEmpty(t, types[ext], "a type for .%s files in contentType", ext)
			require.Equal(t, types[ext], res.Header.Get("Content-Type"))

			res = get(t, "HEAD", path, nil)
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.EqualValues(t, len(want), res.ContentLength)
		})
	}
}

func TestEveryFileCarriesTheSecurityHeaders(t *testing.T) {
	for name := range files(t) {
		res := get(t, "GET", "/"+strings.TrimSuffix(name, "index.html"), nil)
		csp := res.Header.Get("Content-Security-Policy")
		for _, part := range []string{
			"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self';", "form-action 'none'",
			"frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
		} {
			require.Contains(t, csp, part, name)
		}
		require.NotContains(t, csp, "unsafe", name)
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"), name)
		require.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"), name)
		require.Equal(t, "same-origin", res.Header.Get("Cross-Origin-Opener-Policy"), name)
		if !strings.HasSuffix(name, ".html") { // a page of the LMS may import the client and the widgets from here
			require.Equal(t, "cross-origin", res.Header.Get("Cross-Origin-Resource-Policy"), name)
			require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"), name)
			continue
		}
		require.Equal(t, "same-origin", res.Header.Get("Cross-Origin-Resource-Policy"), name)
		require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"), name)
	}
}

func TestOnlyTheAncestorsMayFrameThePage(t *testing.T) {
	for _, tt := range []struct {
		ancestors []string
		want      string
	}{
		{nil, "frame-ancestors 'none'"},
		{[]string{"'self'"}, "frame-ancestors 'self'"},
		{[]string{"'self'", "https://lms.example.org"}, "frame-ancestors 'self' https://lms.example.org"},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("X-Frame-Options", "DENY") // of whoever serves us
		web.Handler(tt.ancestors...).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		require.True(t, strings.HasSuffix(w.Header().Get("Content-Security-Policy"), "; "+tt.want), w.Header())
		require.Empty(t, w.Header().Get("X-Frame-Options"), "a browser that knows only this would refuse the ancestors")
	}
}

func TestTheBrowsersCopyIsConfirmedByItsETag(t *testing.T) {
	first := get(t, "GET", "/app.js", nil)
	require.Equal(t, "no-cache", first.Header.Get("Cache-Control"))
	etag := first.Header.Get("ETag")
	require.Regexp(t, `^"[0-9a-f]{24}"$`, etag)

	again := get(t, "GET", "/app.js", http.Header{"If-None-Match": {etag}})
	require.Equal(t, http.StatusNotModified, again.StatusCode)
	body, err := io.ReadAll(again.Body)
	require.NoError(t, err)
	require.Empty(t, body)

	require.Equal(t, http.StatusOK, get(t, "GET", "/app.js", http.Header{"If-None-Match": {`"older"`}}).StatusCode)
	require.NotEqual(t, etag, get(t, "GET", "/style.css", nil).Header.Get("ETag"))
}

func TestNothingElseIsServed(t *testing.T) {
	for _, path := range []string{"/static/", "/static/app.js", "/web.go", "/index.html", "/nope", "/../web.go"} {
		require.NotEqual(t, http.StatusOK, get(t, "GET", path, nil).StatusCode, path)
	}
	require.Equal(t, http.StatusMethodNotAllowed, get(t, "POST", "/app.js", nil).StatusCode)
	require.Equal(t, http.StatusMethodNotAllowed, get(t, "POST", "/", nil).StatusCode)
}

func TestThePageRunsNoInlineScriptOrStyle(t *testing.T) {
	for name, body := range files(t) {
		if !strings.HasSuffix(name, ".html") && !strings.HasSuffix(name, ".svg") {
			continue
		}
		for _, script := range regexp.MustCompile(`(?i)<script\b[^>]*>`).FindAllString(body, -1) {
			require.Contains(t, script, ` src="`, name)
		}
		require.NotRegexp(t, `(?i)<style\b`, body, name)
		require.NotRegexp(t, `(?i)\s(on[a-z]+|style)\s*=`, body, name)
		require.NotRegexp(t, `(?i)javascript:`, body, name)
	}
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	for name, body := range files(t) {
		body = strings.ReplaceAll(body, `http://www.w3.org/2000/svg`, "") // a name, not an address
		if name == "widgets.js" {
			body = regexp.MustCompile(`(?m)^//.*$`).ReplaceAllString(body, "") // shows how it is embedded
		}
		require.NotRegexp(t, `(?i)(https?:|wss?:)?//[a-z0-9]+\.`, body, name)
		if strings.HasSuffix(name, ".css") {
			require.NotRegexp(t, `(?i)@import|url\(`, body, name)
		}
	}
}

func TestTextIsNeverTurnedIntoMarkup(t *testing.T) {
	for name, body := range files(t) {
		require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|setHTML|eval\(|new Function`, body, name)
	}
}

func TestATokenIsKeptInTheTabOnly(t *testing.T) {
	for name, body := range files(t) {
		require.NotRegexp(t, `indexedDB|document\.cookie`, body, name)
		if name == "keep.js" { // the one that keeps something in the browser must not know a token
			require.NotRegexp(t, `(?i)token`, regexp.MustCompile(`(?m)^//.*$`).ReplaceAllString(body, ""))
			continue
		}
		require.NotContains(t, body, "localStorage", name)
	}
}

func TestTheClientIsUnder5KBCompressed(t *testing.T) {
	res := get(t, "GET", "/schoolbell.js", http.Header{"Accept-Encoding": {"br, gzip"}})
	require.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
	require.Equal(t, "Accept-Encoding", res.Header.Get("Vary"))
	packed, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	t.Logf("%d bytes", len(packed))
	require.Less(t, len(packed), 5<<10, "leave something out, or say it shorter")

	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	body, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	require.Equal(t, files(t)["schoolbell.js"], string(body))
	require.NotRegexp(t, `(?m)^\s|//|\n\n`, string(body), "comments and spaces are for readers of the source")
	plain := get(t, "GET", "/schoolbell.js", nil)
	require.Empty(t, plain.Header.Get("Content-Encoding"))
	require.NotEqual(t, plain.Header.Get("ETag"), res.Header.Get("ETag"), "two bodies, two names")
}

// What npm would pack is what package.json names, and it is all there.
func TestTheClientIsLaidOutAsAPackage(t *testing.T) {
	text, err := os.ReadFile("client/package.json")
	require.NoError(t, err)
	var p struct {
		Private      bool
		Type, Types  string
		Exports      map[string]map[string]string
		Files        []string
		Dependencies map[string]string
	}
	require.NoError(t, json.Unmarshal(text, &p))
	require.True(t, p.Private, "it is not published")
	require.Equal(t, "module", p.Type)
	require.Equal(t, map[string]string{"types": "./schoolbell.d.ts", "default": "./schoolbell.js"}, p.Exports["."])
	require.Equal(t, "./schoolbell.d.ts", p.Types)
	require.Empty(t, p.Dependencies)
	require.Equal(t, []string{"schoolbell.js", "schoolbell.d.ts", "README.md"}, p.Files)
	for _, name := range p.Files {
		require.FileExists(t, "client/"+name)
	}
}

// The types name everything that the client gives, and nothing else.
func TestTheTypesAreThoseOfTheClient(t *testing.T) {
	source, err := os.ReadFile("client/schoolbell.js")
	require.NoError(t, err)
	types, err := os.ReadFile("client/schoolbell.d.ts")
	require.NoError(t, err)
	names := func(pattern string, text []byte) []string {
		var all []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			if m[1] != "constructor" {
				all = append(all, m[1])
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	bell := regexp.MustCompile(`(?s)export interface Bell .*?\n}`).Find(types)
	methods := names(`(?m)^  (?:get |async )?([a-z]+)\(.*\{`, source)
	require.Contains(t, methods, "close")
	require.Equal(t, methods, slices.DeleteFunc(names(`(?m)^  (?:readonly )?([a-zA-Z]+)[(:<]`, bell), func(name string) bool {
		return strings.HasSuffix(name, "EventListener") // of every EventTarget
	}))
	require.Equal(t, names(`(?m)^export const (\w+)`, source), names(`(?m)^export function (\w+)`, types))
	for _, state := range names(`'([a-z-]+)'`, regexp.MustCompile(`(?m)^  state: .*`).Find(types)) {
		require.Contains(t, string(source), "'"+state+"'")
	}
}

// What is not ours is what its authors published, to the byte.
func TestTheChartLibraryIsTheOneThatWasPublished(t *testing.T) {
	for name, want := range map[string]string{
		"uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uPlot.min.css":     "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	} {
		body, err := io.ReadAll(get(t, "GET", "/"+name, nil).Body)
		require.NoError(t, err)
		require.Equal(t, want, fmt.Sprintf("%x", sha256.Sum256(body)), name)
	}
	license, err := io.ReadAll(get(t, "GET", "/uPlot.LICENSE.txt", nil).Body)
	require.NoError(t, err)
	require.Contains(t, string(license), "The MIT License")
}
