package profile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// A Mistake is one thing wrong in a profile's file. The error of Open and Parse
// joins all of them, in the order of their places.
type Mistake struct {
	File         string
	Line, Column int
	Found        string // what stands there
	Want         string // what is expected instead; may be empty
	Hint         string // the nearest known word or another remedy; may be empty
}

// Error is one line, "file:line:column: found, want …; hint".
func (m *Mistake) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", m.File, m.Line, m.Column, m.Found)
	if m.Want != "" {
		b.WriteString(", want " + m.Want)
	}
	if m.Hint != "" {
		b.WriteString("; " + m.Hint)
	}
	return b.String()
}

// mistakes collects what is wrong, so that it can be told at once.
type mistakes struct{ list []*Mistake }

func (m *mistakes) add(at place, found, want string) { m.hint(at, found, want, "") }

func (m *mistakes) hint(at place, found, want, hint string) {
	m.list = append(m.list, &Mistake{
		File: at.file, Line: at.line, Column: at.col, Found: found, Want: want, Hint: hint,
	})
}

// unsupported refuses what the format knows and this version does not.
func (m *mistakes) unsupported(at place, what, remedy string) {
	m.hint(at, what+" is not supported by this version", "", remedy)
}

func (m *mistakes) err() error {
	slices.SortStableFunc(m.list, func(a, b *Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, len(m.list))
	for i, one := range m.list {
		errs[i] = one
	}
	return errors.Join(errs...)
}

// quote shows a word of the file in a sentence, shortened where it is a novel.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

func oneLine(s string) string {
	s = quote(strings.Join(strings.Fields(s), " "))
	return s[1 : len(s)-1]
}

// didYouMean is the hint for a word that is near a known one.
func didYouMean(word string, known []string) string {
	if n := cdc.Nearest(word, known); n != "" {
		return "the nearest is " + quote(n)
	}
	return ""
}
