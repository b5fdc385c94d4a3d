package profile

import (
	"encoding/json"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// JSONSchema describes the format to editors, as JSON Schema draft 2020-12. It is made
// of the keys that the parser knows. What it accepts may still be a mistake to Parse,
// which also sees whether lookups exist and keys fit together.
func JSONSchema() []byte {
	root := object("")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "A schoolbell profile"
	root["description"] = "What the rows of an LMS mean. Either extends names a built-in profile, or the file is whole."
	root["$defs"] = definitions()
	root["anyOf"] = []any{
		schema{"required": []string{"extends"}},
		schema{"required": []string{"profile", "user", "assignment", "submission"}},
	}
	out, _ := json.MarshalIndent(root, "", "  ") // maps, lists and texts can always be written
	return append(out, '\n')
}

type schema = map[string]any

// object describes a map with the keys of a part of the format. Without its own keys
// the base's hold, so none of them is required here.
func object(part string) schema {
	properties := schema{}
	for _, k := range keysOf(part) {
		p := k.shape.schema(k.name)
		if part == "auth" {
			p = object("auth." + k.name)
		}
		p["description"] = k.about
		properties[k.name] = p
	}
	return schema{"type": "object", "properties": properties, "additionalProperties": false}
}

// schema describes the value of a key.
func (s shape) schema(name string) schema {
	ref := func(def string) schema { return schema{"$ref": "#/$defs/" + def} }
	switch s {
	case shapeFlag:
		return schema{"type": "boolean"}
	case shapeColumn:
		return ref("path")
	case shapeOwnColumn:
		return ref("column")
	case shapeKey, shapeColumns:
		return ref("key")
	case shapeCondition:
		return ref("condition")
	case shapeRoles:
		var roles []string
		for _, r := range cdc.Roles {
			roles = append(roles, r.String())
		}
		return schema{"type": "object", "minProperties": 1, "additionalProperties": schema{"enum": roles}}
	case shapeKeep:
		columns := schema{"type": "array", "items": ref("column")}
		return schema{"anyOf": []any{columns, schema{"type": "object", "minProperties": 1, "additionalProperties": columns}}}
	case shapeSection:
		return object(name)
	case shapeEntries:
		entry := object(name)
		return schema{"anyOf": []any{entry, schema{"type": "array", "minItems": 1, "items": entry}}}
	case shapeNamed:
		return schema{"type": "object", "additionalProperties": object(name)}
	}
	return ref("word")
}

// definitions are what several keys have in common.
func definitions() schema {
	ref := func(def string) schema { return schema{"$ref": "#/$defs/" + def} }
	word := []string{"string", "number", "boolean"}
	one := func(name string, value schema) schema {
		return schema{"type": "object", "properties": schema{name: value}, "required": []string{name}, "additionalProperties": false}
	}
	all := schema{"type": "object", "minProperties": 1, "additionalProperties": ref("test")}
	return schema{
		"word":   schema{"type": word},
		"column": schema{"type": word, "description": "The name of a column."},
		"path":   schema{"type": word, "description": "A column, or a path such as student_id -> lookup.column."},
		"key": schema{"anyOf": []any{ref("path"), schema{"type": "array", "minItems": 1, "uniqueItems": true, "items": ref("path")}},
			"description": "A column or a path, or a list of them."},
		"condition": schema{"anyOf": []any{all, schema{"type": "array", "minItems": 1, "items": all}},
			"description": "A map of columns or paths to tests, all of which must hold; or a list of such maps, of which one must."},
		"value": schema{"type": word},
		"test": schema{"anyOf": []any{
			ref("value"),
			schema{"type": "array", "minItems": 1, "items": ref("value")},
			one("not", ref("test")),
			schema{"type": "object", "properties": schema{"min": schema{"type": "number"}, "below": schema{"type": "number"}},
				"minProperties": 1, "additionalProperties": false},
		}, "description": strings.ToUpper(tests[:1]) + tests[1:] + "."},
	}
}
