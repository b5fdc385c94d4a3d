package profile

import (
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// optionalKeys are those without whose column a row still means what it means. The e-mail
// is none of them, as people may sign in by it.
func optionalKeys() []string {
	return []string{
		"user.name", "user.first", "user.last", "course.title", "assignment.title", "assignment.description", "assignment.due",
		"submission.at", "submission.group_name", "grade.at", "grade.score", "grade.text",
	}
}

// Tolerant is Tables, each with what the log can be followed without.
func (p *Profile) Tolerant() []cdc.TableSpec {
	specs := p.Tables()
	for i := range specs {
		p.tolerate(&specs[i])
	}
	return specs
}

func (p *Profile) tolerate(spec *cdc.TableSpec) {
	spec.Aside = spec.Name == p.submit.table
	needed := map[string]bool{}
	for _, u := range p.uses {
		if u.table != spec.Name {
			continue
		}
		path := u.value == nil || !u.value.isScalar() || strings.Contains(u.value.text, "->")
		if path || !slices.Contains(optionalKeys(), u.name()) {
			needed[u.column] = true
		}
		if section := u.path[0]; section != "submission" && section != "grade" {
			spec.Aside = false // something else hangs on it
		}
	}
	for _, c := range spec.Columns {
		if !needed[c] {
			spec.Optional = append(spec.Optional, c)
		}
	}
}
