package school

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

//go:embed first_names.txt
var firstNames string

//go:embed last_names.txt
var lastNames string

//go:embed titles.txt
var titles string

//go:embed words.txt
var words string

// Random draws what schools are made of, whatever LMS they have: people, titles, prose.
// Equal seeds draw the same.
type Random struct{ *rand.Rand }

// NewRandom draws from a seed.
func NewRandom(seed uint64) Random { return Random{rand.New(rand.NewPCG(seed, 0x5c4001))} }

// Person is the n-th of a role, without a token.
func (r Random) Person(id int64, role string, n int) Person {
	return Person{
		ID:        id,
		Email:     fmt.Sprintf("%s%d@school.example", role, n),
		FirstName: r.FirstName(),
		LastName:  r.LastName(),
		Role:      role,
	}
}

// FirstName is somebody's, in one of many scripts.
func (r Random) FirstName() string { return r.line(firstNames) }

// LastName is somebody's.
func (r Random) LastName() string { return r.line(lastNames) }

// Title is an assignment's.
func (r Random) Title() string { return r.line(titles) }

// line is one of a text's lines.
func (r Random) line(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[r.IntN(len(lines))]
}

// Prose is n words.
func (r Random) Prose(n int) string {
	all := strings.Fields(words)
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(all[r.IntN(len(all))])
	}
	return b.String()
}

// Essay is what a student writes: now and then so much that PostgreSQL stores it out of line.
func (r Random) Essay() string {
	if r.IntN(20) == 0 {
		return r.Prose(3000)
	}
	return r.Prose(20 + r.IntN(100))
}

// Hex is a key of n hexadecimal digits. It comes from the seed: no secret.
func (r Random) Hex(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[r.IntN(len(digits))]
	}
	return string(b)
}

// now is the clock as a timestamptz keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
