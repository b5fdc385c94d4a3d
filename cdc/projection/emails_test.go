package projection_test

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// checkEmails looks people up by their e-mail in every spelling, and compares with a
// look at every row.
func checkEmails(t require.TestingT, g *gateway, r rows) {
	for _, email := range []string{"a@x", "B@X", "nobody@x", "", "ａ@x"} {
		var active []cdc.ID
		for id, u := range r.users {
			if u.active && email != "" && strings.EqualFold(email, u.email) {
				active = append(active, cdc.IntID(int64(id)))
			}
		}
		id, n := g.ByEmail(email)
		require.Equal(t, len(active), n, email)
		if n == 1 {
			require.Equal(t, active[0], id, email)
		}
	}
}
