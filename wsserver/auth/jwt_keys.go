package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	shortestSecret = 32   // bytes; a shorter one can be found by trying
	shortestRSA    = 2048 // bits
	mostKeys       = 100
)

// methods are all that any key may verify; "none" is not among them.
func methods() []string {
	return []string{
		"HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
		"ES256", "ES384", "ES512", "EdDSA",
	}
}

// A key verifies signatures, by the methods that its type allows and no other: what
// a token says of its method only selects among them.
type key struct {
	id      string // "": any token's
	methods []string
	value   any // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// newKey finds the methods of a key; one that is named narrows them.
func newKey(id, method string, value any) (key, error) {
	k := key{id: id, value: value}
	switch v := value.(type) {
	case []byte:
		if len(v) < shortestSecret {
			return key{}, fmt.Errorf("a secret of %d bytes could be guessed, want at least %d; fix: make one by openssl rand -base64 48", len(v), shortestSecret)
		}
		k.methods = []string{"HS256", "HS384", "HS512"}
	case *rsa.PublicKey:
		if v.N.BitLen() < shortestRSA {
			return key{}, fmt.Errorf("an RSA key of %d bits is too weak, want at least %d", v.N.BitLen(), shortestRSA)
		}
		k.methods = []string{"RS256", "RS384", "RS512"}
	case *ecdsa.PublicKey:
		method, ok := map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[v.Curve.Params().BitSize]
		if !ok {
			return key{}, fmt.Errorf("keys on the curve %s are not supported, want P-256, P-384 or P-521", v.Curve.Params().Name)
		}
		k.methods = []string{method}
	case ed25519.PublicKey:
		k.methods = []string{"EdDSA"}
	default:
		return key{}, errors.New("keys of this type are not supported, want RSA, EC (P-256, P-384, P-521) or Ed25519")
	}
	if method != "" {
		if !slices.Contains(k.methods, method) {
			return key{}, fmt.Errorf("alg is %q, and the key is one for %s", method, strings.Join(k.methods, ", "))
		}
		k.methods = []string{method}
	}
	return k, nil
}

// A keySet is what a file or an address held at one time.
type keySet struct {
	raw  []byte
	keys []key
}

// candidates are the keys that may have signed a token with this header. named:
// the token names one of them, so that no newer key can be meant.
func (s *keySet) candidates(header map[string]any) (found jwt.VerificationKeySet, named bool, err error) {
	if _, ok := header["crit"]; ok {
		return found, false, errors.New("the token asks for an extension that is not known")
	}
	id, given := header["kid"]
	name, text := id.(string)
	if given && !text {
		return found, false, errors.New("the token names its key by something that is no text")
	}
	method, _ := header["alg"].(string)
	for _, k := range s.keys {
		if given && k.id != "" && k.id != name {
			continue
		}
		named = named || given && k.id == name
		if slices.Contains(k.methods, method) {
			found.Keys = append(found.Keys, k.value)
		}
	}
	return found, named, nil
}

// parseKeys reads a file: PEM, a JWK set, or else the bytes of a secret. What could
// be a public key in another form is refused, for as a secret it would be one that
// everybody knows.
func parseKeys(raw []byte) (*keySet, error) {
	set := &keySet{raw: raw}
	text := bytes.TrimSpace(raw)
	var err error
	switch {
	case len(text) == 0:
		return nil, errors.New("it is empty; fix: put a PEM public key, a JWK set or a secret there")
	case text[0] == '{':
		set.keys, err = parseSet(text, true)
	case bytes.Contains(text, []byte("-----BEGIN")), bytes.HasPrefix(text, []byte("-----")):
		set.keys, err = parsePEM(text)
	case publicInDisguise(text) || publicInDisguise(raw):
		return nil, errors.New("it is a public key without its PEM lines, which would be a secret that everybody knows; " +
			"fix: convert it by openssl pkey -pubin -inform DER -outform PEM")
	default:
		var k key
		k, err = newKey("", "", bytes.TrimRight(raw, "\r\n"))
		set.keys = []key{k}
	}
	return set, err
}

// publicInDisguise reports whether bytes are a public key or a certificate: DER, or
// DER in base64, or a line for SSH.
func publicInDisguise(text []byte) bool {
	for _, prefix := range []string{"ssh-", "ecdsa-sha2-", "sk-"} {
		if bytes.HasPrefix(text, []byte(prefix)) {
			return true
		}
	}
	ders := [][]byte{text}
	if der, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil))); err == nil {
		ders = append(ders, der)
	}
	for _, der := range ders {
		_, err := x509.ParsePKIXPublicKey(der)
		_, err1 := x509.ParsePKCS1PublicKey(der)
		_, err2 := x509.ParseCertificate(der)
		if err == nil || err1 == nil || err2 == nil {
			return true
		}
	}
	return false
}

// parsePEM reads public keys and certificates, one after the other.
func parsePEM(text []byte) ([]key, error) {
	var keys []key
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if len(keys) == 0 || bytes.Contains(rest, []byte("-----")) {
				return nil, fmt.Errorf("PEM block %d is damaged; fix: copy it again, from the line BEGIN to the line END", len(keys)+1)
			}
			return keys, nil
		}
		value, err := parseBlock(block)
		var k key
		if err == nil {
			k, err = newKey("", "", value)
		}
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", len(keys)+1, err)
		}
		if keys = append(keys, k); len(keys) > mostKeys {
			return nil, fmt.Errorf("more than %d keys; fix: keep those that still sign", mostKeys)
		}
	}
}

func parseBlock(block *pem.Block) (any, error) {
	switch {
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("this is a private key, which only the issuer should have; fix: put the public one here, made by openssl pkey -pubout")
	case block.Type == "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("the certificate is damaged")
		}
		return cert.PublicKey, nil
	case block.Type == "PUBLIC KEY":
		if value, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			return value, nil
		}
	case block.Type == "RSA PUBLIC KEY":
		if value, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
			return value, nil
		}
	default:
		return nil, fmt.Errorf("%q is neither PUBLIC KEY nor CERTIFICATE", block.Type)
	}
	return nil, errors.New("the public key is damaged")
}

// parseSet reads a JWK set, or a single JWK. Keys for other ends and of other kinds
// are passed over, as RFC 7517 wants it; in a file they are mistakes. Secrets belong
// into files: one that stands at an address is none.
func parseSet(text []byte, file bool) ([]key, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("it is no JSON, as a JWK set is; fix: copy it again, from the first brace to the last")
	}
	if set.Keys == nil {
		set.Keys = &[]json.RawMessage{text}
	}
	if len(*set.Keys) > mostKeys {
		return nil, fmt.Errorf("more than %d keys; fix: keep those that still sign", mostKeys)
	}
	var keys []key
	for i, raw := range *set.Keys {
		var m jwkset.JWKMarshal
		err := json.Unmarshal(raw, &m)
		if err == nil && otherEnd(m) {
			continue
		}
		var k key
		if err == nil {
			k, err = parseJWK(m, file)
		} else {
			err = errors.New("it is no JSON object of a JWK's fields")
		}
		switch {
		case err == nil:
			keys = append(keys, k)
		case file:
			return nil, fmt.Errorf("key %d of the JWK set: %w", i+1, err)
		}
	}
	return keys, nil
}

// otherEnd reports whether a key is for something else than verifying.
func otherEnd(m jwkset.JWKMarshal) bool {
	return m.USE != "" && m.USE != jwkset.UseSig ||
		len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify)
}

func parseJWK(m jwkset.JWKMarshal, file bool) (key, error) {
	if m.KTY == jwkset.KtyOct && !file {
		return key{}, errors.New("a secret that stands at an address is none")
	}
	// The library sees what makes the public key, and nothing to fetch or to compare.
	public := jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E, K: m.K}
	jwk, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{Private: m.KTY == jwkset.KtyOct}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key{}, fmt.Errorf("its kty is %q, and the fields that such a key needs are missing, damaged or not supported", m.KTY)
	}
	return newKey(m.KID, string(m.ALG), jwk.Key())
}
