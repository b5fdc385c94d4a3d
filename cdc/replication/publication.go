package replication

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// listsFrom is the first version whose publications have column lists.
const listsFrom = 15

// publication is one as the catalogue has it.
type publication struct {
	oid       string
	allTables bool
	schemas   []string // published whole
	comment   string
	actions   []string // of insert, update, delete and truncate, those it leaves out
	tables    map[uint32]published
	failing   int64 // of the tables, those of which the LMS's own UPDATE and DELETE fail
}

// published is one table in a publication.
type published struct {
	schema string
	name   string // without the schema
	list   []int  // column numbers; nil: all
	filter bool
}

// readPublication answers nil when there is none of that name.
func readPublication(ctx context.Context, c *conn, name string) (*publication, error) {
	// By one statement: somebody may be changing it.
	rows, err := c.query(ctx, `
		SELECT p.oid, p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete,
			COALESCE(pg_catalog.to_jsonb(p) ->> 'pubtruncate', 'false')::bool,
			COALESCE(pg_catalog.obj_description(p.oid, 'pg_publication'), ''),
			pr.prrelid, n.nspname, c.relname, pg_catalog.to_jsonb(pr) ->> 'prattrs',
			pg_catalog.to_jsonb(pr) ->> 'prqual' IS NOT NULL
		FROM pg_catalog.pg_publication p
		LEFT JOIN pg_catalog.pg_publication_rel pr ON pr.prpubid = p.oid
		LEFT JOIN pg_catalog.pg_class c ON c.oid = pr.prrelid
		LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE p.pubname = `+literal(name))
	if err != nil {
		return nil, fmt.Errorf("read the publication: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	p := &publication{oid: rows[0].text(0), allTables: rows[0].bool(1), comment: rows[0].text(6), tables: map[uint32]published{}}
	for i, action := range []string{"insert", "update", "delete", "truncate"} {
		if !rows[0].bool(2 + i) {
			p.actions = append(p.actions, action)
		}
	}
	for _, r := range rows {
		if !r.null(7) {
			p.tables[uint32(r.int(7))] = published{schema: r.text(8), name: r.text(9), list: r.numbers(10), filter: r.bool(11)}
		}
	}
	if c.version >= listsFrom {
		rows, err = c.query(ctx, `
			SELECT n.nspname FROM pg_catalog.pg_publication_namespace pn
			JOIN pg_catalog.pg_namespace n ON n.oid = pn.pnnspid WHERE pn.pnpubid = `+p.oid+` ORDER BY 1`)
		if err != nil {
			return nil, fmt.Errorf("read the publication's schemas: %w", err)
		}
		for _, r := range rows {
			p.schemas = append(p.schemas, r.text(0))
		}
	}
	p.failing, err = readFailing(ctx, c, name)
	return p, err
}

// target is the object list of CREATE PUBLICATION ... FOR and ALTER PUBLICATION ... SET.
func target(tables []*table, version int) string {
	var b strings.Builder
	b.WriteString("TABLE")
	for i, t := range tables {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(" ONLY " + qualified(t.spec.Schema, t.spec.Name))
		if list := t.list(); version >= listsFrom && list != nil {
			b.WriteString(" (" + idents(list) + ")")
		}
	}
	return b.String()
}

func idents(names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = ident(n)
	}
	return strings.Join(all, ", ")
}

// createPublication and alterPublication are the statements that put it right.
func createPublication(name string, tables []*table, version int) string {
	return "CREATE PUBLICATION " + ident(name) + " FOR " + target(tables, version)
}

func alterPublication(name string, tables []*table, version int) string {
	return "ALTER PUBLICATION " + ident(name) + " SET " + target(tables, version)
}

const allActions = "insert, update, delete, truncate"

func alterActions(name string) string {
	return "ALTER PUBLICATION " + ident(name) + " SET (publish = '" + allActions + "')"
}

// checkPublication compares the publication with what we need. tables must be sound.
func checkPublication(p *publication, name string, tables []*table, version int) []Finding {
	called := "publication " + ident(name)
	if p == nil {
		return []Finding{{Problem, &SetupError{
			Setting: called, Got: "missing", Want: "one of " + count(len(tables), "table"),
			Fix: createPublication(name, tables, version), level: blind,
		}}}
	}
	if p.allTables {
		return []Finding{{Problem, &SetupError{
			Setting: called, Got: "one of all tables", Want: "one of " + count(len(tables), "table"),
			Fix: "configure another publication name, or DROP PUBLICATION " + ident(name) + " if nobody else uses it, then run schoolbell init",
		}}}
	}
	found := p.upgrade(name, version)
	if len(p.actions) > 0 {
		found = append(found, Finding{Problem, &SetupError{
			Setting: called, Got: "without " + strings.Join(p.actions, ", "), Want: allActions, Fix: alterActions(name), level: blind,
		}})
	}
	if all := p.differences(tables, version); all != nil {
		got, want := sumUp(all)
		found = append(found, Finding{Problem, &SetupError{
			Setting: called, Got: got, Want: want, Fix: alterPublication(name, tables, version), level: together(all),
		}})
	}
	return found
}

// difference is one thing about one table or schema. It reads: got of, harm.
type difference struct {
	got, of, harm, want string
	level               level
}

// together is how bad all of them are.
func together(all []difference) level {
	found := make([]Finding, len(all))
	for i, d := range all {
		found[i].Err = &SetupError{level: d.level}
	}
	return worst(found)
}

const (
	wouldFail = "the LMS's own UPDATE and DELETE would fail"
	failNow   = "the LMS's own UPDATE and DELETE fail now"
)

const breaksLMS = ", which makes the LMS's own UPDATE and DELETE fail"

// sumUp says all differences at once, as one statement mends them: what is the same
// about several tables is said once.
func sumUp(all []difference) (got, want string) {
	type same struct{ got, harm string }
	var kinds []same
	of := map[same][]string{}
	want = all[0].want
	for _, d := range all {
		kind := same{d.got, d.harm}
		if of[kind] == nil {
			kinds = append(kinds, kind)
		}
		of[kind] = append(of[kind], d.of)
		if d.want != want {
			want = "the profile's tables and columns alone"
		}
	}
	parts := make([]string, len(kinds))
	for i, kind := range kinds {
		parts[i] = kind.got + " " + enumerate(of[kind]) + kind.harm
	}
	return strings.Join(parts, "; "), want
}

// enumerate writes a, b and c.
func enumerate(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func (p *publication) differences(tables []*table, version int) []difference {
	var all []difference
	for _, s := range p.schemas {
		all = append(all, difference{got: "publishing all of", of: "schema " + quoted(s), want: "only the profile's tables"})
	}
	rest := map[uint32]bool{}
	for oid := range p.tables {
		rest[oid] = true
	}
	for _, t := range tables {
		pub, ok := p.tables[t.oid]
		delete(rest, t.oid)
		switch {
		case !ok:
			all = append(all, difference{got: "without", of: "table " + t.String(), want: "with it", level: t.absent()})
			continue
		case pub.filter:
			all = append(all, difference{"filtering the rows of", t.String(), breaksLMS, "no filter", blind})
		}
		if version >= listsFrom && (pub.list != nil || p.widened().IsZero()) {
			all = append(all, pub.columns(t)...)
		}
	}
	var extra []string
	for oid := range rest {
		extra = append(extra, p.tables[oid].schema+"."+p.tables[oid].name)
	}
	slices.Sort(extra)
	for _, name := range extra {
		all = append(all, difference{got: "publishing", of: "table " + name, want: "only the profile's tables"})
	}
	return all
}

// columns compares the column list with what we need of the table.
func (pub published) columns(t *table) []difference {
	list := t.list()
	switch {
	case list == nil && pub.list == nil:
		return nil
	case list == nil:
		return []difference{{"listing columns of", t.String(), breaksLMS, "no list: the table's identity is the whole row", serious}}
	case pub.list == nil:
		return []difference{{got: "sending all columns of", of: t.String(), want: "only " + strings.Join(list, ", ")}}
	}
	var missing, identity, extra []string
	for _, c := range t.columns {
		wanted, listed := slices.Contains(list, c.Name), slices.Contains(pub.list, c.number)
		switch {
		case wanted && !listed && c.Key:
			identity = append(identity, c.Name)
		case wanted && !listed:
			missing = append(missing, c.Name)
		case listed && !wanted:
			extra = append(extra, c.Name)
		}
	}
	weight := bearable
	if slices.ContainsFunc(missing, func(name string) bool { return t.without(name) == blind }) {
		weight = blind
	}
	var all []difference
	if identity != nil {
		all = append(all, difference{"leaving " + strings.Join(identity, ", ") + " out of", t.String(), breaksLMS, "the identity in the list", serious})
	}
	if missing != nil {
		all = append(all, difference{got: "leaving " + strings.Join(missing, ", ") + " out of", of: t.String(), want: "the profile's columns in the list", level: weight})
	}
	if extra != nil {
		all = append(all, difference{got: "sending " + strings.Join(extra, ", ") + " of", of: t.String(), want: "only " + strings.Join(list, ", ")})
	}
	return all
}

// sayPublished says of tables without identity that they are in the publication now: the
// LMS's statements fail already, and a statement about the publication alone ends that.
func (p *publication) sayPublished(found []Finding, name string) {
	if p == nil {
		return
	}
	for _, f := range found {
		t := f.Err.unidentified
		if t == nil {
			continue
		}
		pub, ok := p.tables[t.oid]
		switch out := pub.leavesOut(t); {
		case !ok:
			continue
		case strings.Contains(f.Err.Got, wouldFail):
			f.Err.Got = strings.Replace(f.Err.Got, wouldFail, failNow, 1)
		case out != nil:
			f.Err.Got += ", and published without " + enumerate(out) + ": " + failNow
		default:
			continue
		}
		f.Err.Fix += "; until then take the table out: " + dropTable(name, t)
	}
}

// leavesOut are the columns of the identity that the table's list lacks.
func (pub published) leavesOut(t *table) []string {
	var out []string
	for _, c := range t.columns {
		if c.Key && pub.list != nil && !slices.Contains(pub.list, c.number) {
			out = append(out, c.Name)
		}
	}
	return out
}

func dropTable(publication string, t *table) string {
	return "ALTER PUBLICATION " + ident(publication) + " DROP TABLE ONLY " + qualified(t.spec.Schema, t.spec.Name)
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
