package profile

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

//go:embed builtin/*.yaml
var builtin embed.FS

// Profile is the mapping of one LMS, read and checked.
type Profile struct {
	name    string
	file    string // what to name in a remedy; "" for a built-in one
	base    string // the built-in profile it extends
	schema  string
	prefix  string
	times   times
	keep    keepSpec
	lookups []lookupSpec // only those that a path uses, those that others need first
	user    userSpec
	course  *courseSpec
	members []memberSpec
	admins  []adminSpec
	assign  assignmentSpec
	given   *assignedSpec
	submit  submissionSpec
	grade   *gradeSpec
	token   *TokenTable
	session *SessionTable
	uses    []use
	tables  []cdc.TableSpec
	derived []*Derived
	hash    string
}

// The sections as read. A column is its name, and a path its text; "" is one that the
// profile does not name. A list is a composite key, and nil one that is not named.
type (
	userSpec struct {
		source
		where, active                  condition
		name, first, last, email, role string
		roles                          map[string]cdc.Role // nil: the values are the roles' own names
	}
	courseSpec struct {
		source
		title  string
		active condition
	}
	memberSpec struct {
		source
		where, ownSection, teacher, tutor, student condition
		user, course, section                      []string
	}
	adminSpec struct {
		source
		user  []string
		split string // what stands between the ids in user; "": it holds one
		where condition
	}
	assignmentSpec struct {
		source
		where, gone, published, closed, bySection, anonymous condition
		title, description, due, closes                      string
		course, teacher                                      []string
	}
	assignedSpec struct {
		source
		assignment, student string
	}
	submissionSpec struct {
		source
		where, gone, submitted                     condition
		assignment, student, tutor, group, attempt []string
		groupName, at                              string
		tutorLookup, tutorColumn                   int // where the tutor is followed outside; -1 otherwise
		again                                      []string
	}
	gradeSpec struct {
		source
		own                                             bool // it has a table of its own
		where, graded, hidden, auto                     condition
		submission, assignment, student, group, attempt []string
		again                                           []string
		score, text, at                                 string
	}
	// keepSpec are columns that are published and mean nothing.
	keepSpec struct {
		all []string            // of every table
		of  map[string][]string // of some
	}
)

// TokenTable is where an API token is looked up: a table and its columns. It is
// read over SQL and never published.
type TokenTable struct{ Schema, Table, Key, User string }

// SessionTable is where the LMS keeps its sessions, of which browsers send the key in
// a cookie. It is read over SQL and never published.
type SessionTable struct{ Kind, Schema, Table, Cookie string }

// BuiltIn lists the names of the built-in profiles.
func BuiltIn() []string {
	files, _ := fs.Glob(builtin, "builtin/*.yaml") // the pattern is well formed, which is all Glob can dislike
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	return files
}

// Open reads a built-in profile by its name, or a profile from a file.
func Open(nameOrFile string) (*Profile, error) {
	if src, err := builtin.ReadFile("builtin/" + nameOrFile + ".yaml"); err == nil {
		p, err := parse(nameOrFile+" (built in)", src)
		if err != nil {
			return nil, err
		}
		p.file = ""
		return p, nil
	}
	src, err := os.ReadFile(nameOrFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		known := BuiltIn()
		msg := fmt.Sprintf("profile %q is neither built in (%s) nor a file that exists", nameOrFile, strings.Join(known, ", "))
		if hint := didYouMean(nameOrFile, known); hint != "" {
			msg += "; " + hint
		}
		return nil, errors.New(msg)
	case err != nil:
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return Parse(nameOrFile, src)
}

// Parse reads a profile. The error joins every Mistake in it; file is what they
// call the file.
func Parse(file string, yaml []byte) (*Profile, error) { return parse(file, yaml) }

func parse(file string, src []byte) (*Profile, error) {
	r := reader{p: &Profile{file: file, schema: "public"}}
	r.root = parseTree(file, src, &r.mistakes)
	if len(r.list) > 0 && len(r.root.keys) == 0 {
		return nil, r.err()
	}
	r.extend()
	r.read()
	if len(r.list) > 0 {
		return nil, r.err()
	}
	r.p.finish()
	return r.p, nil
}

// finish works out what follows from what was read.
func (p *Profile) finish() {
	if p.grade != nil && !p.grade.own {
		p.submit.join(p.grade.source)
		p.grade.source = p.submit.source
	}
	p.findEarly()
	p.derived = p.listDerived()
	p.tables = p.listTables()
	p.hash = p.meaning()
}

// findEarly finds the sections of work whose tables are lookups as well. A snapshot reads
// them before the people and courses that say whom they concern, so what they mean can
// only be told later.
func (p *Profile) findEarly() {
	sources := []*source{&p.assign.source, &p.submit.source}
	if p.HasGradeTable() {
		sources = append(sources, &p.grade.source)
	}
	for _, s := range sources {
		s.early = slices.ContainsFunc(p.lookups, func(l lookupSpec) bool { return l.table == s.table })
	}
	if p.grade != nil && !p.grade.own {
		p.grade.early = p.submit.early
	}
}

// Name is what the profile calls itself.
func (p *Profile) Name() string { return p.name }

// Hash names the meaning of rows under this profile: 16 hexadecimal digits. What
// was remembered under another hash must be read again from a snapshot.
func (p *Profile) Hash() string { return p.hash }

// Tables are the tables and columns to publish and to read in the snapshot, each
// table once, in an order in which whatever explains a row comes before it:
// lookups, people, courses, members, admins, assignments, who they are given to,
// grades in a table of their own, submissions. The tables of `auth` are never among them.
func (p *Profile) Tables() []cdc.TableSpec {
	out := slices.Clone(p.tables)
	for i := range out {
		out[i].Columns, out[i].Keep = slices.Clone(out[i].Columns), slices.Clone(out[i].Keep)
	}
	return out
}

// Token says where API tokens are looked up, if the profile does.
func (p *Profile) Token() (TokenTable, bool) {
	if p.token == nil {
		return TokenTable{}, false
	}
	return *p.token, true
}

// Session says where the LMS keeps its sessions, if the profile does.
func (p *Profile) Session() (SessionTable, bool) {
	if p.session == nil {
		return SessionTable{}, false
	}
	return *p.session, true
}

// Accounts is the table of the people, whose row also holds the password.
func (p *Profile) Accounts() (schema, table string) { return p.schema, p.user.table }

// HasRole says whether the people's table says what somebody's role is. Otherwise
// it follows from their memberships, and UserRow.Read gives none.
func (p *Profile) HasRole() bool { return p.user.role != "" }

// HasCourses says whether assignments belong to courses.
func (p *Profile) HasCourses() bool { return len(p.assign.course) > 0 }

// HasGradeTable says whether grades stand in a table of their own, whose rows
// GradeRow.ReadRow reads; otherwise they stand in the submission's row.
func (p *Profile) HasGradeTable() bool { return p.grade != nil && p.grade.own }

// GradeNamesSubmission says whether a grade in a table of its own names the row of
// the submission; otherwise it names the assignment and the student.
func (p *Profile) GradeNamesSubmission() bool {
	return p.HasGradeTable() && len(p.grade.submission) > 0
}

// Lookups is how many lookups paths go through: LookupRow.Index is below it.
func (p *Profile) Lookups() int { return len(p.lookups) }

// LookupName is what the file calls a lookup: "lookup.activity".
func (p *Profile) LookupName(i int) string { return p.lookups[i].name }

// LookupMany says whether of a lookup all rows under a key are found; otherwise the
// first by LookupRecord.Compare and then by the row's id.
func (p *Profile) LookupMany(i int) bool { return p.lookups[i].many }

// Derived lists the sections whose meaning hangs on more than their rows, in an order
// in which to evaluate them: lookups that others need first.
func (p *Profile) Derived() []*Derived { return slices.Clone(p.derived) }

// HasAssigned says whether a table says who an assignment is given to. Otherwise it
// is given to its whole course.
func (p *Profile) HasAssigned() bool { return p.given != nil }

// Members is how many entries `member` has: MemberRow.Index is below it.
func (p *Profile) Members() int { return len(p.members) }

// Admins is how many entries `admin` has: AdminRow.Index is below it.
func (p *Profile) Admins() int { return len(p.admins) }

// TutorPath says where the tutor of a student is found when it is no column of the
// submission and no derived section's path: in the record of lookup number `lookup`
// (LookupRow.Index) whose key is the student, its ID at `column`.
func (p *Profile) TutorPath() (lookup, column int, ok bool) {
	return p.submit.tutorLookup, p.submit.tutorColumn, p.submit.tutorLookup >= 0
}

// tableNames are the profile's tables in snapshot order.
func (p *Profile) tableNames() []string {
	var order []string
	for i := range p.lookups {
		addOnce(&order, p.lookups[i].table)
	}
	addOnce(&order, p.user.table)
	if p.course != nil {
		addOnce(&order, p.course.table)
	}
	for i := range p.members {
		addOnce(&order, p.members[i].table)
	}
	for i := range p.admins {
		addOnce(&order, p.admins[i].table)
	}
	addOnce(&order, p.assign.table)
	if p.given != nil {
		addOnce(&order, p.given.table)
	}
	if p.HasGradeTable() {
		addOnce(&order, p.grade.table)
	}
	addOnce(&order, p.submit.table)
	return order
}

// listTables gathers the columns in use, table by table in snapshot order.
func (p *Profile) listTables() []cdc.TableSpec {
	var out []cdc.TableSpec
	for _, table := range p.tableNames() {
		spec := cdc.TableSpec{Schema: p.schema, Name: table, Where: p.whereOf(table)}
		for _, u := range p.uses {
			if u.table == table {
				addOnce(&spec.Columns, u.column)
			}
		}
		for _, column := range slices.Concat(p.keep.all, p.keep.of[table]) {
			if !slices.Contains(spec.Columns, column) {
				addOnce(&spec.Keep, column)
			}
		}
		out = append(out, spec)
	}
	return out
}
