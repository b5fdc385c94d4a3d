package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
	"github.com/schoolbell/schoolbell/deploy/school/canvas"
	"github.com/schoolbell/schoolbell/deploy/school/moodle"
)

// livingSchool is the school of one LMS. Its people have tokens where the LMS has a table
// of them.
type livingSchool interface {
	Everybody() school.People
	Live(ctx context.Context, conn *pgx.Conn, rate float64, log *slog.Logger) error
}

// demoLMSs are the LMSs that a demo can have: built-in profiles, each with a school.
func demoLMSs() []string { return []string{"django", "moodle", "canvas"} }

// newSchool makes an LMS's tables in an empty database, and a term of work in them.
func newSchool(ctx context.Context, conn *pgx.Conn, lms string, size school.Size, seed uint64) (livingSchool, error) {
	switch lms {
	case "moodle":
		if err := moodle.Create(ctx, conn); err != nil {
			return nil, err
		}
		return moodle.Populate(ctx, conn, size, seed)
	case "canvas":
		if err := canvas.Create(ctx, conn); err != nil {
			return nil, err
		}
		return canvas.Populate(ctx, conn, size, seed)
	}
	if err := school.Create(ctx, conn); err != nil {
		return nil, err
	}
	return school.Populate(ctx, conn, size, seed)
}

// demoTokens is how long the tokens count that a demo signs itself.
const demoTokens = 30 * 24 * time.Hour

// invite answers one person of each role, with a token: the LMS's own or, where it has no
// table of them that the profile reads, a JWT signed with a secret that is made for this
// run and kept in the file.
func invite(people school.People, file string, cfg *Config) ([]school.Person, error) {
	visitors := []school.Person{people.Admins[0], people.Teachers[0], people.Tutors[0]}
	if visitors[0].Token != "" {
		return visitors, nil
	}
	secret := rand.Text() + rand.Text()
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	cfg.JWTKeys = file
	for i := range visitors {
		claims := jwt.RegisteredClaims{Subject: strconv.FormatInt(visitors[i].ID, 10), ExpiresAt: jwt.NewNumericDate(time.Now().Add(demoTokens))}
		var err error
		if visitors[i].Token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret)); err != nil {
			return nil, fmt.Errorf("demo: sign a token: %w", err)
		}
	}
	return visitors, nil
}
