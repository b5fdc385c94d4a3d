package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// pair is a certificate of 127.0.0.1 and its key, as files have them.
type pair struct {
	cert, key []byte
	leaf      *x509.Certificate
}

func newPair(t *testing.T, until time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(until.UnixNano()), Subject: pkix.Name{CommonName: "schoolbell"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
		leaf,
	}
}

// in writes the files into a folder.
func (p pair) in(t *testing.T, dir string) Config {
	t.Helper()
	cfg := Config{TLSCertificate: filepath.Join(dir, "tls.crt"), TLSKey: filepath.Join(dir, "tls.key")}
	require.NoError(t, os.WriteFile(cfg.TLSCertificate, p.cert, 0o600))
	require.NoError(t, os.WriteFile(cfg.TLSKey, p.key, 0o600))
	return cfg
}

// client trusts this pair and no other. It speaks HTTP/2, or HTTP/1.1 as browsers do for a
// WebSocket.
func (p pair) client(second bool) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(p.leaf)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true, ForceAttemptHTTP2: second}}
}

func TestAnUnusableCertificateIsExplainedAtTheStart(t *testing.T) {
	p := newPair(t, time.Now().Add(time.Hour))
	other := newPair(t, time.Now().Add(time.Hour))
	dir := t.TempDir()
	sound := p.in(t, dir)
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	for _, tt := range []struct {
		name, cert, key, want string
	}{
		{"no key", sound.TLSCertificate, "", "tls_certificate is set and tls_key is not; fix: name the file with its private key, too"},
		{"no certificate", "", sound.TLSKey, "tls_key is set and tls_certificate is not; fix: name the file with its certificate, too"},
		{
			"no such certificate", dir + "/none", sound.TLSKey,
			"tls_certificate: open " + dir + "/none: no such file or directory; fix: name a file that this user can read",
		},
		{
			"no such key", sound.TLSCertificate, dir + "/none",
			"tls_key: open " + dir + "/none: no such file or directory; fix: name a file that this user can read",
		},
		{
			"a mismatch", sound.TLSCertificate, file("other.key", other.key),
			"certificate " + sound.TLSCertificate + " and private key " + dir + "/other.key cannot be used: tls: private key does not match public key; " +
				"fix: name two PEM files that belong together, the certificate before its chain",
		},
		{
			"no PEM", file("noise", []byte("s3cret")), sound.TLSKey,
			"certificate " + dir + "/noise and private key " + sound.TLSKey + " cannot be used: tls: failed to find any PEM data in certificate input; " +
				"fix: name two PEM files that belong together, the certificate before its chain",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := openCertificate(Config{TLSCertificate: tt.cert, TLSKey: tt.key}, slog.New(slog.DiscardHandler))
			require.EqualError(t, err, tt.want)
		})
	}
	c, err := openCertificate(Config{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Nil(t, c)
	require.Zero(t, c.expires())

	code, out := schoolbell(t, "serve", "--database", "postgres://127.0.0.1:1/none", "--data", t.TempDir(),
		"--listen", freePort(t), "--admin-listen", freePort(t), "--tls-certificate", sound.TLSCertificate)
	require.Equal(t, 2, code, out)
	require.Equal(t, []string{"tls_certificate is set and tls_key is not; fix: name the file with its private key, too"}, said(out))
}

func TestACertificateIsReadAgainWhenItChangesAndTheOldOneIsUsedWhileItCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first := newPair(t, time.Now().Add(24*time.Hour))
		second := newPair(t, time.Now().Add(48*time.Hour))
		cfg := first.in(t, dir)
		log := &process{} // for what it remembers of its output
		c, err := openCertificate(cfg, slog.New(slog.NewTextHandler(log, nil)))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.watch(ctx) }()
		passes := func() {
			time.Sleep(certificateEvery)
			synctest.Wait()
		}
		said := func(words string, times int) {
			t.Helper()
			require.Equal(t, times, strings.Count(log.text(), words), log.text())
		}
		passes()
		require.Empty(t, log.text())

		require.NoError(t, os.WriteFile(cfg.TLSCertificate, second.cert, 0o600)) // and its key not yet
		passes()
		passes()
		require.Equal(t, first.leaf.NotAfter, c.expires())
		said("the old one goes on being used", 1)
		said("private key does not match public key", 1)

		require.NoError(t, os.WriteFile(cfg.TLSKey, second.key, 0o600))
		passes()
		require.Equal(t, second.leaf.NotAfter, c.expires())
		said("certificate read again", 1)

		require.NoError(t, os.Remove(cfg.TLSKey))
		passes()
		passes()
		require.Equal(t, second.leaf.NotAfter, c.expires())
		said("no such file or directory", 1)

		second.in(t, dir)
		passes()
		said("certificate read again", 2)

		newPair(t, time.Now().Add(-time.Hour)).in(t, dir)
		passes()
		said("the certificate has expired", 1)
		require.NotContains(t, log.text(), "PRIVATE")
		cancel()
		require.NoError(t, <-done)
	})
}

func TestTheListenerSpeaksTLSAndTheMetricsSayUntilWhen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	first := newPair(t, time.Now().Add(24*time.Hour))
	cfg := first.in(t, dir)
	gateway := s.serve("--tls-certificate", cfg.TLSCertificate, "--tls-key", cfg.TLSKey)
	expiry := func(p pair) func(int, string) bool {
		return func(_ int, page string) bool {
			at, _ := strconv.ParseFloat(metric(page, "schoolbell_tls_certificate_expiry_timestamp_seconds"), 64)
			return metric(page, "schoolbell_ready") == "1" && int64(at) == p.leaf.NotAfter.Unix()
		}
	}
	get(t, "http://"+s.admin+"/metrics", expiry(first))

	resp, err := first.client(true).Get("https://" + s.address + "/")
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "HTTP/2.0", resp.Proto)
	require.GreaterOrEqual(t, resp.TLS.Version, uint16(tls.VersionTLS12))
	require.Equal(t, http.StatusBadRequest, statusOf(t, s.base()+"/"), "plain HTTP is told so")
	_, err = tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.ErrorContains(t, err, "protocol version")

	dial := func(p pair) *websocket.Conn {
		conn, _, err := websocket.Dial(t.Context(), "wss://"+s.address+"/ws/dashboard/?token="+s.school.Admins[0].Token,
			&websocket.DialOptions{HTTPClient: p.client(false)})
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.CloseNow() })
		return conn
	}
	old := dial(first)
	second := newPair(t, time.Now().Add(48*time.Hour))
	second.in(t, dir)
	get(t, "http://"+s.admin+"/metrics", expiry(second))
	conns := []*websocket.Conn{old, dial(second)}
	s.grade(91)
	for _, conn := range conns {
		for {
			_, data, err := conn.Read(t.Context())
			require.NoError(t, err)
			if bytes.Contains(data, []byte(`"grade":91`)) {
				break
			}
		}
	}
	require.Zero(t, gateway.stop(5*time.Second))
	for _, conn := range conns {
		var err error
		for err == nil {
			_, _, err = conn.Read(t.Context())
		}
		require.EqualValues(t, 1001, websocket.CloseStatus(err), "the last words get through")
	}
}

func TestOverTLSTheFilesAndStreamsComeByHTTP2AndTheWebSocketByHTTP1(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := newPair(t, time.Now().Add(24*time.Hour))
	cfg := p.in(t, t.TempDir())
	gateway := s.serve("--tls-certificate", cfg.TLSCertificate, "--tls-key", cfg.TLSKey)
	get(t, "http://"+s.admin+"/metrics", func(_ int, page string) bool { return metric(page, "schoolbell_ready") == "1" })
	page := webtest.Open(t, "ignore-certificate-errors")
	page.Go("https://" + s.address + "/#token=" + s.school.Admins[0].Token)
	page.WaitState("live")
	page.Wait(`document.querySelector('.plot canvas')`)
	var protocols []string
	page.Value(`[...new Set(['navigation', 'resource'].flatMap((type) => performance.getEntriesByType(type)).map((e) => e.nextHopProtocol))]`, &protocols)
	require.Equal(t, []string{"h2"}, protocols)

	// More streams than HTTP/1.1 has connections.
	const streams = 7
	page.Value(fmt.Sprintf(`void import('./schoolbell.js').then(({ connect }) => {
		window.bells = Array.from({ length: %d }, () => connect({ token: %q, transport: 'sse', share: false, storage: null }));
		window.told = [];
		window.reasons = [];
		bells.forEach((bell, i) => {
			bell.addEventListener('assignment', ({ detail }) => told.push(i + detail.title));
			bell.addEventListener('state', ({ detail }) => { if (detail.reason) reasons.push(detail.reason); });
		});
	})`, streams, s.school.Admins[0].Token), nil)
	page.Wait(fmt.Sprintf(`window.bells?.filter((bell) => bell.state?.state === 'live').length === %d`, streams))
	s.exec(`INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
		VALUES ('Essay 2', '', $1, 'published', now(), now())`, s.school.Teachers[0].ID)
	page.WaitRow("New assignment: Essay 2")
	page.Wait(fmt.Sprintf(`new Set(told).size === %d`, streams))
	metrics := get(t, "http://"+s.admin+"/metrics", ready)
	require.Equal(t, "7", metric(metrics, `schoolbell_sessions_by_transport{transport="sse"}`))
	require.Equal(t, "1", metric(metrics, `schoolbell_sessions_by_transport{transport="websocket"}`))

	// An upgrade is not of HTTP/2, and whoever tries is told so.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address+"/ws/dashboard/?token="+s.school.Admins[0].Token, nil)
	require.NoError(t, err)
	resp, err := p.client(true).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "HTTP/2.0", resp.Proto)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)

	require.Zero(t, gateway.stop(5*time.Second))
	page.Wait(fmt.Sprintf(`reasons.filter((reason) => reason === 'going_away').length === %d`, streams))
}
