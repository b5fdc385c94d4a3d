package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// canSignIn says what the profile and the settings lack for anybody to sign in.
func canSignIn(cfg Config, p *profile.Profile) error {
	_, tokens := p.Token()
	_, sessions := p.Session()
	switch {
	case len(cfg.Roles) == 0:
		return errors.New("roles is empty, so nobody may connect; fix: list some of teacher, tutor, admin, student, or leave it out")
	case cfg.SessionSecret == "" && len(cfg.SessionSecretFallbacks) > 0:
		return errors.New("session_secret_fallbacks is set and session_secret is not; fix: set session_secret to the LMS's SECRET_KEY")
	case cfg.SessionSecret != "" && !sessions:
		return fmt.Errorf("session_secret is set, but profile %q does not say where sessions are; fix: give it "+
			"auth: {session: {kind: django, from: TABLE, cookie: NAME}}, or leave session_secret out", p.Name())
	case cfg.JWTKeys == "" && (cfg.JWTIssuer != "" || cfg.JWTAudience != "" || cfg.JWTRoleClaim != ""):
		return errors.New("jwt_issuer, jwt_audience or jwt_role_claim is set and jwt_keys is not, so no signed token could be verified; fix: set jwt_keys, or leave them out")
	case cfg.ProxyUserHeader == "" && (len(cfg.ProxyUserNetworks) > 0 || cfg.ProxyUserBy == "email"):
		return errors.New("proxy_user_networks or proxy_user_by is set and proxy_user_header is not, so no proxy could name anybody; fix: set proxy_user_header, or leave them out")
	case !tokens && cfg.SessionSecret == "" && cfg.JWTKeys == "" && cfg.ProxyUserHeader == "" && cfg.IntrospectURL == "":
		return fmt.Errorf("profile %q does not say where tokens are, and none of session_secret, jwt_keys, proxy_user_header and introspect_url is set, so nobody could sign in; "+
			"fix: give it auth: {token: {from: TABLE, key: COLUMN, user: COLUMN}}, or set one of them", p.Name())
	}
	return nil
}

// waysOf are the ways to say who one is, in the order in which they are asked: signed
// tokens, those that are shown to the LMS or else those of its table, what a proxy says,
// the LMS's cookie. Who shows a token means it. Of what comes along by itself the proxy's
// word is the fresher one. shown is nil where nothing is shown to the LMS.
func waysOf(cfg Config, p *profile.Profile, pool *pgxpool.Pool, signed, named auth.Ways, shown *auth.Introspection) auth.Ways {
	ways := slices.Clone(signed)
	shownTokens, shownCookies := introspects(cfg)
	if shownTokens && shown != nil {
		ways = append(ways, shown)
	} else if table, ok := p.Token(); ok {
		ways = append(ways, auth.NewTokens(pool, auth.TokenTable(table)))
	}
	ways = append(ways, named...)
	if shownCookies && shown != nil {
		ways = append(ways, shown)
	}
	if table, ok := p.Session(); ok && cfg.SessionSecret != "" {
		schema, accounts := p.Accounts()
		ways = append(ways, auth.NewSessions(pool, auth.SessionTable{
			Schema: table.Schema, Table: table.Table, UserSchema: schema, UserTable: accounts, Cookie: table.Cookie,
		}, auth.SessionConfig{
			Secrets:  append([]string{cfg.SessionSecret.Reveal()}, cfg.SessionSecretFallbacks.Reveal()...),
			Backends: cfg.SessionBackends,
		}))
	}
	return ways
}

// noticing says how soon it shows that a right was taken away, and why not sooner.
func noticing(cfg Config, p *profile.Profile) string {
	var kinds []string
	shownTokens, shownCookies := introspects(cfg)
	if _, ok := p.Token(); ok && !shownTokens {
		kinds = append(kinds, "tokens")
	}
	if cfg.SessionSecret != "" {
		kinds = append(kinds, "sessions")
	}
	text := "roles, memberships and deactivated accounts are noticed at once, in the log"
	if len(kinds) > 0 {
		text += fmt.Sprintf("; %s are re-checked every %d s: their tables are not in the publication",
			strings.Join(kinds, " and "), int(cfg.Recheck.Seconds()))
	}
	if shownTokens || shownCookies {
		text += fmt.Sprintf("; what is shown to the LMS is shown again every %d s, %d credentials a second at most", int(cfg.Recheck.Seconds()), cfg.IntrospectRate)
	}
	if cfg.JWTKeys != "" {
		text += "; signed tokens count until they expire, or their key is gone for a minute"
	}
	if cfg.ProxyUserHeader != "" {
		text += "; people named by the proxy stay until their account ends: a logout there is not seen"
	}
	return text
}

// signIn is who is asked who somebody is, and remembers whether that could be told.
type signIn struct {
	auth.Ways
	tell   func(way, outcome string) // how an attempt ended
	last   atomic.Pointer[error]     // what kept people from signing in when we looked last; nil: not looked yet
	failed chan struct{}             // somebody found out before we looked again
}

func newSignIn(ways auth.Ways, tell func(way, outcome string)) *signIn {
	return &signIn{Ways: ways, tell: tell, failed: make(chan struct{}, 1)}
}

// Authenticate asks the ways, and tells how that ended.
func (s *signIn) Authenticate(ctx context.Context, r *http.Request) (auth.Identity, error) {
	id, way, err := s.Attempt(ctx, r)
	s.tell(way, auth.OutcomeOf(err))
	return id, err
}

// Recheck asks the ways. Only what we ask by ourselves is noted: what others ask may be
// refused because they ask too much.
func (s *signIn) Recheck(ctx context.Context, ids []auth.Identity) ([]int, error) {
	revoked, err := s.Ways.Recheck(ctx, ids)
	if errors.Is(err, auth.ErrUnavailable) {
		s.note(err)
	}
	return revoked, err
}

// note says at once that nobody can sign in, and has us look again soon.
func (s *signIn) note(err error) {
	s.last.Store(&err)
	select {
	case s.failed <- struct{}{}:
	default:
	}
}

// watch looks now and then whether people could sign in: more often while they could
// not.
func (s *signIn) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		err := s.Check(ctx)
		s.last.Store(&err)
		next, failed := time.After(time.Minute), s.failed
		if err != nil {
			next, failed = time.After(time.Second), nil
		}
		select {
		case <-ctx.Done():
		case <-next:
		case <-failed:
		}
	}
	return nil
}

// check is whether people can sign in, for /readyz.
func (s *signIn) check() wsserver.Check {
	c := wsserver.Check{Name: "sign_in", Detail: "not asked yet"}
	if err := s.last.Load(); err != nil {
		if c.OK = *err == nil; !c.OK {
			c.Detail = (*err).Error()
		}
	}
	return c
}
