package metrics

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Instrument is one line of the reference.
type Instrument struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []Label
	Help   string
}

// Label is one label of an instrument.
type Label struct {
	Name   string
	Values []string // nil where they depend on the build or the configuration
}

// Describe lists all instruments of ours by name, read from the page itself.
// Beside them the page has the go_* and process_* ones of every Go program.
func Describe() ([]Instrument, error) {
	families, err := New(Info{}, Sources{}).registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("describe the metrics: %w", err)
	}
	var list []Instrument
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		values := map[string]map[string]bool{}
		for _, metric := range f.GetMetric() {
			for _, pair := range metric.GetLabel() {
				if values[pair.GetName()] == nil {
					values[pair.GetName()] = map[string]bool{}
				}
				values[pair.GetName()][pair.GetValue()] = true
			}
		}
		one := Instrument{Name: f.GetName(), Type: strings.ToLower(f.GetType().String()), Help: f.GetHelp()}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			label := Label{Name: name}
			if name != "table" && !strings.HasSuffix(one.Name, "_info") {
				label.Values = slices.Sorted(maps.Keys(values[name]))
			}
			one.Labels = append(one.Labels, label)
		}
		list = append(list, one)
	}
	return list, nil
}

// Table renders Describe as a markdown table for the README.
func Table() (string, error) {
	list, err := Describe()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| name | type | labels | what it says |\n|---|---|---|---|\n")
	for _, i := range list {
		var labels []string
		for _, l := range i.Labels {
			text := "`" + l.Name + "`"
			if l.Values != nil {
				text += ": " + strings.Join(l.Values, ", ")
			}
			labels = append(labels, text)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", i.Name, i.Type, strings.Join(labels, "; "), i.Help)
	}
	return b.String(), nil
}
