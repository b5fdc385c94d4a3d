// Package lacking ends a test whose server or program is not on this machine.
//
// # Promises
//
//   - The test is skipped with one line that says what to install. With
//     SCHOOLBELL_TEST_REQUIRE=1, which deploy/test.sh sets, it fails instead.
package lacking

import (
	"os"
	"os/exec"
	"testing"
)

// End ends the test: what is one line, with what to install.
func End(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("SCHOOLBELL_TEST_REQUIRE") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Program answers the path of a program, or ends the test; from is the Debian packages that
// have it.
func Program(t testing.TB, program, from string) string {
	t.Helper()
	// Debian has some where an ordinary user's PATH does not lead.
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	End(t, "this test needs "+program+"; fix: apt-get install "+from)
	return ""
}
