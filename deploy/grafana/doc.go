// Package grafana describes the dashboard of the people on call, and writes it as Grafana
// reads it: schoolbell.json, which is imported by hand or provisioned from provisioning/.
//
// The rows are one file each. An expression there names metrics without saying of which
// gateway: the choice of job and instance that people make at the top of the dashboard is
// added to each of them.
//
// After a change: go test ./deploy/grafana -update
package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
)

// A row is a headline, and panels below it.
type row struct {
	title  string
	panels []panel
}

// A panel is one picture.
type panel struct {
	title   string
	says    string // what one sees, and what is good or bad
	kind    kind
	unit    unit
	width   int // of the 24 columns of the page; 0: as the kind has it
	most    float64
	words   map[string]string // values that have a word of their own
	bad     string            // the value of words that is red; "": none
	queries []query
}

// A query is an expression of Prometheus, and what its series are called; {{label}} is
// the value of a label.
type query struct{ expr, legend string }

// A kind is the way in which a panel shows its numbers.
type kind string

const (
	number kind = "stat"       // the last one, large
	lines  kind = "timeseries" // over time
	heat   kind = "heatmap"    // a histogram over time
)

// A unit is one of Grafana's.
type unit string

const (
	none      unit = "short"
	seconds   unit = "s"
	bytesIEC  unit = "bytes"
	share     unit = "percentunit"
	perSecond unit = "cps"
	bytesRate unit = "Bps"
	date      unit = "dateTimeFromNow"
)

// yesNo are the words of a gauge that is 0 or 1.
func yesNo() map[string]string { return map[string]string{"0": "no", "1": "yes"} }

func rows() []row {
	return []row{overview(), replication(), delivery(), sessions(), store()}
}

// Dashboard is schoolbell.json.
func Dashboard() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(page(rows())); err != nil {
		return nil, fmt.Errorf("write the dashboard: %w", err)
	}
	return b.Bytes(), nil
}

// selector is the choice at the top of the dashboard.
const selector = `job="$job", instance=~"$instance"`

// metric is the name of one, and whether labels follow.
var metric = regexp.MustCompile(`\b((?:schoolbell[_:]|process_|go_)[a-zA-Z0-9_:]+)(\{?)`)

// chosen is an expression of the gateways that are chosen.
func chosen(expr string) string {
	return metric.ReplaceAllStringFunc(expr, func(found string) string {
		match := metric.FindStringSubmatch(found)
		if match[2] == "{" {
			return match[1] + "{" + selector + ", "
		}
		return match[1] + "{" + selector + "}"
	})
}
