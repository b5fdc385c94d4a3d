package profile

// shape is what the value of a key may be.
type shape byte

const (
	shapeWord      shape = iota + 1 // a word of its own kind: a table, a mode, a separator
	shapeFlag                       // true or false
	shapeColumn                     // a column or a path
	shapeOwnColumn                  // a column, and no path
	shapeKey                        // a column or a path, or a list of them: a composite key
	shapeColumns                    // a column or a path, or a list of them, each by itself
	shapeCondition                  // a map of tests, or a list of such maps
	shapeRoles                      // a map of values to roles
	shapeKeep                       // a list of columns, or a map of tables to columns
	shapeSection                    // a map with the keys of a section
	shapeEntries                    // a list of such maps, or one
	shapeNamed                      // a map of names to such maps
)

// key is one key of the format. The lists of keys are what the parser knows and what
// JSONSchema writes out, so that neither can know another format than the other.
type key struct {
	name  string
	shape shape
	need  bool
	about string // a sentence for editors
}

// keysOf are the keys of a part of the format: "" for the top level, otherwise a
// section's name, "lookup" for each of its entries.
func keysOf(part string) []key {
	switch part {
	case "":
		return topKeys()
	case "lookup":
		return lookupKeys()
	case "user":
		return userKeys()
	case "course":
		return []key{
			from("courses"),
			{"title", shapeColumn, false, "What the course is called."},
			{"active", shapeCondition, false, "While it does not hold, nothing of the course is told. Default: always."},
		}
	case "assignment":
		return assignmentKeys()
	case "assigned":
		return []key{
			from("who an assignment is given to, where that is a table of its own"),
			{"assignment", shapeOwnColumn, true, "The assignment's key."},
			{"student", shapeOwnColumn, true, "The key of the person it is given to."},
		}
	case "submission":
		return submissionKeys()
	case "grade":
		return gradeKeys()
	case "member":
		return memberKeys()
	case "admin":
		return []key{
			from("who is an admin"),
			where(),
			{"user", shapeKey, true, "The key of the person. A path may find several."},
			{"split", shapeWord, false, "What stands between two ids where one value holds several, such as \",\"."},
		}
	case "auth":
		return []key{
			{"token", shapeSection, false, "Where API tokens are looked up; never published."},
			{"session", shapeSection, false, "Where the LMS keeps its sessions; never published."},
		}
	case "auth.token":
		return []key{
			from("API tokens"),
			{"key", shapeOwnColumn, true, "The token itself."},
			{"user", shapeOwnColumn, true, "The key of the person it belongs to."},
		}
	case "auth.session":
		return []key{
			{"kind", shapeWord, true, "How the LMS writes its sessions: django."},
			from("sessions"),
			{"cookie", shapeWord, true, "The name of the cookie that holds a session's key."},
		}
	}
	return nil
}

func from(what string) key {
	return key{"from", shapeWord, true, "The table of " + what + ", without schema and prefix."}
}

func where() key {
	return key{"where", shapeCondition, false, "Rows for which it does not hold are not there. Default: all rows count."}
}

func topKeys() []key {
	return []key{
		{"profile", shapeWord, false, "The name of the profile. Needed without extends."},
		{"extends", shapeWord, false, "The built-in profile to begin with; every key given here replaces that key's value whole."},
		{"schema", shapeWord, false, "The schema of all tables. Default: public."},
		{"prefix", shapeWord, false, "What all tables' names begin with, such as mdl_."},
		{"times", shapeWord, false, "How times without a zone are meant: utc (the default), unix (integers are seconds since 1970 and 0 is none), or a zone such as Europe/Berlin."},
		{"keep", shapeKeep, false, "Columns to publish besides the mapped ones wherever a table has them: a list for all tables, or a map of tables to lists."},
		{"lookup", shapeNamed, false, "Helper tables that paths go through, by the names that paths call them."},
		{"user", shapeSection, false, "The people."},
		{"course", shapeSection, false, "The courses."},
		{"assignment", shapeSection, false, "The assignments."},
		{"assigned", shapeSection, false, "Who an assignment is given to, where that is a table of its own; otherwise it is given to its course."},
		{"submission", shapeSection, false, "What students hand in."},
		{"grade", shapeSection, false, "The grades, in the submission's row or in a table of their own."},
		{"member", shapeEntries, false, "Who is what in a course."},
		{"admin", shapeEntries, false, "Who sees everything."},
		{"auth", shapeSection, false, "What credentials are looked up in. Read over SQL, never published."},
	}
}

func lookupKeys() []key {
	return []key{
		from("the lookup"),
		{"key", shapeKey, false, "What paths find its rows by: a column, a path, or a list of them. Default: id."},
		where(),
		{"first", shapeColumn, false, "Of several rows under one key the one with the lowest value here is found. Default: the lowest row id."},
		{"many", shapeFlag, false, "All rows under the key are found, and a path has several values."},
		{"split", shapeWord, false, "The key's value is taken apart at this: the row is found under each part."},
		{"parts", shapeWord, false, "What a path comes with is taken apart at this: the rows under each part are found. Needs many."},
	}
}

func userKeys() []key {
	return []key{
		from("the people"),
		where(),
		{"name", shapeColumn, false, "The whole name, where it is one column."},
		{"first", shapeColumn, false, "The first name, beside last."},
		{"last", shapeColumn, false, "The last name, beside first."},
		{"email", shapeColumn, false, "The e-mail address."},
		{"active", shapeCondition, false, "While it does not hold, the person is told nothing. Default: always."},
		{"role", shapeColumn, false, "What the person is, where a column says it; otherwise it follows from member and admin."},
		{"roles", shapeRoles, false, "The role column's values and what they mean: teacher, tutor, admin, student. Default: these words."},
	}
}

func assignmentKeys() []key {
	return []key{
		from("the assignments"),
		where(),
		{"title", shapeColumn, false, "What it is called."},
		{"description", shapeColumn, false, "What it says; clients are told its first 200 characters."},
		{"course", shapeKey, false, "The key of its course."},
		{"teacher", shapeKey, false, "The key of its direct owner."},
		{"published", shapeCondition, false, "While it does not hold, the assignment is not there for anybody. Default: always."},
		{"closed", shapeCondition, false, "While it holds, nothing can be handed in. Default: never."},
		{"due", shapeColumn, false, "The time it is due, which is only shown."},
		{"closes", shapeColumn, false, "The time at which it closes by itself."},
		{"by_section", shapeCondition, false, "Only while it holds, own_section_only limits people in this assignment. Default: always."},
		{"anonymous", shapeCondition, false, "While it holds, nobody is told whose work it is. Default: never."},
		{"gone", shapeCondition, false, "While it holds, the row is deleted and may come back: it is closed and counted nowhere. Default: never."},
	}
}

func submissionKeys() []key {
	return []key{
		from("the submissions"),
		where(),
		{"assignment", shapeKey, true, "The assignment's key."},
		{"student", shapeKey, true, "The key of the person whose work it is."},
		{"group", shapeKey, false, "The key of the team whose work it is; none, or the integer 0, where it is one person's."},
		{"group_name", shapeColumn, false, "What the team is called."},
		{"attempt", shapeKey, false, "Which attempt it is; a grade in a table of its own belongs to the submission with the same attempt."},
		{"tutor", shapeKey, false, "The key of the student's tutor."},
		{"gone", shapeCondition, false, "While it holds, the row is deleted and may come back: nothing of it is told. Default: never."},
		{"submitted", shapeCondition, true, "Whether it is handed in."},
		{"again", shapeColumns, false, "When one of these changes while it is handed in, it is handed in again."},
		{"at", shapeColumn, false, "The time it was handed in."},
	}
}

func gradeKeys() []key {
	return []key{
		{"from", shapeWord, false, "The table of the grades, without schema and prefix. Default: the submission's row."},
		where(),
		{"submission", shapeKey, false, "Of a table of its own: the key of the submission's row."},
		{"assignment", shapeKey, false, "Of a table of its own, instead of submission: the assignment's key, beside student."},
		{"student", shapeKey, false, "Of a table of its own, instead of submission: the key of the person graded."},
		{"group", shapeKey, false, "The teams whose work the grade also grades. A path may find several."},
		{"attempt", shapeKey, false, "Which attempt is graded, beside assignment and student."},
		{"graded", shapeCondition, true, "Whether there is a grade."},
		{"again", shapeColumns, false, "When one of these changes while there is a grade, it is graded again."},
		{"score", shapeColumn, false, "The grade, as a number where its column is one."},
		{"text", shapeColumn, false, "The grade in words, told where there is no score."},
		{"at", shapeColumn, false, "The time it was given."},
		{"hidden", shapeCondition, false, "While it holds, the student is not told. Default: never."},
		{"auto", shapeCondition, false, "Whether a machine gave it. Default: never."},
	}
}

func memberKeys() []key {
	return []key{
		from("memberships"),
		where(),
		{"user", shapeKey, true, "The key of the person. A path may find several."},
		{"course", shapeKey, true, "The key of the course. A path may find several."},
		{"section", shapeKey, false, "The key of the part of the course they are in. A path may find several."},
		{"own_section_only", shapeCondition, false, "While it holds, they see the students of their section only. Default: never."},
		{"teacher", shapeCondition, false, "Whether they teach the course."},
		{"tutor", shapeCondition, false, "Whether they help in the course."},
		{"student", shapeCondition, false, "Whether they take the course."},
	}
}

// keyNames are the names of a part's keys, in their order.
func keyNames(part string) []string {
	keys := keysOf(part)
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}
