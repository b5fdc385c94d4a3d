package profile

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// These bound what the YAML parser is made to chew on; no profile comes near them.
const (
	maxFile     = 64 << 10
	maxDepth    = 12
	maxBrackets = 100 // open at once; the parser's time grows with their cube
)

// place is where something stands in a file.
type place struct {
	file      string
	line, col int
}

type nodeKind byte

const (
	nodeNull nodeKind = iota
	nodeWord
	nodeQuoted
	nodeNumber
	nodeBool
	nodeList
	nodeMap
)

// node is one value of the file: YAML without anchors, tags and the like, each
// value knowing its place.
type node struct {
	at    place
	kind  nodeKind
	text  string // of a scalar, as written, without quotes
	items []*node
	keys  []entry
}

type entry struct {
	at    place
	key   string
	value *node
}

// get returns the value of a key, or nil.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for i := range n.keys {
		if n.keys[i].key == key {
			return n.keys[i].value
		}
	}
	return nil
}

func (n *node) isScalar() bool { return n.kind >= nodeWord && n.kind <= nodeBool }

// String says in an error what was found.
func (n *node) String() string {
	switch n.kind {
	case nodeNull:
		return "nothing"
	case nodeList:
		return "a list"
	case nodeMap:
		return "a map"
	}
	return quote(n.text)
}

// parseTree reads YAML. It answers an empty map when there is nothing to go on
// with; the mistakes say why.
func parseTree(file string, src []byte, m *mistakes) *node {
	start := place{file: file, line: 1, col: 1}
	empty := &node{at: start, kind: nodeMap}
	if len(src) > maxFile {
		m.add(start, fmt.Sprintf("%d bytes", len(src)), fmt.Sprintf("a profile of at most %d bytes", maxFile))
		return empty
	}
	if openBrackets(src) > maxBrackets {
		m.add(start, "too much nesting", fmt.Sprintf("at most %d brackets open at once", maxBrackets))
		return empty
	}
	tree, err := parseYAML(src)
	if err != nil {
		at, msg := start, err.Error()
		if ye, ok := errors.AsType[yaml.Error](err); ok {
			msg = ye.GetMessage()
			at = placeOf(file, ye.GetToken())
		}
		m.add(at, "this is not YAML ("+oneLine(msg)+")", "maps, lists and words")
		return empty
	}
	c := converter{file: file, mistakes: m}
	var root *node
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.CommentGroupType {
			continue
		}
		if root != nil {
			again := converter{file: file, mistakes: &mistakes{}}
			m.add(again.node(doc.Body, 0).at, "a second document", "one profile in a file")
			break
		}
		root = c.node(doc.Body, 0)
	}
	switch {
	case root == nil || root.kind == nodeNull:
		m.add(start, "the file is empty", `a profile, at least "extends: django"`)
	case root.kind != nodeMap:
		m.add(root.at, root.String(), `keys with values, such as "extends: django"`)
	default:
		return root
	}
	return empty
}

// openBrackets counts the brackets open at once, those in texts and comments too.
func openBrackets(src []byte) int {
	depth, most := 0, 0
	for _, c := range src {
		switch c {
		case '[', '{':
			depth++
			most = max(most, depth)
		case ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return most
}

// parseYAML turns a panic of the YAML library into an error: the file is written
// by people, and whatever they wrote must give a sentence.
func parseYAML(src []byte) (tree *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			tree, err = nil, fmt.Errorf("it cannot be parsed: %v", r)
		}
	}()
	return parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey()) // so that each is told with its place
}

func placeOf(file string, t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{file: file, line: 1, col: 1}
	}
	return place{file: file, line: max(t.Position.Line, 1), col: max(t.Position.Column, 1)}
}

type converter struct {
	file     string
	mistakes *mistakes
}

func (c *converter) node(n ast.Node, depth int) *node {
	if n == nil {
		return &node{at: place{file: c.file, line: 1, col: 1}}
	}
	tok := n.GetToken()
	out := &node{at: placeOf(c.file, tok)}
	if depth > maxDepth {
		c.mistakes.add(out.at, "too much nesting", fmt.Sprintf("at most %d levels", maxDepth))
		return out
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		out.kind, out.text = nodeWord, n.Value
		if tok.Type == token.SingleQuoteType || tok.Type == token.DoubleQuoteType {
			out.kind = nodeQuoted
		}
	case *ast.LiteralNode:
		out.kind, out.text = nodeQuoted, n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode:
		out.kind, out.text = nodeNumber, tok.Value
	case *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = nodeNumber, tok.Value
	case *ast.BoolNode:
		out.kind, out.text = nodeBool, "false"
		if n.Value {
			out.text = "true"
		}
	case *ast.SequenceNode:
		out.kind = nodeList
		for _, item := range n.Values {
			out.items = append(out.items, c.node(item, depth+1))
		}
	case *ast.MappingNode:
		c.mapping(out, n.Values, depth)
	case *ast.MappingValueNode:
		c.mapping(out, []*ast.MappingValueNode{n}, depth)
	case *ast.AnchorNode:
		c.fancy(out.at, tok)
		return c.node(n.Value, depth+1)
	case *ast.TagNode:
		c.fancy(out.at, tok)
		return c.node(n.Value, depth+1)
	default:
		c.fancy(out.at, tok)
		out.kind, out.text = nodeWord, "word" // one mistake is enough: nobody need complain of the value too
	}
	return out
}

func (c *converter) fancy(at place, tok *token.Token) {
	c.mistakes.add(at, oneLine(tok.Value), "plain YAML, without anchors, aliases and tags")
}

func (c *converter) mapping(out *node, pairs []*ast.MappingValueNode, depth int) {
	out.kind = nodeMap
	for i, pair := range pairs {
		key := pair.Key.GetToken()
		at := placeOf(c.file, key)
		if i == 0 && (at.line < out.at.line || at.line == out.at.line && at.col < out.at.col) {
			out.at = at // in block style the map's own token is its first colon
		}
		if pair.Key.IsMergeKey() || !isPlainKey(pair.Key) {
			c.mistakes.add(at, oneLine(key.Value), "a plain word as the key")
			continue
		}
		if out.get(key.Value) != nil {
			c.mistakes.add(at, "the key "+quote(key.Value)+" a second time", "each key once")
			continue
		}
		value := c.node(pair.Value, depth+1)
		if value.kind == nodeNull {
			value.at = at // an absent value has no place of its own
		}
		out.keys = append(out.keys, entry{at: at, key: key.Value, value: value})
	}
}

func isPlainKey(n ast.MapKeyNode) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return true
	}
	return false
}
