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
		help := s.help
		if s.min != "" {
			help += " At least " + s.min + "."
		}
		fmt.Fprintf(&b, "| %s | `--%s` %s | %s | %s | %s |\n", key, s.flag(), s.unit, variable, def, help)
	}
	return b.String()
}

func code(text string) string { return "`" + text + "`" }
