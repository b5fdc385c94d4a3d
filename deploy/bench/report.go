//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is all that was measured.
type report struct {
	Machine  machine   `json:"machine"`
	Sizes    sizes     `json:"sizes"`
	Looks    []look    `json:"looks"` // at the machine, one before each measure
	Figures  []*figure `json:"figures"`
	Warnings []string  `json:"warnings,omitempty"`
	Failures []string  `json:"failures,omitempty"`
}

// figure is one line of the table: what schoolbell does, and beside it what else did
// the same work. Each has one number, or one for each of the parts.
type figure struct {
	Measure string   `json:"measure"`
	What    string   `json:"what"`
	Unit    string   `json:"unit"`
	Parts   []string `json:"parts,omitempty"` // like p50, p99
	Ours    series   `json:"schoolbell"`
	Others  []series `json:"others,omitempty"`
	Targets []target `json:"targets,omitempty"`
	Note    string   `json:"note,omitempty"`
}

// series are the numbers of every run, and the median of each part.
type series struct {
	Name    string      `json:"name,omitempty"`
	Runs    [][]float64 `json:"runs"`
	Medians []float64   `json:"medians"`
}

// target is what a part should be.
type target struct {
	Part   string  `json:"part,omitempty"`
	AtMost bool    `json:"at_most"` // otherwise at least
	Limit  float64 `json:"limit"`
	Whose  string  `json:"whose,omitempty"` // limit is what that one did
	Met    bool    `json:"met"`
}

// report adds a figure with one number for each run.
func (b *bench) report(what, unit string, runs ...float64) *figure {
	return b.reportParts(what, unit, nil, single(runs))
}

// reportParts adds a figure with several numbers for each run.
func (b *bench) reportParts(what, unit string, parts []string, runs [][]float64) *figure {
	f := &figure{Measure: b.now, What: what, Unit: unit, Parts: parts, Ours: newSeries("", runs)}
	b.result.Figures = append(b.result.Figures, f)
	return f
}

// beside is what somebody else did.
func (f *figure) beside(name string, runs ...float64) *figure {
	return f.besideParts(name, single(runs))
}

func (f *figure) besideParts(name string, runs [][]float64) *figure {
	f.Others = append(f.Others, newSeries(name, runs))
	return f
}

func (f *figure) atMost(part string, limit float64) *figure { return f.want(part, true, limit) }
func (f *figure) atLeast(limit float64) *figure             { return f.want("", false, limit) }

// atMostOf wants the part to be at most what the first of the others did.
func (f *figure) atMostOf(part string) *figure {
	theirs := f.Others[0]
	f.want(part, true, theirs.Medians[max(0, slices.Index(f.Parts, part))])
	f.Targets[len(f.Targets)-1].Whose = theirs.Name
	return f
}

func (f *figure) want(part string, atMost bool, limit float64) *figure {
	got := f.Ours.Medians[max(0, slices.Index(f.Parts, part))]
	f.Targets = append(f.Targets, target{Part: part, AtMost: atMost, Limit: limit, Met: got == limit || (got < limit) == atMost})
	return f
}

func single(runs []float64) [][]float64 {
	var all [][]float64
	for _, r := range runs {
		all = append(all, []float64{r})
	}
	return all
}

func newSeries(name string, runs [][]float64) series {
	s := series{Name: name, Runs: runs}
	for part := range runs[0] {
		var of []float64
		for _, r := range runs {
			of = append(of, r[part])
		}
		s.Medians = append(s.Medians, median(of))
	}
	return s
}

// median is the middle one, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratios divides run by run, as neighbours in time are compared best.
func ratios(ours, theirs []float64) []float64 {
	all := make([]float64, len(ours))
	for i := range ours {
		all[i] = ours[i] / theirs[i]
	}
	return all
}

// percentileNames are what percentiles answers.
var percentileNames = []string{"p50", "p99", "p99.9", "max"}

// percentiles are of durations, in milliseconds.
func percentiles(took []time.Duration) []float64 {
	slices.Sort(took)
	at := func(share float64) float64 {
		i := int(math.Ceil(share*float64(len(took)))) - 1
		return float64(took[max(0, i)].Nanoseconds()) / 1e6
	}
	return []float64{at(0.5), at(0.99), at(0.999), at(1)}
}

// writeTable writes the figures as a table of Markdown.
func (r *report) writeTable(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n| measure | schoolbell | beside it | target | |\n|---|---|---|---|---|\n", r.Machine)
	for _, f := range r.Figures {
		fmt.Fprintln(w, f.line())
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "\nDo not trust: %s.\n", warning)
	}
	for _, failure := range r.Failures {
		fmt.Fprintf(w, "\nFailed: %s\n", failure)
	}
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (f *figure) line() string {
	what := f.What
	if len(f.Parts) > 0 {
		what += ", " + strings.Join(f.Parts, " / ")
	}
	var others, targets []string
	verdict := ""
	for _, o := range f.Others {
		others = append(others, o.Name+" "+o.text())
	}
	for _, t := range f.Targets {
		targets = append(targets, t.String())
		if !t.Met {
			verdict = "missed"
		} else if verdict == "" {
			verdict = "met"
		}
	}
	if f.Note != "" {
		others = append(others, f.Note)
	}
	return fmt.Sprintf("| %s: %s | %s %s | %s | %s | %s |", f.Measure, what, f.Ours.text(), f.Unit, strings.Join(others, "; "), strings.Join(targets, ", "), verdict)
}

func (s series) text() string {
	var words []string
	for _, m := range s.Medians {
		words = append(words, number(m))
	}
	return strings.Join(words, " / ")
}

func (t target) String() string {
	sign := "≥"
	if t.AtMost {
		sign = "≤"
	}
	text := strings.TrimSpace(t.Part + " " + sign + " " + t.limit())
	if t.Whose != "" {
		text += " (" + t.Whose + ")"
	}
	return text
}

// limit is as it was asked for, or what somebody else did.
func (t target) limit() string {
	if t.Whose != "" {
		return number(t.Limit)
	}
	return strconv.FormatFloat(t.Limit, 'f', -1, 64)
}

// number has three digits that count, and commas between thousands.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	if math.Abs(v) < 1000 {
		return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(max(math.Abs(v), 0.1))))), 64)
	}
	text := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
