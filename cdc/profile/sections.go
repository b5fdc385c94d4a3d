package profile

import (
	"slices"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// read reads everything, in the order of profiles' top-level keys.
func (r *reader) read() {
	r.keys(r.root, "", "profile extends schema prefix times lookup user assignment assigned submission grade auth",
		"keep course member admin")
	p := r.p
	if p.name = r.top("profile", "a name for the profile"); p.name == "" && r.root.get("profile") == nil && !r.lost {
		r.add(r.root.at, "the profile has no name", "a line such as profile: our-school")
	}
	if s := r.top("schema", "the name of a schema"); s != "" {
		p.schema = s
	}
	p.prefix = r.top("prefix", "what all tables' names begin with")
	r.times()
	lookups := r.lookups()
	r.user()
	r.assignment()
	r.assigned()
	r.submission(lookups)
	r.grade()
	r.auth()
}

// times is how columns are read that hold a time without saying its zone.
type times struct {
	zone *time.Location // of timestamps without a zone, and of dates
	unix bool           // integers are seconds since 1970, and 0 is none
	name string
}

func (r *reader) times() {
	t := times{zone: time.UTC, name: "utc"}
	switch word := r.top("times", "utc, unix or the name of a time zone"); word {
	case "", "utc":
	case "unix":
		t.unix, t.name = true, word
	default:
		zone, err := time.LoadLocation(word)
		if err != nil || word == "Local" {
			r.hint(r.root.get("times").at, quote(word), "utc, unix or the name of a time zone such as Europe/Berlin",
				didYouMean(word, []string{"utc", "unix"}))
			zone = time.UTC
		}
		t.zone, t.name = zone, word
	}
	r.p.times = t
}

// required opens a section that no profile can do without.
func (r *reader) required(name, now, later string) (section, bool) {
	if r.root.get(name) == nil && !r.lost {
		r.add(r.root.at, "there is no section "+quote(name)+", which every profile needs", "")
	}
	return r.section(r.root, []string{name}, now, later)
}

func (r *reader) user() {
	s, ok := r.required("user", "from where name first last email active role roles", "")
	if !ok {
		return
	}
	u := userSpec{
		table: s.table,
		where: r.condition(s, "where"), active: r.condition(s, "active"),
		name: r.column(s, "name"), first: r.column(s, "first"), last: r.column(s, "last"),
		email: r.column(s, "email"), role: r.needColumn(s, "role"),
		roles: r.roles(s),
	}
	hasName, hasFirst, hasLast := s.node.get("name") != nil, s.node.get("first") != nil, s.node.get("last") != nil
	switch {
	case hasName && (hasFirst || hasLast):
		r.add(s.node.get("name").at, "a name beside first or last", "either name, or first and last")
	case !hasName && hasFirst != hasLast, !hasName && !hasFirst && !r.lost:
		r.add(s.at, quote("user")+" does not say the whole name", "either name, or first and last")
	}
	r.p.user = u
}

func (r *reader) roles(s section) map[string]cdc.Role {
	n := s.node.get("roles")
	if n == nil {
		return nil
	}
	var names []string
	for _, role := range cdc.Roles {
		names = append(names, role.String())
	}
	const want = "a map of the role column's values to "
	if n.kind != nodeMap || len(n.keys) == 0 {
		r.add(n.at, n.String(), want+strings.Join(names, ", "))
		return nil
	}
	out := make(map[string]cdc.Role, len(n.keys))
	for _, e := range n.keys {
		role := cdc.NoRole
		if e.value.isScalar() {
			role = cdc.ParseRole(e.value.text)
		}
		if role == cdc.NoRole {
			r.hint(e.value.at, e.value.String(), "one of "+strings.Join(names, ", "), didYouMean(e.value.text, names))
		}
		out[e.key] = role
	}
	return out
}

func (r *reader) assignment() {
	s, ok := r.required("assignment", "from where title description teacher published closed due closes", "course")
	if !ok {
		return
	}
	r.p.assign = assignmentSpec{
		table: s.table,
		where: r.condition(s, "where"), published: r.condition(s, "published"), closed: r.condition(s, "closed"),
		title: r.column(s, "title"), description: r.column(s, "description"),
		teacher: r.needColumn(s, "teacher"), due: r.column(s, "due"), closes: r.column(s, "closes"),
	}
}

func (r *reader) assigned() {
	s, ok := r.section(r.root, []string{"assigned"}, "from assignment student", "")
	if !ok {
		return
	}
	r.p.given = &assignedSpec{
		table: s.table, assignment: r.needColumn(s, "assignment"), student: r.needColumn(s, "student"),
	}
}

func (r *reader) submission(lookups map[string]lookupSpec) {
	s, ok := r.required("submission", "from where assignment student tutor gone submitted again at", "group")
	if !ok {
		r.p.submit.tutorLookup, r.p.submit.tutorColumn = -1, -1
		return
	}
	sub := submissionSpec{
		table: s.table,
		where: r.condition(s, "where"), gone: r.condition(s, "gone"),
		assignment: r.needColumn(s, "assignment"), student: r.needColumn(s, "student"),
		tutorLookup: -1, tutorColumn: -1,
	}
	if n := s.node.get("tutor"); n != nil && n.isScalar() && strings.Contains(n.text, "->") {
		sub.tutorLookup, sub.tutorColumn = r.path(s, "tutor", sub.student, lookups)
	} else {
		sub.tutor = r.column(s, "tutor")
	}
	r.need(s, "submitted")
	sub.submitted = r.condition(s, "submitted")
	sub.again = r.columns(s, "again")
	sub.at = r.column(s, "at")
	r.p.submit = sub
}

func (r *reader) grade() {
	s, ok := r.section(r.root, []string{"grade"}, "graded again score text at",
		"from assignment student submission auto hidden")
	if !ok {
		return
	}
	s.table = r.p.submit.table
	r.need(s, "graded")
	r.p.grade = &gradeSpec{
		graded: r.condition(s, "graded"), again: r.columns(s, "again"),
		score: r.column(s, "score"), text: r.column(s, "text"), at: r.column(s, "at"),
	}
}

// auth reads the tables of credentials. Their columns are no uses: nothing of
// them is ever published.
func (r *reader) auth() {
	n := r.root.get("auth")
	switch {
	case n == nil:
		return
	case n.kind != nodeMap:
		r.add(n.at, n.String(), "token, session or both, each with its keys")
		return
	}
	r.keys(n, "auth", "token session", "")
	before := len(r.p.uses)
	if s, ok := r.section(n, []string{"auth", "token"}, "from key user", ""); ok {
		r.p.token = &TokenTable{
			Schema: r.p.schema, Table: s.table,
			Key: r.needColumn(s, "key"), User: r.needColumn(s, "user"),
		}
	}
	if s, ok := r.section(n, []string{"auth", "session"}, "kind from cookie", ""); ok {
		r.p.session = r.sessionTable(s)
	}
	r.p.uses = slices.Delete(r.p.uses, before, len(r.p.uses))
}

func (r *reader) sessionTable(s section) *SessionTable {
	r.need(s, "kind")
	r.need(s, "cookie")
	kind := r.word(s, "kind", "django")
	if kind != "" && kind != "django" {
		r.unsupported(s.node.get("kind").at, "a session of kind "+quote(kind), "the only kind is django")
	}
	return &SessionTable{
		Kind: kind, Schema: r.p.schema, Table: s.table,
		Cookie: r.word(s, "cookie", "the name of the session's cookie"),
	}
}
