package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/projection"
)

// longestValue is how much of a column's value is shown.
const longestValue = 80

// So many of those who would hear of something are named, so many of them who do only
// because they are admins, and so many reasons of each.
const (
	mostPeople  = 20
	mostAdmins  = 3
	mostReasons = 3
)

func printReadings(out io.Writer, readings []profile.Reading) {
	for _, r := range readings {
		fmt.Fprintf(out, "\nsection %s reads\n", r.Section)
		for _, k := range r.Keys {
			fmt.Fprintf(out, "  %-16s %s\n", k.Key, columnText(k.Column, k.Value))
		}
		for _, c := range r.Conditions {
			fmt.Fprintf(out, "  %-16s %s\n", c.Key, conditionText(c))
		}
	}
}

func columnText(column, value string) string {
	if cut := []rune(value); len(cut) > longestValue {
		value = string(cut[:longestValue]) + "…"
	}
	if start, rest, isPath := strings.Cut(column, " -> "); isPath {
		return fmt.Sprintf("%s = %s -> %s", start, value, rest)
	}
	return column + " = " + value
}

// conditionText says how a condition comes out, and by what.
func conditionText(c profile.ConditionReading) string {
	ways := make([]string, len(c.Any))
	for i, tests := range c.Any {
		all := make([]string, len(tests))
		for j, t := range tests {
			holds := "no"
			if t.Holds {
				holds = "yes"
			}
			all[j] = fmt.Sprintf("%s (%s: %s)", columnText(t.Column, t.Value), t.Test, holds)
		}
		ways[i] = strings.Join(all, " and ")
	}
	verdict := "no"
	if c.Holds {
		verdict = "yes"
	}
	return verdict + ", as " + strings.Join(ways, " or ")
}

func printBeliefs(out io.Writer, beliefs []projection.Belief) {
	for _, b := range beliefs {
		if !b.Known {
			fmt.Fprintf(out, "\nsection %s leaves the row out: its `where` does not hold, or the row names nobody or nothing\n", b.Section)
			continue
		}
		fmt.Fprintf(out, "\nserve would believe, by section %s\n", b.Section)
		for _, f := range b.Facts {
			fmt.Fprintf(out, "  %-16s %s\n", f.Name, f.Text)
		}
	}
}

func printTelling(out io.Writer, t projection.Telling) {
	kinds := make([]string, len(t.Kinds))
	for i, k := range t.Kinds {
		kinds[i] = k.String()
	}
	name := strings.Join(kinds, " or ")
	if t.Silent != "" {
		fmt.Fprintf(out, "\nno event %s: %s; otherwise it would reach\n", name, t.Silent)
	} else {
		fmt.Fprintf(out, "\nan event %s would reach\n", name)
	}
	printPeople(out, t.See)
	if len(t.Not) > 0 {
		fmt.Fprintln(out, "and not")
		printPeople(out, t.Not)
	}
}

func printPeople(out io.Writer, people []projection.Concerned) {
	if len(people) == 0 {
		fmt.Fprintln(out, "  nobody")
	}
	admins, named, more := 0, 0, 0
	for _, c := range people {
		if c.As == cdc.Admin && len(c.Why) == 1 {
			if admins++; admins > mostAdmins {
				continue
			}
		} else if named++; named > mostPeople {
			more++
			continue
		}
		fmt.Fprintf(out, "  %-8v %s: %s\n", cmp.Or(c.Person.Role, c.As), personText(c.Person), reasonsText(c.Why))
	}
	if admins > mostAdmins {
		fmt.Fprintf(out, "  and %d more admins\n", admins-mostAdmins)
	}
	if more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
}

func reasonsText(why []string) string {
	if more := len(why) - mostReasons; more > 1 {
		return strings.Join(why[:mostReasons], "; ") + fmt.Sprintf("; and by %d more rows", more)
	}
	return strings.Join(why, "; ")
}
