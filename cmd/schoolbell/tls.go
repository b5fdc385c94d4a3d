package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificateEvery is how often the files of the certificate are looked at. They are
// read rather than asked for their time: a new one may come by a link that changes, as
// in Kubernetes, or with the time of the old one.
const certificateEvery = 10 * time.Second

// certificate is the listener's, as its files last had it in a form that can be used.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               atomic.Pointer[tls.Certificate]

	mu sync.Mutex // guards what follows
	// What stood in the files when they were last looked at, and what was wrong with them.
	cert, key []byte
	complaint string
}

// openCertificate reads the files; nil: none are configured.
func openCertificate(cfg Config, log *slog.Logger) (*certificate, error) {
	switch {
	case cfg.TLSCertificate == "" && cfg.TLSKey == "":
		return nil, nil
	case cfg.TLSKey == "":
		return nil, fmt.Errorf("tls_certificate is set and tls_key is not; fix: name the file with its private key, too")
	case cfg.TLSCertificate == "":
		return nil, fmt.Errorf("tls_key is set and tls_certificate is not; fix: name the file with its certificate, too")
	}
	c := &certificate{certFile: cfg.TLSCertificate, keyFile: cfg.TLSKey, log: log}
	if _, err := c.load(); err != nil {
		return nil, err
	}
	c.tellIfOver()
	return c, nil
}

// load reads the files, and uses what they have if it is new and right.
func (c *certificate) load() (changed bool, err error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return false, fmt.Errorf("tls_certificate: %w; fix: name a file that this user can read", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return false, fmt.Errorf("tls_key: %w; fix: name a file that this user can read", err)
	}
	if c.now.Load() != nil && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("certificate %s and private key %s cannot be used: %w; "+
			"fix: name two PEM files that belong together, the certificate before its chain", c.certFile, c.keyFile, err)
	}
	c.cert, c.key = cert, key
	c.now.Store(&pair)
	return true, nil
}

// watch reads the files again until ctx ends. While they cannot be used, the
// certificate from before is.
func (c *certificate) watch(ctx context.Context) error {
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.look()
		}
	}
}

// look reads the files now. Any goroutine may.
func (c *certificate) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, err := c.load()
	switch {
	case err != nil && err.Error() != c.complaint: // two files are not written at one moment: it may be gone next time
		c.complaint = err.Error()
		c.log.Warn("the certificate cannot be read again, the old one goes on being used", "until", c.expires(), "reason", err)
	case err == nil && (changed || c.complaint != ""):
		c.complaint = ""
		c.log.Info("certificate read again", "until", c.expires())
		c.tellIfOver()
	}
}

// expires is when the certificate does; zero: there is none.
func (c *certificate) expires() time.Time {
	if c == nil {
		return time.Time{}
	}
	return c.now.Load().Leaf.NotAfter
}

func (c *certificate) tellIfOver() {
	if until := c.expires(); time.Now().After(until) {
		c.log.Warn("the certificate has expired, browsers refuse it; fix: renew it, the files are read again by themselves", "until", until)
	}
}

// seal puts TLS on a listener. Over HTTP/2 a browser has as many streams as it likes, where
// HTTP/1.1 allows it six to a host; for a WebSocket, which is an upgrade of HTTP/1.1, it
// makes a connection that speaks that.
func (c *certificate) seal(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.now.Load(), nil
		},
	})
}

// second bounds what one connection of HTTP/2 can cost: nothing that is sent here is long,
// and who has more streams than this to read has more than one person's dashboards.
func second() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          100,
		MaxReadFrameSize:              16 << 10,
		MaxReceiveBufferPerConnection: 64 << 10,
		MaxReceiveBufferPerStream:     64 << 10,
		SendPingTimeout:               30 * time.Second, // without a word of the other side …
		PingTimeout:                   15 * time.Second, // … and for its answer
	}
}
