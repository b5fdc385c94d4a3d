package main

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// values writes a setting as loadConfig would read it, but for secrets; nil: it is not
// set.
func (s setting) values(cfg Config) []string {
	field := reflect.ValueOf(cfg).Field(s.index)
	if !s.isAList {
		if text := fmt.Sprint(field.Interface()); text != "" {
			return []string{text}
		}
		return nil
	}
	var all []string
	for i := range field.Len() {
		all = append(all, fmt.Sprint(field.Index(i).Interface()))
	}
	return all
}

// text is the same as one text.
func (s setting) text(cfg Config) string {
	if all := s.values(cfg); all != nil {
		return strings.Join(all, ", ")
	}
	return "not set"
}

// writeConfig writes a file with all settings, that serve could be given again were it
// not for the secrets, each with where it comes from.
func writeConfig(w io.Writer, cfg Config, from places) {
	for _, s := range settings() {
		all := s.values(cfg)
		switch {
		case s.key == "config" && all == nil:
			fmt.Fprintln(w, "# no file")
		case s.key == "config":
			fmt.Fprintf(w, "# file: %s, named by %s\n", cfg.File, from[s.key])
		case all == nil:
			fmt.Fprintf(w, "# %s: is not set\n", s.key)
		default:
			fmt.Fprintf(w, "%s: %s  # %s\n", s.key, s.yaml(all), source(from[s.key]))
		}
	}
}

// source says of a place whose word it is.
func source(place string) string {
	switch {
	case place == "": // the demo's own choice
		return "the program"
	case place == byDefault:
		return "default"
	case strings.HasPrefix(place, "--"):
		return "flag " + place
	case strings.HasPrefix(place, envPrefix):
		return "environment " + place
	}
	return "file " + place
}

// bare is a text that YAML takes for what it is, also in a list.
var bare = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9_./:@*+-]*[A-Za-z0-9/]$|^[A-Za-z0-9]$`)

func (s setting) yaml(values []string) string {
	written := slices.Clone(values)
	for i, v := range written {
		if !bare.MatchString(v) {
			written[i] = strconv.Quote(v)
		}
	}
	if s.isAList {
		return "[" + strings.Join(written, ", ") + "]"
	}
	return written[0]
}
