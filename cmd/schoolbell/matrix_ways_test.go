package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// matrixToken is a row of the LMS's token table.
type matrixToken struct{ *matrixSite }

func (w matrixToken) flags() []string { return nil }

func (w matrixToken) credential(account int64, _ time.Duration) http.Header {
	key := fmt.Sprintf("a-token-of-%d", account)
	w.alone(`INSERT INTO authtoken_token VALUES ($1, now(), $2)`, key, account)
	return http.Header{"Authorization": {"Token " + key}}
}

func (w matrixToken) damage(h http.Header) http.Header {
	return http.Header{"Authorization": {h.Get("Authorization") + "0"}}
}

func (w matrixToken) revoke(h http.Header) {
	w.alone(`DELETE FROM authtoken_token WHERE key = $1`, strings.TrimPrefix(h.Get("Authorization"), "Token "))
}

// matrixSession is a session of Django, by its cookie. What is damaged is what the LMS
// stored: a cookie that is not its key is no session at all.
type matrixSession struct{ *matrixSite }

func (w matrixSession) flags() []string { return []string{"--session-secret", lmsSecret} }

func (w matrixSession) credential(account int64, lasts time.Duration) http.Header {
	if lasts == 0 {
		lasts = time.Hour
	}
	alone := *w.site
	alone.conn = connectTo(w.t, w.url)
	return http.Header{"Cookie": {"sessionid=" + alone.login(school.Person{ID: account}, lasts)}}
}

func (w matrixSession) damage(h http.Header) http.Header {
	w.alone(`UPDATE django_session SET session_data = overlay(session_data PLACING 'x' FROM length(session_data) - 5) WHERE session_key = $1`,
		strings.TrimPrefix(h.Get("Cookie"), "sessionid="))
	return h
}

func (w matrixSession) revoke(h http.Header) {
	w.alone(`DELETE FROM django_session WHERE session_key = $1`, strings.TrimPrefix(h.Get("Cookie"), "sessionid="))
}

// matrixJWT is a signed token. A single one cannot be taken back, but its key can: who is
// to lose theirs has the only one with that key.
type matrixJWT struct {
	*matrixSite
	file string
	keys map[string]ed25519.PrivateKey
}

func newMatrixJWT(s *matrixSite) matrixJWT {
	w := matrixJWT{s, filepath.Join(s.t.TempDir(), "keys.json"), map[string]ed25519.PrivateKey{}}
	for _, id := range []string{"kept", "withdrawn"} {
		_, key, err := ed25519.GenerateKey(nil)
		require.NoError(s.t, err)
		w.keys[id] = key
	}
	w.publish("kept", "withdrawn")
	return w
}

// publish has these keys in the file, and no others.
func (w matrixJWT) publish(ids ...string) {
	w.t.Helper()
	var set []string
	for _, id := range ids {
		set = append(set, fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","use":"sig","kid":%q,"x":%q}`, id,
			base64.RawURLEncoding.EncodeToString(w.keys[id].Public().(ed25519.PublicKey))))
	}
	next := w.file + ".next"
	require.NoError(w.t, os.WriteFile(next, []byte(`{"keys":[`+strings.Join(set, ",")+`]}`), 0o600))
	require.NoError(w.t, os.Rename(next, w.file))
}

func (w matrixJWT) flags() []string { return []string{"--jwt-keys", w.file, "--jwt-leeway", "0s"} }

func (w matrixJWT) credential(account int64, lasts time.Duration) http.Header {
	if lasts == 0 {
		lasts = time.Hour
	}
	id := "kept"
	if account == w.people["open: revoked"].ID {
		id = "withdrawn"
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": fmt.Sprint(account), "exp": time.Now().Add(lasts).Unix()})
	unsigned.Header["kid"] = id
	text, err := unsigned.SignedString(w.keys[id])
	require.NoError(w.t, err)
	return http.Header{"Authorization": {"Bearer " + text}}
}

// damage changes one bit of what was signed.
func (w matrixJWT) damage(h http.Header) http.Header {
	head, rest, _ := strings.Cut(h.Get("Authorization"), ".")
	claims, signature, _ := strings.Cut(rest, ".")
	other := []byte(claims)
	other[len(other)/2] ^= 1
	return http.Header{"Authorization": {head + "." + string(other) + "." + signature}}
}

func (w matrixJWT) revoke(http.Header) { w.publish("kept") }

// matrixAsked is a token that only the LMS can read, which is asked: it answers whose it
// is, and until when. Of one that has expired it says so, rather than nothing.
type matrixAsked struct {
	*matrixSite
	url string

	mu   *sync.Mutex
	keys map[string]string // the answers; guarded by mu
}

func newMatrixAsked(s *matrixSite) matrixAsked {
	w := matrixAsked{matrixSite: s, mu: &sync.Mutex{}, keys: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		answer, ok := w.keys[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		w.mu.Unlock()
		if !ok {
			out.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = out.Write([]byte(answer))
	}))
	s.t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w matrixAsked) flags() []string {
	return []string{"--introspect-url", w.url + "/me", "--introspect-user", "/user/id", "--introspect-expires", "/until"}
}

func (w matrixAsked) credential(account int64, lasts time.Duration) http.Header {
	if lasts == 0 {
		lasts = time.Hour
	}
	until := time.Now().Add(lasts).Unix()
	key := fmt.Sprintf("shown-to-the-lms-%d-%d", account, until)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[key] = fmt.Sprintf(`{"user":{"id":%d},"until":%d}`, account, until)
	return http.Header{"Authorization": {"Bearer " + key}}
}

func (w matrixAsked) damage(h http.Header) http.Header {
	return http.Header{"Authorization": {h.Get("Authorization") + "0"}}
}

func (w matrixAsked) revoke(h http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.keys, strings.TrimPrefix(h.Get("Authorization"), "Bearer "))
}

// matrixProxy is the word of a reverse proxy, which is us. A damaged one is a header that
// the proxy passed on from its client beside its own.
type matrixProxy struct{}

func (matrixProxy) flags() []string {
	return []string{"--proxy-user-header", "Remote-User", "--proxy-user-networks", "127.0.0.1"}
}

func (matrixProxy) credential(account int64, _ time.Duration) http.Header {
	return http.Header{"Remote-User": {fmt.Sprint(account)}}
}

func (matrixProxy) damage(h http.Header) http.Header {
	return http.Header{"Remote-User": append(h["Remote-User"], "1")}
}

func (matrixProxy) revoke(http.Header) {} // the matrix says why
