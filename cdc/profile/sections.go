package profile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// read reads everything, in the order of profiles' top-level keys.
func (r *reader) read() {
	r.keys(r.root, "", "profile extends schema prefix times lookup user course assignment assigned submission grade member admin auth",
		"keep")
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
	r.course()
	r.members()
	r.admins()
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
		email: r.column(s, "email"), role: r.column(s, "role"),
		roles: r.roles(s),
	}
	role := s.node.get("role") != nil
	switch {
	case !role && r.root.get("member") == nil && !r.lost:
		r.hint(s.at, `"user" has no key "role", which it needs`, "",
			"where no column says it, a section member says who is a teacher, a tutor, a student")
	case !role && u.roles != nil:
		r.add(s.node.get("roles").at, "roles without a column to read them from", "the key role")
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

func (r *reader) course() {
	s, ok := r.section(r.root, []string{"course"}, "from title active", "")
	if !ok {
		return
	}
	if s.node.get("title") == nil && s.node.get("active") == nil {
		r.add(s.at, quote("course")+" reads nothing of its rows", "the key title, or active, or both")
	}
	r.p.course = &courseSpec{table: s.table, title: r.column(s, "title"), active: r.condition(s, "active")}
}

func (r *reader) members() {
	for _, s := range r.entries("member", "from where user course section own_section_only teacher tutor student") {
		m := memberSpec{
			table: s.table, where: r.condition(s, "where"),
			user: r.needColumn(s, "user"), course: r.needColumn(s, "course"), section: r.column(s, "section"),
			ownSection: r.condition(s, "own_section_only"),
			teacher:    r.condition(s, "teacher"), tutor: r.condition(s, "tutor"), student: r.condition(s, "student"),
		}
		if only := s.node.get("own_section_only"); only != nil && s.node.get("section") == nil {
			r.add(only.at, "own_section_only without a section", "the key section")
		}
		if s.node.get("teacher") == nil && s.node.get("tutor") == nil && s.node.get("student") == nil {
			r.add(s.at, quote(s.name())+" has none of teacher, tutor and student", "at least one, such as teacher: {kind: teacher}")
		}
		r.p.members = append(r.p.members, m)
	}
}

func (r *reader) admins() {
	for _, s := range r.entries("admin", "from where user split") {
		r.p.admins = append(r.p.admins, adminSpec{
			name: s.name(), table: s.table, where: r.condition(s, "where"),
			user: r.needColumn(s, "user"), split: r.separator(s),
		})
	}
}

// separator reads what stands between the ids of one value; it may be a space.
func (r *reader) separator(s section) string {
	n := s.node.get("split")
	switch {
	case n == nil:
		return ""
	case !n.isScalar(), n.text == "":
		r.add(n.at, n.String(), `what stands between two ids, such as ","`)
	}
	return n.text
}

func (r *reader) assignment() {
	s, ok := r.required("assignment", "from where title description course teacher published closed due closes", "")
	if !ok {
		return
	}
	teacher, course := s.node.get("teacher") != nil, s.node.get("course") != nil
	if !teacher && !course && !r.lost {
		r.add(s.at, `"assignment" says of nobody that it is theirs`, "the key teacher, or course, or both")
	}
	for _, name := range []string{"course", "member"} {
		if e := r.root.entry(name); e != nil && !course && !r.lost {
			r.add(e.at, quote(name)+" while assignments belong to no course", "the key course in assignment")
		}
	}
	r.p.assign = assignmentSpec{
		table: s.table,
		where: r.condition(s, "where"), published: r.condition(s, "published"), closed: r.condition(s, "closed"),
		title: r.column(s, "title"), description: r.column(s, "description"), course: r.column(s, "course"),
		teacher: r.column(s, "teacher"), due: r.column(s, "due"), closes: r.column(s, "closes"),
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
		if sub.tutor != "" && r.root.get("user").get("role") == nil && !r.lost {
			r.add(n.at, quote(sub.tutor)+" as the tutor while nothing says who is one",
				"the key role in user, or a path such as "+cmp.Or(sub.student, "student_id")+" -> lookup.column")
		}
	}
	r.need(s, "submitted")
	sub.submitted = r.condition(s, "submitted")
	sub.again = r.columns(s, "again")
	sub.at = r.column(s, "at")
	r.p.submit = sub
}

func (r *reader) grade() {
	s, ok := r.section(r.root, []string{"grade"}, "graded again score text at hidden",
		"from assignment student submission auto")
	if !ok {
		return
	}
	s.table = r.p.submit.table
	r.need(s, "graded")
	r.p.grade = &gradeSpec{
		graded: r.condition(s, "graded"), hidden: r.condition(s, "hidden"), again: r.columns(s, "again"),
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
