package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// FuzzConfigFile: any file is read, or refused with a place; a secret in it is in no
// error, and a second reading says the same.
func FuzzConfigFile(f *testing.F) {
	example, err := os.ReadFile(filepath.Join(repository, "deploy/schoolbell.yaml"))
	require.NoError(f, err)
	f.Add(string(example))
	f.Add(strings.ReplaceAll(string(example), "\n# ", "\n"))
	for _, text := range []string{
		"", "---\n---\n", "listen: 1\nlisten: 2\n", "roles: [a, [b]]\n", "a: &a [*a]\n", "? [x]\n: y\n", "origins: |\n  x\n", "session_secret: s3cret-s3cret: x\n",
		"session_secret: [s3cret-s3cret]\n", "database: {a: s3cret-s3cret}\n", "!!binary x\n", "heartbeat: 1e999s\n", "queue: 0x10\n", "history_size: 99999999999999999999GB\n",
		"trusted_proxies: [fe80::1%eth0/64]\n", "roles: teacher,,admin\n", "\ttab: x\n", "config: x\n", "\xff\xfe", "a: b: c", "{", "- listen",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "bell.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		read := func() (Config, error) {
			flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
			addConfigFlags(flags)
			require.NoError(t, flags.Parse([]string{"--config", path, "--database", dsn}))
			return loadConfig(flags, nil, "database")
		}
		cfg, err := read()
		again, errAgain := read()
		require.Equal(t, cfg, again)
		if err == nil {
			require.NoError(t, errAgain)
			require.Equal(t, dsn, cfg.Database.Reveal(), "the flag stands over the file")
			return
		}
		require.EqualError(t, errAgain, err.Error())
		require.Contains(t, err.Error(), "bell.yaml")
		if strings.HasPrefix(text, "session_secret: ") {
			require.NotContains(t, err.Error(), "s3cret-s3cret")
		}
	})
}
