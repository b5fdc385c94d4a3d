package cdc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDistanceCountsLetters(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"grade", "grade", 0}, {"grade", "grades", 1},
		{"grade", "garde", 1}, {"email", "emial", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
		{"grade", "score", 4},
	} {
		require.Equal(t, c.want, distance(c.a, c.b), "%q %q", c.a, c.b)
		require.Equal(t, c.want, distance(c.b, c.a), "%q %q", c.b, c.a)
	}
}

func TestNearestIsSilentWhenNothingIsNear(t *testing.T) {
	known := []string{"from", "where", "first", "last", "email"}
	require.Equal(t, "first", Nearest("frist", known))
	require.Equal(t, "email", Nearest("E-mail", known))
	require.Empty(t, Nearest("subject", known))
	require.Empty(t, Nearest("x", known))
	require.Empty(t, Nearest("", nil))
}
