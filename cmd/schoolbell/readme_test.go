package main

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/metrics"
)

var update = flag.Bool("update", false, "write the README's tables anew")

// To write the tables anew: go test ./cmd/schoolbell -run README -update
func TestTheREADMEsTablesAreThoseOfTheCode(t *testing.T) {
	instruments, err := metrics.Table()
	require.NoError(t, err)
	readme := read(t, "README.md")
	want := readme
	for name, table := range map[string]string{"config": configReference(), "metrics": instruments} {
		begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->\n"
		before, rest, found := strings.Cut(want, begin)
		require.True(t, found, begin)
		_, after, found := strings.Cut(rest, end)
		require.True(t, found, end)
		want = before + begin + table + end + after
	}
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(repository, "README.md"), []byte(want), 0o644))
		return
	}
	require.Equal(t, want, readme, "write the tables anew: go test ./cmd/schoolbell -run README -update")
}

func TestTheREADMEsMetricsExist(t *testing.T) {
	instruments, err := metrics.Table()
	require.NoError(t, err)
	for _, name := range regexp.MustCompile(`schoolbell_\w+`).FindAllString(read(t, "README.md"), -1) {
		require.Contains(t, instruments, "| `"+name+"` |")
	}
}

func TestTheREADMEsCommandsExist(t *testing.T) {
	command := regexp.MustCompile(`^(?:go run \./cmd/schoolbell|schoolbell) ([^#|>]+)`)
	found := 0
	for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1) {
		for line := range strings.Lines(block[1]) {
			if match := command.FindStringSubmatch(line); match != nil {
				found++
				requireCommand(t, strings.Fields(match[1]))
			}
		}
	}
	require.Greater(t, found, 8)
}

func TestTheREADMEsFilesAreThere(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(read(t, "README.md"), -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		if !strings.Contains(link[1], "://") {
			require.FileExists(t, filepath.Join(repository, link[1]))
		}
	}
}

// A promise without the test that bears it is only a promise.
func TestTheREADMEsTestsExist(t *testing.T) {
	declared := map[string]bool{}
	require.NoError(t, filepath.WalkDir(repository, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, match := range regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`).FindAllStringSubmatch(string(src), -1) {
			declared[match[1]] = true
		}
		return err
	}))
	named := regexp.MustCompile("`((?:Test|Benchmark)\\w+)`").FindAllStringSubmatch(read(t, "README.md"), -1)
	require.Greater(t, len(named), 10)
	for _, match := range named {
		require.True(t, declared[match[1]], "the README names %s, which is no test", match[1])
	}
}
