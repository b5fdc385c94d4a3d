package guess

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc/profile"
)

// ErrNoLMS is what a database is refused with in which nothing looks like assignments
// and what is handed in for them.
var ErrNoLMS = errors.New("this does not look like an LMS")

// drafter writes the draft of one catalogue.
type drafter struct {
	*world
	core
	page
	catalogue  Catalogue
	prefix     string
	course     *table
	toCourse   route
	grades     *table // the marks', where it is not the submissions'
	given      *table
	role       roles
	members    int
	lookups    []lookup
	times      []*Column // those in use
	asked      []string
	found      []string
	fits       string // what is to be said of a built-in profile
	incomplete bool
}

type lookup struct{ name, table, key string }

// Profile drafts a profile. The error wraps ErrNoLMS where there is nothing to draft.
func Profile(c Catalogue) (Draft, error) {
	w := newWorld(c)
	cores := w.cores()
	if len(cores) == 0 || cores[0].fit < enoughCore {
		half, ok := w.halves()
		if !ok {
			return Draft{}, w.refuse(c)
		}
		cores = []core{half}
	}
	d := &drafter{world: w, core: cores[0], catalogue: c, prefix: commonPrefix(c)}
	d.doubts(cores)
	d.lookAround()
	d.builtIn()
	d.user()
	d.courseSection()
	d.memberSection()
	d.adminSection()
	d.assignmentSection()
	d.assignedSection()
	d.submissionSection()
	d.gradeSection()
	d.authSection()
	d.keys()
	draft := Draft{Complete: !d.incomplete, Found: d.found, Fits: d.fits}
	draft.YAML = d.file()
	if _, err := profile.Parse("the draft", draft.YAML); err != nil && draft.Complete {
		draft.Complete = false
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.ask("%s", line)
		}
		draft.YAML = d.file()
	}
	draft.Questions = d.asked
	return draft, nil
}

// refuse says that there is no LMS, and what came nearest.
func (w *world) refuse(c Catalogue) error {
	var near []string
	for _, part := range []struct {
		what  string
		score func(*table) int
	}{
		{"people", w.personScore},
		{"assignments", w.assignmentScore},
		{"submissions", func(t *table) int { return w.head("table.submission", t.Name) }},
	} {
		if best := w.best(part.score); len(best) > 0 && best[0].score >= enoughTable {
			near = append(near, fmt.Sprintf("%s might be the %s", best[0].Name, part.what))
		} else {
			near = append(near, "no table looks like "+part.what)
		}
	}
	return fmt.Errorf("schema %q of database %q has %d tables, and %w: %s, and nothing joins the three; name the LMS's database, "+
		"or its schema with --schema, or write the profile by hand", c.Schema, c.Database, len(c.Tables), ErrNoLMS, strings.Join(near, ", "))
}

// doubts asks about tables that would do nearly as well.
func (d *drafter) doubts(cores []core) {
	for _, part := range []struct {
		what string
		of   func(core) *table
	}{{"people", theirPerson}, {"assignments", theirAssignment}, {"submissions", theirSubmission}} {
		if others := rivals(cores, part.of); len(others) > 0 {
			d.ask("Which table holds the %s: %s, as it is written here, or %s?", part.what, part.of(cores[0]).Name, and(some(others), "or"))
		}
	}
}

func (d *drafter) ask(format string, args ...any) {
	if q := fmt.Sprintf(format, args...); !slices.Contains(d.asked, q) {
		d.asked = append(d.asked, q)
	}
}

// builtIn says where a built-in profile fits the tables: then nobody need guess.
func (d *drafter) builtIn() {
	for _, name := range profile.BuiltIn() {
		p, err := profile.Open(name)
		if err != nil {
			continue // it is tested that they open
		}
		lacks, ok := d.lacks(p)
		switch {
		case !ok:
		case len(lacks) == 0:
			d.fits = fmt.Sprintf("All that the built-in profile %s reads is there. Rather use that: --profile %[1]s", name)
		default:
			d.fits = fmt.Sprintf("The built-in profile %s fits but for %s. Rather begin a file with extends: %[1]s, and override what reads that",
				name, and(some(lacks), "and"))
		}
	}
}

// lacks are the columns that a profile reads and that are not there. It answers false
// where a table is not, or much of one.
func (d *drafter) lacks(p *profile.Profile) (columns []string, ok bool) {
	all := 0
	for _, spec := range p.Tables() {
		t := d.byName[spec.Name]
		if t == nil {
			return nil, false
		}
		for _, c := range spec.Columns {
			if all++; t.column(c) == nil {
				columns = append(columns, spec.Name+"."+c)
			}
		}
	}
	return columns, len(columns)*10 <= all
}

// missing asks for what a profile cannot do without.
func (d *drafter) missing(s *section, key, format string, args ...any) {
	d.incomplete = true
	question := fmt.Sprintf(format, args...)
	s.maybe(key, "…", "MISSING: "+question)
	d.ask("%s.%s is missing: %s", s.name, key, question)
}

// open begins a section with its table.
func (d *drafter) open(name string, t *table) *section {
	s := d.section(name)
	s.put("from", d.table(t), d.whyTable(t))
	d.found = append(d.found, name+" in "+t.Name)
	return s
}

func (d *drafter) whyTable(t *table) string {
	why := []string{"by its name and columns"}
	if t.pointed > 0 {
		why = append(why, count(t.pointed, "table refers", "tables refer")+" to it")
	}
	if t.Rows >= 0 {
		why = append(why, fmt.Sprintf("about %d rows", t.Rows))
	}
	return strings.Join(why, "; ")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// table is a table's name as the profile writes it.
func (d *drafter) table(t *table) string { return scalar(strings.TrimPrefix(t.Name, d.prefix)) }

// commonPrefix is what all tables' names begin with, such as lms_.
func commonPrefix(c Catalogue) string {
	if len(c.Tables) < 5 {
		return ""
	}
	first, _, ok := strings.Cut(c.Tables[0].Name, "_")
	if !ok {
		return ""
	}
	for _, t := range c.Tables {
		if !strings.HasPrefix(t.Name, first+"_") || len(t.Name) == len(first)+1 {
			return ""
		}
	}
	return first + "_"
}

// value writes a route as a column or a path.
func (d *drafter) value(r route) string {
	if r.mid == nil {
		return list(r.columns)
	}
	return text(r.columns[0] + " -> " + d.step(r.mid, r.mid.Key[0]) + "." + r.back)
}

// step names a table on a path; one that is not found by its column id needs an entry
// in lookup.
func (d *drafter) step(t *table, key string) string {
	name := strings.TrimPrefix(t.Name, d.prefix)
	if key == "id" {
		return name
	}
	if words := d.split(t.Name); d.score("table.profile", lastWord(words)) > 0 {
		name = lastWord(words)
	}
	l := lookup{name: name, table: d.table(t), key: scalar(key)}
	if !slices.Contains(d.lookups, l) {
		d.lookups = append(d.lookups, l)
	}
	return name
}

func (d *drafter) whyRoute(r route) string {
	how := "called like a reference"
	if r.declared {
		how = "a foreign key"
	}
	to := ""
	if r.mid != nil {
		to = " through " + r.mid.Name
	}
	return how + to
}

// line writes a key from a column that was chosen by its name: as a value if that is
// sure, as a comment and a question if others would do as well, as a comment if it
// says too little. It answers whether it is a value.
func (d *drafter) line(s *section, key string, c choice) bool {
	switch {
	case c.sure():
		s.put(key, scalar(c.Name), d.whyColumn(c))
		return true
	case c.likely():
		s.maybe(key, scalar(c.Name), "or "+and(some(c.also), "or")+"?")
		d.ask("%s.%s: is it %s, or %s?", s.name, key, c.Name, and(some(c.also), "or"))
	case c.found():
		s.maybe(key, scalar(c.Name), "perhaps; "+c.Type)
	}
	return false
}

func (d *drafter) whyColumn(c choice) string {
	why := "by its name; " + c.Type
	if len(c.rest) > 0 {
		why += "; less likely: " + and(some(c.rest), "or")
	}
	return why
}

// time chooses a column that holds a time: of a type for times, or else an integer that
// is called like a time, which then counts seconds.
func (d *drafter) time(t *table, topic string) choice {
	c := d.pick(t, topic, kindTime)
	if !c.found() {
		if c = d.pick(t, topic, kindInteger); !c.likely() {
			return choice{}
		}
	}
	if c.likely() {
		d.times = append(d.times, c.Column)
	}
	return c
}
