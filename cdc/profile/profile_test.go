package profile_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Promise: all mistakes of a file are told at once, each with its line and column,
// what was found, what is expected, and the nearest known word. What this version
// does not support is refused, never silently ignored.
func TestAllMistakesOfAFileAreToldAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			_, err = profile.Parse(name+".yaml", src)
			require.Error(t, err)
			golden := strings.TrimSuffix(file, ".yaml") + ".want"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644))
			}
			want, readErr := os.ReadFile(golden)
			require.NoError(t, readErr)
			require.Equal(t, string(want), err.Error()+"\n")
		})
	}
}

func open(t *testing.T, name string) *profile.Profile {
	t.Helper()
	p, err := profile.Open(name)
	require.NoError(t, err)
	return p
}

func parse(t *testing.T, yaml string) *profile.Profile {
	t.Helper()
	p, err := profile.Parse("school.yaml", []byte(yaml))
	require.NoError(t, err)
	return p
}

var _ = cdc.IntID
