// Package promtest gives tests a Prometheus, and what deploy/ has for one: the rules.
//
// # Promises
//
//   - Every server listens on the loopback alone, keeps its data in a folder of the test,
//     and has ended when the test has.
//   - Where there is no Prometheus a test is skipped, and says what to install; with
//     SCHOOLBELL_TEST_REQUIRE=1 it fails instead.
//
// Its functions may be called from parallel tests.
package promtest

import (
	"os/exec"
	"testing"

	"github.com/schoolbell/schoolbell/deploy/lacking"
)

// find answers where a program of Prometheus is, and ends the test that needs it where it
// is not.
func find(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	lacking.End(t, "no "+name+" in PATH: apt-get install prometheus")
	return ""
}

// Tool runs promtool in a folder, and answers what it says; err is that it found something
// wrong.
func Tool(t testing.TB, dir string, args ...string) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), find(t, "promtool"), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
