package moodle

import (
	"fmt"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// classSize is how many students take a course.
const classSize = 25

// install writes what Moodle's installer does: roles, what they may, and the guest.
func (t *term) install() {
	t.context(levelSystem, 0, "")
	for _, name := range []string{"assign", "book", "forum", "quiz"} {
		t.row("mdl_modules", "name", name)
	}
	for i, name := range []string{"manager", "coursecreator", "editingteacher", "teacher", "student", "guest", "user", "frontpage"} {
		t.row("mdl_role", "shortname description sortorder archetype", name, "", int64(i+1), name)
	}
	for _, may := range []struct {
		capability string
		roles      []int64
	}{
		{"mod/assign:grade", []int64{manager, editingTeacher, teacher}},
		{"mod/assign:submit", []int64{student}},
		{"mod/assign:view", []int64{manager, editingTeacher, teacher, student}},
		{"moodle/site:accessallgroups", []int64{manager, editingTeacher}},
		{"moodle/course:view", []int64{manager}},
	} {
		for _, role := range may.roles {
			t.row("mdl_role_capabilities", "contextid roleid capability permission timemodified", int64(systemContext), role, may.capability, int64(1), t.now)
		}
	}
	t.row("mdl_user", userColumns, "manual", 1, int64(1), "guest", "", "Guest user", " ", "root@localhost", t.now)
	t.row("mdl_external_services", "name enabled restrictedusers component shortname timecreated", "Moodle mobile web service", 1, 0, "moodle", "moodle_mobile_app", t.now)
	t.row("mdl_course", courseColumns, int64(0), "School", "school", "site", 0, 0, t.now)
	t.context(levelCourse, 1, "/1")
}

// The columns of accounts and courses that are written.
const (
	userColumns   = "auth confirmed mnethostid username password firstname lastname email timecreated"
	courseColumns = "category fullname shortname format groupmode groupmodeforce timecreated"
)

// hire makes the people.
func (t *term) hire(size school.Size) {
	s := t.school
	some := func(role string, n int) []school.Person {
		people := make([]school.Person, n)
		for i := range people {
			p := s.rand.Person(0, role, i+1)
			password := "$6$rounds=10000$" + s.rand.Hex(16) + "$" + s.rand.Hex(86)
			auth := "manual"
			if i%7 == 6 { // some come by single sign-on
				auth, password = "saml2", "not cached"
			}
			p.ID = t.row("mdl_user", userColumns, auth, 1, int64(1), fmt.Sprintf("%s%d", role, i+1), password, p.FirstName, p.LastName, p.Email, t.now)
			t.context(levelUser, p.ID, "/1")
			people[i] = p
		}
		return people
	}
	s.Admins = some("admin", size.Admins)
	s.Teachers = some("teacher", size.Teachers)
	s.Tutors = some("tutor", size.Tutors)
	s.Students = some("student", size.Students)
	s.students, s.account = size.Students, size.Students
	// The first admin is one by the site's settings, the others as managers of the site.
	admins := ""
	for i, p := range s.Admins {
		if i == 0 {
			admins = fmt.Sprint(p.ID)
			continue
		}
		t.assignRole(manager, systemContext, p.ID)
	}
	t.row("mdl_config", "name value", "siteadmins", admins)
	t.row("mdl_config", "name value", "sessiontimeout", "28800")
}

// openCourses makes the categories, and the courses of every class.
func (t *term) openCourses() {
	s := t.school
	categories := []string{}
	for i, name := range []string{"Lower school", "Upper school"} {
		id := t.row("mdl_course_categories", "name depth path sortorder", name, int64(1), fmt.Sprintf("/%d", i+1), int64(i+1))
		_, path := t.context(levelCategory, id, "/1")
		categories = append(categories, path)
	}
	classes := (len(s.Students) + classSize - 1) / classSize
	for i := range max(classes, len(s.Teachers)) {
		category := i % 2
		c := course{teacher: s.Teachers[i%len(s.Teachers)].ID}
		forced := 0
		if i%3 == 0 {
			forced = 1
		}
		name := fmt.Sprintf("%s, class %d", s.rand.Title(), i%classes+1)
		c.id = t.row("mdl_course", courseColumns, int64(category+1), name, fmt.Sprintf("C%d", i+1), "topics", forced, forced, t.now)
		c.context, c.path = t.context(levelCourse, c.id, categories[category])
		c.enrol = t.row("mdl_enrol", "enrol courseid roleid timecreated", "manual", c.id, int64(student), t.now)
		for n, group := range []string{"Red", "Blue"} {
			c.groups[n] = t.row("mdl_groups", "courseid name timecreated", c.id, group, t.now)
		}
		t.enrol(&c, c.teacher, editingTeacher)
		if len(s.Tutors) > 0 {
			tutor := s.Tutors[i%len(s.Tutors)].ID
			t.enrol(&c, tutor, teacher)
			t.row("mdl_groups_members", "groupid userid timeadded", c.groups[0], tutor, t.now)
		}
		for n, p := range s.Students {
			if n%classes == i%classes {
				c.students = append(c.students, p.ID)
				t.enrol(&c, p.ID, student)
				t.row("mdl_groups_members", "groupid userid timeadded", c.groups[n/classes%2], p.ID, t.now)
			}
		}
		s.courses = append(s.courses, c)
	}
}

func (t *term) enrol(c *course, person int64, role int64) {
	t.row("mdl_user_enrolments", "enrolid userid timestart timeend timecreated", c.enrol, person, t.now, int64(0), t.now)
	t.assignRole(role, c.context, person)
}

func (t *term) assignRole(role, context, person int64) {
	t.row("mdl_role_assignments", "roleid contextid userid timemodified", role, context, person, t.now)
}
