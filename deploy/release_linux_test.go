package deploy_test

import (
	"archive/tar"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/lacking"
)

const repository = ".."

// try runs a program in a folder, with more variables, and answers what it wrote.
func try(dir string, env []string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func run(t *testing.T, dir string, env []string, program string, args ...string) string {
	t.Helper()
	out, err := try(dir, env, program, args...)
	require.NoError(t, err, "%s %q: %s", program, args, out)
	return out
}

// clone is what is in the working tree, committed and tagged: the same commit wherever
// it is made.
func clone(t *testing.T, dir, tag string) {
	t.Helper()
	for name := range strings.SplitSeq(run(t, repository, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00") {
		content, err := os.ReadFile(filepath.Join(repository, name))
		if name == "" || errors.Is(err, os.ErrNotExist) { // removed, and not yet from the index
			continue
		}
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(repository, name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, info.Mode()&0o100|0o644))
	}
	when := []string{"GIT_AUTHOR_DATE=2026-11-23T09:00:00Z", "GIT_COMMITTER_DATE=2026-11-23T09:00:00Z"}
	who := []string{"-c", "user.name=schoolbell", "-c", "user.email=schoolbell@school.example", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"}
	run(t, dir, nil, "git", "init", "-q")
	run(t, dir, nil, "git", "add", "--all")
	run(t, dir, when, "git", append(who, "commit", "-q", "-m", "a release")...)
	run(t, dir, when, "git", append(who, "tag", tag)...)
}

func release(t *testing.T, dir string, env ...string) {
	t.Helper()
	run(t, dir, env, "bash", "deploy/release.sh", "linux/"+runtime.GOARCH)
}

// Twice, of one platform: in two folders, at two hours of the world, by two accounts'
// habits.
func TestAReleaseIsTheSameBytesWhereverItIsBuilt(t *testing.T) {
	for _, program := range []string{"git", "dpkg-deb"} {
		lacking.Program(t, program, "git dpkg")
	}
	const tag = "v0.9.7-rc.1"
	here, there := t.TempDir(), filepath.Join(t.TempDir(), "another", "longer", "folder")
	require.NoError(t, os.MkdirAll(there, 0o700))
	clone(t, here, tag)
	clone(t, there, tag)
	release(t, here)
	release(t, there, "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8", "GOFLAGS=-buildvcs=false", "USER=somebody")

	name := "schoolbell_" + tag + "_linux_" + runtime.GOARCH
	deb := "schoolbell_0.9.7~rc.1_" + runtime.GOARCH + ".deb"
	var files []string
	entries, err := os.ReadDir(filepath.Join(here, "dist"))
	require.NoError(t, err)
	for _, e := range entries {
		files = append(files, e.Name())
		a, err := os.ReadFile(filepath.Join(here, "dist", e.Name()))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(there, "dist", e.Name()))
		require.NoError(t, err)
		require.True(t, slices.Equal(a, b), "%s differs", e.Name())
	}
	require.Equal(t, []string{"SHA256SUMS", deb, name + ".cdx.json", name + ".tar.gz"}, files)
	run(t, filepath.Join(here, "dist"), nil, "sha256sum", "--check", "--strict", "SHA256SUMS")

	program := unpack(t, filepath.Join(here, "dist", name+".tar.gz"), name)
	revision := strings.TrimSpace(run(t, here, nil, "git", "rev-parse", "HEAD"))
	require.Equal(t, "schoolbell "+tag+" (revision "+revision+", "+runtime.Version()+", linux/"+runtime.GOARCH+")\n", run(t, here, nil, program, "version"))
	requireStatic(t, program)
	requireSBOM(t, filepath.Join(here, "dist", name+".cdx.json"), tag)
	t.Run("the Debian package", func(t *testing.T) { installDeb(t, filepath.Join(here, "dist", deb), tag) })
	t.Run("what is not committed", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(there, "README.md"), nil, 0o644))
		out, err := try(there, nil, "bash", "deploy/release.sh", "linux/"+runtime.GOARCH)
		require.Error(t, err)
		require.Equal(t, "release.sh: there are changes that are not committed; fix: git stash --include-untracked, or commit them\n", out)
		// The image is built of what is there, and says so.
		dirty := filepath.Join(t.TempDir(), "schoolbell")
		run(t, there, []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=true", "-trimpath", "-ldflags=-s -w", "-o", dirty, "./cmd/schoolbell")
		require.Contains(t, run(t, there, nil, dirty, "version"), tag+"+dirty (revision "+revision+" and changes, ")
	})
	out, err := try(here, nil, "bash", "deploy/release.sh", "plan9/mips")
	require.Error(t, err)
	require.Contains(t, out, "release.sh: there is no release for plan9/mips; fix: name some of linux/amd64 linux/arm64 darwin/amd64 darwin/arm64")
}

// unpack answers the program in an archive, of which nothing tells who packed it when.
func unpack(t *testing.T, archive, folder string) string {
	t.Helper()
	file, err := os.Open(archive)
	require.NoError(t, err)
	defer file.Close()
	plain, err := gzip.NewReader(file)
	require.NoError(t, err)
	require.Zero(t, plain.ModTime)
	program := filepath.Join(t.TempDir(), "schoolbell")
	var names []string
	for packed := tar.NewReader(plain); ; {
		h, err := packed.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, strings.TrimPrefix(h.Name, folder+"/"))
		require.Equal(t, []any{0, 0, "", ""}, []any{h.Uid, h.Gid, h.Uname, h.Gname}, h.Name)
		require.Equal(t, "2026-11-23T09:00:00Z", h.ModTime.UTC().Format("2006-01-02T15:04:05Z"), h.Name)
		if filepath.Base(h.Name) == "schoolbell" {
			require.EqualValues(t, 0o755, h.Mode)
			content, err := io.ReadAll(packed)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(program, content, 0o755))
		}
	}
	require.Equal(t, []string{"", "CHANGELOG.md", "LICENSE", "README.md", "schoolbell", "schoolbell.service", "schoolbell.yaml"}, names)
	return program
}

func requireStatic(t *testing.T, program string) {
	t.Helper()
	file, err := elf.Open(program)
	require.NoError(t, err)
	defer file.Close()
	for _, p := range file.Progs {
		require.NotContains(t, []elf.ProgType{elf.PT_INTERP, elf.PT_DYNAMIC}, p.Type, "it needs a library")
	}
}

// requireSBOM compares what an SBOM names with go.mod.
func requireSBOM(t *testing.T, path, version string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	type component struct{ Name, Version string }
	var bom struct {
		BOMFormat    string
		SpecVersion  string
		SerialNumber string
		Metadata     struct {
			Timestamp string
			Component component
		}
		Components []component
	}
	require.NoError(t, json.Unmarshal(content, &bom))
	require.Equal(t, "CycloneDX", bom.BOMFormat)
	require.Equal(t, component{"github.com/schoolbell/schoolbell", version}, bom.Metadata.Component)
	require.Empty(t, bom.Metadata.Timestamp+bom.SerialNumber)
	require.Contains(t, bom.Components, component{"std", runtime.Version()})
	mod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	require.NoError(t, err)
	for _, name := range []string{"github.com/jackc/pgx/v5", "github.com/coder/websocket", "github.com/cockroachdb/pebble/v2", "github.com/spf13/cobra"} {
		match := regexp.MustCompile(regexp.QuoteMeta(name) + ` (v\S+)`).FindStringSubmatch(string(mod))
		require.NotNil(t, match, name)
		require.Contains(t, bom.Components, component{name, match[1]})
	}
	require.NotContains(t, string(content), "stretchr/testify", "what only tests need is not in the program")
}

// installDeb installs, upgrades and removes the package in a root folder of its own.
func installDeb(t *testing.T, deb, tag string) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "var/lib/dpkg/info"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "var/lib/dpkg/updates"), 0o755))
	for _, name := range []string{"status", "available"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "var/lib/dpkg", name), nil, 0o644))
	}
	dpkg := func(args ...string) string {
		t.Helper()
		return run(t, root, []string{"DEBIAN_FRONTEND=noninteractive", "PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin"}, "dpkg",
			append([]string{"--root=" + root, "--log=" + filepath.Join(root, "var/lib/dpkg/log"), "--force-script-chrootless", "--force-not-root"}, args...)...)
	}
	in := func(path string) string { return filepath.Join(root, path) }

	require.Equal(t, "schoolbell\n0.9.7~rc.1\n"+runtime.GOARCH+"\n", run(t, root, nil, "dpkg-deb", "--show", "--showformat=${Package}\n${Version}\n${Architecture}\n", deb))
	require.Equal(t, "/etc/schoolbell/schoolbell.yaml\n", run(t, root, nil, "dpkg-deb", "--info", deb, "conffiles"))
	for line := range strings.Lines(run(t, root, nil, "dpkg-deb", "--contents", deb)) {
		require.Regexp(t, `^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x) root/root `, line)
	}

	dpkg("--install", deb)
	require.Contains(t, run(t, root, nil, in("usr/bin/schoolbell"), "version"), "schoolbell "+tag+" (")
	require.Equal(t, map[string]bool{
		"/etc/schoolbell/schoolbell.yaml": true, "/usr/bin/schoolbell": true, "/usr/lib/systemd/system/schoolbell.service": true,
		"/usr/share/doc/schoolbell/changelog.gz": true, "/usr/share/doc/schoolbell/copyright": true,
	}, installed(t, root))
	unit, err := os.ReadFile(in("usr/lib/systemd/system/schoolbell.service"))
	require.NoError(t, err)
	require.NotContains(t, string(unit), "/usr/local", "that folder is not a package's")
	verifyUnit(t, string(unit), "/usr/bin/schoolbell", in("usr/bin/schoolbell"))
	// The example is a configuration that lacks the database alone.
	cmd := exec.Command(in("usr/bin/schoolbell"), "serve", "--config", in("etc/schoolbell/schoolbell.yaml"))
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Equal(t, "schoolbell: database is not set; give it as --database, as SCHOOLBELL_DATABASE, as a file named in SCHOOLBELL_DATABASE_FILE, or as database: in the file\n", string(out))

	// What the sysadmin wrote outlives an upgrade and the removal, until all is purged.
	mine := "profile: moodle\n"
	require.NoError(t, os.WriteFile(in("etc/schoolbell/schoolbell.yaml"), []byte(mine), 0o644))
	require.NoError(t, os.MkdirAll(in("var/lib/private/schoolbell"), 0o755))
	dpkg("--install", deb)
	require.Contains(t, dpkg("--remove", "schoolbell"), "SELECT pg_drop_replication_slot('schoolbell');")
	content, err := os.ReadFile(in("etc/schoolbell/schoolbell.yaml"))
	require.NoError(t, err)
	require.Equal(t, mine, string(content))
	require.NoFileExists(t, in("usr/bin/schoolbell"))
	require.DirExists(t, in("var/lib/private/schoolbell"))
	dpkg("--purge", "schoolbell")
	require.Empty(t, installed(t, root))
	require.NoDirExists(t, in("var/lib/private/schoolbell"))
}

// installed names the files below a root folder, but for dpkg's own.
func installed(t *testing.T, root string) map[string]bool {
	t.Helper()
	files := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		name := strings.TrimPrefix(path, root)
		if err == nil && !entry.IsDir() && !strings.HasPrefix(name, "/var/lib/dpkg/") {
			files[name] = true
		}
		return err
	}))
	return files
}
