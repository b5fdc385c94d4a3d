package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoTokenIsInAnyLogAttributeOrFormattedValue(t *testing.T) {
	s := secret{"s3cret"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, "[redacted]", fmt.Sprintf(verb, s), verb)
		require.Equal(t, "[redacted]", fmt.Sprintf(verb, &s), verb)
	}
	inside := fmt.Sprintf("%v %+v", struct{ Token secret }{s}, []secret{s})
	require.NotContains(t, inside, "s3cret")

	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("asked", "token", s, "several", []secret{s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("asked", "token", s, "several", []secret{s})
	require.Contains(t, log.String(), "[redacted]")
	require.NotContains(t, log.String(), "s3cret")

	body, err := json.Marshal(map[string]any{"token": s})
	require.NoError(t, err)
	require.NotContains(t, string(body), "s3cret")
}

// FuzzCredential: a token is what stands behind its scheme, or in the query, and is
// never in an error.
func FuzzCredential(f *testing.F) {
	f.Add("Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b", "")
	f.Add("bearer  a.b.c ", "token=x")
	f.Add("Basic dTpw", "token=x&token=y")
	f.Add("Token", "token=x")
	f.Add("", "token=%zz")
	f.Add("TOKEN\t7", "a;token=7")
	f.Fuzz(func(t *testing.T, header, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Authorization": {header}}}
		got, err := fromRequest(r)
		ours := len(header) >= 5 && strings.EqualFold(header[:5], "token") || len(header) >= 6 && strings.EqualFold(header[:6], "bearer")
		switch {
		case err == nil && strings.Contains(header, got.key):
			require.NotEmpty(t, got.key)
			require.True(t, ours || r.URL.Query().Get("token") == got.key)
		case err == nil:
			require.Equal(t, r.URL.Query().Get("token"), got.key, "no other place has one")
		default:
			require.ErrorIs(t, err, ErrUnauthenticated)
			require.Empty(t, got.key)
		}
		if got.key != "" {
			_ = got.possible()
			require.Equal(t, redacted, fmt.Sprintf("%v", got))
		}
	})
}
