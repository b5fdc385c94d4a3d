package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

//go:embed static vendor client/schoolbell.js client/schoolbell.d.ts
var embedded embed.FS

// The client's source is written for its readers. It has " // " in comments only, and no
// text that goes over several lines; the client's tests run what is left of it.
var (
	comment = regexp.MustCompile(`(?m)^[ \t]*(//.*)?|[ \t]+// .*$`)
	empty   = regexp.MustCompile(`\n{2,}`)
	// space is a text, which stays, or a sign between spaces.
	space = regexp.MustCompile("'[^'\n]*'|`[^`\n]*`| *(=>|[=!]==|&&|\\|\\||\\?\\?|[=?:<>{}(),;+*/]) *")
)

// plain is the client as browsers get it: without comments, indentation and spaces.
func plain(source []byte) []byte {
	source = empty.ReplaceAll(comment.ReplaceAll(source, nil), []byte("\n"))
	return bytes.TrimSpace(space.ReplaceAllFunc(source, func(found []byte) []byte {
		if found[0] == '\'' || found[0] == '`' {
			return found
		}
		return bytes.Trim(found, " ")
	}))
}

// file is one of ours, ready to be sent.
type file struct {
	name, contentType, etag string
	body                    []byte
	packed                  func() []byte // once somebody asks
	shared                  bool          // with pages of any origin
}

// asset is a file under a policy.
type asset struct {
	*file
	policy string
}

// assets are all files.
func assets(policy string) []asset {
	var all []asset
	for _, f := range files() {
		all = append(all, asset{f, policy})
	}
	return all
}

// files are the page and what it loads, the client, and what is not ours.
var files = sync.OnceValue(func() []*file {
	var all []*file
	for _, folder := range []string{"static", "client", "vendor"} {
		entries, err := embedded.ReadDir(folder)
		if err != nil {
			panic(err) // the embedded folder is there, or this would not have compiled
		}
		for _, e := range entries {
			body, err := embedded.ReadFile(folder + "/" + e.Name())
			if err != nil {
				panic(err)
			}
			if e.Name() == "schoolbell.js" {
				body = plain(body)
			}
			sum := sha256.Sum256(body)
			all = append(all, &file{
				e.Name(), contentType(e.Name()), hex.EncodeToString(sum[:12]), body,
				sync.OnceValue(func() []byte { return pack(body) }), path.Ext(e.Name()) != ".html",
			})
		}
	}
	return all
})

func pack(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	_, _ = w.Write(body)                                  // memory takes everything
	_ = w.Close()
	return b.Bytes()
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
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".ts":
		return "application/typescript; charset=utf-8"
	}
	return "application/octet-stream"
}

// ServeHTTP sends the file, or 304 to a browser that has it.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache") // keep it, but ask each time whether it is still this one
	h.Set("Content-Security-Policy", a.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("X-Frame-Options") // it cannot say what frame-ancestors says
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if a.shared { // it is public, and a page of the LMS may import the client, or the widgets, from here
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Access-Control-Allow-Origin", "*")
	}
	h.Set("Vary", "Accept-Encoding")
	body, etag := a.body, a.etag
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if packed := a.packed(); len(packed) < len(body) {
			h.Set("Content-Encoding", "gzip")
			body, etag = packed, a.etag+"-gzip"
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(body))
}
