package schematest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/schematest"
)

func TestTheDocumentsAreWhatTheyClaimToBe(t *testing.T) {
	d, err := schematest.Open("..")
	require.NoError(t, err)
	require.NoError(t, d.Valid())
}

// spoil is the documents with one mistake.
func spoil(t *testing.T, name, from, to string) (*schematest.Documents, error) {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"asyncapi.yaml", "openapi.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", file))
		require.NoError(t, err)
		if file == name {
			require.Contains(t, string(text), from)
			text = []byte(strings.Replace(string(text), from, to, 1))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), text, 0o600))
	}
	return schematest.Open(dir)
}

func TestAMistakeInADocumentIsFound(t *testing.T) {
	for name, c := range map[string]struct{ file, from, to string }{
		"an action that there is not":        {"asyncapi.yaml", "action: send", "action: shout"},
		"a field that AsyncAPI has not":      {"asyncapi.yaml", "defaultContentType:", "contentType:"},
		"a type that JSON Schema has not":    {"asyncapi.yaml", "resumed: {type: boolean", "resumed: {type: flag"},
		"a message that is not there":        {"asyncapi.yaml", "channels/dashboard/messages/welcome\"}", "channels/dashboard/messages/hello\"}"},
		"a parameter that stands nowhere":    {"openapi.yaml", "in: header", "in: trailer"},
		"a response without a description":   {"openapi.yaml", "description: It does.", "summary: It does."},
		"a reference that leads to nothing":  {"openapi.yaml", "asyncapi.yaml#/components/schemas/gap", "asyncapi.yaml#/components/schemas/gaps"},
		"a method that HTTP has not":         {"openapi.yaml", "    head:", "    peek:"},
		"an OpenAPI that is not there (yet)": {"openapi.yaml", "openapi: 3.1.0", "openapi: 7.1.0"},
	} {
		d, err := spoil(t, c.file, c.from, c.to)
		if err == nil {
			err = d.Valid()
		}
		require.Error(t, err, name)
	}
}

func TestWhatDiffersFromTheDocumentsIsSaid(t *testing.T) {
	d, err := schematest.Open("..")
	require.NoError(t, err)
	const ping = `{"type":"ping","timestamp":"2026-11-22T21:05:11.123456Z","cursor":"0/1A2B3C4D.2"}`
	require.NoError(t, d.Sent([]byte(ping)))
	require.NoError(t, d.Sent([]byte(`{"type":"exam","id":"0/1.1","timestamp":"2026-11-22T21:05:11.123456Z","more":{"a":[1]}}`)))
	for name, body := range map[string]string{
		"a field too many":    strings.Replace(ping, `{`, `{"extra":1,`, 1),
		"a field too few":     `{"type":"ping","timestamp":"2026-11-22T21:05:11.123456Z"}`,
		"a time of no clock":  strings.Replace(ping, "21:05", "21:75", 1),
		"milliseconds":        strings.Replace(ping, ".123456", ".123", 1),
		"an id in small":      strings.Replace(ping, "1A2B", "1a2b", 1),
		"a type nobody knows": `{"type":"unheard","id":"0/1.1"}`,
		"no JSON":             `{`,
	} {
		require.Error(t, d.Sent([]byte(body)), name)
	}
	require.NoError(t, d.Said([]byte(`{"type":"subscribe","types":["grade"],"assignments":null}`)))
	require.Error(t, d.Said([]byte(`{"type":"subscribe","types":[]}`)))
	require.Error(t, d.Said([]byte(`{"type":"exam"}`)))

	key, err := d.Answer("GET", "/healthz", 200, "application/json; charset=utf-8", []byte(`{"status":"ok"}`))
	require.NoError(t, err)
	require.Equal(t, "GET /healthz 200", key)
	_, err = d.Answer("GET", "/healthz", 200, "text/plain", []byte(`{"status":"ok"}`))
	require.ErrorContains(t, err, `openapi.yaml says "application/json", the answer "text/plain"`)
	_, err = d.Answer("GET", "/healthz", 200, "application/json", []byte(`{"status":"fine"}`))
	require.Error(t, err)
	_, err = d.Answer("GET", "/healthz", 418, "", nil)
	require.ErrorContains(t, err, "knows no GET /healthz 418")
}
