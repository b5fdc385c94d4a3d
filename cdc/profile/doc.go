// Package profile says, as data, what the rows of one LMS mean and whom they
// concern.
//
// In comes a YAML file (or a built-in one, by name): which table holds the people,
// the courses, who is what in them, who is an admin, the assignments, who they are
// given to, the submissions and their grades, and what in a row means "handed in",
// "graded", "closed", and which of its columns say when. Out go the tables and
// columns to publish, and for each table of the log a Binding that reads its rows.
//
// A person's role is what a column says (HasRole), or follows from what they are in
// their courses and from the tables of admins: the profile says which rows say so,
// and what follows is worked out where all rows are known.
//
// The format has three mechanisms and no expression language: a column; a path
// `column -> lookup.column`; a condition, which is a map of columns to tests
// (a value, a list of values, present, absent, not, min, below), or a list of
// such maps of which one must hold. `extends: django` begins with a built-in
// profile, and every key that is then given replaces that key's value whole.
//
// # Promises
//
//   - All mistakes of a file are told at once, each with its line and column, what
//     was found, what is expected, and the nearest known word.
//   - What this version does not support is refused, never silently ignored.
//   - Reading conditions, marks and a membership saved as it was allocates nothing where
//     keys are integers. A condition takes some 30 ns, comparing decimals twice that.
//   - The same value gives the same mark, in text or binary form, in whatever zone
//     the server prints times, and whether a number is printed 78.5 or 78.50.
//   - NULL never equals a value, and `not` of that is true.
//   - A column that the log does not carry (stored out of line and unchanged) never
//     changes anything: what was known before is kept.
//   - The hash changes exactly when the meaning of rows does: not for a comment, the
//     order of keys, the name, or where credentials are looked up.
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
// The package starts no goroutines. A Profile and a Binding never change once made
// and may be used from any goroutine.
package profile
