package profile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/profile"
)

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(profile.JSONSchema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("profile.json", doc))
	s, err := c.Compile("profile.json")
	require.NoError(t, err)
	return s
}

// instance is a file as editors hand it to the schema.
func instance(t testing.TB, src []byte) any {
	t.Helper()
	json, err := yaml.YAMLToJSON(src)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(json))
	require.NoError(t, err)
	return doc
}

func TestTheSchemaAcceptsWhatTheParserAccepts(t *testing.T) {
	s := schema(t)
	var files []string
	for _, pattern := range []string{"builtin/*.yaml", "testdata/*.yaml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	require.GreaterOrEqual(t, len(files), 6)
	for _, file := range files {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = profile.Parse(file, src)
		require.NoError(t, err)
		require.NoError(t, s.Validate(instance(t, src)), file)
	}
}

func TestTheSchemaRefusesWhatNoKeyHolds(t *testing.T) {
	s := schema(t)
	for _, src := range []string{
		"profile: x",
		"extends: django\nusers: {from: a}",
		"extends: django\nuser: {emial: a}",
		"extends: django\nuser: {email: [a]}",
		"extends: django\nuser: {active: a}",
		"extends: django\nuser: {active: {}}",
		"extends: django\nuser: {active: {a: {minn: 1}}}",
		"extends: django\nuser: {active: {a: {not: 1, min: 2}}}",
		"extends: django\nuser: {roles: {a: chef}}",
		"extends: django\nlookup: {a: {many: 1}}",
		"extends: django\nlookup: {a: {key: []}}",
		"extends: django\nmember: []",
		"extends: django\nadmin: [{usr: a}]",
		"extends: django\nkeep: a",
		"extends: django\nauth: {token: {cookie: a}}",
		"- extends: django",
	} {
		_, err := profile.Parse("school.yaml", []byte(src))
		require.Error(t, err, src)
		require.Error(t, s.Validate(instance(t, []byte(src))), src)
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	text := string(profile.JSONSchema())
	require.NotContains(t, text, `"description": ""`)
	for _, key := range []string{"by_section", "own_section_only", "group_name", "parts", "cookie", "keep"} {
		require.Contains(t, text, `"`+key+`": {`)
	}
	require.Equal(t, 1, strings.Count(text, "$schema"))
}
