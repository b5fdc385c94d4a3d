package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/prometheus/promtest"
	"github.com/schoolbell/schoolbell/metrics"
)

// asked is an expression that a rule or a panel asks Prometheus.
type asked struct {
	by     string // who asks
	expr   string
	legend string // of a panel, what its series are called
}

// askedByRules are the expressions of the rules.
func askedByRules(t *testing.T) []asked {
	t.Helper()
	var all []asked
	for _, r := range promtest.Rules(t) {
		all = append(all, asked{by: r.Record + r.Alert, expr: r.Expr})
	}
	return all
}

// board is what of Grafana's dashboard asks Prometheus.
type board struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct{ Name, Query string }
	}
	Annotations struct {
		List []struct{ Name, Expr string }
	}
}

func readBoard(t *testing.T) board {
	t.Helper()
	var b board
	require.NoError(t, json.Unmarshal([]byte(read(t, "deploy/grafana/schoolbell.json")), &b))
	return b
}

// askedByPanels are the expressions of the dashboard's panels.
func askedByPanels(t *testing.T) []asked {
	t.Helper()
	var all []asked
	for _, p := range readBoard(t).Panels {
		for _, target := range p.Targets {
			all = append(all, asked{p.Title, chosen(target.Expr), target.LegendFormat})
		}
	}
	require.NotEmpty(t, all)
	return all
}

// chosen is an expression of the dashboard, of all gateways, over a time that has some
// scrapes in it.
func chosen(expr string) string {
	return strings.NewReplacer("$job", "schoolbell", "$instance", ".+", "$__rate_interval", "5s").Replace(expr)
}

// selectors are the parts of an expression that name series: a metric, and what its labels
// have to be. They are of the programs that we know, or recorded.
var selectors = regexp.MustCompile(`\b(?:up|(?:schoolbell|process|go)_\w+|schoolbell:[\w:]+)\b(?:\{[^}]*\})?`)

// identifiers are the names that are left once those, the texts and the durations are taken away.
var identifiers = regexp.MustCompile(`[a-zA-Z_:][\w:]*`)

// language are the words of PromQL that are used.
var language = []string{
	"absent", "and", "by", "histogram_quantile", "increase", "max", "min", "on", "or", "predict_linear", "rate", "sum", "time", "unless",
}

// A metric or a label that does not exist is no error to Prometheus: the panel stays
// empty, and the alert never comes.
func TestRulesAndPanelsAskForMetricsAndLabelsThatExist(t *testing.T) {
	page := httptest.NewRecorder()
	metrics.New(metrics.Info{}, metrics.Sources{}).Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	instruments, err := metrics.Describe()
	require.NoError(t, err)
	recorded := map[string]asked{}
	for _, a := range askedByRules(t) {
		recorded[a.by] = a
	}
	var check func(a asked) (labels []string)
	check = func(a asked) (labels []string) {
		for _, s := range selectors.FindAllString(a.expr, -1) {
			name, matchers, _ := strings.Cut(s, "{")
			if strings.HasPrefix(name, "schoolbell:") {
				require.Contains(t, recorded, name, "%s asks for what no rule records", a.by)
				labels = append(labels, check(recorded[name])...)
				continue
			}
			family := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
			i := slices.IndexFunc(instruments, func(i metrics.Instrument) bool { return i.Name == family })
			if i < 0 { // of Prometheus, or of every Go program
				require.Contains(t, page.Body.String()+"\n# TYPE up ", "\n# TYPE "+name+" ", "%s asks for %s", a.by, name)
				continue
			}
			requireLabels(t, a, instruments[i], matchers)
			for _, l := range instruments[i].Labels {
				labels = append(labels, l.Name)
			}
		}
		requireWords(t, a, labels)
		return labels
	}
	for _, a := range slices.Concat(askedByRules(t), askedByPanels(t)) {
		check(a)
	}
}

// conditions are what the labels have to be.
var conditions = regexp.MustCompile(`(\w+)(?:=|!=|=~|!~)"([^"]*)"`)

// requireLabels fails where an instrument has no such label, or the label no such value.
func requireLabels(t *testing.T, a asked, of metrics.Instrument, text string) {
	t.Helper()
	for _, match := range conditions.FindAllStringSubmatch(text, -1) {
		name, values := match[1], match[2]
		if name == "job" || name == "instance" || name == "le" && of.Type == "histogram" {
			continue
		}
		i := slices.IndexFunc(of.Labels, func(l metrics.Label) bool { return l.Name == name })
		require.GreaterOrEqual(t, i, 0, "%s asks for the label %s of %s", a.by, name, of.Name)
		for value := range strings.SplitSeq(values, "|") {
			require.Contains(t, of.Labels[i].Values, value, "%s asks for it as the label %s of %s", a.by, name, of.Name)
		}
	}
}

// requireWords fails where an expression has a word that is neither PromQL's nor a label.
func requireWords(t *testing.T, a asked, labels []string) {
	t.Helper()
	rest := selectors.ReplaceAllString(a.expr, "")
	rest = regexp.MustCompile(`\[\w+\]|\b[\d.]+\b`).ReplaceAllString(rest, "")
	for _, word := range identifiers.FindAllString(rest, -1) {
		require.Contains(t, slices.Concat(language, labels, []string{"job", "instance", "le"}), word, "%s: %s", a.by, a.expr)
	}
}

// At night nobody wants to look for what was renamed.
func TestTheRunbookNamesMetricsAndCommandsThatExist(t *testing.T) {
	runbook := read(t, "deploy/RUNBOOK.md")
	instruments, err := metrics.Table()
	require.NoError(t, err)
	said := runbook
	for _, r := range promtest.Alerts(t) {
		said += "\n" + r.Annotations["summary"] + "\n" + r.Annotations["description"]
	}
	for _, name := range regexp.MustCompile(`\bschoolbell_\w+`).FindAllString(said, -1) {
		require.Contains(t, instruments, "| `"+name+"` |")
	}
	commands := regexp.MustCompile("(?:`|\n)schoolbell ([^`\n]+)").FindAllStringSubmatch(runbook, -1)
	require.NotEmpty(t, commands)
	for _, match := range commands {
		requireCommand(t, strings.Fields(match[1]))
	}
}

// monitored is a gateway, and the Prometheus of prometheus.yml that scrapes it.
type monitored struct {
	*site
	gateway    *process
	prometheus *promtest.Server
}

// monitor starts both. Prometheus looks often, and what holds for a moment has held for
// long enough.
func monitor(t *testing.T) *monitored {
	t.Helper()
	m := &monitored{site: newSite(t)}
	flags := []string{"--snapshots-per-hour", "20"}
	if checksItself(t) {
		flags = append(flags, "--self-check", "1s")
	}
	m.gateway = m.serve(flags...)
	m.ready()
	dir := t.TempDir()
	config := read(t, "deploy/prometheus/prometheus.yml")
	for from, to := range map[string]string{": 15s\n": ": 500ms\n", "[schoolbell:8081]": "[" + m.admin + "]"} {
		require.Contains(t, config, from)
		config = strings.ReplaceAll(config, from, to)
	}
	rules := regexp.MustCompile(`(?m)^ +for: \w+\n`).ReplaceAllString(read(t, "deploy/prometheus/schoolbell.rules.yml"), "")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, promtest.RuleFile), []byte(rules), 0o600))
	m.prometheus = promtest.Start(t, dir)
	return m
}

// Promise: every alert that can be provoked here comes, and goes when the runbook says;
// every panel shows something.
func TestAPrometheusThatScrapesTheGatewayAlertsAndFillsThePanels(t *testing.T) {
	t.Parallel()
	m := monitor(t)
	d := m.watch(m.school.Admins[0])
	m.grade(61)
	m.sees(d, 1)
	m.prometheus.Await(`schoolbell_delivery_seconds_count > 0`)
	m.answersEveryExpression(t)
	m.offersEveryChoice(t)
	m.allIsWell()

	if pgtest.Server(t).Major() >= 15 { // before that there is nothing to widen
		m.steps("begin")
		m.reattach()
		m.prometheus.AwaitAlerts("SchoolbellPublicationWidened")
		m.steps("end")
		m.reattach()
		m.allIsWell()
	}

	m.exec(`ALTER TABLE assignments_assignmentsubmission DROP CONSTRAINT assignments_assignmentsubmission_pkey`)
	m.reattach()
	m.prometheus.AwaitAlerts("SchoolbellIdentityMissing")
	m.exec(`ALTER TABLE assignments_assignmentsubmission ADD PRIMARY KEY (id)`)
	m.reattach()
	m.allIsWell()

	server := connectTo(t, pgtest.Server(t).URL("postgres"))
	for _, closed := range []bool{true, false} {
		_, err := server.Exec(t.Context(), fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", m.slot, !closed))
		require.NoError(t, err)
		m.reattach()
		if closed {
			m.prometheus.AwaitAlerts("SchoolbellNotStreaming", "SchoolbellNotReady")
			if checksItself(t) {
				m.prometheus.AwaitAlerts("SchoolbellSelfCheckFailing")
			}
		}
	}
	m.allIsWell()

	m.exec(strings.ReplaceAll(dropSlot, "'schoolbell'", "'"+m.slot+"'"))
	m.prometheus.AwaitAlerts("SchoolbellSlotLost")
	for _, a := range readBoard(t).Annotations.List {
		m.prometheus.Await(a.Expr) // it stands in the panels when that was
	}
	m.ready()
	m.exec(`DROP PUBLICATION schoolbell`)
	m.reattach()
	m.prometheus.AwaitAlerts("SchoolbellPublicationBroken")
	m.init()
	m.reattach()
	m.ready()
	m.prometheus.AwaitAlerts("SchoolbellSnapshotLoop")

	m.exec(`ALTER TABLE assignments_assignment RENAME COLUMN title TO heading`)
	m.reattach()
	m.prometheus.AwaitAlerts("SchoolbellProblem")
	m.exec(`ALTER TABLE assignments_assignment RENAME COLUMN heading TO title`)
	m.reattach()
	m.ready()

	m.guessTokens(t, 500)
	m.prometheus.AwaitAlerts("SchoolbellSignInsRefused")

	require.Zero(t, m.gateway.stop(10*time.Second))
	m.prometheus.AwaitAlerts("SchoolbellDown")
}

// checksItself is whether the server has what the self-check needs.
func checksItself(t *testing.T) bool { return pgtest.Server(t).Major() >= 14 }

// allIsWell waits until no alert is left. How fast a disk fills that others use, too, says
// nothing after seconds.
func (m *monitored) allIsWell() {
	m.t.Helper()
	m.ready()
	m.prometheus.AwaitSilence("SchoolbellDiskFilling")
}

// answersEveryExpression asks what the rules and the panels ask, and for each metric and
// its labels by themselves: an alert that is silent has to be so for its threshold alone.
func (m *monitored) answersEveryExpression(t *testing.T) {
	t.Helper()
	m.prometheus.Await(`schoolbell:delivery_late:ratio3d`)
	known := func(all []asked) []asked {
		return slices.DeleteFunc(all, func(a asked) bool { return strings.Contains(a.expr, "self_check") && !checksItself(t) })
	}
	for _, a := range known(slices.Concat(askedByRules(t), askedByPanels(t))) {
		_, err := m.prometheus.Ask(a.expr)
		require.NoError(t, err, "%s: %s", a.by, a.expr)
		for _, s := range selectors.FindAllString(a.expr, -1) {
			m.prometheus.Await(s)
		}
	}
	for _, p := range known(askedByPanels(t)) {
		series := m.prometheus.Await(p.expr)
		for _, named := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(p.legend, -1) {
			require.Contains(t, series[0].Metric, model.LabelName(named[1]), "%s: %s", p.by, p.legend)
		}
	}
}

// offersEveryChoice asks for the lists at the top of the dashboard.
func (m *monitored) offersEveryChoice(t *testing.T) {
	t.Helper()
	values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, c := range readBoard(t).Templating.List {
		if c.Query == "prometheus" { // the kind of source
			continue
		}
		match := values.FindStringSubmatch(c.Query)
		require.NotNil(t, match, c.Query)
		require.Contains(t, m.prometheus.Await(chosen(match[1]))[0].Metric, model.LabelName(match[2]), c.Name)
	}
}

// guessTokens has somebody guess, at several connections at once.
func (m *monitored) guessTokens(t *testing.T, n int) {
	t.Helper()
	var guesses errgroup.Group
	guesses.SetLimit(32)
	for i := range n {
		guesses.Go(func() error {
			resp, err := http.Get(fmt.Sprintf("%s/api/session?token=guess%d", m.base(), i))
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
	}
	require.NoError(t, guesses.Wait())
}
