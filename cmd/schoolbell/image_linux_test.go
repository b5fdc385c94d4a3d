package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// image is what the Dockerfile says about the container.
type image struct {
	program string
	command []string
	health  []string
	environ []string
	uid     uint32
}

func readImage(t *testing.T) image {
	t.Helper()
	text := read(t, "deploy/Dockerfile")
	words := func(pattern string) (list []string) {
		match := regexp.MustCompile(pattern).FindStringSubmatch(text)
		require.NotNil(t, match, pattern)
		require.NoError(t, json.Unmarshal([]byte(match[1]), &list), match[1])
		return list
	}
	entry := words(`(?m)^ENTRYPOINT (\[.+\])$`)
	require.Len(t, entry, 1)
	user := regexp.MustCompile(`(?m)^USER (\d+):\d+$`).FindStringSubmatch(text)
	require.NotNil(t, user)
	uid, err := strconv.ParseUint(user[1], 10, 32)
	require.NoError(t, err)
	health := words(`(?m)^HEALTHCHECK .*CMD (\[.+\])$`)
	require.Equal(t, entry[0], health[0])
	return image{
		program: entry[0], command: words(`(?m)^CMD (\[.+\])$`), health: health[1:], uid: uint32(uid),
		environ: regexp.MustCompile(`SCHOOLBELL_(?:DATA|LISTEN)=\S+`).FindAllString(text, -1),
	}
}

func TestTheImageSetsWhatServeReads(t *testing.T) {
	dockerfile := read(t, "deploy/Dockerfile")
	i := readImage(t)
	requireCommand(t, i.command)
	requireCommand(t, i.health)
	require.NotZero(t, i.uid)
	cfg := requireVariables(t, i.environ)
	require.Equal(t, "/var/lib/schoolbell", cfg.Data)
	require.Equal(t, Address(":8080"), cfg.Listen)
	require.Contains(t, dockerfile, "VOLUME "+cfg.Data+"\n")
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	require.Contains(t, dockerfile, "FROM golang:"+version[1]+" AS build")
	// What is left out of the context and is not ignored by Git would count as a change.
	ignored := strings.Fields(read(t, ".gitignore"))
	for line := range strings.Lines(read(t, "deploy/Dockerfile.dockerignore")) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			require.True(t, slices.ContainsFunc(ignored, func(i string) bool { return strings.Trim(i, "/") == strings.Trim(line, "/") }), line)
		}
	}
}

// The container without Docker: a root folder with the program alone in it, as root's,
// and the account of the image, which can write into the data volume and nowhere else.
// An ordinary user may not change its root folder; then it is this machine's.
func TestTheImageServesFromARootFolderThatItCannotWriteTo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	i := readImage(t)
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(i.program)), 0o755))
	program, err := os.ReadFile(buildProgram(t))
	require.NoError(t, err)
	writeProgram(t, filepath.Join(root, i.program), program)
	data := "/var/lib/schoolbell"
	// A volume of its own file system is not empty.
	require.NoError(t, os.MkdirAll(filepath.Join(root, data, "lost+found"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(root, data, "lost+found"), 0o700))

	env := append(i.environ, "SCHOOLBELL_LISTEN="+s.address, "SCHOOLBELL_ADMIN_LISTEN="+s.admin, "SCHOOLBELL_DATABASE="+s.url, "SCHOOLBELL_SLOT="+s.slot)
	executable, attributes := i.program, &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: i.uid, Gid: i.uid}}
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(filepath.Join(root, data), int(i.uid), int(i.uid)))
	} else {
		executable, attributes = filepath.Join(root, i.program), nil
		env = append(env, "SCHOOLBELL_DATA="+filepath.Join(root, data))
	}
	inside := func(cmd *exec.Cmd) { cmd.Env, cmd.Dir, cmd.SysProcAttr = env, "/", attributes }
	before := filesOf(t, root)
	run := func(args []string) *process {
		return startPrepared(t, &process{t: t, program: executable, args: args, prepare: inside})
	}
	health := func(more ...string) (int, string) {
		p := run(slices.Concat(i.health, more))
		return p.wait(30 * time.Second), p.text()
	}

	code, out := health()
	require.Equal(t, 1, code, out)
	gateway := run(i.command)
	s.ready()
	for _, more := range [][]string{nil, {"--ready"}} {
		code, out = health(more...)
		require.Zero(t, code, out)
	}
	d := s.watch(s.school.Admins[0])
	s.grade(71)
	s.sees(d, 1)
	require.Zero(t, gateway.stop(30*time.Second))

	after := filesOf(t, root)
	require.Contains(t, after, data+"/SCHOOLBELL")
	for name := range after {
		if !strings.HasPrefix(name, data+"/") {
			require.Contains(t, before, name, "it writes into its volume and nowhere else")
		}
	}
}

// filesOf names everything below a folder.
func filesOf(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		names[strings.TrimPrefix(path, root)] = true
		return err
	}))
	return names
}
