package profile

import (
	"slices"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// read reads everything, in the order of profiles' top-level keys.
func (r *reader) read() {
	r.keys(r.root, "")
	p := r.p
	if p.name = r.top("profile", "a name for the profile"); p.name == "" && r.root.get("profile") == nil && !r.lost {
		r.add(r.root.at, "the profile has no name", "a line such as profile: our-school")
	}
	if s := r.top("schema", "the name of a schema"); s != "" {
		p.schema = s
	}
	p.prefix = r.top("prefix", "what all tables' names begin with")
	r.times()
	r.known = map[string]int{}
	r.user()
	r.course()
	r.members()
	r.admins()
	r.assignment()
	r.assigned()
	r.submission()
	r.grade()
	r.restOfLookups()
	r.keep()
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
func (r *reader) required(name string) (section, bool) {
	if r.root.get(name) == nil && !r.lost {
		r.add(r.root.at, "there is no section "+quote(name)+", which every profile needs", "")
	}
	return r.section(r.root, name)
}

func (r *reader) user() {
	s, ok := r.required("user")
	if !ok {
		return
	}
	u := userSpec{
		where: r.condition(s, "where"), active: r.condition(s, "active"),
		name: r.column(s, "name"), first: r.column(s, "first"), last: r.column(s, "last"),
		email: r.column(s, "email"), role: r.column(s, "role"),
		roles: r.roles(s),
	}
	u.source = *s.src
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
	s, ok := r.section(r.root, "course")
	if !ok {
		return
	}
	if s.node.get("title") == nil && s.node.get("active") == nil {
		r.add(s.at, quote("course")+" reads nothing of its rows", "the key title, or active, or both")
	}
	c := &courseSpec{title: r.column(s, "title"), active: r.condition(s, "active")}
	c.source = *s.src
	r.p.course = c
}

func (r *reader) members() {
	for _, s := range r.entries("member") {
		m := memberSpec{
			where: r.condition(s, "where"),
			user:  r.needKey(s, "user"), course: r.needKey(s, "course"), section: r.key(s, "section"),
			ownSection: r.condition(s, "own_section_only"),
			teacher:    r.condition(s, "teacher"), tutor: r.condition(s, "tutor"), student: r.condition(s, "student"),
		}
		if only := s.node.get("own_section_only"); only != nil && s.node.get("section") == nil {
			r.add(only.at, "own_section_only without a section", "the key section")
		}
		if s.node.get("teacher") == nil && s.node.get("tutor") == nil && s.node.get("student") == nil {
			r.add(s.at, quote(s.name())+" has none of teacher, tutor and student", "at least one, such as teacher: {kind: teacher}")
		}
		m.source = *s.src
		r.p.members = append(r.p.members, m)
	}
}

func (r *reader) admins() {
	for _, s := range r.entries("admin") {
		a := adminSpec{
			where: r.condition(s, "where"), user: r.needKey(s, "user"), split: r.separator(s, "split", "two ids"),
		}
		if a.split != "" && len(a.user) > 1 {
			r.add(s.node.get("split").at, "split beside a key of several columns", "a key of one column")
		}
		a.source = *s.src
		r.p.admins = append(r.p.admins, a)
	}
}

// separator reads what stands between the parts of one value; it may be a space.
func (r *reader) separator(s section, key, parts string) string {
	n := s.node.get(key)
	switch {
	case n == nil:
		return ""
	case !n.isScalar(), n.text == "":
		r.add(n.at, n.String(), "what stands between "+parts+`, such as ","`)
	}
	return n.text
}

func (r *reader) assignment() {
	s, ok := r.required("assignment")
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
	a := assignmentSpec{
		where: r.condition(s, "where"), published: r.condition(s, "published"), closed: r.condition(s, "closed"),
		title: r.column(s, "title"), description: r.column(s, "description"), course: r.key(s, "course"),
		teacher: r.key(s, "teacher"), due: r.column(s, "due"), closes: r.column(s, "closes"),
		bySection: r.condition(s, "by_section"), anonymous: r.condition(s, "anonymous"), gone: r.condition(s, "gone"),
	}
	a.source = *s.src
	r.p.assign = a
}

func (r *reader) assigned() {
	s, ok := r.section(r.root, "assigned")
	if !ok {
		return
	}
	r.p.given = &assignedSpec{
		source: *s.src, assignment: r.ownColumn(s, "assignment"), student: r.ownColumn(s, "student"),
	}
}

func (r *reader) submission() {
	r.p.submit.tutorLookup, r.p.submit.tutorColumn = -1, -1
	s, ok := r.required("submission")
	if !ok {
		return
	}
	sub := submissionSpec{
		where: r.condition(s, "where"), gone: r.condition(s, "gone"),
		assignment: r.needKey(s, "assignment"), student: r.needKey(s, "student"),
		group: r.key(s, "group"), groupName: r.column(s, "group_name"), attempt: r.key(s, "attempt"),
	}
	if n := s.node.get("group_name"); n != nil && s.node.get("group") == nil {
		r.add(n.at, "group_name without a group", "the key group")
	}
	r.tutor(s, &sub)
	r.need(s, "submitted")
	sub.submitted = r.condition(s, "submitted")
	sub.again = r.columns(s, "again")
	sub.at = r.column(s, "at")
	sub.source = *s.src
	r.p.submit = sub
}

// tutor reads where the student's tutor is. A path of one step from the student's
// column through a lookup that says no more than its key is followed outside the
// section: see TutorPath.
func (r *reader) tutor(s section, sub *submissionSpec) {
	sub.tutorLookup, sub.tutorColumn = -1, -1
	n := s.node.get("tutor")
	if n != nil && n.isScalar() && isPath(n.text) {
		o, ok := r.operand(s, "tutor", n, n)
		if !ok {
			return
		}
		l := &r.p.lookups[o.lookup]
		if len(sub.student) == 1 && len(o.start) == 1 && o.start[0].text == sub.student[0] && !o.start[0].isPath() && l.plain() {
			sub.tutorLookup, sub.tutorColumn = o.lookup, slices.Index(l.values, o.column)
			return
		}
	}
	sub.tutor = r.key(s, "tutor")
	if len(sub.tutor) > 0 && r.root.get("user").get("role") == nil && !r.lost {
		student := "student_id"
		if len(sub.student) > 0 {
			student = sub.student[0]
		}
		r.add(n.at, quote(sub.tutor[0])+" as the tutor while nothing says who is one",
			"the key role in user, or a path such as "+student+" -> lookup.column")
	}
}

func (r *reader) grade() {
	s, ok := r.section(r.root, "grade")
	if !ok {
		return
	}
	g := &gradeSpec{own: s.node.get("from") != nil}
	switch {
	case g.own && s.table == r.p.submit.table && s.table != "":
		r.add(s.node.get("from").at, "the table of the submissions", "no key from, where the grade stands in the submission's row")
	case !g.own:
		for _, key := range []string{"where", "submission", "assignment", "student", "group", "attempt"} {
			if e := s.node.entry(key); e != nil {
				r.hint(e.at, quote("grade."+key)+" while the grade stands in the submission's row", "",
					"leave it out, or name the table of the grades in from")
			}
		}
		s.table = r.p.submit.table
		s.src.table = s.table
	}
	if g.own {
		r.gradeTable(s, g)
	}
	r.need(s, "graded")
	g.graded, g.hidden, g.auto = r.condition(s, "graded"), r.condition(s, "hidden"), r.condition(s, "auto")
	g.again = r.columns(s, "again")
	g.score, g.text, g.at = r.column(s, "score"), r.column(s, "text"), r.column(s, "at")
	g.source = *s.src
	r.p.grade = g
}

// gradeTable reads what only grades in a table of their own have.
func (r *reader) gradeTable(s section, g *gradeSpec) {
	g.where = r.condition(s, "where")
	g.submission = r.key(s, "submission")
	g.assignment, g.student = r.key(s, "assignment"), r.key(s, "student")
	g.group, g.attempt = r.key(s, "group"), r.key(s, "attempt")
	has := func(key string) bool { return s.node.get(key) != nil }
	switch {
	case has("submission"):
		for _, key := range []string{"assignment", "student", "group", "attempt"} {
			if has(key) {
				r.add(s.node.entry(key).at, quote("grade."+key)+" beside submission", "either submission, or assignment and student")
			}
		}
	case !(has("assignment") && has("student")) && !r.lost:
		r.add(s.at, quote("grade")+" does not say what is graded", "either submission, or assignment and student")
	}
}

// keep reads the columns to publish besides the mapped ones.
func (r *reader) keep() {
	n := r.root.get("keep")
	const want = "a list of columns, or a map of tables to such lists"
	switch {
	case n == nil:
		return
	case n.kind == nodeList:
		r.p.keep.all = r.words(n, "the name of a column")
	case n.kind == nodeMap && len(n.keys) > 0:
		r.p.keep.of = map[string][]string{}
		for _, e := range n.keys {
			if e.value.kind != nodeList {
				r.add(e.value.at, e.value.String(), "a list of columns")
				continue
			}
			table := r.p.prefix + e.key
			r.p.keep.of[table] = r.words(e.value, "the name of a column")
			if tables := r.p.tableNames(); !slices.Contains(tables, table) && !r.lost {
				r.hint(e.at, "the table "+quote(e.key)+", of which the profile reads nothing", "one of its tables", didYouMean(table, tables))
			}
		}
	default:
		r.add(n.at, n.String(), want)
	}
}

// words reads a list of words.
func (r *reader) words(n *node, want string) []string {
	var out []string
	for _, item := range n.items {
		if !item.isScalar() || strings.TrimSpace(item.text) == "" {
			r.add(item.at, item.String(), want)
			continue
		}
		addOnce(&out, item.text)
	}
	return out
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
	r.keys(n, "auth")
	before := len(r.p.uses)
	if s, ok := r.section(n, "auth", "token"); ok {
		r.p.token = &TokenTable{
			Schema: r.p.schema, Table: s.table,
			Key: r.ownColumn(s, "key"), User: r.ownColumn(s, "user"),
		}
	}
	if s, ok := r.section(n, "auth", "session"); ok {
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
