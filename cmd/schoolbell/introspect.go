package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// newIntrospection is the way of credentials that are shown to the LMS, where the
// configuration has one; otherwise nil. byEmail answers the active account that has an
// e-mail, and how many have it.
func newIntrospection(cfg Config, p *profile.Profile, byEmail func(email string) (user string, accounts int)) (*auth.Introspection, error) {
	if err := canIntrospect(cfg, p); err != nil || cfg.IntrospectURL == "" {
		return nil, err
	}
	how := auth.IntrospectionConfig{
		URL: cfg.IntrospectURL, Method: cfg.IntrospectMethod, Headers: cfg.IntrospectHeaders.Reveal(), Cookie: cfg.IntrospectCookie,
		User: cfg.IntrospectUser, Email: cfg.IntrospectEmail, Find: byEmail, Role: cfg.IntrospectRole, Expires: cfg.IntrospectExpires, Refusals: cfg.IntrospectRefusals,
	}
	if cfg.IntrospectPreset != "" {
		var err error
		if how, err = auth.Preset(cfg.IntrospectPreset, cfg.IntrospectURL, cfg.IntrospectCookie); err != nil {
			return nil, err
		}
	}
	how.Requires, how.Rate = cfg.IntrospectRequires, cfg.IntrospectRate
	return auth.NewIntrospection(how)
}

// canIntrospect says which settings do not go together.
func canIntrospect(cfg Config, p *profile.Profile) error {
	var mine []string // what a preset says itself
	for key, set := range map[string]bool{
		"introspect_method": cfg.IntrospectMethod != "", "introspect_headers": len(cfg.IntrospectHeaders) > 0,
		"introspect_user": cfg.IntrospectUser != "", "introspect_email": cfg.IntrospectEmail != "",
		"introspect_role": cfg.IntrospectRole != "", "introspect_expires": cfg.IntrospectExpires != "",
		"introspect_refusals": len(cfg.IntrospectRefusals) > 0,
	} {
		if set {
			mine = append(mine, key)
		}
	}
	slices.Sort(mine)
	any := len(mine) > 0 || cmp.Or(cfg.IntrospectPreset, cfg.IntrospectCookie) != "" || len(cfg.IntrospectRequires) > 0
	sessions, _ := p.Session()
	switch {
	case cfg.IntrospectURL == "" && any:
		return errors.New("introspect_url is not set, but other settings of introspect_ are; fix: set it to the address that knows whose a credential is, " +
			"with introspect_preset to that of the LMS, or leave them out")
	case cfg.IntrospectPreset != "" && len(mine) > 0:
		return fmt.Errorf("introspect_preset says itself what %s says; fix: leave one of them out", strings.Join(mine, ", "))
	case cfg.IntrospectUser != "" && cfg.IntrospectEmail != "":
		return errors.New("introspect_user and introspect_email both say who somebody is; fix: leave one of them out")
	case cfg.IntrospectCookie != "" && cfg.SessionSecret != "" && cfg.IntrospectCookie == sessions.Cookie:
		return fmt.Errorf("introspect_cookie and session_secret are both about the cookie %s; fix: leave one of them out", cfg.IntrospectCookie)
	}
	return nil
}

// introspects reports whether it is tokens that are shown to the LMS: then its table of
// tokens is not asked.
func introspects(cfg Config) (tokens, cookies bool) {
	on := cfg.IntrospectURL != ""
	return on && cfg.IntrospectCookie == "", on && cfg.IntrospectCookie != ""
}
