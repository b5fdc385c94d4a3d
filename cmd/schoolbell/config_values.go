package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Secret is a value that no log and no error shows.
type Secret string

// Reveal is the value itself, for whom it is meant.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) redacted() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// Format keeps the value out of every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.redacted()) }

// LogValue keeps the value out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.redacted()) }

// MarshalText keeps the value out of JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.redacted()), nil }

// Secrets is a list of values that no log and no error shows.
type Secrets []Secret

// Reveal are the values themselves, for whom they are meant.
func (s Secrets) Reveal() []string {
	var all []string
	for _, one := range s {
		all = append(all, one.Reveal())
	}
	return all
}

// Words is a list of names.
type Words []string

// RoleNames is a list of the protocol's names of roles.
type RoleNames []string

func (r RoleNames) roles() []cdc.Role {
	var roles []cdc.Role
	for _, name := range r {
		if role := cdc.ParseRole(name); !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// Statuses is a list of statuses of HTTP that refuse something.
type Statuses []int

// Address is where to listen, host:port or :port.
type Address string

// Name is the name of a replication slot or a publication. PostgreSQL allows
// less in the first than in the second; what both allow needs no quoting.
type Name string

// Ancestor is whose pages may show ours in a frame: self, none, or an origin.
type Ancestor string

// source is the ancestor as a Content-Security-Policy writes it.
func (a Ancestor) source() string {
	if a == "self" || a == "none" {
		return "'" + string(a) + "'"
	}
	return string(a)
}

// Size is a number of bytes.
type Size int64

var (
	namePattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
	// originPattern has no room for what would go on with the policy it is put into.
	originPattern = regexp.MustCompile(`^https?://(\*\.)?[a-zA-Z0-9.-]+(:[0-9]{1,5})?$`)
	sizePattern   = regexp.MustCompile(`^([0-9]+)\s*([KMGT]i?)?B?$`)
)

// parseSize reads 1048576, 500MB or 2GiB.
func parseSize(text string) (Size, bool) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, false
	}
	base := int64(1000)
	if strings.HasSuffix(m[2], "i") {
		base = 1024
	}
	if m[2] != "" {
		for range strings.IndexByte("KMGT", m[2][0]) + 1 {
			if n > (1<<63-1)/base {
				return 0, false
			}
			n *= base
		}
	}
	return Size(n), true
}

func (s Size) String() string {
	for _, unit := range []struct {
		name string
		size Size
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}} {
		if s >= unit.size && s%unit.size == 0 {
			return strconv.FormatInt(int64(s/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// parse puts the value that text stands for into field. It answers what was
// expected where text is something else, otherwise "".
func (s setting) parse(field reflect.Value, text string) (want string) {
	switch p := field.Addr().Interface().(type) {
	case *Secret:
		*p = Secret(text)
		if s.unit == "url" {
			return orWant(text != "", "a URL like postgres://user:password@host:5432/name")
		}
		return orWant(text != "", "a "+s.unit)
	case *Secrets:
		*p = append(*p, Secret(text))
		return orWant(text != "", "a list of secrets, none of them empty")
	case *Words:
		*p = append(*p, text)
		return orWant(text != "", "a list of names, none of them empty")
	case *RoleNames:
		*p = append(*p, text)
		return orWant(slices.Contains(s.oneof, text), "some of "+strings.Join(s.oneof, ", ")+nearest(text, s.oneof))
	case *Statuses:
		n, err := strconv.Atoi(text)
		*p = append(*p, n)
		return orWant(err == nil && n >= 300 && n <= 499, "statuses from 300 to 499, like 401")
	case *string:
		*p = text
		if len(s.oneof) > 0 {
			return orWant(slices.Contains(s.oneof, text), "one of "+strings.Join(s.oneof, ", "))
		}
		return orWant(text != "", "a "+s.unit)
	case *Address:
		*p = Address(text)
		_, port, err := net.SplitHostPort(text)
		_, numErr := strconv.ParseUint(port, 10, 16)
		return orWant(err == nil && numErr == nil, "a host and a port like 127.0.0.1:8080, or :8080 for every interface")
	case *Name:
		*p = Name(text)
		return orWant(namePattern.MatchString(text), "at most 63 of the characters a-z, 0-9 and _, no digit first")
	case *bool:
		*p = text == "true"
		return orWant(text == "true" || text == "false", "true or false")
	case *[]string: // of origins, as browsers send them: scheme, host and port of a page
		*p = append(*p, text)
		u, err := url.Parse(text)
		return orWant(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && text == u.Scheme+"://"+u.Host,
			"an origin like https://lms.example.org or https://*.example.org, without a path")
	case *[]Ancestor:
		*p = append(*p, Ancestor(text))
		alone := text != "none" && !slices.Contains(*p, "none") || len(*p) == 1
		return orWant(alone && (text == "self" || text == "none" || originPattern.MatchString(text)),
			"self, an origin like https://lms.example.org or https://*.example.org, or none alone")
	case *[]netip.Prefix:
		network, err := netip.ParsePrefix(text)
		if err != nil {
			var one netip.Addr
			one, err = netip.ParseAddr(text)
			network = netip.PrefixFrom(one, one.BitLen())
		}
		*p = append(*p, network.Masked())
		return orWant(err == nil && network.IsValid(), "an address like 127.0.0.1, or a network like 10.1.0.0/16")
	case *int:
		n, err := strconv.Atoi(text)
		*p = n
		least, _ := strconv.Atoi(s.min)
		return orWant(err == nil && n >= least, "a whole number of at least "+s.min)
	case *time.Duration:
		d, err := time.ParseDuration(text)
		*p = d
		least, _ := time.ParseDuration(s.min)
		return orWant(err == nil && d >= least, "a duration of at least "+s.min+", like 90s, 15m or 24h")
	case *Size:
		n, ok := parseSize(text)
		*p = n
		least, _ := parseSize(s.min)
		return orWant(ok && n >= least, "a size of at least "+s.min+", like 500MB or 2GiB")
	}
	panic(fmt.Sprintf("the setting %s has a type that no setting can have", s.key))
}

func orWant(ok bool, want string) string {
	if ok {
		return ""
	}
	return want
}
