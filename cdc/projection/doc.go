// Package projection folds the rows of the log into what they mean: events,
// the people each of them concerns, and the live counts of every dashboard.
//
// In come whole transactions (cdc.Tx), after one snapshot of the database. Out
// go the events of each transaction and the people whose rights it changed. In
// between stands the shadow: what the rows were before. With the default replica
// identity an UPDATE carries no old row and a DELETE only the key, so an event
// is the difference between the shadow before a transaction and after it.
//
// # Promises
//
//   - An event is a net difference: a row changed twice in one transaction is
//     one event at most, and a change that changes nothing is nothing.
//   - The same log gives the same events with the same ids, however often it is
//     read: ids come from the commit's position, order from first touch.
//   - One atomic batch per transaction, or per group of them under load, holds the
//     shadow's changes, the events with their audiences, the counts and the
//     position. What a transaction meant is published when its batch is stored. A
//     transaction that breaks off leaves no trace, in the store or in memory.
//   - A transaction may touch more rows than fit into the memory.
//   - An audience is who may see the event by the end of its transaction: a right that
//     ended before a commit does not see it, and one that began before it does.
//   - The counts equal the SQL definition at every commit.
//   - A snapshot taken in place of a filled shadow tells what happened in between, as
//     its net effect, each event once; see compare.go.
//   - An assignment that closes by itself is told once, whatever happens; see
//     closing.go.
//   - What a row means follows the rows of lookups that it is read with, and the clock,
//     in the transaction that changes them; see held.go and passing.go.
//
// Reset, Apply, Advance, Sync, Claim and Moved are called by one goroutine, the one that
// reads the log. Any may publish, which waits for its turn (turn.go), or ask: Person,
// Counts, ByEmail, WasAdmin and Stats wait for nobody. Census and Explain, for people who
// want to know what is in the shadow and why, wait for their turn and keep it. The package
// starts no goroutines.
//
// # The shadow's rows
//
// Keys are a letter and one or more IDs; values are given in records.go.
//
//	t row                 a submission thread: assignment, student, tutor, marks
//	s student row         index: the threads of a student
//	m assignment row      index: the threads of an assignment
//	a assignment          an assignment's mapped columns
//	u person              a person
//	g row                 an assignment given to a student
//	x student row         index: what is given to a student
//	y assignment row      index: to whom an assignment is given
//	r assignment scope    by how many students to whom it is given the scope sees it
//	l lookup row          a row of a lookup table
//	h row                 a grade, where grades have a table of their own; see grades.go
//	q link                how many grades a link has
//	i link row            index: the thread of a link
//	v section row         a held row: one that is read together with lookups; see held.go
//	p lookup key …        index: the held rows that looked for a key
//	z moment section row  index: the held rows that are read again at a moment
//	o course              whether anything is told of a course
//	e entry row           a row of `member`, by its entry
//	f course entry row    the same, of those who are staff of the course
//	j course student      the student's sections in the course, and by how many rows
//	d entry row           a row of `admin`: whom it names
//	b person              by how many rows somebody is an admin, a teacher, a tutor, a student
//	n scope student       how many threads the student has in the scope
//	c scope               the four counts of the scope
//	w person              when the person began and ceased to be an admin
//	+ …                   the rows of a large transaction on their way; see aside.go
//	k kind order          what a comparison with a snapshot has yet to tell
//	# …                   keys of idempotency of messages; see keys.go
//
// While a new snapshot is read, the next generation of all this grows beside it, under
// letters of another case; see generation.go.
//
// A scope is what one person's counts range over: everything (admins), what a teacher
// owns or teaches, the students of a tutor, both where no row says which of the two
// somebody is, or what is a student's own; see rights.go.
package projection
