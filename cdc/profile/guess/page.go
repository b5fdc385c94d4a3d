package guess

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// page is the file as it grows: sections, of which each is lines.
type page struct{ sections []*section }

type section struct {
	name  string
	lines []string
	unfit bool // it lacks what it needs, and is written as a comment
}

func (p *page) section(name string) *section {
	s := &section{name: name}
	p.sections = append(p.sections, s)
	return s
}

// put writes a key and why it has its value.
func (s *section) put(key, value, why string) {
	s.lines = append(s.lines, withComment("  "+key+": "+value, why)...)
}

// maybe writes a key that is too unsure to have its value.
func (s *section) maybe(key, value, why string) {
	s.lines = append(s.lines, withComment("  # "+key+": "+value, why)...)
}

func (s *section) note(format string, args ...any) {
	s.lines = append(s.lines, "  # "+fmt.Sprintf(format, args...))
}

// String writes the section; what is unfit altogether is a comment, so that the rest
// can be read.
func (s *section) String() string {
	lines := append([]string{s.name + ":"}, s.lines...)
	if !s.unfit {
		return strings.Join(lines, "\n") + "\n"
	}
	for i, line := range lines {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			lines[i] = "# " + line
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// wide is how long a line may get before its comment stands above it.
const wide = 110

func withComment(line, why string) []string {
	if why == "" {
		return []string{line}
	}
	if len(line)+len(why)+3 <= wide {
		return []string{line + " # " + why}
	}
	return []string{"  # " + why + ":", line}
}

var (
	plainWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	reserved  = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n|present|absent|past|future)$`)
	aNumber   = regexp.MustCompile(`^-?[0-9]+$`)
)

// scalar writes a text so that YAML and the profile read it as that text.
func scalar(s string) string {
	if plainWord.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

// plainPath is a path of plain words.
var plainPath = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$-]*( -> [A-Za-z_][A-Za-z0-9_$-]*\.[A-Za-z_][A-Za-z0-9_$-]*)+$`)

// text writes a column or a path.
func text(s string) string {
	if plainPath.MatchString(s) {
		return s
	}
	return scalar(s)
}

// literal writes a value to compare a column with.
func literal(c *Column, value string) string {
	if kindOf(c.Type)&kindNumeric != 0 && aNumber.MatchString(value) {
		return value
	}
	return scalar(value)
}

// oneOf writes a test for some values of a column.
func oneOf(c *Column, values []string) string {
	if len(values) == 1 {
		return literal(c, values[0])
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = literal(c, v)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// list writes one column, or several as a list.
func list(columns []string) string {
	if len(columns) == 1 {
		return scalar(columns[0])
	}
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = scalar(c)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// all joins tests that have to hold together.
func all(tests []string) string { return "{" + strings.Join(tests, ", ") + "}" }

// and lists words as a sentence does.
func and(list []string, last string) string {
	list = slices.Clone(list)
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " " + last + " " + list[n-1]
	}
	return strings.Join(list, "")
}

// some are the first few of many.
func some(list []string) []string {
	const few = 4
	if len(list) > few {
		return append(slices.Clone(list[:few]), "…")
	}
	return list
}
