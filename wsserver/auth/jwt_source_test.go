package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// An issuer's address of keys.
type keyServer struct {
	*httptest.Server
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func serveKeys(t testing.TB, set []byte) *keyServer {
	t.Helper()
	s := &keyServer{}
	s.publish(set)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) publish(set []byte) {
	s.say(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) })
}

func (s *keyServer) say(answer http.HandlerFunc) { s.answer.Store(&answer) }

func TestAKeyThatIsRotatedInIsFoundByItsFirstTokenAndOneThatIsRotatedOutCountsNoMore(t *testing.T) {
	k := keys()
	s := serveKeys(t, jwks(t, jwk(t, "old", k.rsa, nil)))
	j := newJWT(t, auth.JWTConfig{Keys: s.URL, Refetch: time.Nanosecond})
	require.Zero(t, s.asked.Load(), "a start does not need the issuer")
	before := sign(t, "RS256", k.rsa, "old", claims(nil))
	after := sign(t, "RS256", k.rsa2, "new", claims(nil))
	_, err := j.Authenticate(t.Context(), token(before))
	require.NoError(t, err)
	_, err = j.Authenticate(t.Context(), token(after))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
	require.NotErrorIs(t, err, auth.ErrUnavailable)

	s.publish(jwks(t, jwk(t, "old", k.rsa, nil), jwk(t, "new", k.rsa2, nil)))
	_, err = j.Authenticate(t.Context(), token(after))
	require.NoError(t, err)
	_, err = j.Authenticate(t.Context(), token(before))
	require.NoError(t, err)
	asked := s.asked.Load()
	for range 100 {
		_, err = j.Authenticate(t.Context(), token(after))
		require.NoError(t, err)
	}
	require.Equal(t, asked, s.asked.Load(), "a known key is not asked for")

	s.publish(jwks(t, jwk(t, "new", k.rsa2, nil)))
	_, err = j.Authenticate(t.Context(), token(sign(t, "RS256", k.rsa, "made up", claims(nil))))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
	_, err = j.Authenticate(t.Context(), token(before))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
}

func TestAKeyIsRotatedInWithoutANameToo(t *testing.T) {
	k := keys()
	s := serveKeys(t, jwks(t, jwk(t, "", k.rsa, nil)))
	j := newJWT(t, auth.JWTConfig{Keys: s.URL, Refetch: time.Nanosecond})
	_, err := j.Authenticate(t.Context(), token(sign(t, "RS256", k.rsa, "", claims(nil))))
	require.NoError(t, err)
	s.publish(jwks(t, jwk(t, "", k.rsa2, nil)))
	_, err = j.Authenticate(t.Context(), token(sign(t, "RS256", k.rsa2, "", claims(nil))))
	require.NoError(t, err)
}

// Nothing is known of such a token: it may be signed by a key that is newer than
// what we fetched.
func TestWhoeverMakesTokensUpCannotMakeUsAskTheIssuerMoreOften(t *testing.T) {
	k := keys()
	s := serveKeys(t, jwks(t, jwk(t, "one", k.rsa, nil)))
	j := newJWT(t, auth.JWTConfig{Keys: s.URL, Refetch: time.Hour})
	for i := range 100 {
		_, err := j.Authenticate(t.Context(), token(sign(t, "RS256", k.rsa2, fmt.Sprint(i), claims(nil))))
		if i == 0 {
			require.NotErrorIs(t, err, auth.ErrUnavailable)
			require.ErrorIs(t, err, auth.ErrUnauthenticated, "the keys were fetched for this one")
			continue
		}
		require.ErrorIs(t, err, auth.ErrUnavailable)
		require.NotErrorIs(t, err, auth.ErrUnauthenticated)
	}
	require.EqualValues(t, 1, s.asked.Load())
	_, err := j.Authenticate(t.Context(), token(sign(t, "RS256", k.rsa, "one", claims(nil))))
	require.NoError(t, err, "others' tokens are not harmed")
	_, err = j.Authenticate(t.Context(), token(sign(t, "RS256", k.rsa2, "one", claims(nil))))
	require.ErrorIs(t, err, auth.ErrUnauthenticated, "the key is known, and did not sign it")
	require.EqualValues(t, 1, s.asked.Load())
}

func TestManyWhoComeAtOnceAskTheIssuerOnce(t *testing.T) {
	k := keys()
	s := serveKeys(t, jwks(t, jwk(t, "one", k.ed, nil)))
	j := newJWT(t, auth.JWTConfig{Keys: s.URL, Refetch: time.Hour})
	text := sign(t, "EdDSA", k.ed, "one", claims(nil))
	var all sync.WaitGroup
	errs := make(chan error, 50)
	for range cap(errs) {
		all.Go(func() {
			_, err := j.Authenticate(t.Context(), token(text))
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, s.asked.Load())
}

func TestAnIssuerThatIsDownDoesNotTakeItsKeysAway(t *testing.T) {
	k := keys()
	good := jwks(t, jwk(t, "one", k.ed, nil))
	text := sign(t, "EdDSA", k.ed, "one", claims(nil))
	unseen := sign(t, "EdDSA", k.ed, "two", claims(nil))
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"an error", status(500), "it answered 500 Internal Server Error"},
		{"not found", status(404), "it answered 404 Not Found"},
		{"a page", body("<html>"), "it is no JSON, as a JWK set is"},
		{"half a set", body(string(good[:len(good)/2])), "it is no JSON, as a JWK set is"},
		{"a large answer", body(strings.Repeat(" ", 1<<20+1)), "more than 1048576 bytes"},
		{"too many keys", body(`{"keys":[` + strings.Repeat(`{},`, 100) + `{}]}`), "more than 100 keys"},
		{"another address", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?secret=x", http.StatusFound)
		}, "/elsewhere; fix: name that one"},
		{"no answer", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveKeys(t, nil)
			s.say(c.answer)
			j := newJWT(t, auth.JWTConfig{Keys: s.URL + "/keys?secret=x", Refetch: time.Nanosecond})
			_, err := j.Authenticate(t.Context(), token(text))
			require.ErrorIs(t, err, auth.ErrUnavailable, "nothing is known yet")
			require.NotErrorIs(t, err, auth.ErrUnauthenticated)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, j.Check(t.Context()), c.want)
			require.ErrorContains(t, err, "the keys for tokens cannot be had from "+s.URL+"/keys, so")
			require.NotContains(t, err.Error(), "secret=x")

			s.publish(good)
			id, err := j.Authenticate(t.Context(), token(text))
			require.NoError(t, err)
			s.say(c.answer)
			_, err = j.Authenticate(t.Context(), token(unseen))
			require.ErrorIs(t, err, auth.ErrUnavailable)
			require.ErrorContains(t, err, c.want)
			_, err = j.Authenticate(t.Context(), token(text))
			require.NoError(t, err)
			gone, err := j.Recheck(t.Context(), []auth.Identity{id})
			require.NoError(t, err)
			require.Empty(t, gone)
			require.ErrorContains(t, j.Check(t.Context()), c.want, "it is told all the same")

			s.publish(good)
			require.NoError(t, j.Check(t.Context()))
		})
	}
}

func TestAnIssuerThatDoesNotAnswerHoldsNobodyUpForLong(t *testing.T) {
	t.Parallel()
	s := serveKeys(t, nil)
	s.say(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	j := newJWT(t, auth.JWTConfig{Keys: s.URL, Refetch: time.Hour})
	text := sign(t, "EdDSA", keys().ed, "one", claims(nil))

	gone := errors.New("the client went away")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, gone)
	defer cancel()
	_, err := j.Authenticate(ctx, token(text))
	require.ErrorIs(t, err, gone)

	begun := time.Now()
	_, err = j.Authenticate(t.Context(), token(text))
	require.ErrorIs(t, err, auth.ErrUnavailable)
	_, err = j.Authenticate(t.Context(), token(text))
	require.ErrorIs(t, err, auth.ErrUnavailable, "the second does not wait again")
	require.Less(t, time.Since(begun), 5*time.Second)
	require.EqualValues(t, 2, s.asked.Load(), "who went away is no answer of the issuer's")
}

func TestKeysOfOtherKindsAtAnAddressArePassedOver(t *testing.T) {
	k := keys()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	s := serveKeys(t, jwks(
		t, jwk(t, "secret", k.secret, nil), jwk(t, "weak", weak, nil), map[string]any{"kty": "new"}, map[string]any{"kty": 7},
		jwk(t, "enc", k.p256, map[string]any{"use": "enc"}), jwk(t, "sign", k.p384, map[string]any{"key_ops": []string{"sign"}}),
		jwk(t, "mixed", k.rsa2, map[string]any{"alg": "ES256"}), jwk(t, "x5u", k.ed, map[string]any{"x5u": "http://127.0.0.1:1/", "x5c": []string{"!"}}),
	))
	j := newJWT(t, auth.JWTConfig{Keys: s.URL})
	for kid, c := range map[string]struct {
		method string
		signer any
	}{
		"secret": {"HS256", k.secret}, "weak": {"RS256", weak}, "enc": {"ES256", k.p256}, "sign": {"ES384", k.p384},
		"mixed": {"RS256", k.rsa2},
	} {
		_, err := j.Authenticate(t.Context(), token(sign(t, c.method, c.signer, kid, claims(nil))))
		require.Error(t, err, kid)
	}
	_, err = j.Authenticate(t.Context(), token(sign(t, "EdDSA", k.ed, "x5u", claims(nil))))
	require.NoError(t, err)

	s.publish(jwks(t))
	j = newJWT(t, auth.JWTConfig{Keys: s.URL})
	require.ErrorContains(t, j.Check(t.Context()), "holds no key that verifies HS, RS, ES or EdDSA signatures")
}

func TestAKeyFileThatChangesIsReadAgain(t *testing.T) {
	k := keys()
	path := write(t, publicPEM(t, k.ed))
	put := func(t *testing.T, content []byte) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, content, 0o600))
		time.Sleep(time.Millisecond) // nobody asks in the very moment
	}
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, auth.JWTConfig{Keys: path})
		before := sign(t, "EdDSA", k.ed, "", claims(nil))
		after := sign(t, "ES256", k.p256, "", claims(nil))
		ask := func(text string) error {
			_, err := j.Authenticate(t.Context(), token(text))
			return err
		}
		require.NoError(t, ask(before))
		require.ErrorIs(t, ask(after), auth.ErrUnauthenticated)

		put(t, publicPEM(t, k.ed, k.p256))
		require.NoError(t, ask(after), "at once")
		put(t, publicPEM(t, k.p256))
		time.Sleep(time.Second)
		require.ErrorIs(t, ask(before), auth.ErrUnauthenticated, "within a second")
		require.NoError(t, ask(after))

		put(t, []byte("oops"))
		time.Sleep(time.Minute)
		require.NoError(t, ask(after), "a mistake takes no key away")
		require.EqualError(t, j.Check(t.Context()), "the keys for tokens in "+path+
			": a secret of 4 bytes could be guessed, want at least 32; fix: make one by openssl rand -base64 48")
		require.NoError(t, os.Remove(path))
		time.Sleep(time.Minute)
		require.NoError(t, ask(after))
		require.ErrorContains(t, j.Check(t.Context()), "no such file or directory; fix: name a file that this user can read")
		put(t, publicPEM(t, k.p256))
		require.NoError(t, j.Check(t.Context()))
	})
}

func TestRecheckFindsTokensThatExpiredAndThoseOfKeysThatCountNoMore(t *testing.T) {
	k := keys()
	path := write(t, publicPEM(t, k.ed, k.p256))
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, auth.JWTConfig{Keys: path})
		var ids []auth.Identity
		for i, text := range []string{
			sign(t, "EdDSA", k.ed, "", claims(nil)),
			sign(t, "ES256", k.p256, "", claims(map[string]any{"exp": time.Now().Add(10 * time.Hour).Unix()})),
			sign(t, "EdDSA", k.ed, "", claims(map[string]any{"exp": time.Now().Add(10 * time.Hour).Unix()})),
		} {
			id, err := j.Authenticate(t.Context(), token(text))
			require.NoError(t, err, i)
			ids = append(ids, id)
		}
		recheck := func() []int {
			gone, err := j.Recheck(t.Context(), ids)
			require.NoError(t, err)
			return gone
		}
		require.Empty(t, recheck())
		time.Sleep(time.Hour)
		require.Equal(t, []int{0}, recheck())
		require.NoError(t, os.WriteFile(path, publicPEM(t, k.ed), 0o600))
		time.Sleep(time.Minute)
		require.Equal(t, []int{0, 1}, recheck())
	})
}

// The gateway asks about a thousand sessions at a time.
func TestAKeyThatCountsNoMoreIsFoundForEverySessionHoweverManyQuestionsThatTakes(t *testing.T) {
	k := keys()
	path := write(t, publicPEM(t, k.ed))
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, auth.JWTConfig{Keys: path})
		var ids []auth.Identity
		for range 2 {
			id, err := j.Authenticate(t.Context(), token(sign(t, "EdDSA", k.ed, "", claims(nil))))
			require.NoError(t, err)
			ids = append(ids, id)
		}
		require.NoError(t, os.WriteFile(path, publicPEM(t, k.p256), 0o600))
		time.Sleep(time.Minute)
		for i := range ids {
			gone, err := j.Recheck(t.Context(), ids[i:i+1])
			require.NoError(t, err)
			require.Equal(t, []int{0}, gone, "question %d", i+1)
		}
	})
}

func TestAMistakeInTheKeysOrTheLeewayIsOneSentenceAtTheStart(t *testing.T) {
	k := keys()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(k.ed)
	require.NoError(t, err)
	public := publicPEM(t, k.rsa)
	block, _ := pem.Decode(public)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "it is empty; fix: put a PEM public key, a JWK set or a secret there"},
		{"blank", []byte(" \n"), "it is empty; fix: put a PEM public key, a JWK set or a secret there"},
		{"a password", []byte("swordfish\n"), "a secret of 9 bytes could be guessed, want at least 32; fix: make one by openssl rand -base64 48"},
		{"a private key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), "PEM block 1: this is a private key, which only the issuer should have; fix: put the public one here, made by openssl pkey -pubout"},
		{"DER", block.Bytes, "it is a public key without its PEM lines, which would be a secret that everybody knows; fix: convert it by openssl pkey -pubin -inform DER -outform PEM"},
		{"base64 alone", []byte(base64.StdEncoding.EncodeToString(block.Bytes)), "it is a public key without its PEM lines, which would be a secret that everybody knows; fix: convert it by openssl pkey -pubin -inform DER -outform PEM"},
		{"a line for SSH", []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRr0000000000000000 me"), "it is a public key without its PEM lines, which would be a secret that everybody knows; fix: convert it by openssl pkey -pubin -inform DER -outform PEM"},
		{"another kind of PEM", pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{1}}), `PEM block 1: "EC PARAMETERS" is neither PUBLIC KEY nor CERTIFICATE`},
		{"a damaged key", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}}), "PEM block 1: the public key is damaged"},
		{"a damaged certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}), "PEM block 1: the certificate is damaged"},
		{"a good one and half of one", append(publicPEM(t, k.ed), public[:100]...), "PEM block 2 is damaged; fix: copy it again, from the line BEGIN to the line END"},
		{"a weak key", publicPEM(t, weak), "PEM block 1: an RSA key of 1024 bits is too weak, want at least 2048"},
		{"no keys", jwks(t), " holds no key that verifies HS, RS, ES or EdDSA signatures, so no token is accepted; fix: have the issuer publish its public keys there"},
		{"a JWK without its numbers", []byte(`{"keys":[{"kty":"RSA"}]}`), `key 1 of the JWK set: its kty is "RSA", and the fields that such a key needs are missing, damaged or not supported`},
		{"a JWK of another kind", []byte(`{"kty":"new"}`), `key 1 of the JWK set: its kty is "new", and the fields that such a key needs are missing, damaged or not supported`},
		{"a JWK that is none", []byte(`{"keys":[7]}`), `key 1 of the JWK set: it is no JSON object of a JWK's fields`},
		{"a method of another type", jwks(t, jwk(t, "", k.rsa, map[string]any{"alg": "HS256"})), `key 1 of the JWK set: alg is "HS256", and the key is one for RS256, RS384, RS512`},
		{"a short secret in a set", jwks(t, jwk(t, "", []byte("swordfish"), nil)), "key 1 of the JWK set: a secret of 9 bytes could be guessed, want at least 32; fix: make one by openssl rand -base64 48"},
		{"broken JSON", []byte(`{"keys":`), "it is no JSON, as a JWK set is; fix: copy it again, from the first brace to the last"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.file)
			_, err := auth.NewJWT(t.Context(), auth.JWTConfig{Keys: path})
			if c.name == "no keys" {
				require.EqualError(t, err, path+c.want)
				return
			}
			require.EqualError(t, err, "the keys for tokens in "+path+": "+c.want)
		})
	}
	for _, c := range []struct {
		cfg  auth.JWTConfig
		want string
	}{
		{auth.JWTConfig{}, "no keys for tokens; fix: name a file or an https address"},
		{auth.JWTConfig{Keys: "/nowhere"}, "the keys for tokens in /nowhere: open /nowhere: no such file or directory; fix: name a file that this user can read"},
		{auth.JWTConfig{Keys: "https://"}, "the address of the keys for tokens is not readable, want https://host/path"},
		{auth.JWTConfig{Keys: "https://[::1"}, "the address of the keys for tokens is not readable, want https://host/path"},
		{auth.JWTConfig{Keys: "https://me:hunter2@sso.example/keys"}, "the address of the keys for tokens holds a user or a password, which public keys do not need; fix: leave it out"},
		{auth.JWTConfig{Keys: "http://sso.example/keys"}, "the keys for tokens would come over http, where anybody between us and sso.example could put their own; fix: use https"},
		{auth.JWTConfig{Keys: "ftp://127.0.0.1/keys"}, "the keys for tokens would come over ftp, where anybody between us and 127.0.0.1 could put their own; fix: use https"},
		{auth.JWTConfig{Keys: "https://sso.example/keys", Leeway: time.Hour}, "the leeway for tokens is 1h0m0s, want between 0s and 10m0s; fix: set the clocks"},
	} {
		_, err := auth.NewJWT(t.Context(), c.cfg)
		require.EqualError(t, err, c.want)
	}
	for _, place := range []string{"https://sso.example/keys", "http://localhost:9/keys", "http://127.0.0.1/k", "http://[::1]:80/k"} {
		newJWT(t, auth.JWTConfig{Keys: place})
	}
}

func TestAKeyFileThatIsCutAtAnyLengthIsAMistake(t *testing.T) {
	k := keys()
	for name, file := range map[string][]byte{
		"PEM": publicPEM(t, k.rsa), "a JWK set": jwks(t, jwk(t, "one", k.rsa, nil), jwk(t, "two", k.secret, nil)),
	} {
		path := write(t, nil)
		for i := range len(file) - 1 { // PEM does not need its last newline
			require.NoError(t, os.WriteFile(path, file[:i], 0o600))
			_, err := auth.NewJWT(t.Context(), auth.JWTConfig{Keys: path})
			require.Error(t, err, "%s cut at %d:\n%s", name, i, file[:i])
		}
	}
}

// FuzzKeys has NewJWT read anything as a file of keys.
func FuzzKeys(f *testing.F) {
	k := keys()
	f.Add(publicPEM(f, k.ed, k.p256))
	f.Add(jwks(f, jwk(f, "one", k.ed, nil), jwk(f, "two", k.rsa, nil), jwk(f, "three", k.secret, nil)))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Add([]byte(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`))
	f.Add(k.secret)
	path := write(f, nil)
	text := sign(f, "HS256", []byte(strings.Repeat("0", 32)), "one", claims(nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		require.NoError(t, os.WriteFile(path, file, 0o600))
		j, err := auth.NewJWT(t.Context(), auth.JWTConfig{Keys: path})
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		_, _ = j.Authenticate(t.Context(), token(text))
	})
}
