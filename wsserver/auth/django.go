package auth

import (
	"bytes"
	"compress/zlib"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The most bytes of a session: as the table holds it, and unpacked. Django bounds
// neither, so that whoever fills a session could fill our memory.
const (
	largestSession = 256 << 10
	largestPayload = 1 << 20
)

// djangoSecrets are what a SECRET_KEY and its fallbacks derive: they sign and verify,
// and cannot be turned back.
type djangoSecrets struct{ session, password [][]byte }

// newDjangoSecrets derives the keys as django.utils.crypto.salted_hmac does.
func newDjangoSecrets(secrets []string) *djangoSecrets {
	keys := &djangoSecrets{}
	for _, s := range secrets {
		session := sha256.Sum256([]byte("django.contrib.sessions.SessionStore" + "signer" + s))
		password := sha256.Sum256([]byte("django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash" + s))
		keys.session = append(keys.session, session[:])
		keys.password = append(keys.password, password[:])
	}
	return keys
}

// djangoLogin is what a session says of who signed in.
type djangoLogin struct{ user, backend, hash string }

// open reads a session that Django 3.1 or later wrote:
//
//	[.]payload:time:signature
//
// payload is JSON in base64 without padding, after a dot compressed. The time is not
// looked at: when a session ends says its row.
func (k *djangoSecrets) open(data string) (login djangoLogin, err error) {
	signed, signature, ok := cutLast(data, ':')
	if !ok || !k.signed(signed, signature) {
		return login, errors.New("the session is not signed with this secret")
	}
	// Whatever follows was written by the LMS.
	payload, _, ok := cutLast(signed, ':')
	if !ok {
		return login, errors.New("the session has no time")
	}
	text, err := unpack(payload)
	if err != nil {
		return login, err
	}
	var all map[string]json.RawMessage // a struct would take keys in other letters, too
	if err := json.Unmarshal(text, &all); err != nil {
		return login, errors.New("the session is no JSON")
	}
	for key, field := range map[string]*string{
		"_auth_user_id": &login.user, "_auth_user_backend": &login.backend, "_auth_user_hash": &login.hash,
	} {
		if err := json.Unmarshal(all[key], field); err != nil || *field == "" {
			return djangoLogin{}, errors.New("nobody is signed in to the session")
		}
	}
	return login, nil
}

// signed compares in constant time.
func (k *djangoSecrets) signed(text, signature string) bool {
	any := false
	for _, key := range k.session {
		want := base64.RawURLEncoding.EncodeToString(mac(key, text))
		any = hmac.Equal([]byte(want), []byte(signature)) || any
	}
	return any
}

// vouches reports whether the hash in a session is of this password: it is not, once
// the password was changed. password is as the LMS stores it.
func (k *djangoSecrets) vouches(hash, password string) bool {
	any := false
	for _, key := range k.password {
		want := hex.EncodeToString(mac(key, password))
		any = hmac.Equal([]byte(want), []byte(hash)) || any
	}
	return any
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = io.WriteString(m, text)
	return m.Sum(nil)
}

// unpack decodes a payload.
func unpack(payload string) ([]byte, error) {
	text, compressed := strings.CutPrefix(payload, ".")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the session's payload is no base64")
	}
	if !compressed {
		return raw, nil
	}
	z, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("the session's payload is not compressed, but says so")
	}
	out, err := io.ReadAll(io.LimitReader(z, largestPayload+1))
	switch {
	case err != nil:
		return nil, errors.New("the session's compressed payload is damaged")
	case len(out) > largestPayload:
		return nil, fmt.Errorf("the session is larger than %d bytes", largestPayload)
	}
	return out, nil
}

// cutLast cuts around the last separator.
func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
