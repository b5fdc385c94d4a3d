package web_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

func TestWithTheCookieOfTheLMSNoTokenIsTyped(t *testing.T) {
	g := newGateway(t)
	var who atomic.Int64
	who.Store(7)
	g.cookie = func() int { return int(who.Load()) }
	page := webtest.Open(t)
	page.Go(g.url)
	s := g.next()
	require.False(t, s.asked, "the cookie goes by itself")
	s.welcome("0/100.0", false)
	page.WaitState("live")
	require.Equal(t, "nora.lind@school.example", page.Text("#email"))
	var hidden bool
	page.Value(`document.getElementById('sign-out').hidden`, &hidden)
	require.True(t, hidden, "one signs out of the LMS")
	s.send("%s", assignment("0/200.1", 12, "Essay 2"))
	page.WaitRow("New assignment: Essay 2")

	// A reload resumes, but not for somebody else.
	page.Reload()
	s = g.next()
	require.Equal(t, "0/100.0", s.since)
	s.welcome("0/200.1", true)
	who.Store(8)
	page.Reload()
	s = g.next()
	require.Empty(t, s.since)
	s.welcome("0/200.1", false)
	page.WaitState("live")

	// The cookie was exchanged, as by a change of the password.
	s.send(`{"type":"disconnect","code":4401,"reason":"credentials_revoked","reconnect":false,"retry_after_ms":0}`)
	_ = s.conn.Close(4401, "credentials_revoked")
	s = g.next()
	require.Equal(t, "0/200.1", s.since, "and nothing is missed")
	s.welcome("0/200.1", true)
	page.WaitState("live")

	// Logged out.
	who.Store(0)
	s.send(`{"type":"disconnect","code":4401,"reason":"credentials_revoked","reconnect":false,"retry_after_ms":0}`)
	_ = s.conn.Close(4401, "credentials_revoked")
	page.WaitText("#why", "Your sign-in has ended")
	page.WaitState("stopped")
}

func TestATokenComesBeforeTheCookie(t *testing.T) {
	g := newGateway(t)
	g.cookie = func() int { return 7 }
	page := webtest.Open(t)
	page.Go(g.url + "#token=key-1")
	require.Equal(t, "key-1", g.next().token)
}
