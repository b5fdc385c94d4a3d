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
	lookups []lookupSpec // only those that a path uses
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
	hash    string
}

// The sections as read. A column "" is one that the profile does not name.
type (
	lookupSpec struct {
		name, table, key string
		columns          []string
	}
	userSpec struct {
		table                          string
		where, active                  condition
		name, first, last, email, role string
		roles                          map[string]cdc.Role // nil: the values are the roles' own names
	}
	courseSpec struct {
		table, title string
		active       condition
	}
	memberSpec struct {
		table                                      string
		where, ownSection, teacher, tutor, student condition
		user, course, section                      string
	}
	adminSpec struct {
		name               string // "admin 2", for errors
		table, user, split string // split: what stands between the ids in user; "": it holds one
		where              condition
	}
	assignmentSpec struct {
		table                                            string
		where, published, closed                         condition
		title, description, course, teacher, due, closes string
	}
	assignedSpec   struct{ table, assignment, student string }
	submissionSpec struct {
		table                          string
		where, gone, submitted         condition
		assignment, student, tutor, at string
		tutorLookup, tutorColumn       int // where the tutor is behind a path; -1 otherwise
		again                          []string
	}
	gradeSpec struct {
		graded, hidden  condition
		again           []string
		score, text, at string
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
	r.p.tables = r.p.listTables()
	r.p.hash = r.p.meaning()
	return r.p, nil
}

// Name is what the profile calls itself.
func (p *Profile) Name() string { return p.name }

// Hash names the meaning of rows under this profile: 16 hexadecimal digits. What
// was remembered under another hash must be read again from a snapshot.
func (p *Profile) Hash() string { return p.hash }

// Tables are the tables and columns to publish and to read in the snapshot, each
// table once, in an order in which whatever explains a row comes before it:
// lookups, people, courses, members, admins, assignments, who they are given to,
// submissions with their grades. The tables of `auth` are never among them.
func (p *Profile) Tables() []cdc.TableSpec {
	out := slices.Clone(p.tables)
	for i := range out {
		out[i].Columns = slices.Clone(out[i].Columns)
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
func (p *Profile) HasCourses() bool { return p.assign.course != "" }

// HasAssigned says whether a table says who an assignment is given to. Otherwise it
// is given to its whole course.
func (p *Profile) HasAssigned() bool { return p.given != nil }

// Members is how many entries `member` has: MemberRow.Index is below it.
func (p *Profile) Members() int { return len(p.members) }

// Admins is how many entries `admin` has: AdminRow.Index is below it.
func (p *Profile) Admins() int { return len(p.admins) }

// TutorPath says where the tutor of a student is found when it is no column of the
// submission: in the row of lookup number `lookup` (LookupRow.Index) whose Key is
// the student, the ID at `column` of its Values.
func (p *Profile) TutorPath() (lookup, column int, ok bool) {
	return p.submit.tutorLookup, p.submit.tutorColumn, p.submit.tutorLookup >= 0
}

// listTables gathers the columns in use, table by table in snapshot order.
func (p *Profile) listTables() []cdc.TableSpec {
	var order []string
	for _, l := range p.lookups {
		order = append(order, l.table)
	}
	order = append(order, p.user.table)
	if p.course != nil {
		order = append(order, p.course.table)
	}
	for _, m := range p.members {
		order = append(order, m.table)
	}
	for _, a := range p.admins {
		order = append(order, a.table)
	}
	order = append(order, p.assign.table)
	if p.given != nil {
		order = append(order, p.given.table)
	}
	order = append(order, p.submit.table)

	var out []cdc.TableSpec
	for i, table := range order {
		if slices.Contains(order[:i], table) {
			continue
		}
		spec := cdc.TableSpec{Schema: p.schema, Name: table}
		for _, u := range p.uses {
			if u.table == table && !slices.Contains(spec.Columns, u.column) {
				spec.Columns = append(spec.Columns, u.column)
			}
		}
		out = append(out, spec)
	}
	return out
}
