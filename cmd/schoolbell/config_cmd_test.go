package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestConfigCheckSaysEveryMistakeWithItsPlace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bell.yaml")
	check := func(yaml string, args ...string) (int, string) {
		require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
		return schoolbell(t, append([]string{"config", "check", "--config", file}, args...)...)
	}
	code, out := check("database: "+dsn+"\nslot: school\nhistory_size: 2GB\n", "--listen", ":8443")
	require.Zero(t, code, out)
	require.Equal(t, "the configuration is right: 5 settings are given, the others have their defaults; next: schoolbell check\n", out)

	code, out = check("slto: x\nheartbeat: 5\n", "--queue", "1")
	require.Equal(t, 2, code, out)
	for _, want := range []string{file + ":1:1: unknown key slto", file + ":2:12: heartbeat is", "--queue: queue is", "database is not set"} {
		require.Contains(t, out, want)
	}

	code, out = check("database: " + dsn + "\npublish_tokens: [short]\ntls_key: k.pem\nroles: []\nintrospect_cookie: x\nproxy_user_header: Remote-User\nself_check: 5ms\nprofile: nope.yaml\n")
	require.Equal(t, 2, code, out)
	for _, want := range []string{"publish_tokens has one", "tls_key is set and tls_certificate is not", "proxy_user_networks", "self_check is 5ms", "nope.yaml"} {
		require.Contains(t, out, want, "what is wrong together is said at once, too")
	}
	require.NotContains(t, out, "hunter2")
}

func TestConfigShowSaysWhereEachValueIsFromAndServeWouldReadItAgain(t *testing.T) {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addConfigFlags(flags)
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("bell.yaml", []byte("heartbeat: 1m30s\norigins: ['https://*.example.org', http://localhost:3000]\ntrusted_proxies: ['::1', 10.0.0.0/8]\npublish_tokens: [secret-of-a-service]\nintrospect_requires: ['/a=b, c']\nrebuild: true\n"), 0o600))
	require.NoError(t, flags.Parse([]string{"--config", "bell.yaml", "--history-size", "2GiB"}))
	cfg, from, err := loadPlaces(flags, []string{"SCHOOLBELL_SLOT=mine", "SCHOOLBELL_DATABASE=" + dsn})
	require.NoError(t, err)
	var b bytes.Buffer
	writeConfig(&b, cfg, from)
	for _, want := range []string{
		"# file: bell.yaml, named by --config\n", "listen: 127.0.0.1:8080  # default\n", "slot: mine  # environment SCHOOLBELL_SLOT\n",
		"heartbeat: 1m30s  # file bell.yaml:1:12\n", `history_size: 2147483648B  # flag --history-size` + "\n", "# tls_key: is not set\n",
		`database: "[redacted]"  # environment SCHOOLBELL_DATABASE` + "\n", `publish_tokens: ["[redacted]"]  # file bell.yaml:4:18` + "\n",
		`origins: [https://*.example.org, http://localhost:3000]  # file bell.yaml:2:11` + "\n",
	} {
		require.Contains(t, b.String(), want)
	}
	require.NotContains(t, b.String(), "hunter2")
	require.NotContains(t, b.String(), "secret-of")

	again, err := load(t, b.String(), nil, nil)
	require.NoError(t, err)
	again.File, cfg.File = "", ""
	cfg.Database, cfg.PublishTokens = again.Database, again.PublishTokens
	require.Equal(t, cfg, again)
}

func TestTheReferenceIsAFileWithTheDefaults(t *testing.T) {
	text := configFileReference()
	for _, s := range settings() {
		if s.key != "config" {
			require.Contains(t, text, "\n# "+s.key+":", s.key)
		}
	}
	require.Contains(t, text, "Reloadable.\n# (number; --max-sessions, SCHOOLBELL_MAX_SESSIONS)\n# max_sessions: 20000\n")
	// With the comment signs gone from what are settings, it is the defaults.
	lines := regexp.MustCompile(`(?m)^# ([a-z_]+:( .*)?)$`).ReplaceAllStringFunc(text, func(line string) string {
		key, _, _ := strings.Cut(line[2:], ":")
		for _, s := range settings() {
			if s.key == key {
				return line[2:]
			}
		}
		return line
	})
	cfg, err := load(t, lines, nil, []string{"--database", dsn})
	require.NoError(t, err)
	want, err := load(t, "", nil, []string{"--database", dsn})
	require.NoError(t, err)
	cfg.File = ""
	require.Equal(t, want, cfg)
}
