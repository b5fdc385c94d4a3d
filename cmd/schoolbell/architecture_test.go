package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/schoolbell/schoolbell"

// arrows is the whole product: which package of ours each one may import. Data
// moves down the list and no arrow points up. An arrow or a package that is not
// here is a decision, and is made here first.
func arrows() map[string][]string {
	return map[string][]string{
		"cdc":                        {},
		"cdc/pgoutput":               {"cdc"},
		"cdc/replication":            {"cdc", "cdc/pgoutput"},
		"cdc/profile":                {"cdc"},
		"cdc/profile/guess":          {"cdc", "cdc/profile"},
		"cdc/shadow":                 {"cdc"},
		"cdc/projection":             {"cdc", "cdc/profile", "cdc/shadow"},
		"router":                     {"cdc"},
		"wsserver/auth":              {},
		"wsserver/web":               {},
		"wsserver":                   {"cdc", "router", "wsserver/auth", "wsserver/web"},
		"wsserver/selfcheck":         {},
		"metrics":                    {},
		"deploy":                     {}, // tests of what is delivered
		"deploy/bench":               {"deploy/postgres", "deploy/school"},
		"deploy/lacking":             {},
		"deploy/postgres":            {},
		"deploy/postgres/pgtest":     {"deploy/postgres"},
		"deploy/grafana":             {},
		"deploy/prometheus":          {},
		"deploy/prometheus/promtest": {"deploy/lacking"},
		"deploy/school":              {},
		"deploy/school/canvas":       {"deploy/school"},
		"deploy/school/moodle":       {"deploy/school"},
		"wsserver/web/webtest":       {"deploy/lacking"},
		"wsserver/schematest":        {},
		"cmd/schoolbell/logs":        {},
		"cmd/schoolbell/archive":     {},
		"cmd/schoolbell": {
			"cmd/schoolbell/archive", "cmd/schoolbell/logs",
			"cdc", "cdc/pgoutput", "cdc/replication", "cdc/profile", "cdc/profile/guess", "cdc/shadow", "cdc/projection",
			"router", "wsserver/auth", "wsserver/web", "wsserver/selfcheck", "wsserver", "metrics", "deploy/postgres",
			"deploy/school", "deploy/school/canvas", "deploy/school/moodle",
		},
	}
}

// forTests may be imported by every test, and by nothing else beyond the arrows.
func forTests() []string {
	return []string{
		"deploy/lacking", "deploy/postgres", "deploy/postgres/pgtest", "deploy/prometheus/promtest", "deploy/school", "deploy/school/canvas", "deploy/school/moodle",
		"wsserver/web/webtest", "wsserver/schematest",
	}
}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestNoArrowPointsTheWrongWay(t *testing.T) {
	allowed := arrows()
	for _, p := range listPackages(t) {
		name := ours(p.ImportPath)
		may, known := allowed[name]
		if !known {
			t.Errorf("package %s is not in the design; add it to arrows with what it may import, or put its code where it belongs", name)
			continue
		}
		for _, imported := range p.Imports {
			if to := ours(imported); to != "" && !slices.Contains(may, to) {
				t.Errorf("%s imports %s, and may import %v only; hand it in as a func or a value of %s's own", name, to, may, name)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			to := ours(imported)
			if to != "" && to != name && !slices.Contains(may, to) && !slices.Contains(forTests(), to) {
				t.Errorf("a test of %s imports %s, and may import %v and %v only", name, to, may, forTests())
			}
		}
	}
}

func TestNoFolderStandsAtTheTopBesidesThoseOfTheDesign(t *testing.T) {
	entries, err := os.ReadDir("../..")
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			// Git ignores dist, where a release is built, and schoolbell-data, where serve writes.
			require.Contains(t, []string{"cdc", "cmd", "deploy", "dist", "metrics", "router", "schoolbell-data", "wsserver"}, e.Name(),
				"no other folder at the top: move it into the package that it serves")
		}
	}
}

func TestTheDesignHasNoCycle(t *testing.T) {
	allowed := arrows()
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		require.NotContains(t, path, name)
		for _, next := range allowed[name] {
			require.Contains(t, allowed, next)
			visit(next, append(slices.Clone(path), name))
		}
	}
	visit("cmd/schoolbell", nil)
}

// ours is a package's path within the module, "" for others' packages.
func ours(path string) string {
	name, found := strings.CutPrefix(path, module+"/")
	if !found {
		return ""
	}
	return name
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var list []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		list = append(list, p)
	}
	require.NotEmpty(t, list)
	return list
}
