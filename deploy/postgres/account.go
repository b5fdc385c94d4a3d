package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// account is whom a server runs as when we are root. The nil account is ourselves.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount chooses the account: postgres where there is one, else nobody.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("account %s: %w", name, err)
		}
		return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as; " +
		"fix: useradd --system postgres, or run this as an ordinary user")
}

// makeDir makes the server's folder where its account can reach it.
func makeDir(a *account) (string, error) {
	parents := []string{os.TempDir(), "/tmp", "/var/tmp"}
	for _, parent := range parents {
		parent, err := filepath.EvalSymlinks(parent)
		if err != nil || !a.reaches(parent) {
			continue
		}
		dir, err := os.MkdirTemp(parent, "schoolbell-postgres-")
		if err != nil {
			continue
		}
		if a != nil {
			if err := os.Chown(dir, int(a.uid), int(a.gid)); err != nil {
				os.Remove(dir)
				return "", fmt.Errorf("give the server's folder to %s: %w", a.name, err)
			}
		}
		return dir, nil
	}
	return "", fmt.Errorf("none of %q is a folder that one can write and the user %s can reach; fix: set TMPDIR to such a folder", parents, a)
}

// reaches reports whether the account can enter dir. It looks at what is allowed
// to everybody only: a root-only home such as /root is what it has to find.
func (a *account) reaches(dir string) bool {
	if a == nil {
		return true
	}
	for {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || info.Mode()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

func (a *account) String() string {
	if a == nil {
		return "running this"
	}
	return a.name
}
