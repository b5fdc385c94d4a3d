package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
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
