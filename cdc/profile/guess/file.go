package guess

import (
	"fmt"
	"slices"
	"strings"
)

// keys asks about tables without a primary key, which PostgreSQL cannot publish without
// harm.
func (d *drafter) keys() {
	for _, t := range []*table{d.person, d.course, d.assignment, d.given, d.submission, d.grades} {
		if t != nil && len(t.Columns) > 0 && len(t.Key) == 0 {
			d.ask("%s has no primary key: published, the LMS's own UPDATE and DELETE would fail. schoolbell check says what helps", t.Name)
		}
	}
}

// file writes the whole.
func (d *drafter) file() []byte {
	zone := d.zone()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# A profile to start from, for schema %q of database %q. It was guessed from names, keys and", d.catalogue.Schema, d.catalogue.Database)
	line("# types alone: read every line. What was too unsure to be written is a comment.")
	line("#")
	if d.fits != "" {
		line("# %s.", d.fits)
		line("#")
	}
	if len(d.asked) > 0 {
		line("# Questions that are open:")
		for i, q := range d.asked {
			line("#  %d. %s", i+1, q)
		}
		line("#")
	}
	line("# Then: schoolbell check --profile THIS-FILE, which compares it with the database.")
	line("")
	line("profile: %s", scalar(d.catalogue.Database))
	if d.catalogue.Schema != "public" {
		line("schema: %s", scalar(d.catalogue.Schema))
	}
	if d.prefix != "" {
		line("prefix: %s # all tables' names begin with it", scalar(d.prefix))
	}
	line("times: %s", zone)
	if len(d.lookups) > 0 {
		line("\nlookup:")
		for _, l := range d.lookups {
			line("  %s: {from: %s, key: %s}", scalar(l.name), l.table, l.key)
		}
	}
	for _, s := range d.sections {
		text := s.String()
		if strings.HasPrefix(s.name, "#") {
			text, _ = strings.CutSuffix(s.name, ":")
			if len(s.lines) > 0 {
				text = strings.Join(s.lines, "\n")
			}
			text += "\n"
		}
		b.WriteString("\n" + text)
	}
	return []byte(b.String())
}

// zone says how the columns are read that hold a time without a zone.
func (d *drafter) zone() string {
	var names, seconds []string
	for _, c := range d.times {
		switch {
		case c.Type == "timestamp with time zone", slices.Contains(names, c.Name), slices.Contains(seconds, c.Name):
		case kindOf(c.Type) == kindInteger:
			seconds = append(seconds, c.Name)
		default:
			names = append(names, c.Name)
		}
	}
	if len(seconds) > 0 {
		d.ask("times: are the integers %s seconds since 1970?", and(some(seconds), "and"))
		return "unix # the integers " + and(some(seconds), "and") + " are called like times"
	}
	if len(names) == 0 {
		return "utc"
	}
	have := "have"
	if len(names) == 1 {
		have = "has"
	}
	return fmt.Sprintf("utc # %s %s no zone; if that is local time, write one such as Europe/Berlin", and(some(names), "and"), have)
}
