package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cmd/schoolbell/archive"
)

func TestNoSecretIsLeftInAnyOfItsForms(t *testing.T) {
	const secret = `p@ss/wörd "1"&?%+`
	r := archive.NewRedactor([]string{secret, "xyz", ""})
	for name, text := range map[string]string{
		"as it is":        "the password is " + secret + ".",
		"in an address":   (&url.URL{Scheme: "postgres", User: url.UserPassword("bell", secret), Host: "db"}).String(),
		"in a query":      "x=" + url.QueryEscape(secret),
		"in a path":       "/" + url.PathEscape(secret),
		"in JSON":         `"p@ss/wörd \"1\"\u0026?%+"`,
		"in hex":          hex.EncodeToString([]byte(secret)),
		"in base64":       base64.StdEncoding.EncodeToString([]byte(secret)),
		"in basic":        base64.StdEncoding.EncodeToString([]byte("bell:" + secret)),
		"one byte behind": base64.URLEncoding.EncodeToString([]byte("x" + secret + "y")),
		"two behind":      base64.URLEncoding.EncodeToString([]byte("xx" + secret + "y")),
	} {
		got := r.Text(text)
		require.Contains(t, got, "[redacted]", name)
		for _, part := range []string{"wörd", "w%C3%B6rd", hex.EncodeToString([]byte("wörd")), "d8O2cmQ", "fDtnJk", "3w7ZyZ"} {
			require.NotContains(t, got, part, name)
		}
	}
	require.Equal(t, "xyz stands everywhere", r.Text("xyz stands everywhere"))
}

func TestWhatLooksLikeACredentialOrAPersonIsTakenOut(t *testing.T) {
	r := archive.NewRedactor(nil)
	for text, want := range map[string]string{
		"anna.müller+x@schule.example said": "[redacted] said",
		"at anna%40school.example":          "at [redacted]",
		"postgres://bell:pw@db:5432/lms":    "postgres://[redacted]@db:5432/lms",
		"Authorization: Token 0123abcd":     "Authorization: [redacted]",
		`"cookie":"sessionid=abc"`:          `"cookie":[redacted]`,
		"with Bearer 0123456789abc":         "with Bearer [redacted]",
		"GET /ws?token=s3cret&x=1":          "GET /ws?token=[redacted]&x=1",
		"host=db password=hunter2 x=1":      "host=db password=[redacted] x=1",
		"eyJhbGciOi.eyJzdWIiOiI0.c2ln":      "[redacted]",
		"session_secret: is not set":        "session_secret: is not set",
		`schoolbell_slot_active{slot="a"}`:  `schoolbell_slot_active{slot="a"}`,
	} {
		require.Equal(t, want, r.Text(text))
	}
}

func TestALogLosesWhoDidSomethingAndFromWhere(t *testing.T) {
	r := archive.NewRedactor(nil)
	require.Equal(t, `{"msg":"session opened","user":"[redacted]","way":"token","remote":"[redacted]"}`,
		r.Log(`{"msg":"session opened","user":42,"way":"token","remote":"192.0.2.7"}`))
	require.Equal(t, `msg="session closed" user=[redacted] remote=[redacted] reason=x`, r.Log(`msg="session closed" user="a b" remote=192.0.2.7 reason=x`))
	require.Equal(t, "key [redacted]", r.Log("key 0123456789abcdef0123456789abcdef01234567"))
}

func TestAnArchiveListsItsFilesAndWhatIsMissing(t *testing.T) {
	var b bytes.Buffer
	a := archive.New(&b, "report", time.Unix(1, 0), archive.NewRedactor([]string{"hunter2"}))
	require.NoError(t, a.Add("config.txt", "database: hunter2\n"))
	require.NoError(t, a.AddLog("log.jsonl", `{"user":7}`))
	a.Missing("metrics.txt", errors.New("nobody answers\nwith hunter2"))
	require.NoError(t, a.Close())

	unpacked, err := gzip.NewReader(&b)
	require.NoError(t, err)
	files := map[string]string{}
	for r := tar.NewReader(unpacked); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		files[h.Name] = string(text)
	}
	require.Equal(t, map[string]string{
		"report/config.txt": "database: [redacted]\n", "report/log.jsonl": `{"user":"[redacted]"}`,
		"report/contents.txt": strings.Join([]string{
			"config.txt               21 bytes", "log.jsonl                21 bytes",
			"metrics.txt              not to be had: nobody answers; with [redacted]", "",
		}, "\n"),
	}, files)
}
