package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/lacking"
)

// verifyUnit has systemd look for mistakes in a unit, which starts the program named
// instead of its own: that need not be installed.
func verifyUnit(t *testing.T, unit, program, instead string) {
	t.Helper()
	analyze := lacking.Program(t, "systemd-analyze", "systemd")
	path := filepath.Join(t.TempDir(), "schoolbell.service")
	require.Contains(t, unit, "ExecStart="+program+" ")
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(unit, "ExecStart="+program+" ", "ExecStart="+instead+" ")), 0o644))
	// It only warns of keys that it does not know.
	require.Empty(t, run(t, "", nil, analyze, "verify", "--man=no", path))
}

// mostExposed is what systemd may say of the unit at most, in tenths on its scale from 0
// to 10. What is left is what a server on the network is: sockets, the machine's
// addresses and files.
const mostExposed = "15"

func TestTheUnitIsSoundAndLeavesLittleOpen(t *testing.T) {
	content, err := os.ReadFile("schoolbell.service")
	require.NoError(t, err)
	verifyUnit(t, string(content), "/usr/local/bin/schoolbell", os.Args[0])

	analyze := lacking.Program(t, "systemd-analyze", "systemd")
	out, err := try("", nil, analyze, "security", "--offline=true", "--no-pager", "--threshold="+mostExposed, "schoolbell.service")
	require.NoError(t, err, "%s", out)
}
