// Package schematest compares what the gateway sends with the documents that describe it,
// wsserver/asyncapi.yaml and wsserver/openapi.yaml. For tests alone.
//
// In come messages and answers, as bytes; out go errors that say where one differs. A
// field that a document does not name is a difference too: clients ignore what they do not
// know, but the documents should know it.
package schematest

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed testdata/*.json
var testdata embed.FS

// base is where the documents stand as far as references are concerned.
const base = "file:///wsserver/"

// Documents are both of them.
type Documents struct {
	async, open map[string]any // as they are written
	sent, said  map[string]*jsonschema.Schema
	answers     map[string]*jsonschema.Schema // nil: nothing is said about the body
	typeOf      map[string]string             // the content type of an answer
}

// Open reads the documents in a folder.
func Open(dir string) (*Documents, error) {
	d := &Documents{
		sent: map[string]*jsonschema.Schema{}, said: map[string]*jsonschema.Schema{},
		answers: map[string]*jsonschema.Schema{}, typeOf: map[string]string{},
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for name, document := range map[string]*map[string]any{"asyncapi.yaml": &d.async, "openapi.yaml": &d.open} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if text, err = yaml.YAMLToJSON(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var strict any
		if strict, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := json.Unmarshal(text, document); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		closeObjects(strict)
		if err := compiler.AddResource(base+name, strict); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := d.compileMessages(compiler); err != nil {
		return nil, err
	}
	return d, d.compileAnswers(compiler)
}

// closeObjects lets no schema of an object have fields that it does not name.
func closeObjects(part any) {
	switch part := part.(type) {
	case map[string]any:
		_, fields := part["properties"].(map[string]any)
		_, said := part["additionalProperties"]
		if part["type"] == "object" && fields && !said {
			part["additionalProperties"] = false
		}
		for _, inner := range part {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range part {
			closeObjects(inner)
		}
	}
}

// at finds a part of a document by the names that lead to it.
func at(document any, names ...string) any {
	for _, name := range names {
		inner, _ := document.(map[string]any)
		document = inner[name]
	}
	return document
}

// compileMessages takes the messages that an operation lists, under their types.
func (d *Documents) compileMessages(compiler *jsonschema.Compiler) error {
	for operation, list := range map[string]map[string]*jsonschema.Schema{"tell": d.sent, "hear": d.said} {
		messages, _ := at(d.async, "operations", operation, "messages").([]any)
		for _, one := range messages {
			ref, _ := at(one, "$ref").(string)
			key := ref[strings.LastIndex(ref, "/")+1:]
			name, _ := at(d.async, "components", "messages", key, "name").(string)
			if name == "" || at(d.async, "channels", "dashboard", "messages", key) == nil {
				return fmt.Errorf("asyncapi.yaml: %s leads to no message", ref)
			}
			schema, err := compiler.Compile(base + "asyncapi.yaml#/components/messages/" + key + "/payload")
			if err != nil {
				return fmt.Errorf("asyncapi.yaml: %s: %w", key, err)
			}
			list[name] = schema
		}
	}
	return nil
}

func (d *Documents) compileAnswers(compiler *jsonschema.Compiler) error {
	paths, _ := d.open["paths"].(map[string]any)
	for path, operations := range paths {
		for method, operation := range operations.(map[string]any) {
			responses, _ := at(operation, "responses").(map[string]any)
			for status, response := range responses {
				key := answerKey(method, path, status)
				where := []string{"paths", path, method, "responses", status}
				if ref, ok := at(response, "$ref").(string); ok {
					where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
				}
				d.answers[key] = nil
				content, _ := at(any(d.open), append(where, "content")...).(map[string]any)
				for kind := range content {
					pointer := ""
					for _, step := range append(where, "content", kind, "schema") {
						pointer += "/" + strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1")
					}
					schema, err := compiler.Compile(base + "openapi.yaml#" + pointer)
					if err != nil {
						return fmt.Errorf("openapi.yaml: %s: %w", key, err)
					}
					d.answers[key], d.typeOf[key] = schema, kind
				}
			}
		}
	}
	return nil
}

func answerKey(method, path, status string) string {
	return strings.ToUpper(method) + " " + strings.TrimSuffix(path, "/") + " " + status
}

// Types are those of all messages that the gateway sends.
func (d *Documents) Types() []string { return slices.Sorted(maps.Keys(d.sent)) }

// Sent says what is wrong with a message that the gateway sent.
func (d *Documents) Sent(body []byte) error { return check(d.sent, d.sent["custom"], body) }

// Said says what is wrong with a message of a client.
func (d *Documents) Said(body []byte) error { return check(d.said, nil, body) }

func check(known map[string]*jsonschema.Schema, others *jsonschema.Schema, body []byte) error {
	var m struct{ Type string }
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("no message: %w: %s", err, body)
	}
	schema := known[m.Type]
	if schema == nil {
		schema = others
	}
	if schema == nil {
		return fmt.Errorf("asyncapi.yaml knows no message %q", m.Type)
	}
	return validate(schema, body)
}

func validate(schema *jsonschema.Schema, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("no JSON: %w: %s", err, body)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	return nil
}

// Answers are all that openapi.yaml knows, like "GET /api/session 200".
func (d *Documents) Answers() []string { return slices.Sorted(maps.Keys(d.answers)) }

// Paths are those of openapi.yaml, with their methods, like "GET /api/session".
func (d *Documents) Paths() []string {
	seen := map[string]bool{}
	for key := range d.answers {
		seen[key[:strings.LastIndex(key, " ")]] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// Answer says what is wrong with an answer over HTTP, and gives it its name in Answers.
func (d *Documents) Answer(method, path string, status int, contentType string, body []byte) (key string, err error) {
	key = answerKey(method, path, fmt.Sprint(status))
	schema, known := d.answers[key]
	kind, _, _ := strings.Cut(contentType, ";")
	switch {
	case !known:
		return key, fmt.Errorf("openapi.yaml knows no %s: %s", key, body)
	case d.typeOf[key] != kind:
		return key, fmt.Errorf("%s: openapi.yaml says %q, the answer %q", key, d.typeOf[key], kind)
	case kind != "application/json":
		return key, nil
	}
	if err := validate(schema, body); err != nil {
		return key, fmt.Errorf("%s: %w", key, err)
	}
	return key, nil
}

// Valid says what is wrong with the documents themselves, by AsyncAPI's and OpenAPI's own
// schemas.
func (d *Documents) Valid() error {
	for name, document := range map[string]map[string]any{"asyncapi-3.0.0.json": d.async, "openapi-3.1.json": d.open} {
		file, err := testdata.Open("testdata/" + name)
		if err != nil {
			return err
		}
		meta, err := jsonschema.UnmarshalJSON(file)
		_ = file.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("file:///"+name, meta); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		schema, err := compiler.Compile("file:///" + name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := schema.Validate(any(document)); err != nil {
			return fmt.Errorf("by %s: %w", name, err)
		}
	}
	return nil
}
