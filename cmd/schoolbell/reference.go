package main

import (
	"fmt"
	"strings"
)

// configReference renders all settings as a markdown table for the README.
func configReference() string {
	var b strings.Builder
	b.WriteString("| key | flag | variable | default | what it is |\n|---|---|---|---|---|\n")
	for _, s := range settings() {
		key, variable, def := code(s.key), code(s.env), "none"
		if s.key == "config" {
			key = "–"
		}
		if s.secret {
			variable += " or " + code(s.fileEnv())
		}
		if s.def != "" {
			def = code(s.def)
		}
		help := s.helpAnd("*Reloadable.*")
		fmt.Fprintf(&b, "| %s | `--%s` %s | %s | %s | %s |\n", key, s.flag(), s.unit, variable, def, help)
	}
	return b.String()
}

// helpAnd is the help with what the other tags say: the smallest value, and a word where
// the setting is reloadable.
func (s setting) helpAnd(reloadable string) string {
	help := s.help
	if s.min != "" {
		help += " At least " + s.min + "."
	}
	if s.reloads {
		help += " " + reloadable
	}
	return help
}

func code(text string) string { return "`" + text + "`" }

// configFileReference is a configuration file in which every setting is a comment with its
// default.
func configFileReference() string {
	var b strings.Builder
	b.WriteString("# What can be set for schoolbell serve, each with its default. What is reloadable is\n" +
		"# taken over by SIGHUP; everything else needs a restart.\n")
	for _, s := range settings() {
		if s.key == "config" {
			continue // it cannot stand in the file
		}
		help := s.helpAnd("Reloadable.")
		where := "--" + s.flag() + ", " + s.env
		if s.secret {
			where += ", or a file named in " + s.fileEnv()
		}
		fmt.Fprintf(&b, "\n%s# (%s; %s)\n", wrap(help, 86), s.unit, where)
		fmt.Fprintf(&b, "# %s:%s\n", s.key, strings.TrimRight(" "+s.def, " "))
	}
	return b.String()
}

// wrap breaks a text into lines of comments.
func wrap(text string, width int) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}
