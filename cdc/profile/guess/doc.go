// Package guess drafts a profile for a database that it has never seen.
//
// In comes what a database says of itself (Catalogue): tables, columns, types, keys,
// the planner's row estimates, and the values of some columns that hold a state or a
// role. Out comes a commented profile to start from, and the questions that only
// somebody who knows the LMS can answer.
//
// People, assignments and submissions are guessed together, as the three tables that
// fit best by their names, their columns, and by how submissions lead to the other two.
// Everything else is looked for around them. What counts as which word, and for how
// much, stands in words.txt; a column or table is taken where it scores enough and
// leads the next one by enough.
//
// # Promises
//
//   - What is unsure is a comment, never a value; what is missing is named.
//   - Every value says why it was chosen and what else was possible.
//   - A draft that is complete is one that profile.Parse accepts.
//   - A database that is no LMS is refused with a sentence.
//   - The same catalogue gives the same draft.
//
// The package reads nothing but its argument and starts no goroutines.
package guess

import "strings"

// Catalogue is what one schema of a database says of itself.
type Catalogue struct {
	Database, Schema string
	Tables           []Table
}

// Table is one ordinary table.
type Table struct {
	Name    string
	Rows    int64 // as the planner estimates; below zero: it does not know
	Columns []Column
	Key     []string   // the primary key's columns
	Unique  [][]string // the columns of each other unique index
	Foreign []Foreign
}

// Column is one column of a table.
type Column struct {
	Name    string
	Type    string   // as format_type says without a length; of a domain what is under it; of an enum "enum"
	NotNull bool     // it never holds NULL
	Values  []string // that it may hold or holds, as far as known
}

// Foreign is a foreign key.
type Foreign struct {
	Columns []string
	Table   string
	To      []string
}

// Draft is a guessed profile.
type Draft struct {
	YAML      []byte
	Complete  bool     // it can be used as it is, once the questions are answered
	Questions []string // what somebody who knows the LMS has to decide
	Found     []string // what was found in which table, for a summary
	Fits      string   // what to say if a built-in profile fits, which is better than a guess
}

// WantsValues says whether the draft would gain from the values of a column: of one
// that holds a state, a role or a kind, and of the names of roles. Nothing else that
// the rows say is of interest.
func WantsValues(t Table, c Column) bool {
	kind := kindOf(c.Type)
	if kind != kindText && kind != kindInteger && kind != kindEnum {
		return false
	}
	v := readWords()
	best := 0
	for _, topic := range []string{"state", "user.role", "member.kind"} {
		best = max(best, v.score(topic, c.Name))
	}
	if kind == kindText && v.score("table.role", lastWord(v.split(t.Name))) > 0 {
		best = max(best, v.score("course.title", c.Name))
	}
	return best >= sureScore
}

func lastWord(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

// kind is what of a column's type matters for a guess.
type kind byte

const (
	kindOther kind = 1 << iota
	kindBool
	kindInteger
	kindNumber
	kindText
	kindEnum
	kindTime
	kindUUID
)

const (
	kindNumeric = kindInteger | kindNumber
	kindWord    = kindText | kindEnum
)

func kindOf(typ string) kind {
	switch typ {
	case "boolean":
		return kindBool
	case "smallint", "integer", "bigint":
		return kindInteger
	case "numeric", "real", "double precision":
		return kindNumber
	case "text", "character varying", "character", "citext", "name":
		return kindText
	case "enum":
		return kindEnum
	case "uuid":
		return kindUUID
	}
	if typ == "date" || strings.HasPrefix(typ, "timestamp") {
		return kindTime
	}
	return kindOther
}
