package main

import (
	"log/slog"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// namedByProxy is the way of a header that a reverse proxy sets, where the
// configuration has one.
func namedByProxy(cfg Config, byEmail func(email string) (user string, accounts int), log *slog.Logger) (auth.Ways, error) {
	if cfg.ProxyUserHeader == "" {
		return nil, nil
	}
	pc := auth.ProxyConfig{Header: cfg.ProxyUserHeader, Networks: cfg.ProxyUserNetworks, Log: log}
	if cfg.ProxyUserBy == "email" {
		pc.Find = byEmail
	}
	proxy, err := auth.NewProxy(pc)
	if err != nil {
		return nil, err
	}
	return auth.Ways{proxy}, nil
}
