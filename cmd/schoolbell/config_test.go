package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/profile"
)

const dsn = "postgres://bell:hunter2@db/lms"

// load reads a configuration as serve does, with bell.yaml where yaml is not empty.
func load(t *testing.T, yaml string, environ, args []string) (Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addConfigFlags(flags)
	if yaml != "" {
		t.Chdir(t.TempDir())
		require.NoError(t, os.WriteFile("bell.yaml", []byte(yaml), 0o600))
		args = append([]string{"--config", "bell.yaml"}, args...)
	}
	require.NoError(t, flags.Parse(args))
	return loadConfig(flags, environ, "database")
}

func TestFlagsStandOverEnvironmentOverFileOverDefaults(t *testing.T) {
	cfg, err := load(t, "database: "+dsn+"\nslot: from_file\npublication: from_file\ndata: from_file\n",
		[]string{"SCHOOLBELL_PUBLICATION=from_env", "SCHOOLBELL_DATA=from_env", "HOME=/"},
		[]string{"--data", "from_flag"})
	require.NoError(t, err)
	require.Equal(t, "from_flag", cfg.Data)
	require.Equal(t, Name("from_env"), cfg.Publication)
	require.Equal(t, Name("from_file"), cfg.Slot)
	require.Equal(t, "django", cfg.Profile)
	require.Equal(t, dsn, cfg.Database.Reveal())
}

func TestDefaultsAreThoseOfTheReference(t *testing.T) {
	cfg, err := load(t, "", []string{"SCHOOLBELL_DATABASE=" + dsn}, nil)
	require.NoError(t, err)
	require.Equal(t, Config{
		Database: dsn, Profile: "django", Listen: "127.0.0.1:8080", AdminListen: "127.0.0.1:8081",
		Data: "schoolbell-data", Slot: "schoolbell", Publication: "schoolbell",
		Heartbeat: 30 * time.Second, MetricsInterval: 10 * time.Second,
		Recheck: 10 * time.Second, JWTUserClaim: "sub", JWTLeeway: 30 * time.Second, ProxyUserBy: "id", IntrospectRate: 50,
		HistoryAge: 168 * time.Hour, HistorySize: 1e9, BulkLimit: 1000, Queue: 4096,
		Roles: RoleNames{"teacher", "tutor", "admin"}, FrameAncestors: []Ancestor{"self"}, MaxSessionsPerAddress: 2000, HandshakesPerAddress: 200, AuthFailures: 100,
		MaxSessions: 20000, MaxSessionsPerPerson: 20, SnapshotsPerHour: 3, LogLevel: "info", LogFormat: "auto",
	}, cfg)
}

func TestEveryKindOfValueIsReadFromAFile(t *testing.T) {
	cfg, err := load(t, `# a comment
database: "`+dsn+`"
listen: :9000
heartbeat: 1m30s
history_size: 2GiB
queue: 100
origins:
  - https://lms.example.org
  - http://localhost:3000
  - https://*.example.org
log_level: 'debug'
profile: # empty is not set
`, nil, nil)
	require.NoError(t, err)
	require.Equal(t, Address(":9000"), cfg.Listen)
	require.Equal(t, 90*time.Second, cfg.Heartbeat)
	require.Equal(t, Size(2<<30), cfg.HistorySize)
	require.Equal(t, 100, cfg.Queue)
	require.Equal(t, []string{"https://lms.example.org", "http://localhost:3000", "https://*.example.org"}, cfg.Origins)
	require.Equal(t, "debug", cfg.LogLevel)
	require.Equal(t, "django", cfg.Profile)
}

func TestNetworksAndAncestorsAreRead(t *testing.T) {
	cfg, err := load(t, "trusted_proxies: [127.0.0.1, 10.1.2.3/16, '::1']\nframe_ancestors: https://*.example.org:8443, self\n", nil, []string{"--database", dsn})
	require.NoError(t, err)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128"),
	}, cfg.TrustedProxies)
	require.Equal(t, []string{"https://*.example.org:8443", "'self'"}, ancestors(cfg))
	cfg, err = load(t, "frame_ancestors: none\n", nil, []string{"--database", dsn})
	require.NoError(t, err)
	require.Equal(t, []string{"'none'"}, ancestors(cfg))
}

func TestRolesAreReadAndOthersRefusedWithTheNearest(t *testing.T) {
	for _, c := range []struct {
		yaml string
		want string // the error, or the roles
	}{
		{"", "[teacher tutor admin]"},
		{"roles: [student, admin]\n", "[student admin]"},
		{"roles: admin, teacher, admin\n", "[admin teacher]"},
		{"roles: [teacher, studnet]\n", `:1:18: roles is "studnet", want some of teacher, tutor, admin, student; the nearest is student`},
		{"roles: [Teacher]\n", `:1:9: roles is "Teacher", want some of teacher, tutor, admin, student; the nearest is teacher`},
		{"roles: [none]\n", `:1:9: roles is "none", want some of teacher, tutor, admin, student`},
		{"roles: [parent]\n", `:1:9: roles is "parent", want some of teacher, tutor, admin, student`},
	} {
		cfg, err := load(t, c.yaml, nil, []string{"--database", dsn})
		if strings.HasPrefix(c.want, "[") {
			require.NoError(t, err)
			require.Equal(t, c.want, fmt.Sprint(cfg.Roles.roles()))
		} else {
			require.Error(t, err)
			require.True(t, strings.HasSuffix(err.Error(), c.want), "%v", err)
		}
	}
	cfg, err := load(t, "roles: []\n", nil, []string{"--database", dsn})
	require.NoError(t, err)
	p, err := profile.Open("django")
	require.NoError(t, err)
	require.EqualError(t, canSignIn(cfg, p), "roles is empty, so nobody may connect; fix: list some of teacher, tutor, admin, student, or leave it out")
}

func TestASwitchNeedsNoValueAsAFlag(t *testing.T) {
	for _, c := range []struct {
		yaml    string
		env     []string
		args    []string
		rebuild bool
	}{
		{"database: " + dsn, nil, nil, false},
		{"database: " + dsn, nil, []string{"--rebuild"}, true},
		{"database: " + dsn + "\nrebuild: true", nil, nil, true},
		{"database: " + dsn + "\nrebuild: true", nil, []string{"--rebuild=false"}, false},
		{"database: " + dsn, []string{"SCHOOLBELL_REBUILD=true"}, nil, true},
	} {
		cfg, err := load(t, c.yaml, c.env, c.args)
		require.NoError(t, err)
		require.Equal(t, c.rebuild, cfg.Rebuild, "%v", c)
	}
	_, err := load(t, "database: "+dsn, nil, []string{"--rebuild=maybe"})
	require.EqualError(t, err, `--rebuild: rebuild is "maybe", want true or false`)
}

func TestAListIsReplacedAsAWhole(t *testing.T) {
	cfg, err := load(t, "origins: [https://a.example, https://b.example]\n",
		[]string{"SCHOOLBELL_DATABASE=" + dsn, "SCHOOLBELL_ORIGINS=https://c.example, https://d.example"}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"https://c.example", "https://d.example"}, cfg.Origins)
}

func TestOneKeyAloneIsAFileToo(t *testing.T) {
	cfg, err := load(t, "database: "+dsn, nil, nil)
	require.NoError(t, err)
	require.Equal(t, dsn, cfg.Database.Reveal())
}

func TestASecretCanBeReadFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dsn")
	require.NoError(t, os.WriteFile(file, []byte(dsn+"\n"), 0o600))
	cfg, err := load(t, "", []string{"SCHOOLBELL_DATABASE_FILE=" + file}, nil)
	require.NoError(t, err)
	require.Equal(t, dsn, cfg.Database.Reveal())
}

func TestAListOfSecretsIsReadLikeAnyListAndFromTheLinesOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	require.NoError(t, os.WriteFile(file, []byte("one,with a comma\n\n two\n"), 0o600))
	for _, c := range []struct {
		yaml string
		env  []string
		args []string
		want []string
	}{
		{"session_secret_fallbacks: [a, 'b,c']", nil, nil, []string{"a", "b,c"}},
		{"", []string{"SCHOOLBELL_SESSION_SECRET_FALLBACKS=a, b"}, nil, []string{"a", "b"}},
		{"", []string{"SCHOOLBELL_SESSION_SECRET_FALLBACKS_FILE=" + file}, nil, []string{"one,with a comma", "two"}},
		{"session_secret_fallbacks: [a]", nil, []string{"--session-secret-fallbacks=c,d"}, []string{"c", "d"}},
	} {
		cfg, err := load(t, c.yaml+"\n", append(c.env, "SCHOOLBELL_DATABASE="+dsn), c.args)
		require.NoError(t, err)
		require.Equal(t, c.want, cfg.SessionSecretFallbacks.Reveal())
	}
}

func TestEveryMistakeIsToldAtOnceWithItsPlace(t *testing.T) {
	_, err := load(t, `heartbeet: 30s
metrics_interval: 10
listen: {host: a}
origins: [https://ok.example, lms.example.org]
config: other.yaml
queue: lots
slot: [a, b]
`, []string{"SCHOOLBELL_HISTORY_SIZE=1XB", "SCHOOLBELL_DATABSE=x"},
		[]string{"--log-level=loud", "--bulk-limit", "0", "--publication", ""})
	require.EqualError(t, err, `bell.yaml:1:1: unknown key heartbeet, the nearest known is heartbeat
bell.yaml:2:19: metrics_interval is "10", want a duration of at least 1s, like 90s, 15m or 24h
bell.yaml:3:9: listen is no plain value, want a host:port
bell.yaml:4:31: origins is "lms.example.org", want an origin like https://lms.example.org or https://*.example.org, without a path
bell.yaml:5:1: config cannot stand in the file that it names; give it as --config or as SCHOOLBELL_CONFIG
bell.yaml:6:8: queue is "lots", want a whole number of at least 16
bell.yaml:7:7: slot is no plain value, want a name
SCHOOLBELL_HISTORY_SIZE: history_size is "1XB", want a size of at least 1MB, like 500MB or 2GiB
SCHOOLBELL_DATABSE: unknown variable, the nearest known is SCHOOLBELL_DATABASE
--publication: publication is "", want at most 63 of the characters a-z, 0-9 and _, no digit first
--bulk-limit: bulk_limit is "0", want a whole number of at least 1
--log-level: log_level is "loud", want one of debug, info, warn, error
database is not set; give it as --database, as SCHOOLBELL_DATABASE, as a file named in SCHOOLBELL_DATABASE_FILE, or as database: in the file`)
	require.Equal(t, 2, exitCode(err))
}

func TestMistakesOfTheFileAndOfValues(t *testing.T) {
	for name, c := range map[string]struct{ yaml, env, want string }{
		"a file that is no YAML": {
			yaml: "a: [1\n", want: "bell.yaml:1:4: sequence end token ']' not found",
		},
		"a key twice": {
			yaml: "slot: a\nslot: b\n", want: `bell.yaml:2:1: mapping key "slot" already defined at [1:1]`,
		},
		"no keys": {
			yaml: "just words\n", want: "bell.yaml:1:1: no key stands here, want lines like listen: 127.0.0.1:8080",
		},
		"two documents": {
			yaml: "slot: a\n---\nslot: b\n", want: "bell.yaml:2:1: a second document begins, want one",
		},
		"a key that resembles none": {
			yaml: "x: 1\n", want: "bell.yaml:1:1: unknown key x, known are " + knownKeys(),
		},
		"a port that is none": {
			yaml: "listen: localhost\n", want: `bell.yaml:1:9: listen is "localhost", want a host and a port like 127.0.0.1:8080, or :8080 for every interface`,
		},
		"a slot that PostgreSQL would refuse": {
			yaml: "slot: School-Bell\n", want: `bell.yaml:1:7: slot is "School-Bell", want at most 63 of the characters a-z, 0-9 and _, no digit first`,
		},
		"an empty secret": {
			yaml: "database: ''\n", want: "bell.yaml:1:11: database is empty, want a URL like postgres://user:password@host:5432/name",
		},
		"a policy that would go on": {
			yaml: "frame_ancestors: ['https://a;script-src', self]\n",
			want: `bell.yaml:1:19: frame_ancestors is "https://a;script-src", want self, an origin like https://lms.example.org or https://*.example.org, or none alone`,
		},
		"none, and somebody": {
			yaml: "frame_ancestors: [self, none]\n",
			want: `bell.yaml:1:25: frame_ancestors is "none", want self, an origin like https://lms.example.org or https://*.example.org, or none alone`,
		},
		"a proxy by its name": {
			yaml: "trusted_proxies: proxy.example.org\n", want: `bell.yaml:1:18: trusted_proxies is "proxy.example.org", want an address like 127.0.0.1, or a network like 10.1.0.0/16`,
		},
		"a size beyond all disks": {
			env: "SCHOOLBELL_HISTORY_SIZE=99999999999TB", want: `SCHOOLBELL_HISTORY_SIZE: history_size is "99999999999TB", want a size of at least 1MB, like 500MB or 2GiB`,
		},
		"a file that is not there": {
			env: "SCHOOLBELL_CONFIG=/nowhere/bell.yaml", want: "config: open /nowhere/bell.yaml: no such file or directory; name a file that this user can read",
		},
		"a secret's file that is not there": {
			env: "SCHOOLBELL_DATABASE_FILE=/nowhere/dsn", want: "SCHOOLBELL_DATABASE_FILE: open /nowhere/dsn: no such file or directory; name a file that this user can read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{}
			if !strings.Contains(name, "secret") {
				args = append(args, "--database", dsn)
			}
			_, err := load(t, c.yaml, []string{c.env}, args)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestASecretAndItsFileExcludeEachOther(t *testing.T) {
	_, err := load(t, "", []string{"SCHOOLBELL_DATABASE=" + dsn, "SCHOOLBELL_DATABASE_FILE=/x"}, nil)
	require.EqualError(t, err, "SCHOOLBELL_DATABASE_FILE: SCHOOLBELL_DATABASE is set as well; unset one of them")
}

func TestVariablesThatAreNotOursToJudgeAreLeftAlone(t *testing.T) {
	_, err := load(t, "", []string{
		"SCHOOLBELL_DATABASE=" + dsn, "SCHOOLBELL_TEST_REQUIRE=1", "SCHOOLBELL_POSTGRES_BIN=/usr/bin",
		"SCHOOLBELL_TOKEN=k", "SCHOOLBELL_TOKEN_FILE=f", "SCHOOLBELL_ORIGINS=", "SCHOOLBELL_NONSENSE=",
		// what Kubernetes sets for a service called schoolbell
		"SCHOOLBELL_SERVICE_HOST=10.0.0.1", "SCHOOLBELL_SERVICE_PORT=80", "SCHOOLBELL_SERVICE_PORT_HTTP=80",
		"SCHOOLBELL_PORT=tcp://10.0.0.1:80", "SCHOOLBELL_PORT_80_TCP=tcp://10.0.0.1:80",
		"SCHOOLBELL_PORT_80_TCP_PROTO=tcp", "SCHOOLBELL_PORT_80_TCP_PORT=80", "SCHOOLBELL_PORT_80_TCP_ADDR=10.0.0.1",
	}, nil)
	require.NoError(t, err)

	_, err = load(t, "", []string{"SCHOOLBELL_DATABASE=" + dsn, "SCHOOLBELL_PORT=8080"}, nil)
	require.ErrorContains(t, err, "SCHOOLBELL_PORT: unknown variable", "this one an operator wrote")
}

func TestASecretIsNeverWritten(t *testing.T) {
	cfg, err := load(t, "", []string{
		"SCHOOLBELL_DATABASE=" + dsn, "SCHOOLBELL_SESSION_SECRET=hunter2", "SCHOOLBELL_SESSION_SECRET_FALLBACKS=hunter2a,hunter2b",
	}, nil)
	require.NoError(t, err)
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb, cfg)
		fmt.Fprintf(&b, verb, &cfg)
		fmt.Fprintf(&b, verb, cfg.Database)
		fmt.Fprintf(&b, verb, cfg.SessionSecretFallbacks)
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("text", "config", cfg, "database", cfg.Database)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "config", cfg, "database", cfg.Database)
	require.NoError(t, json.NewEncoder(&b).Encode(cfg))
	require.NotContains(t, b.String(), "hunter2")
	require.NotContains(t, b.String(), fmt.Sprintf("%x", "hunter2"))
	require.Contains(t, b.String(), `"config":{"config":"","database":"[redacted]","profile":"django","listen":"127.0.0.1:8080"`)
	require.Contains(t, b.String(), "config.history_size=1GB")

	_, err = load(t, "database: ["+dsn+"]\n", nil, nil)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestEverySettingIsWhollyDescribed(t *testing.T) {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addConfigFlags(flags)
	for _, s := range settings() {
		require.Equal(t, envPrefix+strings.ToUpper(s.key), s.env)
		require.Regexp(t, `^[A-Z].*\.$|^text, json`, s.help, s.key)
		require.NotEmpty(t, s.unit, s.key)
		require.NotNil(t, flags.Lookup(s.flag()))
		require.Contains(t, configReference(), "`--"+s.flag()+"` ")
	}
	require.Contains(t, configReference(), "| `database` | `--database` url | `SCHOOLBELL_DATABASE` or `SCHOOLBELL_DATABASE_FILE` | none | ")
	require.Contains(t, configReference(), "| `heartbeat` | `--heartbeat` duration | `SCHOOLBELL_HEARTBEAT` | `30s` | ")
}

func TestACommandCanHaveSomeOfTheFlags(t *testing.T) {
	flags := pflag.NewFlagSet("init", pflag.ContinueOnError)
	addConfigFlags(flags, "database", "slot")
	require.Nil(t, flags.Lookup("listen"))
	_, err := loadConfig(flags, []string{"SCHOOLBELL_LISTEN=:80"}, "database")
	require.EqualError(t, err, "database is not set; give it as --database, as SCHOOLBELL_DATABASE, "+
		"as a file named in SCHOOLBELL_DATABASE_FILE, or as database: in the file")
	require.NoError(t, flags.Parse([]string{"--database", dsn, "--slot=b"}))
	cfg, err := loadConfig(flags, []string{"SCHOOLBELL_LISTEN=:80"}, "database")
	require.NoError(t, err)
	require.Equal(t, Name("b"), cfg.Slot)
	require.Equal(t, Address(":80"), cfg.Listen, "what has no flag here still has its variable")
}

func TestLogsAreTextOnATerminalAndJSONElsewhere(t *testing.T) {
	for format, want := range map[string]string{"auto": `"msg":"ready"`, "json": `"msg":"ready"`, "text": "msg=ready"} {
		var b bytes.Buffer
		log := newJournal(&b, Config{LogFormat: format, LogLevel: "warn"})
		log.Info("too quiet")
		log.Warn("ready")
		require.Contains(t, b.String(), want)
		require.NotContains(t, b.String(), "too quiet")
	}
}

// knownKeys are all that a configuration file may have.
func knownKeys() string {
	var keys []string
	for _, s := range settings() {
		keys = append(keys, s.key)
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}
