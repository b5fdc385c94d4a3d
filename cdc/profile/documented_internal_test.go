package profile

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// PROFILES.md has a table for every part of the format, with the keys that the parser
// knows, in the parser's order, and no others.
func TestEveryKeyOfTheFormatIsDocumentedAndNoOther(t *testing.T) {
	src, err := os.ReadFile("PROFILES.md")
	require.NoError(t, err)
	documented := map[string][]string{}
	part, inTable := "?", false
	for line := range strings.Lines(string(src)) {
		heading := regexp.MustCompile("^##+ (?:`([a-z.]+)`|(.*))\n$").FindStringSubmatch(line)
		row := regexp.MustCompile("^\\| `([a-z_]+)` \\| ").FindStringSubmatch(line)
		switch {
		case heading != nil && heading[2] == "Top level":
			part = ""
		case heading != nil && heading[1] != "":
			part = heading[1]
		case heading != nil:
			part = "?"
		case line == "| key | what it is | without it |\n":
			inTable = true
		case row != nil && inTable:
			documented[part] = append(documented[part], row[1])
		case !strings.HasPrefix(line, "|"):
			inTable = false
		}
	}
	want := map[string][]string{"": keyNames("")}
	for _, name := range append(keyNames(""), "auth.token", "auth.session") {
		if keys := keyNames(name); len(keys) > 0 {
			want[name] = keys
		}
	}
	require.Equal(t, want, documented)
}

// What PROFILES.md says without a table is true of the parser, too: its smallest example
// is a profile.
func TestTheSmallestProfileOfTheDocumentationIsOne(t *testing.T) {
	src, err := os.ReadFile("PROFILES.md")
	require.NoError(t, err)
	found := 0
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(src), -1) {
		if strings.Contains(block[1], "profile:") {
			_, err := Parse("PROFILES.md", []byte(block[1]))
			require.NoError(t, err)
			found++
		}
	}
	require.Equal(t, 1, found)
}
