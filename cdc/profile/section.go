package profile

// Section is a kind of section of a profile, in the order in which the rows of a snapshot
// have to be read.
type Section int

// The sections. A lookup counts as one.
const (
	SectionLookup Section = iota
	SectionUser
	SectionCourse
	SectionMember
	SectionAdmin
	SectionAssignment
	SectionAssigned
	SectionGrade // in a table of its own; otherwise it is part of the submission
	SectionSubmission
)

// Section is which one it is, and of a list or of the lookups, which entry.
func (d *Derived) Section() (kind Section, entry int) { return d.kind, d.entry }
