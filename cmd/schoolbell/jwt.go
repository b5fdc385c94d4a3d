package main

import (
	"context"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// signedTokens is the way of JWTs, where the configuration has one. It comes before
// the table of tokens, which would take a JWT for a token that it does not know.
func signedTokens(ctx context.Context, cfg Config) (auth.Ways, error) {
	if cfg.JWTKeys == "" {
		return nil, nil
	}
	jwt, err := auth.NewJWT(ctx, auth.JWTConfig{
		Keys: cfg.JWTKeys, Issuer: cfg.JWTIssuer, Audience: cfg.JWTAudience, User: cfg.JWTUserClaim, Role: cfg.JWTRoleClaim, Leeway: cfg.JWTLeeway,
	})
	if err != nil {
		return nil, err
	}
	return auth.Ways{jwt}, nil
}
