package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/schoolbell/schoolbell/cdc/profile"
)

// What the environment tells. Every variable with the prefix must be known, so
// that a misspelt one is no silent default. Two are read by others: tail's
// credentials, and where deploy/postgres finds PostgreSQL's binaries.
const (
	envPrefix        = "SCHOOLBELL_"
	tokenVariable    = envPrefix + "TOKEN"
	postgresVariable = envPrefix + "POSTGRES_BIN"
)

// rawFlag holds a flag's text until the loader reads it together with the rest,
// so that one run tells of all mistakes.
type rawFlag struct{ text, unit string }

func (f *rawFlag) String() string        { return f.text }
func (f *rawFlag) Set(text string) error { f.text = text; return nil }
func (f *rawFlag) Type() string          { return f.unit }

// addConfigFlags gives a command the flags of the settings named by their keys,
// and of all settings when none is named.
func addConfigFlags(flags *pflag.FlagSet, keys ...string) {
	for _, s := range settings() {
		if len(keys) == 0 || slices.Contains(keys, s.key) {
			f := flags.VarPF(&rawFlag{text: s.def, unit: s.unit}, s.flag(), "", strings.TrimSuffix(s.help, "."))
			if s.isABool {
				f.NoOptDefVal = "true"
			}
		}
	}
}

// loader collects values in the order of their strength, the weakest first, and
// every mistake on the way.
type loader struct {
	cfg      Config
	settings []setting
	broken   map[string]bool // keys with a mistake
	places   places
	mistakes []error
}

// places is where each setting was given, by its key. What is not set has none.
type places map[string]string

// loadConfig reads flags over environment over file over defaults. The error
// names every mistake with its place; it is a usageError.
func loadConfig(flags *pflag.FlagSet, environ []string, required ...string) (Config, error) {
	cfg, _, err := loadPlaces(flags, environ, required...)
	return cfg, err
}

// loadForDatabase reads the configuration of a command that asks the LMS's database, and
// the profile that it names.
func loadForDatabase(flags *pflag.FlagSet) (Config, *profile.Profile, error) {
	cfg, err := loadConfig(flags, os.Environ(), "database")
	if err != nil {
		return cfg, nil, err
	}
	p, err := profile.Open(cfg.Profile)
	if err != nil {
		return cfg, nil, usageError{err}
	}
	return cfg, p, nil
}

// loadPlaces is loadConfig, and says where each setting was given.
func loadPlaces(flags *pflag.FlagSet, environ []string, required ...string) (Config, places, error) {
	l := &loader{settings: settings(), broken: map[string]bool{}, places: places{}}
	for _, s := range l.settings {
		if s.def != "" {
			l.set(s, s.split(byDefault, s.def)...)
		}
	}
	env := variables(environ)
	l.cfg.File, l.places["config"] = configFile(flags, env)
	if l.cfg.File != "" {
		l.readFile(l.cfg.File)
	}
	l.readEnv(env)
	l.readFlags(flags)
	for _, s := range l.settings {
		if slices.Contains(required, s.key) && !l.broken[s.key] && reflect.ValueOf(l.cfg).Field(s.index).IsZero() {
			l.mistake("%s is not set; give it as %s, or as %s: in the file", s.key, l.howTo(s, flags), s.key)
		}
	}
	if len(l.mistakes) > 0 {
		return Config{}, nil, usageError{errors.Join(l.mistakes...)}
	}
	return l.cfg, l.places, nil
}

// howTo names the flag, where the command has it, and the variables.
func (l *loader) howTo(s setting, flags *pflag.FlagSet) string {
	text := s.env
	if s.secret {
		text = s.env + ", as a file named in " + s.fileEnv()
	}
	if flags.Lookup(s.flag()) != nil {
		text = "--" + s.flag() + ", as " + text
	}
	return text
}

// byDefault is the place of a value that nobody gave.
const byDefault = "the default"

// given is a value and where it stands.
type given struct{ place, text string }

func (l *loader) mistake(format string, args ...any) {
	l.mistakes = append(l.mistakes, fmt.Errorf(format, args...))
}

// set takes the values of one place for one setting: one, or the items of a list.
func (l *loader) set(s setting, values ...given) {
	field := reflect.ValueOf(&l.cfg).Elem().Field(s.index)
	field.SetZero()
	delete(l.places, s.key)
	if len(values) > 0 {
		l.places[s.key] = values[0].place
	}
	for _, v := range values {
		want := s.parse(field, v.text)
		if want == "" {
			continue
		}
		l.broken[s.key] = true
		if s.secret {
			l.mistake("%s: %s is empty, want %s", v.place, s.key, want)
		} else {
			l.mistake("%s: %s is %q, want %s", v.place, s.key, v.text, want)
		}
	}
}

// split gives the items of a list that was written in one text.
func (s setting) split(place, text string) []given {
	if !s.isAList {
		return []given{{place, text}}
	}
	var items []given
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, given{place, item})
		}
	}
	return items
}

func (l *loader) keys() []string {
	var keys []string
	for _, s := range l.settings {
		keys = append(keys, s.key)
	}
	return keys
}

func (l *loader) find(key string) (setting, bool) {
	i := slices.IndexFunc(l.settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		return setting{}, false
	}
	return l.settings[i], true
}

// variables are those of ours that are not empty: an empty variable is how
// compose files and shells write one that is not set.
func variables(environ []string) map[string]string {
	env := map[string]string{}
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, envPrefix) && value != "" {
			env[name] = value
		}
	}
	return env
}

func configFile(flags *pflag.FlagSet, env map[string]string) (path, place string) {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String(), "--config"
	}
	return env[envPrefix+"CONFIG"], envPrefix + "CONFIG"
}

func (l *loader) readFlags(flags *pflag.FlagSet) {
	for _, s := range l.settings {
		f := flags.Lookup(s.flag())
		if f == nil || !f.Changed {
			continue
		}
		if raw, ok := f.Value.(*rawFlag); ok {
			l.set(s, s.split("--"+f.Name, raw.text)...)
		}
	}
}

func (l *loader) readEnv(env map[string]string) {
	known := []string{tokenVariable, tokenVariable + "_FILE", postgresVariable}
	for _, s := range l.settings {
		known = append(known, s.env)
		if value, ok := env[s.env]; ok {
			l.set(s, s.split(s.env, value)...)
		}
		if s.secret {
			known = append(known, s.fileEnv())
			l.readSecretFile(s, env)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		switch {
		case slices.Contains(known, name), strings.HasPrefix(name, envPrefix+"TEST_"), serviceLink.MatchString(name + "=" + env[name]):
		default:
			l.mistake("%s: unknown variable%s", name, suggest(name, known))
		}
	}
}

func (l *loader) readSecretFile(s setting, env map[string]string) {
	path, ok := env[s.fileEnv()]
	if !ok {
		return
	}
	if _, both := env[s.env]; both {
		l.broken[s.key] = true
		l.mistake("%s: %s is set as well; unset one of them", s.fileEnv(), s.env)
		return
	}
	value, err := readSecret(path)
	if err != nil {
		l.broken[s.key] = true
		l.mistake("%s: %w", s.fileEnv(), err)
		return
	}
	var values []given
	for line := range strings.Lines(value + "\n") {
		if line = strings.TrimSpace(line); line != "" && s.isAList {
			values = append(values, given{s.fileEnv(), line})
		}
	}
	if !s.isAList {
		values = []given{{s.fileEnv(), value}}
	}
	l.set(s, values...)
}

// readSecret reads a secret from a file; the newline that editors add is no part of it.
func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w; name a file that this user can read", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// serviceLink matches what Kubernetes sets in every container for a service whose
// name begins with schoolbell. It is no mistake of the operator's.
var serviceLink = regexp.MustCompile(`_SERVICE_HOST=|_SERVICE_PORT(_\w+)?=[0-9]` +
	`|_PORT(_[0-9]+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://|_PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=`)
