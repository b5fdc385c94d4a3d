package guess

import (
	"cmp"
	"slices"
)

// What a guess needs to be a value: so much by itself, and so much more than the next.
const (
	sureScore = 6
	sureLead  = 2
)

// choice is the column of a table that fits a topic best, and what else would do.
type choice struct {
	*Column
	score int
	also  []string // others that fit nearly as well
	rest  []string // others that fit less
}

// found says whether there is anything at all.
func (c choice) found() bool { return c.Column != nil }

// sure says whether it may be a value.
func (c choice) sure() bool { return c.found() && c.score >= sureScore && len(c.also) == 0 }

// likely says whether it may be a value if somebody is asked.
func (c choice) likely() bool { return c.found() && c.score >= sureScore }

// pick chooses a column of a table by its name and type. References to other tables
// are none: routes find those.
func (w *world) pick(t *table, topic string, kinds kind) choice {
	type scored struct {
		*Column
		score int
	}
	var list []scored
	for i := range t.Columns {
		c := &t.Columns[i]
		if kindOf(c.Type)&kinds == 0 || t.leadsAway(c.Name) {
			continue
		}
		if s := w.score(topic, c.Name); s > 0 {
			list = append(list, scored{c, s})
		}
	}
	if len(list) == 0 {
		return choice{}
	}
	slices.SortStableFunc(list, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	out := choice{Column: list[0].Column, score: list[0].score}
	for _, other := range list[1:] {
		if out.score-other.score < sureLead {
			out.also = append(out.also, other.Name)
		} else {
			out.rest = append(out.rest, other.Name)
		}
	}
	return out
}

// valuesLike are those of a column's values that speak for a topic.
func (w *world) valuesLike(c *Column, topic string) []string {
	var out []string
	for _, v := range c.Values {
		if w.score(topic, v) > 0 {
			out = append(out, v)
		}
	}
	return out
}

// valuesIn is valuesLike for a column that was chosen.
func (w *world) valuesIn(c choice, topic string) []string {
	if !c.likely() {
		return nil
	}
	return w.valuesLike(c.Column, topic)
}
