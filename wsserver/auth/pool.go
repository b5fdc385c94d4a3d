package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// OpenPool makes the pool for looking up credentials. It connects when first
// asked, so that the gateway starts, and says what is wrong, while the database is
// down. Settings of the URL that would let it do more than read a row are
// overruled. The caller closes it.
func OpenPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// Its text may hold a part of the password.
		return nil, errors.New("database URL is not readable, want postgres://user:password@host:port/database; " +
			"fix: correct the database URL; characters like @ : / ? # % in the password must be written as %40 %3A %2F %3F %23 %25")
	}
	cfg.MaxConns = 4
	cfg.MinConns, cfg.MinIdleConns = 0, 0
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.ConnConfig.ConnectTimeout = 2 * time.Second
	cfg.ConnConfig.Tracer = &queryCounter{}
	params := cfg.ConnConfig.RuntimeParams
	params["application_name"] = "schoolbell-auth"
	params["default_transaction_read_only"] = "on"
	params["statement_timeout"] = "2000" // ms
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the pool for credentials: %w", err)
	}
	return pool, nil
}
