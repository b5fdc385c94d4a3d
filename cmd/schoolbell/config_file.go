package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// readFile takes the values of a YAML file of flat keys, each with its line and
// column.
func (l *loader) readFile(path string) {
	src, err := os.ReadFile(path)
	if err != nil {
		l.mistake("config: %w; name a file that this user can read", err)
		return
	}
	at := func(t *token.Token) string {
		return fmt.Sprintf("%s:%d:%d", path, t.Position.Line, t.Position.Column)
	}
	file, err := parser.ParseBytes(src, 0)
	if err != nil {
		if bad, ok := errors.AsType[yaml.Error](err); ok {
			l.mistake("%s: %s", at(bad.GetToken()), bad.GetMessage())
		} else {
			l.mistake("%s: %w", path, err)
		}
		return
	}
	for i, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
		case *ast.MappingNode:
			if i > 0 {
				l.mistake("%s: a second document begins, want one", at(doc.Start))
				return
			}
			for _, pair := range body.Values {
				l.readPair(pair, at)
			}
		default:
			l.mistake("%s: no key stands here, want lines like listen: 127.0.0.1:8080", at(body.GetToken()))
		}
	}
}

func (l *loader) readPair(pair *ast.MappingValueNode, at func(*token.Token) string) {
	keyToken := pair.Key.GetToken()
	key := keyToken.Value
	s, ok := l.find(key)
	switch {
	case !ok:
		l.mistake("%s: unknown key %s%s", at(keyToken), key, suggest(key, l.keys()))
		return
	case key == "config":
		l.mistake("%s: config cannot stand in the file that it names; give it as --config or as %s", at(keyToken), s.env)
		return
	}
	items, isList := pair.Value.(*ast.SequenceNode)
	switch {
	case pair.Value.Type() == ast.NullType: // as an empty variable: not set
	case isList && s.isAList:
		var values []given
		for _, item := range items.Values {
			text, ok := scalar(item)
			if !ok {
				l.notPlain(s, at(item.GetToken()))
				return
			}
			values = append(values, given{at(item.GetToken()), text})
		}
		l.set(s, values...)
	default:
		text, ok := scalar(pair.Value)
		place := at(pair.Value.GetToken())
		if !ok {
			l.notPlain(s, place)
			return
		}
		l.set(s, s.split(place, text)...)
	}
}

func (l *loader) notPlain(s setting, place string) {
	l.broken[s.key] = true
	l.mistake("%s: %s is no plain value, want a %s", place, s.key, s.unit)
}

// scalar is the text of a node as it was written, without quotes.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}
