package promtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// Rule is one of a rule file.
type Rule struct {
	Record      string // the name of what it records; "" for an alert
	Alert       string // the name of the alert
	Expr        string
	For         string // how long it has to hold; "": no time
	Labels      map[string]string
	Annotations map[string]string
}

// Folder is where the rules and the configuration of Prometheus are, below deploy/.
func Folder() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(here))
}

// RuleFile is the name of the rules in Folder.
const RuleFile = "schoolbell.rules.yml"

// Rules are all of the rule file.
func Rules(t testing.TB) []Rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []Rule
		}
	}
	src, err := os.ReadFile(filepath.Join(Folder(), RuleFile))
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalWithOptions(src, &file, yaml.DisallowUnknownField()))
	var all []Rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// Alerts are those of the rules that alert.
func Alerts(t testing.TB) []Rule {
	t.Helper()
	var alerts []Rule
	for _, r := range Rules(t) {
		if r.Alert != "" {
			alerts = append(alerts, r)
		}
	}
	return alerts
}
