package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Steps are indented, so their commands do not begin a line.
func TestTheStepsOfTheRunbookAreCommandsThatExist(t *testing.T) {
	commands := regexp.MustCompile("(?m)(?:`|^ +)(?:/usr/local/bin/)?schoolbell ([a-z][^`\n]*)").FindAllStringSubmatch(read(t, "deploy/RUNBOOK.md"), -1)
	require.Greater(t, len(commands), 8)
	for _, match := range commands {
		requireCommand(t, strings.Fields(match[1]))
	}
}

func TestTheLinksOfTheRunbookLeadSomewhere(t *testing.T) {
	runbook := read(t, "deploy/RUNBOOK.md")
	links := regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`).FindAllStringSubmatch(runbook, -1)
	require.Greater(t, len(links), 5)
	for _, link := range links {
		if strings.Contains(link[1], "://") {
			continue
		}
		text := runbook
		if link[1] != "" {
			path := filepath.Join("deploy", link[1])
			require.FileExists(t, filepath.Join(repository, path))
			text = read(t, path)
		}
		if link[2] != "" {
			require.Contains(t, anchors(text), link[2], "no title of %s leads to it", link[1])
		}
	}
}

// anchors are those of a file's titles, as GitHub makes them.
func anchors(markdown string) []string {
	var all []string
	for _, title := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(markdown, -1) {
		name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(title[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}
