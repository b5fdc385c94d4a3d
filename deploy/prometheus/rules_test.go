package prometheus_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/prometheus/promtest"
)

// cases are the files of promtool's tests.
func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.rules.test.yml")
	require.NoError(t, err)
	require.Len(t, files, 2)
	return files
}

func TestTheRulesAndTheConfigurationPassPromtool(t *testing.T) {
	t.Parallel()
	said, err := promtest.Tool(t, ".", "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
	require.NoError(t, err, said)
	require.Contains(t, said, "rules found") // those that it names are looked at, too
}

func TestEveryAlertComesWhenItShouldAndNotOtherwise(t *testing.T) {
	t.Parallel()
	for _, file := range cases(t) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			said, err := promtest.Tool(t, ".", "test", "rules", file)
			require.NoError(t, err, said)
		})
	}
}

// What promtool is not asked about it does not test.
func TestOfEveryAlertItIsTestedThatItComesAndThatItDoesNot(t *testing.T) {
	t.Parallel()
	comes, silent := map[string]bool{}, map[string]bool{}
	for _, file := range cases(t) {
		var all struct {
			Tests []struct {
				AlertRuleTest []struct {
					Alertname string
					ExpAlerts []any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(src, &all))
		for _, test := range all.Tests {
			for _, one := range test.AlertRuleTest {
				if len(one.ExpAlerts) > 0 {
					comes[one.Alertname] = true
				} else {
					silent[one.Alertname] = true
				}
			}
		}
	}
	alerts := promtest.Alerts(t)
	require.Greater(t, len(alerts), 20)
	for _, a := range alerts {
		require.True(t, comes[a.Alert], "no test lets %s come", a.Alert)
		require.True(t, silent[a.Alert], "no test has %s not come", a.Alert)
		delete(comes, a.Alert)
		delete(silent, a.Alert)
	}
	require.Empty(t, comes, "tests of alerts that are not there")
	require.Empty(t, silent, "tests of alerts that are not there")
}

// Who is woken reads a sentence, what to do, and where more stands.
func TestEveryAlertSaysWhatIsWrongWhatToDoAndWhereMoreStands(t *testing.T) {
	t.Parallel()
	for _, a := range promtest.Alerts(t) {
		require.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], a.Alert)
		require.Len(t, a.Labels, 1, a.Alert)
		require.Regexp(t, `^[^.;]+\.$`, a.Annotations["summary"], a.Alert)
		require.Regexp(t, `^[^\n]+; [^\n]+\.$`, a.Annotations["description"], "%s: what is, then what to do", a.Alert)
		require.NotContains(t, strings.TrimSuffix(a.Annotations["description"], "."), ". ", "%s: one sentence", a.Alert)
		require.Equal(t, "https://github.com/schoolbell/schoolbell/blob/main/deploy/RUNBOOK.md#"+strings.ToLower(a.Alert),
			a.Annotations["runbook_url"], a.Alert)
	}
}

// Each section says the same four things of its alert.
func TestTheRunbookHasASectionForEveryAlertAndNoOther(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../RUNBOOK.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(src), "\n## Alerts\n")
	require.True(t, found)
	rest, _, _ = strings.Cut(rest, "\n## ")
	parts := regexp.MustCompile(`(?m)^### (\w+)$`).Split(rest, -1)
	var named []string
	for _, match := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(rest, -1) {
		named = append(named, match[1])
	}
	var alerts []string
	for _, a := range promtest.Alerts(t) {
		alerts = append(alerts, a.Alert)
	}
	require.Equal(t, alerts, named, "in the order of the rules")
	for i, section := range parts[1:] {
		for _, word := range []string{"**For the school:** ", "**Look at:** ", "**Do:** ", "**Over when:** "} {
			require.Equal(t, 1, strings.Count(section, word), "%s: %s", named[i], word)
		}
	}
}
