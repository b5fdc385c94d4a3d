package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// says waits until the program has written all of this in one line of its log, more often
// than before.
func (p *process) says(before int, words ...string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return p.said(words...) > before }, time.Minute, 10*time.Millisecond, "%q", words)
}

// said counts the lines with all of these words.
func (p *process) said(words ...string) (lines int) {
	for line := range strings.Lines(p.text()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			lines++
		}
	}
	return lines
}

// What of the configuration can be changed without a restart is, and of the rest it is said
// that it was not; nobody is disconnected.
func TestTheConfigurationIsReloadedAtSIGHUP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	file, tokens := filepath.Join(dir, "bell.yaml"), filepath.Join(dir, "tokens")
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	old, next := newPair(t, time.Now().Add(time.Hour)), newPair(t, time.Now().Add(2*time.Hour))
	cert := old.in(t, dir)
	write(tokens, "one-before-the-exchange\n")
	base := fmt.Sprintf("tls_certificate: %s\ntls_key: %s\n", cert.TLSCertificate, cert.TLSKey)
	write(file, base+"max_sessions_per_person: 3\n")
	gateway := startReloading(s, "SCHOOLBELL_PUBLISH_TOKENS_FILE="+tokens, "--config", file)
	reload := func(yaml string, words ...string) {
		t.Helper()
		write(file, yaml)
		before := gateway.said(words...)
		require.NoError(t, gateway.cmd.Process.Signal(syscall.SIGHUP))
		gateway.says(before, words...)
	}
	get(t, "http://"+s.admin+"/readyz", ready)
	admin := s.school.Admins[0]
	enter := func(with pair) int {
		conn, answer, err := websocket.Dial(t.Context(), "wss://"+s.address+"/ws/dashboard/?token="+admin.Token, &websocket.DialOptions{HTTPClient: with.client(false)})
		if err == nil {
			t.Cleanup(func() { _ = conn.CloseNow() })
		}
		require.NotNil(t, answer, "%v", err)
		return answer.StatusCode
	}
	policy := func(with pair) string {
		answer, err := with.client(false).Get("https://" + s.address + "/")
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.Header.Get("Content-Security-Policy")
	}
	publishes := func(with pair, token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.address+"/api/publish", strings.NewReader(fmt.Sprintf(`{"user":%d,"type":"x","data":{}}`, admin.ID)))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		answer, err := with.client(false).Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	require.Equal(t, http.StatusSwitchingProtocols, enter(old))
	require.Contains(t, policy(old), "frame-ancestors 'self'")
	require.Equal(t, http.StatusUnauthorized, publishes(old, "the-next-of-a-service"))

	// Everything that can be taken over is, at once.
	next.in(t, dir)
	write(tokens, "one-before-the-exchange\nthe-next-of-a-service\n")
	reload(base+"max_sessions_per_person: 1\nframe_ancestors: https://lms.example.org\nlog_level: debug\n",
		`"msg":"configuration reloaded"`, "frame_ancestors from self to https://lms.example.org", "max_sessions_per_person from 3 to 1", "publish_tokens from [redacted] to [redacted], [redacted]")
	require.Contains(t, policy(next), "frame-ancestors https://lms.example.org")
	require.Equal(t, http.StatusTooManyRequests, enter(next))
	require.Equal(t, http.StatusOK, publishes(next, "the-next-of-a-service"))
	require.Equal(t, "debug\n", get(t, "http://"+s.admin+"/log-level", ready))
	require.Contains(t, get(t, "http://"+s.admin+"/config", ready), "max_sessions_per_person: 1  # file "+file+":3:26\n")

	// What needs a restart is said to, and stays; what can be changed beside it is.
	reload(base+"heartbeat: 7s\nqueue: 99\ndatabase: postgres://somebody:hunter2@elsewhere/lms\nmax_sessions_per_person: 9\n",
		"a setting that was changed needs a restart", `"reason":"queue changed from 4096 to 99: needs a restart; still 4096"`)
	gateway.says(0, `"msg":"configuration reloaded"`, "max_sessions_per_person from 1 to 9")
	require.Zero(t, gateway.said("heartbeat changed"), "its flag is over the file")
	require.Equal(t, http.StatusSwitchingProtocols, enter(next))
	require.Contains(t, get(t, "http://"+s.admin+"/config", ready), "queue: 4096  # default\n")
	require.Equal(t, "info\n", get(t, "http://"+s.admin+"/log-level", ready))

	// A mistake changes nothing, and all of them are said.
	reload(base+"max_sessions_per_person: 2\nqueu: 5\norigins: nowhere\n", "was not reloaded: nothing is changed", file+":4:1: unknown key queu")
	gateway.says(0, "was not reloaded: nothing is changed", "origins is")
	reload(base+"max_sessions_per_person: 2\nproxy_user_header: Remote-User\n", "was not reloaded: nothing is changed", "proxy_user_networks")
	require.Contains(t, get(t, "http://"+s.admin+"/config", ready), "max_sessions_per_person: 9 ")

	// The level can be set without the file, too.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.admin+"/log-level", strings.NewReader("warn"))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, "warn\n", string(body))
	recent := get(t, "http://"+s.admin+"/log", ready)
	require.Contains(t, recent, `"msg":"starting"`)
	require.Contains(t, recent, `"msg":"log level changed","from":"info","to":"warn"`)
	require.NotContains(t, gateway.text()+recent, "hunter2")
	require.Zero(t, gateway.stop(10*time.Second))
}

// startReloading is serve with a variable, and without limits as flags.
func startReloading(s *site, variable string, more ...string) *process {
	s.t.Helper()
	p := &process{t: s.t, program: os.Args[0], env: []string{variable}, args: append([]string{
		"serve", "--database", s.url, "--slot", s.slot, "--data", s.data, "--listen", s.address, "--admin-listen", s.admin, "--heartbeat", "5s",
	}, more...)}
	p.restart()
	s.t.Cleanup(p.kill)
	return p
}
