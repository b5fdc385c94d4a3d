package main

import (
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// Config is everything that can be set. A field's tags are all there is to say
// about it: the key in the file, the environment variable, the default, the unit,
// the smallest value or the words allowed, whether SIGHUP takes over another value, and
// one sentence of help. Flags, the loader and the references are made from them.
//
// A field of type Secret can also be read from a file named in VARIABLE_FILE, and so
// can one of type Secrets: a line of the file is one of them.
type Config struct {
	File     string `key:"config" env:"SCHOOLBELL_CONFIG" unit:"file" help:"YAML file with any of these settings; its keys are the flags' names with _ for -."`
	Database Secret `key:"database" env:"SCHOOLBELL_DATABASE" unit:"url" help:"The LMS's database, postgres://user:password@host:5432/name; its role needs LOGIN, REPLICATION and SELECT on the profile's columns."`
	Profile  string `key:"profile" env:"SCHOOLBELL_PROFILE" default:"django" unit:"name or file" help:"What the LMS's rows mean: a built-in profile, or a YAML file."`

	// Both listeners are closed to the network until somebody opens them. Tokens
	// travel over the first, so that it needs a certificate or a proxy before it;
	// the second shows profiles of the memory. The second port lies outside 9100 to
	// 9999, which are other exporters'.
	Listen      Address `key:"listen" env:"SCHOOLBELL_LISTEN" default:"127.0.0.1:8080" unit:"host:port" help:"Where dashboards connect; give it a certificate, or put a proxy with TLS before it; :8443 opens it on every interface."`
	AdminListen Address `key:"admin_listen" env:"SCHOOLBELL_ADMIN_LISTEN" default:"127.0.0.1:8081" unit:"host:port" help:"Where /metrics and pprof are; keep it from the public."`

	TLSCertificate string `key:"tls_certificate" env:"SCHOOLBELL_TLS_CERTIFICATE" unit:"file" help:"Certificate of listen, PEM, with the chain; without it listen speaks plain HTTP. Read again when it changes, and at SIGHUP."`
	TLSKey         string `key:"tls_key" env:"SCHOOLBELL_TLS_KEY" unit:"file" help:"Private key of the certificate, PEM."`

	// One default for everybody, root or not: a folder that depends on who starts
	// the process would be a second, empty shadow one day. The container image and
	// the systemd unit set it to /var/lib/schoolbell.
	Data    string `key:"data" env:"SCHOOLBELL_DATA" default:"schoolbell-data" unit:"folder" help:"The durable store; relative to the working directory."`
	Rebuild bool   `key:"rebuild" env:"SCHOOLBELL_REBUILD" default:"false" unit:"bool" help:"When the data directory is damaged or of another format: move it aside and fill a new one from a new snapshot, without the history, instead of ending."`

	Slot        Name `key:"slot" env:"SCHOOLBELL_SLOT" default:"schoolbell" unit:"name" help:"Replication slot, which the first start makes; every gateway needs its own."`
	Publication Name `key:"publication" env:"SCHOOLBELL_PUBLICATION" default:"schoolbell" unit:"name" help:"Publication, which init makes."`

	Heartbeat       time.Duration `key:"heartbeat" env:"SCHOOLBELL_HEARTBEAT" default:"30s" min:"1s" unit:"duration" help:"Time between two pings to a dashboard; two in a row without a pong close it."`
	MetricsInterval time.Duration `key:"metrics_interval" env:"SCHOOLBELL_METRICS_INTERVAL" default:"10s" min:"1s" unit:"duration" help:"Time between two metrics messages to a dashboard."`
	Origins         []string      `key:"origins" reload:"true" env:"SCHOOLBELL_ORIGINS" unit:"list" help:"Origins of pages that may connect, like https://lms.example.org or https://*.example.org, besides the gateway's own; a list, or separated by commas."`

	FrameAncestors []Ancestor     `key:"frame_ancestors" reload:"true" env:"SCHOOLBELL_FRAME_ANCESTORS" default:"self" unit:"list" help:"Whose pages may show the dashboard in a frame: self, none, or origins like https://lms.example.org."`
	TrustedProxies []netip.Prefix `key:"trusted_proxies" reload:"true" env:"SCHOOLBELL_TRUSTED_PROXIES" unit:"list" help:"Networks of reverse proxies, like 127.0.0.1 or 10.1.0.0/16, whose X-Forwarded-For says whom a request counts for; everybody behind another proxy counts as one address."`

	// Without the secret nobody can tell a session from a forgery, so the way is off.
	SessionSecret          Secret        `key:"session_secret" env:"SCHOOLBELL_SESSION_SECRET" unit:"secret" help:"The LMS's SECRET_KEY: with it the LMS's own session cookie signs people in, where browsers send it to the gateway."`
	SessionSecretFallbacks Secrets       `key:"session_secret_fallbacks" env:"SCHOOLBELL_SESSION_SECRET_FALLBACKS" unit:"list" help:"The LMS's SECRET_KEY_FALLBACKS; a list, separated by commas, or the lines of the file."`
	SessionBackends        Words         `key:"session_backends" env:"SCHOOLBELL_SESSION_BACKENDS" unit:"list" help:"Those of the LMS's AUTHENTICATION_BACKENDS whose sessions count, like django.contrib.auth.backends.ModelBackend; without the list all do."`
	Recheck                time.Duration `key:"recheck" env:"SCHOOLBELL_RECHECK" default:"10s" min:"1s" unit:"duration" help:"Time within which a token or session that the LMS took back ends the dashboards that were opened with it."`

	JWTKeys      string        `key:"jwt_keys" env:"SCHOOLBELL_JWT_KEYS" unit:"file or url" help:"The keys that verify signed tokens (JWT), as a second way to sign in: a file with PEM public keys, a JWK set or the secret of HS256; or the https address of a JWK set."`
	JWTIssuer    string        `key:"jwt_issuer" env:"SCHOOLBELL_JWT_ISSUER" unit:"text" help:"What the claim iss of signed tokens must be."`
	JWTAudience  string        `key:"jwt_audience" env:"SCHOOLBELL_JWT_AUDIENCE" unit:"text" help:"What the claim aud of signed tokens must have; set it wherever the issuer signs for other applications too."`
	JWTUserClaim string        `key:"jwt_user_claim" env:"SCHOOLBELL_JWT_USER_CLAIM" default:"sub" unit:"name" help:"The claim of signed tokens that is the LMS's key of the account."`
	JWTRoleClaim string        `key:"jwt_role_claim" env:"SCHOOLBELL_JWT_ROLE_CLAIM" unit:"name" help:"The claim of signed tokens that is the role they are for, like teacher; a token for another role than the LMS gives the account is refused, and none gives a role. Without it tokens are for any."`
	JWTLeeway    time.Duration `key:"jwt_leeway" env:"SCHOOLBELL_JWT_LEEWAY" default:"30s" min:"0s" unit:"duration" help:"How far the clock of the issuer of signed tokens may differ from ours, at most 10m: so much longer they count."`

	// The networks have no default: on a machine that others can log in to, even its own
	// address speaks for everybody there.
	ProxyUserHeader   string         `key:"proxy_user_header" env:"SCHOOLBELL_PROXY_USER_HEADER" unit:"name" help:"Header, like Remote-User, in which a reverse proxy that has signed people in names them, as another way to sign in; the proxy has to take it away from what clients send."`
	ProxyUserNetworks []netip.Prefix `key:"proxy_user_networks" env:"SCHOOLBELL_PROXY_USER_NETWORKS" unit:"list" help:"Networks of the proxies whose proxy_user_header is believed, like 127.0.0.1 or 10.1.0.5; from anybody else it counts for nothing."`
	ProxyUserBy       string         `key:"proxy_user_by" env:"SCHOOLBELL_PROXY_USER_BY" default:"id" oneof:"id email" unit:"word" help:"What the proxy names people by: id, the LMS's key of the account, or email, which exactly one active account must have."`

	// A credential that only the LMS can read is shown to it. The address may be on this
	// machine, or needs https: people's credentials travel to it.
	IntrospectURL      string   `key:"introspect_url" env:"SCHOOLBELL_INTROSPECT_URL" unit:"url" help:"An address of the LMS that says whose a credential is, for tokens or sessions that only the LMS itself can read: every token is shown to it, instead of being looked up in the LMS's table. https, or http on this machine."`
	IntrospectPreset   string   `key:"introspect_preset" env:"SCHOOLBELL_INTROSPECT_PRESET" oneof:"moodle canvas" unit:"name" help:"How to ask an LMS that is known, moodle or canvas; introspect_url is then the LMS's own address, like https://moodle.example.org."`
	IntrospectCookie   string   `key:"introspect_cookie" env:"SCHOOLBELL_INTROSPECT_COOKIE" unit:"name" help:"Show the cookie of this name to the LMS instead of tokens."`
	IntrospectMethod   string   `key:"introspect_method" env:"SCHOOLBELL_INTROSPECT_METHOD" oneof:"GET POST" unit:"method" help:"How to ask: GET or POST; without it GET."`
	IntrospectHeaders  Secrets  `key:"introspect_headers" env:"SCHOOLBELL_INTROSPECT_HEADERS" unit:"list" help:"Headers to ask with, like X-Api-Key: 123, or Authorization: Token {credential} where the LMS wants something else than a Bearer token or its own cookie; a list, separated by commas, or the lines of the file."`
	IntrospectUser     string   `key:"introspect_user" env:"SCHOOLBELL_INTROSPECT_USER" unit:"JSON pointer" help:"Where the LMS's key of the account stands in the answer, like /user/id; without it /id."`
	IntrospectEmail    string   `key:"introspect_email" env:"SCHOOLBELL_INTROSPECT_EMAIL" unit:"JSON pointer" help:"Where the account's e-mail stands in the answer, like /email, if its key does not; exactly one active account must have it."`
	IntrospectRole     string   `key:"introspect_role" env:"SCHOOLBELL_INTROSPECT_ROLE" unit:"JSON pointer" help:"Where the answer says which role the credential is for, like teacher; one for another role than the LMS gives the account is refused."`
	IntrospectExpires  string   `key:"introspect_expires" env:"SCHOOLBELL_INTROSPECT_EXPIRES" unit:"JSON pointer" help:"Where the answer says when the credential ends, in seconds since 1970 or like 2026-11-23T09:00:00Z."`
	IntrospectRequires Words    `key:"introspect_requires" env:"SCHOOLBELL_INTROSPECT_REQUIRES" unit:"list" help:"What else the answer must say for the credential to count, like /active=true, or /role=teacher and further values after a vertical bar."`
	IntrospectRefusals Statuses `key:"introspect_refusals" env:"SCHOOLBELL_INTROSPECT_REFUSALS" unit:"list" help:"Statuses by which the LMS says that a credential is not valid, like 302 where it leads to its page for signing in; without the list 401 and 403."`
	IntrospectRate     int      `key:"introspect_rate" env:"SCHOOLBELL_INTROSPECT_RATE" default:"50" min:"1" unit:"number per second" help:"Questions to that address at most, and a fifth as many again for credentials that are probably bad; with more dashboards than that times recheck, what the LMS took back is noticed later."`

	PublishTokens Secrets `key:"publish_tokens" reload:"true" env:"SCHOOLBELL_PUBLISH_TOKENS" unit:"list" help:"Tokens of services that may publish custom messages, each at least 16 characters, like openssl rand -hex 32 makes; several, so that one can be exchanged for the next; a list, separated by commas, or the lines of the file. Without one nobody can."`

	Roles RoleNames `key:"roles" env:"SCHOOLBELL_ROLES" default:"teacher,tutor,admin" oneof:"teacher tutor admin student" unit:"list" help:"Who may connect: some of teacher, tutor, admin, student; a student is told of nothing that is not theirs, and gets no counts."`

	SQLMessages bool `key:"sql_messages" env:"SCHOOLBELL_SQL_MESSAGES" default:"false" unit:"bool" help:"Take custom messages that SQL publishes with pg_logical_emit_message(true, 'schoolbell', …), from PostgreSQL 14 on. Every role of the database may call it, unless you revoke that."`

	SelfCheck time.Duration `key:"self_check" env:"SCHOOLBELL_SELF_CHECK" default:"0s" min:"0s" unit:"duration" help:"How often to write a message of our own into PostgreSQL's log and see it come back over a WebSocket, like 1m; /readyz and schoolbell_self_check_ok say whether it does. From PostgreSQL 14 on, not below 1s; 0 writes nothing."`

	HistoryAge  time.Duration `key:"history_age" reload:"true" env:"SCHOOLBELL_HISTORY_AGE" default:"168h" min:"1m" unit:"duration" help:"How long events are kept for clients that come back."`
	HistorySize Size          `key:"history_size" reload:"true" env:"SCHOOLBELL_HISTORY_SIZE" default:"1GB" min:"1MB" unit:"size" help:"How much disk the kept events may take; the oldest go first."`

	BulkLimit            int `key:"bulk_limit" env:"SCHOOLBELL_BULK_LIMIT" default:"1000" min:"1" unit:"number" help:"Events of one transaction that a person is pushed one by one; of the rest a gap tells."`
	Queue                int `key:"queue" env:"SCHOOLBELL_QUEUE" default:"4096" min:"16" unit:"number" help:"Messages that may wait for one socket before it is closed to resume later."`
	MaxSessions          int `key:"max_sessions" reload:"true" env:"SCHOOLBELL_MAX_SESSIONS" default:"20000" min:"1" unit:"number" help:"Dashboards that may be connected at once."`
	MaxSessionsPerPerson int `key:"max_sessions_per_person" reload:"true" env:"SCHOOLBELL_MAX_SESSIONS_PER_PERSON" default:"20" min:"1" unit:"number" help:"Dashboards of one person that may be connected at once."`

	// A school may share one address, so these are wide; why they harm nobody there is
	// said in wsserver/limits.go.
	MaxSessionsPerAddress int `key:"max_sessions_per_address" reload:"true" env:"SCHOOLBELL_MAX_SESSIONS_PER_ADDRESS" default:"2000" min:"1" unit:"number" help:"Dashboards of one address (of IPv6: one /64) that may be connected at once, and as many connections that are none yet."`
	HandshakesPerAddress  int `key:"handshakes_per_address" reload:"true" env:"SCHOOLBELL_HANDSHAKES_PER_ADDRESS" default:"200" min:"1" unit:"number per second" help:"Times that one address may ask to be let in; ten times as many at once."`
	AuthFailures          int `key:"auth_failures_per_address" reload:"true" env:"SCHOOLBELL_AUTH_FAILURES_PER_ADDRESS" default:"100" min:"1" unit:"number per minute" help:"Bad credentials of one address that are looked up one by one; beyond that those from there are looked up together, ten times a second. Nobody is locked out by it."`

	SnapshotsPerHour int `key:"snapshots_per_hour" env:"SCHOOLBELL_SNAPSHOTS_PER_HOUR" default:"3" min:"1" unit:"number" help:"Snapshots of the tables that may be begun within an hour; when the log breaks off more often than that, the gateway waits, says why, and serves the history."`

	LogLevel  string `key:"log_level" reload:"true" env:"SCHOOLBELL_LOG_LEVEL" default:"info" oneof:"debug info warn error" unit:"level" help:"The least that is logged: debug, info, warn or error."`
	LogFormat string `key:"log_format" env:"SCHOOLBELL_LOG_FORMAT" default:"auto" oneof:"auto text json" unit:"format" help:"text, json, or auto: text on a terminal, json elsewhere."`
}

// setting is what the tags of one field of Config say.
type setting struct {
	index   int
	key     string
	env     string
	def     string
	min     string
	oneof   []string
	unit    string
	help    string
	secret  bool
	isAList bool
	isABool bool
	reloads bool // a new value is taken over without a restart
}

// flag is the name of the setting's flag.
func (s setting) flag() string { return strings.ReplaceAll(s.key, "_", "-") }

// fileEnv is the variable that names a file with the value; secrets have one.
func (s setting) fileEnv() string { return s.env + "_FILE" }

// settings reads the tags of Config, in the order of its fields.
func settings() []setting {
	var list []setting
	for field := range reflect.TypeFor[Config]().Fields() {
		tag := field.Tag
		list = append(list, setting{
			index:   field.Index[0],
			key:     tag.Get("key"),
			env:     tag.Get("env"),
			def:     tag.Get("default"),
			min:     tag.Get("min"),
			oneof:   strings.Fields(tag.Get("oneof")),
			unit:    tag.Get("unit"),
			help:    tag.Get("help"),
			secret:  field.Type == reflect.TypeFor[Secret]() || field.Type == reflect.TypeFor[Secrets](),
			isAList: field.Type.Kind() == reflect.Slice,
			isABool: field.Type.Kind() == reflect.Bool,
			reloads: tag.Get("reload") == "true",
		})
	}
	return list
}

// LogValue writes the settings under their keys; secrets redact themselves.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	v := reflect.ValueOf(c)
	for _, s := range settings() {
		attrs = append(attrs, slog.Any(s.key, v.Field(s.index).Interface()))
	}
	return slog.GroupValue(attrs...)
}
