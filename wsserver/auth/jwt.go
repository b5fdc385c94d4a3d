package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// longestJWT is the most bytes that a JWT may have. It fits into a message of a
	// client and into the headers of a request.
	longestJWT = 8000

	// mostLeeway is how far the clocks of a school may differ.
	mostLeeway = 10 * time.Minute

	// jwtPatience is how old the keys of an address may grow before Check and Recheck
	// fetch them again.
	jwtPatience = time.Minute
)

// JWTConfig says whose tokens are believed. Keys is required.
type JWTConfig struct {
	// Keys is a file or an address. A file holds PEM public keys or certificates, a
	// JWK set, or the secret of HS256, HS384 and HS512; an address gives a JWK set.
	Keys string

	Issuer   string        // the claim iss must be this; "": any
	Audience string        // the claim aud must have this; "": any
	User     string        // the claim that is the LMS's key of the account ("sub")
	Role     string        // the claim that is the role that a token is for; "": a token is for any
	Leeway   time.Duration // how far the issuer's clock may differ from ours (0)

	// Refetch is the least time between two fetches from an address (5 s). Whoever
	// makes tokens up cannot make us ask more often.
	Refetch time.Duration
}

// JWT is the Way of signed tokens: whoever has a key to sign says who is asking.
//
// A token of three parts with two dots between them is a JWT; any other is left to
// the ways that follow.
type JWT struct {
	cfg    JWTConfig
	keys   *keySource
	parser *jwt.Parser
}

// NewJWT reads the keys of a file. Those of an address are fetched when first
// needed, so that the gateway starts while the issuer is down.
func NewJWT(ctx context.Context, cfg JWTConfig) (*JWT, error) {
	cfg.User = cmp.Or(cfg.User, "sub")
	if cfg.Leeway < 0 || cfg.Leeway > mostLeeway {
		return nil, fmt.Errorf("the leeway for tokens is %v, want between 0s and %v; fix: set the clocks", cfg.Leeway, mostLeeway)
	}
	source, err := newKeySource(cfg.Keys, cmp.Or(cfg.Refetch, 5*time.Second))
	if err != nil {
		return nil, err
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(methods()), jwt.WithJSONNumber(), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithLeeway(cfg.Leeway),
	}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if cfg.Audience != "" {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	j := &JWT{cfg: cfg, keys: source, parser: jwt.NewParser(options...)}
	if source.address == nil {
		if err := j.Check(ctx); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// String names where the keys are; the keys stay inside.
func (j *JWT) String() string { return "JWTs signed by the keys of " + j.keys.String() }

// Format keeps the keys from the verbs that do not ask String.
func (j *JWT) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(j.String())) }

// Name is "jwt".
func (*JWT) Name() string { return "jwt" }

// Authenticate says who the request's token says is asking.
func (j *JWT) Authenticate(ctx context.Context, r *http.Request) (Identity, error) {
	token, err := fromRequest(r)
	if err != nil {
		return Identity{}, err
	}
	if strings.Count(token.key, ".") != 2 {
		return Identity{}, ErrNoCredential
	}
	if len(token.key) > longestJWT {
		return Identity{}, fmt.Errorf("%w: the token is longer than %d bytes", ErrUnauthenticated, longestJWT)
	}
	asked := time.Now()
	keys, err := j.keys.current(ctx)
	if err != nil {
		return Identity{}, unknown(ctx, "read a token", err)
	}
	id, err := j.read(token, keys)
	if !errors.Is(err, errUnknownKey) {
		return id, err
	}
	// It may be signed by a key that was made since. Where we cannot see that now,
	// nothing is known of the token.
	newer, err := j.keys.newer(ctx, keys, asked)
	if err != nil {
		return Identity{}, unknown(ctx, "read a token", err)
	}
	return j.read(token, newer)
}

// errUnknownKey means that none of the keys could have signed the token.
var errUnknownKey = fmt.Errorf("%w: the token is signed by a key that is not known", ErrUnauthenticated)

// read says who the token says is asking, if one of the keys signed it. Of the
// library's errors only the kind is told: their text may hold parts of the token.
func (j *JWT) read(token secret, keys *keySet) (Identity, error) {
	known := true
	claims := jwt.MapClaims{}
	_, err := j.parser.ParseWithClaims(token.key, claims, func(t *jwt.Token) (any, error) {
		candidates, named, err := keys.candidates(t.Header)
		known = named || err != nil
		return candidates, err
	})
	switch {
	case err == nil:
		return j.identity(claims, token, keys)
	case errors.Is(err, jwt.ErrTokenUnverifiable), errors.Is(err, jwt.ErrTokenSignatureInvalid):
		if !known {
			return Identity{}, errUnknownKey
		}
		return Identity{}, refused("is not signed by a key of the issuer, or in a way that is not allowed")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return Identity{}, refused("lacks one of the claims exp, iss and aud")
	case errors.Is(err, jwt.ErrTokenExpired):
		return Identity{}, refused("has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return Identity{}, refused("is not valid yet; is a clock wrong?")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return Identity{}, refused("comes from another issuer")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return Identity{}, refused("is meant for another audience")
	}
	return Identity{}, refused("is damaged")
}

func refused(why string) error { return fmt.Errorf("%w: the token %s", ErrUnauthenticated, why) }

// identity reads the claims of a token that one of the keys signed.
func (j *JWT) identity(claims jwt.MapClaims, token secret, keys *keySet) (Identity, error) {
	// The same key signs what only its issuer may be shown, to get new tokens by.
	if kind, _ := claims["token_type"].(string); strings.EqualFold(kind, "refresh") {
		return Identity{}, refused("is for getting new tokens, not for signing in")
	}
	user, ok := account(claims[j.cfg.User])
	if !ok {
		return Identity{}, refused(fmt.Sprintf("names nobody: its claim %q is no text and no whole number", j.cfg.User))
	}
	role, err := j.role(claims)
	if err != nil {
		return Identity{}, err
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil || expires.Year() > 9999 || expires.Year() < 1970 {
		return Identity{}, refused("expires at a time that is none")
	}
	// Not sooner than a new session would be refused.
	return Identity{
		User: user, Way: j.Name(), Role: role, Expires: expires.Add(j.cfg.Leeway).UTC(),
		proof: secret{strings.Clone(token.key)}, keys: keys,
	}, nil
}

// role reads the claim that says which role a token is for. It narrows what the token
// is good for, and gives nothing: what somebody may see, the LMS says.
func (j *JWT) role(claims jwt.MapClaims) (string, error) {
	if j.cfg.Role == "" {
		return "", nil
	}
	role, ok := claims[j.cfg.Role].(string)
	if !ok || role == "" || len(role) > longest {
		return "", refused(fmt.Sprintf("is for no role: its claim %q is no text", j.cfg.Role))
	}
	return role, nil
}

// account reads the claim that names the account, a text or a whole number.
func account(claim any) (string, bool) {
	switch v := claim.(type) {
	case string:
		return v, v != "" && len(v) <= longest
	case json.Number:
		_, err := v.Int64()
		return v.String(), err == nil
	}
	return "", false
}

// Recheck says which tokens have expired, or were signed by a key that counts no
// more.
func (j *JWT) Recheck(ctx context.Context, ids []Identity) (revoked []int, err error) {
	keys, err := j.keys.within(ctx, jwtPatience)
	if keys == nil {
		return nil, unknown(ctx, "look tokens up again", err)
	}
	for i, id := range ids {
		// As long as the keys are the same, only time has passed: verifying thousands of
		// signatures again would tell nothing.
		if id.keys == keys && time.Now().Before(id.Expires) {
			continue
		}
		if again, err := j.read(id.proof, keys); err != nil || again.User != id.User {
			revoked = append(revoked, i)
			continue
		}
		ids[i].keys = keys
	}
	return revoked, nil
}

// Check reports what keeps tokens from being verified, with the remedy.
func (j *JWT) Check(ctx context.Context) error {
	keys, err := j.keys.within(ctx, jwtPatience)
	if err == nil && len(keys.keys) == 0 {
		err = fmt.Errorf("%v holds no key that verifies HS, RS, ES or EdDSA signatures, so no token is accepted; "+
			"fix: have the issuer publish its public keys there", j.keys)
	}
	return err
}
