// Package profile says, as data, what the rows of one LMS mean and whom they
// concern.
//
// In comes a YAML file (or a built-in one, by name): which table holds the people,
// the courses, who is what in them, who is an admin, the assignments, who they are
// given to, the submissions and their grades, and what in a row means "handed in",
// "graded", "closed", and which of its columns say when. Out go the tables and
// columns to publish, and for each table of the log a Binding that reads its rows.
//
// # The format
//
// A profile has sections (user, course, assignment, assigned, submission, grade, auth,
// the lists member and admin, and lookup with a name for each of its entries), each
// reading the table that its key `from` names. JSONSchema describes every key. There are
// three mechanisms and no expression language.
//
// A column is a name. Where a row's key is wanted it may be a list of columns, which are
// then one composite key.
//
// A path stands wherever a column does, except in auth and assigned:
//
//	path    := start { "->" step }
//	start   := operand { "+" operand }
//	operand := column | "(" path ")"
//	step    := lookup "." column
//
// It takes the start (several operands are a composite key), finds the row of the lookup
// whose key that is, takes the column, and so on; what is not found is NULL. A lookup is
// an entry of `lookup`, or a table by its name without prefix, whose key is then id.
//
// An entry of lookup says how its rows are found:
//
//	from:  the table
//	key:   a column, a path, or a list of them; id if it is not said
//	where: a condition; other rows are not found
//	first: of several rows under a key the one with the lowest value of this column is
//	       found, NULLs last; among equals, and without first, the one with the lowest id
//	many:  true: all of them are found
//	split: the value of the key is taken apart at this text, and the row is found under
//	       each part ("/1/3/25")
//	parts: the values that a path comes with are taken apart at this text, and the rows
//	       under each part are found; with a composite key, under each combination
//
// Lookups may use lookups, but not in a circle.
//
// A path through a lookup with `many` has several values. A test on it holds if it holds
// for any of them, and `not` of a test if it holds for none. As a column such a path may
// stand in member.user, member.course, member.section, admin.user and grade.group. In
// member, one row then makes a membership for each combination of the rows found, and
// all paths of the entry that begin with the same text up to that lookup, also those in
// its conditions, mean the row of that membership.
//
// A condition is a map of columns or paths to tests, all of which must hold, or a list of
// such maps, of which one must. A test is a value, a list of values, present, absent,
// {min: n}, {below: n}, past, future, or {not: test}. A time is past from its own moment
// on and future before, by the log's clock; NULL, and 0 where times are unix seconds, is
// neither.
//
// A person's role is what a column says (HasRole), or follows from what they are in
// their courses and from the tables of admins: the profile says which rows say so,
// and what follows is worked out where all rows are known.
//
// A grade stands in the submission's row or, with grade.from, in a table of its own; it
// then names the submission's row, or the assignment and the student and, where the LMS
// counts attempts, the attempt. It grades the work of the teams in grade.group, too.
//
// `extends: django` begins with a built-in profile, and every key that is then given
// replaces that key's value whole. `keep` publishes columns that mean nothing to us.
//
// # Derived sections
//
// A section without paths and tests against the clock is read from its row alone. Any
// other is derived: its meaning may change while its row does not. Bind then gives a
// Feed, whose Hold writes what the section reads of the row, to be remembered, and
// Derived.Rows says what a held row means, asking a Finder for the lookups' rows. The
// one exception is TutorPath.
//
// # Promises
//
//   - All mistakes of a file are told at once, each with its line and column, what
//     was found, what is expected, and the nearest known word.
//   - What this version does not support is refused, never silently ignored.
//   - A test that does not fit what a path ends at is told when the table where it ends
//     is bound, and one on the row itself when that is.
//   - Reading conditions, marks and a membership saved as it was allocates nothing where
//     keys are integers; nor does evaluating a held row. A condition takes some 30 ns,
//     comparing decimals twice that, a held row of two paths under 1 µs.
//   - A condition means the same on a row of the log as in SQL, and no row that fulfils
//     `where` is left out of the snapshot.
//   - The same value gives the same mark, in text or binary form, in whatever zone
//     the server prints times, and whether a number is printed 78.5 or 78.50.
//   - NULL never equals a value, and `not` of that is true.
//   - A column that the log does not carry (stored out of line and unchanged) never
//     changes anything: what was known before is kept.
//   - The hash changes exactly when the meaning of rows does: not for a comment, the
//     order of keys, a name, what is kept besides, or where credentials are looked up.
//   - Marks changes exactly when the marks of before cannot be compared with new ones.
//   - A time is read in UTC and whole microseconds. NULL, infinity in either
//     direction, what lies before Christ or behind the year 9999, and 0 where times
//     are unix seconds are none.
//
// Values in text form are read as PostgreSQL prints them with DateStyle ISO, which
// the connection must ask for. In binary form bool, int2, int4, int8, oid, float4,
// float8, numeric, uuid, date, timestamp, timestamptz and the text types are
// understood; any other type is only compared as bytes, which is right for enums.
//
// The package starts no goroutines. A Profile, a Binding, a Derived and a LookupRecord
// never change once made and may be used from any goroutine; an Evaluator is for one.
package profile
