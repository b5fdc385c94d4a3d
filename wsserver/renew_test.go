package wsserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
)

// enterWith dials with a token and reads the welcome.
func (g *gateway) enterWith(t testing.TB, token string) (*dashboard, message) {
	t.Helper()
	d := g.dialWith(t, token, "")
	hello := d.next()
	require.Equal(t, "welcome", hello["type"])
	return d, hello
}

func (p pipes) enterWith(t *testing.T, token string) (*dashboard, message) {
	t.Helper()
	d := p.dialWith(t, token)
	hello := d.next()
	require.Equal(t, "welcome", hello["type"])
	return d, hello
}

// requireEndedAt is for the bubble, whose time is the protocol's but for the
// microseconds at which that cuts.
func requireEndedAt(t *testing.T, expires time.Time) {
	t.Helper()
	late := time.Since(expires)
	require.GreaterOrEqual(t, late, -time.Millisecond)
	require.Less(t, late, time.Second)
}

func (d *dashboard) handIn(token string) message {
	d.t.Helper()
	d.say(fmt.Sprintf(`{"type":"auth","token":%q}`, token))
	return d.until("auth")
}

func moment(t testing.TB, of any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, of.(string))
	require.NoError(t, err)
	return at
}

func TestASessionEndsWithinASecondOfItsTokensEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d, hello := network.enterWith(t, token(tom)+"~5s")
		ends := moment(t, hello["expires"])
		d.requireClosed(4401, "credentials_revoked", false)
		requireEndedAt(t, ends)
		g.tally.await("closed for credentials_revoked", 1)
	})
}

func TestATokenThatDoesNotExpireEndsNoSession(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	_, hello := g.enterWith(t, token(tom))
	require.NotContains(t, hello, "expires")
}

func TestATokenHandedInInTimeKeepsTheSessionWhichLosesNoEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d, hello := network.enterWith(t, token(tom)+"~5s")
		ends := moment(t, hello["expires"])
		time.Sleep(4 * time.Second)
		d.say(`{"type":"auth","token":"` + token(tom) + `~1h"}`)
		answered := false
		for next := int(g.lsn) + 1; time.Now().Before(ends.Add(5 * time.Second)); next++ {
			g.commit(1, false, tom)
			m := d.next()
			for ; m["type"] != "grade"; m = d.next() {
				if m["type"] == "auth" {
					answered = true
					require.Equal(t, true, m["ok"])
					require.WithinDuration(t, ends.Add(time.Hour-time.Second), moment(t, m["expires"]), time.Second)
				}
			}
			require.Equal(t, fmt.Sprintf("0/%X.1", next), m["id"])
			time.Sleep(100 * time.Millisecond)
		}
		require.True(t, answered)
		require.Equal(t, 1, g.Sessions())
		require.NoError(t, d.CloseNow())
	})
}

func TestATokenThatIsRefusedLeavesTheOldOneInForceUntilItsOwnEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d, hello := network.enterWith(t, token(tom)+"~9s")
		for _, c := range []struct{ message, reason string }{
			{`{"type":"auth","token":"wrong"}`, "unauthenticated"},
			{`{"type":"auth","token":""}`, "unauthenticated"},
			{`{"type":"auth"}`, "unauthenticated"},
			{`{"type":"auth","token":7}`, "unauthenticated"},
			{`{"token":"t-1~1h","type":"auth"}`, "other_account"},
			{`{"type":"auth","token":"down"}`, "not_ready"},
		} {
			d.say(c.message)
			m := d.until("auth")
			require.Equal(t, false, m["ok"], c.message)
			require.Equal(t, c.reason, m["reason"], c.message)
			require.Equal(t, hello["expires"], m["expires"], c.message)
		}
		d.requireClosed(4401, "credentials_revoked", false)
		requireEndedAt(t, moment(t, hello["expires"]))
		g.tally.await("received auth", 6)
	})
}

func TestATokenHandedInMayEndSoonerOrNever(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d, _ := network.enterWith(t, token(tom)+"~1h")
		require.NotContains(t, d.handIn(token(tom)), "expires")
		m := d.handIn(token(tom) + "~5s")
		require.Equal(t, true, m["ok"])
		d.requireClosed(4401, "credentials_revoked", false)
		requireEndedAt(t, moment(t, m["expires"]))
	})
}

func TestTokensHandedInTogetherAreAnsweredInTheirOrder(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	d, _ := g.enterWith(t, token(tom))
	for _, text := range []string{"t-1", token(tom), "down", "wrong"} {
		d.say(`{"type":"auth","token":"` + text + `"}`)
	}
	for _, want := range []any{"other_account", nil, "not_ready", "unauthenticated"} {
		require.Equal(t, want, d.until("auth")["reason"])
	}
}

func TestATokenOf8000BytesFits(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	d, _ := g.enterWith(t, token(tom))
	long := token(tom) + "~1h"
	long += strings.Repeat("~", 8000-len(long))
	require.Equal(t, true, d.handIn(long)["ok"])
}

func TestOneTokenCountsAsTenMessagesForTheFlood(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d, _ := network.enterWith(t, token(tom))
		for range 9 {
			d.handIn(token(tom))
		}
		for range 2 {
			d.say(`{"type":"auth","token":"wrong"}`)
		}
		d.requireClosed(1008, "protocol_violation", true)
	})
}

func TestTokensHandedInAreChargedLikeHandshakes(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	d, _ := g.enterWith(t, token(tom))
	for range 6 {
		require.Equal(t, "unauthenticated", d.handIn("wrong")["reason"])
	}
	require.Equal(t, "too_many_connections", d.handIn("wrong")["reason"])
	require.Equal(t, true, d.handIn(token(tom))["ok"], "another one is looked at")
}

func TestAQuestionAboutATokenEndsWithItsSession(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway, network pipes) {
		d, hello := network.enterWith(t, token(tom)+"~1s")
		d.say(`{"type":"auth","token":"slow"}`)
		d.requireClosed(4401, "credentials_revoked", false)
		requireEndedAt(t, moment(t, hello["expires"]))
		g.tally.await("closed teacher", 1)
		requireEndedAt(t, moment(t, hello["expires"]))
	})
}

func TestATokenThatIsHandedInIsNeverLogged(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	d, _ := g.enterWith(t, token(tom))
	d.handIn("hunter2")
	d.handIn(token(tom) + "~9999h")
	require.Contains(t, g.log.String(), "token handed in")
	require.NotContains(t, g.log.String(), "hunter2")
	require.NotContains(t, g.log.String(), "9999h")
}
