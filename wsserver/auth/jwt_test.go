package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// The keys of an issuer, made once: RSA ones take a while.
type issuer struct {
	rsa, rsa2 *rsa.PrivateKey
	p256      *ecdsa.PrivateKey
	p384      *ecdsa.PrivateKey
	p521      *ecdsa.PrivateKey
	ed        ed25519.PrivateKey
	secret    []byte
}

var keys = sync.OnceValue(func() (k issuer) {
	var err error
	ok := func() {
		if err != nil {
			panic(err)
		}
	}
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	ok()
	k.rsa2, err = rsa.GenerateKey(rand.Reader, 2048)
	ok()
	k.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok()
	k.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	ok()
	k.p521, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	ok()
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	ok()
	k.secret = []byte(rand.Text() + rand.Text())
	return k
})

// claims are those of a good token, with changes; a nil takes a claim away.
func claims(changes map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{
		"sub": "7", "iss": "https://sso.example", "aud": "dashboards",
		"exp": time.Now().Add(time.Hour).Unix(), "nbf": time.Now().Add(-time.Hour).Unix(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign makes a token; kid "" is none.
func sign(t testing.TB, method string, signer any, kid string, c jwt.MapClaims) string {
	t.Helper()
	unsigned := jwt.NewWithClaims(jwt.GetSigningMethod(method), c)
	if kid != "" {
		unsigned.Header["kid"] = kid
	}
	text, err := unsigned.SignedString(signer)
	require.NoError(t, err)
	return text
}

func write(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func publicPEM(t testing.TB, signers ...crypto.Signer) (text []byte) {
	t.Helper()
	for _, s := range signers {
		der, err := x509.MarshalPKIXPublicKey(s.Public())
		require.NoError(t, err)
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return text
}

// jwk is a key of a JWK set, with changes to its fields.
func jwk(t testing.TB, kid string, value any, changes map[string]any) map[string]any {
	t.Helper()
	if s, ok := value.(crypto.Signer); ok {
		value = s.Public()
	}
	k, err := jwkset.NewJWKFromKey(value, jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{KID: kid}, Marshal: jwkset.JWKMarshalOptions{Private: true},
	})
	require.NoError(t, err)
	text, err := json.Marshal(k.Marshal())
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	maps.Copy(fields, changes)
	return fields
}

func jwks(t testing.TB, list ...map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": append([]map[string]any{}, list...)})
	require.NoError(t, err)
	return text
}

func newJWT(t testing.TB, cfg auth.JWTConfig) *auth.JWT {
	t.Helper()
	j, err := auth.NewJWT(t.Context(), cfg)
	require.NoError(t, err)
	return j
}

func TestEveryMethodIsVerifiedByARealKeyFromAFileAndFromAnAddress(t *testing.T) {
	k := keys()
	for _, c := range []struct {
		methods []string
		signer  any
	}{
		{[]string{"HS256", "HS384", "HS512"}, k.secret},
		{[]string{"RS256", "RS384", "RS512"}, k.rsa},
		{[]string{"ES256"}, k.p256},
		{[]string{"ES384"}, k.p384},
		{[]string{"ES512"}, k.p521},
		{[]string{"EdDSA"}, k.ed},
	} {
		places := map[string]string{"a JWK set": write(t, jwks(t, jwk(t, "one", c.signer, nil)))}
		if s, ok := c.signer.(crypto.Signer); ok {
			places["PEM"] = write(t, publicPEM(t, s))
			places["an address"] = serveKeys(t, jwks(t, jwk(t, "one", c.signer, nil))).URL
		} else {
			places["a secret"] = write(t, append(k.secret, '\n'))
		}
		for place, path := range places {
			j := newJWT(t, auth.JWTConfig{Keys: path})
			for _, method := range c.methods {
				t.Run(method+" by "+place, func(t *testing.T) {
					good := claims(nil)
					for _, kid := range []string{"", "one"} {
						id, err := j.Authenticate(t.Context(), token(sign(t, method, c.signer, kid, good)))
						require.NoError(t, err)
						require.Equal(t, "7", id.User)
						require.Equal(t, "jwt", id.Way)
						require.Equal(t, good["exp"], id.Expires.Unix())
					}
				})
			}
		}
	}
}

func TestCertificatesAndSeveralKeysInOneFile(t *testing.T) {
	k := keys()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: nil}, &x509.Certificate{}, k.p256.Public(), k.p256)
	require.NoError(t, err)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&k.rsa2.PublicKey)})
	file := publicPEM(t, k.rsa, k.ed)
	file = append(append(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), pkcs1...)
	j := newJWT(t, auth.JWTConfig{Keys: write(t, file)})
	for method, signer := range map[string]any{"RS256": k.rsa, "EdDSA": k.ed, "ES256": k.p256, "RS512": k.rsa2} {
		id, err := j.Authenticate(t.Context(), token(sign(t, method, signer, "any", claims(nil))))
		require.NoError(t, err, method)
		require.Equal(t, "7", id.User)
	}
}

// A public key is known to everybody. Who could have it taken for a secret, or have
// no signature asked for, could be anybody.
func TestATokenDoesNotChooseHowItIsVerified(t *testing.T) {
	k := keys()
	public := publicPEM(t, k.rsa)
	block, _ := pem.Decode(public)
	forms := map[string][]byte{
		"PEM": public, "PEM without its newline": public[:len(public)-1], "DER": block.Bytes,
		"PKCS #1": x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey), "the modulus": k.rsa.N.Bytes(),
		"its base64": []byte(base64.StdEncoding.EncodeToString(block.Bytes)), "nothing": {},
	}
	for place, path := range map[string]string{
		"PEM": write(t, public), "a JWK set": write(t, jwks(t, jwk(t, "one", k.rsa, nil))),
		"an address": serveKeys(t, jwks(t, jwk(t, "one", k.rsa, nil))).URL,
	} {
		j := newJWT(t, auth.JWTConfig{Keys: path})
		refuse := func(what, text string) {
			t.Helper()
			id, err := j.Authenticate(t.Context(), token(text))
			require.ErrorIs(t, err, auth.ErrUnauthenticated, "%s by %s", what, place)
			require.NotErrorIs(t, err, auth.ErrNoCredential, "%s by %s", what, place)
			require.Empty(t, id.User)
		}
		for form, secret := range forms {
			for _, method := range []string{"HS256", "HS384", "HS512"} {
				refuse(method+" with "+form, sign(t, method, secret, "one", claims(nil)))
			}
		}
		refuse("none", sign(t, "none", jwt.UnsafeAllowNoneSignatureType, "one", claims(nil)))
		refuse("a method of the same key that is not listed", sign(t, "PS256", k.rsa, "one", claims(nil)))
		refuse("another key of the same name", sign(t, "RS256", k.rsa2, "one", claims(nil)))
		refuse("a key of another type", sign(t, "ES256", k.p256, "one", claims(nil)))

		good := sign(t, "RS256", k.rsa, "one", claims(nil))
		_, err := j.Authenticate(t.Context(), token(good))
		require.NoError(t, err)
		parts := strings.Split(good, ".")
		for _, header := range []string{
			`{"alg":"none"}`, `{"alg":"None"}`, `{"alg":""}`, `{}`, `{"alg":null}`, `{"alg":["RS256"]}`, `null`, `[]`,
			`{"alg":"HS256","kid":"one"}`, `{"alg":"RS256","kid":"one","crit":["x"]}`, `{"alg":"RS256","kid":7}`,
		} {
			head := base64.RawURLEncoding.EncodeToString([]byte(header))
			refuse(header, head+"."+parts[1]+"."+parts[2])
			refuse(header, head+"."+parts[1]+".")
		}
	}
}

func TestAHeaderThatAsksForMoreIsRefusedAlsoWhenItIsSigned(t *testing.T) {
	k := keys()
	j := newJWT(t, auth.JWTConfig{Keys: write(t, publicPEM(t, k.ed))})
	for name, value := range map[string]any{"crit": []string{"exp"}, "kid": 7} {
		unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims(nil))
		unsigned.Header[name] = value
		text, err := unsigned.SignedString(k.ed)
		require.NoError(t, err)
		_, err = j.Authenticate(t.Context(), token(text))
		require.ErrorIs(t, err, auth.ErrUnauthenticated, name)
	}
}

func TestTheMethodThatAJWKNamesIsTheOnlyOne(t *testing.T) {
	k := keys()
	j := newJWT(t, auth.JWTConfig{Keys: write(t, jwks(t, jwk(t, "one", k.rsa, map[string]any{"alg": "RS512"})))})
	_, err := j.Authenticate(t.Context(), token(sign(t, "RS512", k.rsa, "one", claims(nil))))
	require.NoError(t, err)
	_, err = j.Authenticate(t.Context(), token(sign(t, "RS256", k.rsa, "one", claims(nil))))
	require.ErrorIs(t, err, auth.ErrUnauthenticated)
}

func TestAnythingButThreePartsIsLeftToTheNextWay(t *testing.T) {
	j := newJWT(t, auth.JWTConfig{Keys: write(t, keys().secret)})
	for _, text := range []string{"9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b", "a.b", "a.b.c.d", "a.b.c.d.e"} {
		_, err := j.Authenticate(t.Context(), token(text))
		require.ErrorIs(t, err, auth.ErrNoCredential, text)
	}
	_, err := j.Authenticate(t.Context(), request("", ""))
	require.ErrorIs(t, err, auth.ErrNoCredential)
	for _, text := range []string{"..", "a.b.c", strings.Repeat("a", 9000) + ".b.c"} {
		_, err := j.Authenticate(t.Context(), token(text))
		require.ErrorIs(t, err, auth.ErrUnauthenticated, text)
		require.NotErrorIs(t, err, auth.ErrNoCredential, text)
		require.NotErrorIs(t, err, auth.ErrUnavailable, text)
	}
}

func TestTheClaimsOfATokenAreChecked(t *testing.T) {
	k := keys()
	now := time.Now().Unix()
	cfg := auth.JWTConfig{Issuer: "https://sso.example", Audience: "dashboards", Leeway: time.Minute}
	for _, c := range []struct {
		name    string
		changes map[string]any
		user    string // the claim; "": sub
		want    string // the account, or a part of the error
	}{
		{"a good one", nil, "", "7"},
		{"several audiences", map[string]any{"aud": []string{"x", "dashboards"}}, "", "7"},
		{"another issuer", map[string]any{"iss": "https://sso.example/"}, "", "another issuer"},
		{"no issuer", map[string]any{"iss": nil}, "", "lacks"},
		{"another audience", map[string]any{"aud": "dashboard"}, "", "another audience"},
		{"no audience", map[string]any{"aud": nil}, "", "lacks"},
		{"an audience that is no text", map[string]any{"aud": 7}, "", "refused"},
		{"no expiry", map[string]any{"exp": nil}, "", "lacks"},
		{"an expiry of 0", map[string]any{"exp": 0}, "", "has expired"},
		{"an expiry that is text", map[string]any{"exp": fmt.Sprint(now + 60)}, "", "refused"},
		{"an expiry after the end of time", map[string]any{"exp": 1e300}, "", "refused"},
		{"a negative expiry", map[string]any{"exp": -1e300}, "", "refused"},
		{"expired", map[string]any{"exp": now - 70}, "", "has expired"},
		{"expired within the leeway", map[string]any{"exp": now - 30}, "", "7"},
		{"a fraction of a second", map[string]any{"exp": float64(now) + 60.5}, "", "7"},
		{"not valid yet", map[string]any{"nbf": now + 70}, "", "not valid yet"},
		{"valid soon, within the leeway", map[string]any{"nbf": now + 30}, "", "7"},
		{"a begin that is no time", map[string]any{"nbf": "soon"}, "", "refused"},
		{"no begin", map[string]any{"nbf": nil}, "", "7"},
		{"for getting new tokens", map[string]any{"token_type": "refresh"}, "", "not for signing in"},
		{"for access", map[string]any{"token_type": "access"}, "", "7"},
		{"nobody", map[string]any{"sub": nil}, "", "names nobody"},
		{"an empty name", map[string]any{"sub": ""}, "", "names nobody"},
		{"a long name", map[string]any{"sub": strings.Repeat("x", 600)}, "", "names nobody"},
		{"a list of people", map[string]any{"sub": []string{"7"}}, "", "names nobody"},
		{"a number", map[string]any{"sub": json.Number("9007199254740993")}, "", "9007199254740993"},
		{"a broken number", map[string]any{"sub": 7.5}, "", "names nobody"},
		{"a number in another form", map[string]any{"sub": json.Number("7e0")}, "", "names nobody"},
		{"true", map[string]any{"sub": true}, "", "names nobody"},
		{"another claim", map[string]any{"user_id": 42}, "user_id", "42"},
		{"another claim that is not there", nil, "user_id", "names nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := cfg
			cfg.Keys, cfg.User = write(t, publicPEM(t, k.ed)), c.user
			id, err := newJWT(t, cfg).Authenticate(t.Context(), token(sign(t, "EdDSA", k.ed, "", claims(c.changes))))
			if err == nil {
				require.Equal(t, c.want, id.User)
				return
			}
			require.ErrorIs(t, err, auth.ErrUnauthenticated)
			require.NotErrorIs(t, err, auth.ErrNoCredential)
			require.Empty(t, id.User)
			if c.want != "refused" {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

func TestAClaimOfARoleNarrowsWhatATokenIsFor(t *testing.T) {
	k := keys()
	path := write(t, publicPEM(t, k.ed))
	for _, c := range []struct {
		name  string
		claim string // that is configured
		value any    // of the claim role; nil: it is not there
		want  string // the role, or a part of the error
		err   bool
	}{
		{"nothing is configured", "", "admin", "", false},
		{"a role", "role", "teacher", "teacher", false},
		{"a word that is no role of ours", "role", "headmaster", "headmaster", false},
		{"no claim", "role", nil, `is for no role: its claim "role" is no text`, true},
		{"an empty one", "role", "", "is for no role", true},
		{"a list", "role", []string{"admin"}, "is for no role", true},
		{"a number", "role", 1, "is for no role", true},
		{"a long one", "role", strings.Repeat("x", 600), "is for no role", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJWT(t, auth.JWTConfig{Keys: path, Role: c.claim})
			id, err := j.Authenticate(t.Context(), token(sign(t, "EdDSA", k.ed, "", claims(map[string]any{"role": c.value}))))
			if c.err {
				require.ErrorIs(t, err, auth.ErrUnauthenticated)
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, id.Role)
		})
	}
}

func TestAnIssuerOrAudienceThatIsNotConfiguredIsNotAsked(t *testing.T) {
	k := keys()
	j := newJWT(t, auth.JWTConfig{Keys: write(t, publicPEM(t, k.ed))})
	_, err := j.Authenticate(t.Context(), token(sign(t, "EdDSA", k.ed, "", claims(map[string]any{"iss": nil, "aud": "x"}))))
	require.NoError(t, err)
}

// The session ends when a new one with the same token would be refused, not before.
func TestAnIdentityExpiresWithItsTokenAndTheLeeway(t *testing.T) {
	k := keys()
	path := write(t, publicPEM(t, k.ed))
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, auth.JWTConfig{Keys: path, Leeway: time.Minute})
		text := sign(t, "EdDSA", k.ed, "", claims(map[string]any{"exp": time.Now().Add(time.Hour).Unix()}))
		id, err := j.Authenticate(t.Context(), token(text))
		require.NoError(t, err)
		require.Equal(t, time.Now().Add(time.Hour+time.Minute).Unix(), id.Expires.Unix())
		time.Sleep(time.Until(id.Expires) - time.Second)
		_, err = j.Authenticate(t.Context(), token(text))
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, err = j.Authenticate(t.Context(), token(text))
		require.ErrorContains(t, err, "has expired")
	})
}

func TestATokenThatIsDamagedAtAnyPlaceOrLengthIsNobodys(t *testing.T) {
	k := keys()
	for method, signer := range map[string]any{"HS256": k.secret, "RS256": k.rsa, "ES256": k.p256, "EdDSA": k.ed} {
		file := k.secret
		if s, ok := signer.(crypto.Signer); ok {
			file = publicPEM(t, s)
		}
		j := newJWT(t, auth.JWTConfig{Keys: write(t, file)})
		good := sign(t, method, signer, "", claims(nil))
		_, err := j.Authenticate(t.Context(), token(good))
		require.NoError(t, err)
		for i := range good {
			_, err := j.Authenticate(t.Context(), token(good[:i]))
			require.ErrorIs(t, err, auth.ErrUnauthenticated, "%s cut at %d", method, i)
			for _, c := range []byte{'A', '_', '=', '.', ' ', 0, 0xff, good[i] ^ 1} {
				if c == good[i] {
					continue
				}
				_, err := j.Authenticate(t.Context(), token(good[:i]+string(rune(c))+good[i+1:]))
				require.ErrorIs(t, err, auth.ErrUnauthenticated, "%s with %q at %d", method, c, i)
			}
		}
		// The last character has bits that mean nothing; a second spelling is refused too.
		last := len(good) - 1
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			if byte(c) != good[last] {
				_, err := j.Authenticate(t.Context(), token(good[:last]+string(c)))
				require.ErrorIs(t, err, auth.ErrUnauthenticated, "%s with %q at the end", method, c)
			}
		}
		for _, more := range []string{"A", "=", ".", "\n", " "} {
			_, err := j.Authenticate(t.Context(), token("x"+good))
			require.ErrorIs(t, err, auth.ErrUnauthenticated)
			if strings.TrimSpace(more) != "" { // the header's value may be followed by blanks
				_, err = j.Authenticate(t.Context(), token(good+more))
				require.ErrorIs(t, err, auth.ErrUnauthenticated, "%s with %q at the end", method, more)
			}
		}
	}
}

func TestNoTokenAndNoKeyOfAJWTIsInAnyErrorOrFormattedValue(t *testing.T) {
	k := keys()
	j := newJWT(t, auth.JWTConfig{Keys: write(t, k.secret)})
	good := sign(t, "HS256", k.secret, "", claims(nil))
	id, err := j.Authenticate(t.Context(), token(good))
	require.NoError(t, err)
	_, wrong := j.Authenticate(t.Context(), token(good+"x"))
	_, damaged := j.Authenticate(t.Context(), token("x"+good))
	_, expired := j.Authenticate(t.Context(), token(sign(t, "HS256", k.secret, "", claims(map[string]any{"exp": 1}))))
	parts := strings.Split(good, ".")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, value := range []any{j, id, []any{j, id}, wrong, damaged, expired} {
			text := fmt.Sprintf(verb, value)
			for _, secret := range []string{parts[0], parts[1], parts[2], string(k.secret), fmt.Sprint(k.secret[:8])} {
				require.NotContains(t, text, secret)
			}
		}
	}
}

func FuzzJWT(f *testing.F) {
	k := keys()
	f.Add("a.b.c")
	f.Add("..")
	for method, signer := range map[string]any{"RS256": k.rsa, "EdDSA": k.ed, "HS256": k.secret} {
		f.Add(sign(f, method, signer, "one", claims(nil)))
	}
	j := newJWT(f, auth.JWTConfig{Keys: write(f, jwks(f, jwk(f, "one", k.ed, nil), jwk(f, "two", k.p256, nil)))})
	good := sign(f, "EdDSA", k.ed, "one", claims(nil))
	f.Add(good)
	f.Fuzz(func(t *testing.T, text string) {
		r := request("Bearer "+text, "")
		id, err := j.Authenticate(t.Context(), r)
		if err == nil {
			// Only who has the key could have made it, and here only the seeds were.
			require.Equal(t, "7", id.User)
			return
		}
		require.ErrorIs(t, err, auth.ErrUnauthenticated)
		require.NotErrorIs(t, err, auth.ErrUnavailable)
		require.Empty(t, id.User)
	})
}
