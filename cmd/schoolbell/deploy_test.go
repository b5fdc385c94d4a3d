package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
	"github.com/schoolbell/schoolbell/deploy/school"
)

const repository = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, path))
	require.NoError(t, err)
	return string(b)
}

// requireCommand fails unless the program has this command with these flags.
func requireCommand(t *testing.T, words []string) {
	t.Helper()
	line := "schoolbell " + strings.Join(words, " ")
	cmd, rest, err := newRootCmd().Find(words)
	require.NoError(t, err, line)
	require.True(t, cmd.HasParent(), "%s names no command", line)
	require.NoError(t, cmd.ParseFlags(rest), line)
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), line)
}

// requireVariables fails unless serve would take this environment.
func requireVariables(t *testing.T, environ []string) Config {
	t.Helper()
	cfg, err := loadConfig(newServeCmd().Flags(), environ)
	require.NoError(t, err, environ)
	return cfg
}

func TestTheExampleConfigurationIsOneWithItsCommentsToo(t *testing.T) {
	src := read(t, "deploy/schoolbell.yaml")
	_, err := load(t, src, []string{"SCHOOLBELL_DATABASE=" + dsn}, nil)
	require.NoError(t, err)

	// Of a key that is there twice the second is the example.
	all := map[string]string{}
	for line := range strings.Lines(src) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "# ")
		if key, _, isPair := strings.Cut(line, ": "); isPair && regexp.MustCompile(`^[a-z_]+$`).MatchString(key) {
			all[key] = line
		}
	}
	cfg, err := load(t, strings.Join(slices.Collect(maps.Values(all)), "\n"), nil, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"https://lms.example.org"}, cfg.Origins)
	require.NotEmpty(t, cfg.Database)
	require.Greater(t, len(all), 12)
	for _, s := range settings() {
		if s.def != "" && s.key != "log_format" && s.key != "profile" && s.key != "frame_ancestors" && all[s.key] != "" {
			require.Equal(t, s.key+": "+s.def, all[s.key], "the example shows the default")
		}
	}
}

// composeService is what may be said of a service in docker-compose.yml.
type composeService struct {
	Image       string
	Command     string
	Build       struct{ Context, Dockerfile string }
	Environment map[string]string
	Volumes     []string
	Tmpfs       []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Ports       []string
	Restart     string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Healthcheck struct {
		Test        []string
		Interval    string
		Timeout     string
		StartPeriod string `yaml:"start_period"`
		Retries     int
	}
}

type composeFile struct {
	Services map[string]composeService
	Volumes  map[string]struct{}
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	var file composeFile
	require.NoError(t, yaml.UnmarshalWithOptions([]byte(read(t, "docker-compose.yml")), &file, yaml.DisallowUnknownField()))
	return file
}

func TestTheComposeFileNamesWhatIsThere(t *testing.T) {
	file := readCompose(t)
	for name, s := range file.Services {
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(from, "./") {
				_, err := os.Stat(filepath.Join(repository, from)) // Docker would make a folder of that name
				require.NoError(t, err, name)
				require.True(t, strings.HasSuffix(volume, ":ro"), volume)
			} else {
				require.Contains(t, file.Volumes, from, name)
			}
		}
		for needed := range s.DependsOn {
			require.Contains(t, file.Services, needed, name)
		}
		if s.Build.Dockerfile != "" {
			require.FileExists(t, filepath.Join(repository, s.Build.Context, s.Build.Dockerfile))
		}
		if s.Image != "schoolbell" {
			require.Regexp(t, `:v?\d+\.\d+(\.\d+)?$`, s.Image, "the same tomorrow")
		}
		for _, port := range s.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s: %s is open to everybody", name, port)
		}
	}
}

func TestTheComposeFileRunsGatewaysThatMayDoNothingButServe(t *testing.T) {
	file := readCompose(t)
	gateways := 0
	for name, s := range file.Services {
		require.Contains(t, s.SecurityOpt, "no-new-privileges:true", name)
		if name != "postgres" { // which begins as root, and makes its folder
			require.True(t, s.ReadOnly, name)
			require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		}
		if s.Image != "schoolbell" {
			continue
		}
		gateways++
		requireCommand(t, strings.Fields(s.Command))
		if test := s.Healthcheck.Test; len(test) > 0 {
			require.Equal(t, []string{"CMD", "/usr/local/bin/schoolbell"}, test[:2])
			requireCommand(t, test[2:])
		}
		var environ []string
		for variable, value := range s.Environment {
			require.True(t, strings.HasPrefix(variable, envPrefix), variable)
			environ = append(environ, variable+"="+value)
		}
		cfg := requireVariables(t, environ)
		dsn, err := url.Parse(cfg.Database.Reveal())
		require.NoError(t, err)
		require.Contains(t, file.Services, dsn.Hostname(), name)
	}
	require.Equal(t, 2, gateways)
	require.Contains(t, file.Services["schoolbell"].Volumes, "schoolbell:/var/lib/schoolbell", "the image's volume, which can be written to")
}

// Prometheus asks the gateway, and Grafana asks Prometheus, by the names and ports that they
// have there; what they read is mounted where they look for it.
func TestTheComposeFileLetsPrometheusAndGrafanaSeeTheGateway(t *testing.T) {
	file := readCompose(t)
	admin := requireVariables(t, []string{"SCHOOLBELL_ADMIN_LISTEN=" + file.Services["schoolbell"].Environment["SCHOOLBELL_ADMIN_LISTEN"]}).AdminListen
	require.Regexp(t, `targets: \[.?schoolbell`+string(admin)+`.?\]`, read(t, "deploy/prometheus/prometheus.yml"))
	require.Contains(t, read(t, "deploy/prometheus/prometheus.yml"), "schoolbell.rules.yml")
	require.Contains(t, read(t, "deploy/grafana/provisioning/datasources/prometheus.yml"), "url: http://prometheus:9090\n")

	mounted := map[string]string{} // where, by what
	for _, name := range []string{"prometheus", "grafana"} {
		for _, volume := range file.Services[name].Volumes {
			from, to, _ := strings.Cut(strings.TrimSuffix(volume, ":ro"), ":")
			mounted[from] = to
		}
	}
	require.Equal(t, filepath.Dir(mounted["./deploy/prometheus/prometheus.yml"]), filepath.Dir(mounted["./deploy/prometheus/schoolbell.rules.yml"]))
	dashboard := mounted["./deploy/grafana/schoolbell.json"]
	require.Contains(t, read(t, "deploy/grafana/provisioning/dashboards/schoolbell.yml"), "path: "+filepath.Dir(dashboard)+"\n")
	require.Equal(t, dashboard, file.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
}

// What docker-compose.yml does, without Docker: the scripts of its PostgreSQL, init
// as the owner, serve as the role that the scripts make.
func TestTheSchoolOfTheComposeFileIsServedByARoleThatMayOnlyRead(t *testing.T) {
	server := pgtest.Own(t, nil)
	owner := server.URL("postgres")
	conn, err := pgx.Connect(t.Context(), owner)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	for _, script := range []string{school.Schema, read(t, "deploy/compose/people.sql")} {
		_, err := conn.Exec(t.Context(), script)
		require.NoError(t, err)
	}
	execute(t, "init", "--database", owner, "--role", "schoolbell")

	address, err := url.Parse(owner)
	require.NoError(t, err)
	address.User = url.UserPassword("schoolbell", "schoolbell")
	execute(t, "check", "--database", address.String())

	public := freePort(t)
	start(t, "serve", "--database", address.String(), "--data", t.TempDir(), "--listen", public, "--admin-listen", freePort(t))
	get(t, "http://"+public+"/readyz", ready)
	for _, token := range []string{"admin", "teacher", "tutor"} {
		require.Contains(t, get(t, "http://"+public+"/api/session?token="+token, ready), `"user_role":"`+token+`"`)
	}
	_, err = conn.Exec(t.Context(), `UPDATE assignments_assignmentsubmission SET submitted_at = now(), status = 'submitted'`)
	require.NoError(t, err)
	get(t, "http://"+public+"/api/events?token=teacher", func(_ int, body string) bool { return strings.Contains(body, `"type":"submission"`) })
}

// What init --print prints is for psql, and all that a DBA has to run.
func TestWhatInitPrintsIsAllThatADBAHasToRun(t *testing.T) {
	server := pgtest.Own(t, nil)
	owner := server.URL("postgres")
	conn, err := pgx.Connect(t.Context(), owner)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	require.NoError(t, school.Create(t.Context(), conn))

	sql := execute(t, "init", "--database", owner, "--role", "bell", "--print")
	_, err = conn.Exec(t.Context(), sql) // several statements at once, as psql takes them
	require.NoError(t, err, sql)
	_, err = conn.Exec(t.Context(), `ALTER ROLE bell PASSWORD 'bell'`)
	require.NoError(t, err)

	address, err := url.Parse(owner)
	require.NoError(t, err)
	address.User = url.UserPassword("bell", "bell")
	require.Contains(t, execute(t, "check", "--database", address.String()), "all is well")
	require.Contains(t, execute(t, "init", "--database", owner, "--role", "bell", "--print"), "-- nothing is missing")
	execute(t, "init", "--database", owner, "--role", "bell") // again, where nothing is to do

	public := freePort(t)
	start(t, "serve", "--database", address.String(), "--data", t.TempDir(), "--listen", public, "--admin-listen", freePort(t))
	get(t, "http://"+public+"/readyz", ready)
}

// The README says what an administrator of which provider runs first. What stands there
// runs, and after it init misses nothing of the role but its rights on the tables. That
// Amazon's role lets its members read the log only Amazon knows.
func TestTheStatementsOfEachProviderMakeTheRole(t *testing.T) {
	server := pgtest.Own(t, nil)
	owner := server.URL("postgres")
	conn, err := pgx.Connect(t.Context(), owner)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	require.NoError(t, school.Create(t.Context(), conn))
	exec := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	planned := func() string { return execute(t, "init", "--database", owner, "--role", "schoolbell", "--print") }

	_, section, found := strings.Cut(read(t, "README.md"), "\n### Rights per provider\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n### ")
	rows := regexp.MustCompile("(?m)^\\| ([^|]+) \\| [^|]*`[^|]+ \\| .*`(CREATE ROLE [^`]+)`").FindAllStringSubmatch(section, -1)
	require.Len(t, rows, 4)
	for _, row := range rows {
		t.Run(row[1], func(t *testing.T) {
			want := `CREATE ROLE "schoolbell" LOGIN REPLICATION;`
			if strings.Contains(row[1], "Amazon") {
				exec("CREATE ROLE rds_replication")
				want = "CREATE ROLE \"schoolbell\" LOGIN;\nGRANT rds_replication TO \"schoolbell\";"
				exec("CREATE ROLE schoolbell LOGIN")
				require.Contains(t, planned(), `GRANT rds_replication TO "schoolbell";`, "of a role that is there")
				exec("DROP ROLE schoolbell")
			}
			require.Contains(t, planned(), want)
			exec(row[2])
			require.NotRegexp(t, `(?i)(create|alter) role|rds_replication`, planned())
			exec("DROP ROLE schoolbell; DROP ROLE IF EXISTS rds_replication")
		})
	}
}

// execute runs a command of the program, which must end well, and answers what it printed.
func execute(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	cmd := newRootCmd()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	require.NoError(t, cmd.ExecuteContext(t.Context()), out.String())
	return out.String()
}

func TestTheSystemdUnitStartsWhatIsThere(t *testing.T) {
	unit := read(t, "deploy/schoolbell.service")
	command := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/schoolbell (.+)$`).FindStringSubmatch(unit)
	require.NotNil(t, command)
	requireCommand(t, strings.Fields(command[1]))
	require.Contains(t, command[1], "--config /etc/schoolbell/schoolbell.yaml")
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^Environment=(\w+)=(.+)$`).FindAllStringSubmatch(unit, -1) {
		names = append(names, match[1])
		if match[1] != "SCHOOLBELL_DATABASE_FILE" { // a credential that systemd makes
			requireVariables(t, []string{match[1] + "=" + match[2]})
		}
	}
	require.Equal(t, []string{"SCHOOLBELL_DATABASE_FILE", "SCHOOLBELL_DATA"}, names)
	require.Contains(t, unit, "RestartPreventExitStatus=2\n")
	require.Equal(t, 2, exitCode(usageError{os.ErrInvalid}))
}

// What Kubernetes itself says of the manifests, the tests beside them look at.
func TestTheManifestsConfigureWhatServeReads(t *testing.T) {
	type document struct {
		Kind string
		Data map[string]string
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Args  []string
						Env   []struct{ Name, Value string }
						Ports []struct {
							Name          string
							ContainerPort int `yaml:"containerPort"`
						}
					}
				}
			}
		}
	}
	var file string
	var set document
	for text := range strings.SplitSeq(read(t, "deploy/kubernetes/schoolbell.yaml"), "\n---\n") {
		var d document
		require.NoError(t, yaml.Unmarshal([]byte(text), &d))
		switch d.Kind {
		case "ConfigMap":
			file = d.Data["schoolbell.yaml"]
		case "StatefulSet":
			set = d
		}
	}
	container := set.Spec.Template.Spec.Containers[0]
	requireCommand(t, container.Args)
	cfg, err := load(t, file, []string{"SCHOOLBELL_DATABASE=" + dsn}, nil)
	require.NoError(t, err)
	require.NotEmpty(t, cfg.TrustedProxies)
	var names []string
	for _, v := range container.Env {
		names = append(names, v.Name)
	}
	require.Equal(t, []string{"SCHOOLBELL_CONFIG", "SCHOOLBELL_DATA", "SCHOOLBELL_DATABASE_FILE"}, names)
	for _, s := range settings() {
		names = append(names, s.env, s.fileEnv())
	}
	require.Subset(t, names[3:], names[:3])
	require.Equal(t, []string{fmt.Sprintf("http on :%d", container.Ports[0].ContainerPort), fmt.Sprintf("metrics on :%d", container.Ports[1].ContainerPort)},
		[]string{"http on " + string(cfg.Listen), "metrics on " + string(cfg.AdminListen)})
}
