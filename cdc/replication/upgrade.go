package replication

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Upgrade is a step of an upgrade of the LMS, to be run or to be printed.
//
// PostgreSQL refuses to drop or to retype a column that a publication lists, and with it
// the LMS's migration. So before it the lists are taken away, and afterwards put back.
// That the publication is widened for this reason stands in its comment, where everybody
// sees it who may see the publication; and what the tables looked like then.
type Upgrade struct {
	NoLists    int       // the server's major version, where it has no column lists; otherwise 0
	Since      time.Time // the publication was widened; zero: it is not
	Statements []string  // nil: nothing is to be done
	Changes    []string  // what is different of the tables than when the publication was widened
}

// BeginUpgrade finds what is to be done so that no column list keeps the LMS from being
// migrated. It asks nothing of the tables, which may be half migrated already.
func BeginUpgrade(ctx context.Context, cfg Config, now time.Time) (*Upgrade, error) {
	cfg = cfg.withDefaults()
	c, err := connectValid(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer c.close(ctx)
	if c.version < listsFrom {
		return &Upgrade{NoLists: c.version}, nil
	}
	p, err := readPublication(ctx, c, cfg.Publication)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, &SetupError{
			Setting: "publication " + ident(cfg.Publication), Got: "missing", Want: "the one that schoolbell reads",
			Fix: "configure its name; where there is none yet, nothing can keep the LMS from being migrated",
		}
	}
	u := &Upgrade{Since: p.widened()}
	if all := p.wide(); all != "" {
		u.Statements = append(u.Statements, "ALTER PUBLICATION "+ident(cfg.Publication)+" SET "+all)
	}
	if u.Since.IsZero() {
		tables, err := readTables(ctx, c, cfg.Tables, cfg.Role)
		if err != nil {
			return nil, err
		}
		u.Since = now.UTC().Truncate(time.Second)
		comment, err := p.mark(u.Since, tables)
		if err != nil {
			return nil, err
		}
		u.Statements = append(u.Statements, commentOn(cfg.Publication, comment))
	}
	return u, nil
}

// EndUpgrade finds what is to be done when the LMS has been migrated: everything that
// Init does. It refuses what Init refuses; the publication then stays as it is.
func EndUpgrade(ctx context.Context, cfg Config) (*Upgrade, error) {
	cfg = cfg.withDefaults()
	c, err := connectValid(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer c.close(ctx)
	u := &Upgrade{}
	p, err := readPublication(ctx, c, cfg.Publication)
	if err != nil {
		return nil, err
	}
	if p != nil {
		u.Since = p.widened()
		tables, err := readTables(ctx, c, cfg.Tables, cfg.Role)
		if err != nil {
			return nil, err
		}
		u.Changes = p.changes(tables)
	}
	if c.version < listsFrom {
		u.NoLists = c.version
	}
	u.Statements, err = initSQL(ctx, c, cfg)
	return u, err
}

// Run runs the statements, as one transaction, for a command of that name.
func (u *Upgrade) Run(ctx context.Context, cfg Config, command string) error {
	c, err := connectValid(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.close(ctx)
	return runAll(ctx, c, u.Statements, command)
}

func connectValid(ctx context.Context, cfg Config) (*conn, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return connect(ctx, cfg, forWatching)
}

// wide is the object list of ALTER PUBLICATION ... SET without lists and filters; "":
// there are none.
func (p *publication) wide() string {
	var names []string
	listed := false
	for _, pub := range p.tables {
		names = append(names, "ONLY "+qualified(pub.schema, pub.name))
		listed = listed || pub.list != nil || pub.filter
	}
	if !listed {
		return ""
	}
	slices.Sort(names)
	return "TABLE " + strings.Join(names, ", ")
}

// A publication's comment is its owner's. The lines of it that begin with these words are
// ours.
const (
	widenedSince = "schoolbell: widened for an upgrade of the LMS since "
	whenOver     = "; when it is over, run: schoolbell upgrade end"
	widenedFrom  = "schoolbell: the tables then: "
)

// widened is since when the publication has been widened; zero: it is not.
func (p *publication) widened() time.Time {
	if p == nil {
		return time.Time{}
	}
	for line := range strings.Lines(p.comment) {
		if rest, ok := strings.CutPrefix(line, widenedSince); ok {
			at, _, _ := strings.Cut(rest, ";")
			since, _ := time.Parse(time.RFC3339, strings.TrimSpace(at))
			return since
		}
	}
	return time.Time{}
}

// narrow is the publication as it has to be judged when the upgrade is over.
func (p *publication) narrow() *publication {
	n := *p
	n.comment = ""
	return &n
}

// then is what the tables were when the publication was widened: by name, the oid and the
// types of the columns that are read.
type then map[string]struct {
	OID     uint32
	Columns map[string]string
}

// mark is the comment that says that the publication is widened.
func (p *publication) mark(since time.Time, tables []*table) (string, error) {
	were := then{}
	for _, t := range tables {
		w := were[t.String()]
		w.OID, w.Columns = t.oid, map[string]string{}
		for _, c := range t.wanted() {
			w.Columns[c.Name] = c.typeName
		}
		were[t.String()] = w
	}
	record, err := json.Marshal(were)
	if err != nil {
		return "", fmt.Errorf("note what the tables are: %w", err)
	}
	lines := []string{widenedSince + since.Format(time.RFC3339) + whenOver, widenedFrom + string(record)}
	if own := p.ownComment(); own != "" {
		lines = append([]string{own}, lines...)
	}
	return strings.Join(lines, "\n"), nil
}

// ownComment is the comment without our lines.
func (p *publication) ownComment() string {
	var b strings.Builder
	for line := range strings.Lines(p.comment) {
		if !strings.HasPrefix(line, widenedSince) && !strings.HasPrefix(line, widenedFrom) {
			b.WriteString(line)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// unmark is the statement that takes our lines out of the comment.
func (p *publication) unmark(name string) string { return commentOn(name, p.ownComment()) }

func commentOn(publication, comment string) string {
	text := "NULL"
	if comment != "" {
		text = literal(comment)
	}
	return "COMMENT ON PUBLICATION " + ident(publication) + " IS " + text
}

// changes says what is different of the tables than when the publication was widened.
func (p *publication) changes(tables []*table) []string {
	were := then{}
	for line := range strings.Lines(p.comment) {
		if record, ok := strings.CutPrefix(line, widenedFrom); ok && json.Unmarshal([]byte(record), &were) != nil {
			return nil // somebody has edited it
		}
	}
	var all []string
	for _, t := range tables {
		w, ok := were[t.String()]
		switch {
		case !ok:
			continue
		case t.oid == 0:
			all = append(all, "table "+t.String()+" is missing")
			continue
		case t.oid != w.OID:
			all = append(all, "table "+t.String()+" was made anew")
		}
		all = append(all, t.changes(w.Columns)...)
	}
	return all
}

func (t *table) changes(were map[string]string) []string {
	var all []string
	for _, c := range t.wanted() {
		was, ok := were[c.Name]
		switch {
		case !ok:
			all = append(all, "column "+c.Name+" of table "+t.String()+" is new")
		case was != c.typeName:
			all = append(all, "column "+c.Name+" of table "+t.String()+" is "+c.typeName+", and was "+was)
		}
	}
	var gone []string
	for name := range were {
		if !slices.ContainsFunc(t.wanted(), func(c column) bool { return c.Name == name }) {
			gone = append(gone, "column "+name+" of table "+t.String()+" is missing")
		}
	}
	slices.Sort(gone)
	return append(all, gone...)
}

// upgrade is the advice about a publication that is widened.
func (p *publication) upgrade(name string, version int) []Finding {
	since := p.widened()
	if since.IsZero() || version < listsFrom {
		return nil
	}
	return []Finding{{Advice, &SetupError{
		Setting: "publication " + ident(name), Got: "widened for an upgrade of the LMS since " + since.Format(time.RFC3339) + ": all columns of its tables are sent",
		Want: "only the profile's when the upgrade is over", Fix: "schoolbell upgrade end, when it is over", since: since,
	}}}
}

// upgrading is that advice among others; nil: the publication is not widened.
func upgrading(found []Finding) *SetupError {
	for _, f := range found {
		if !f.Err.since.IsZero() {
			return f.Err
		}
	}
	return nil
}
