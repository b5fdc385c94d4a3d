package auth

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const testSecret = "django-insecure-7!x0k_(s3cret)+w@"

// goldenSessions are sessions that a real Django wrote.
func goldenSessions(t testing.TB) (all []struct {
	Data, User string
	Password   *string
},
) {
	t.Helper()
	text, err := os.ReadFile("testdata/sessions.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &all))
	return all
}

// sign signs as Django's signing.dumps does.
func sign(key []byte, signed string) string {
	return signed + ":" + base64.RawURLEncoding.EncodeToString(mac(key, signed))
}

// pack is a payload that the LMS might have written.
func pack(text string, compressed bool) string {
	if !compressed {
		return base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return "." + base64.RawURLEncoding.EncodeToString(b.Bytes())
}

func TestASessionThatIsCutShortOrChangedIsRefused(t *testing.T) {
	keys := newDjangoSecrets([]string{testSecret})
	for _, g := range goldenSessions(t) {
		login, err := keys.open(g.Data)
		require.NoError(t, err)
		require.Equal(t, g.User, login.user)
		for n := range g.Data {
			_, err := keys.open(g.Data[:n])
			require.Error(t, err, "cut to %d bytes", n)
			_, err = keys.open(g.Data[n+1:])
			require.Error(t, err, "without its first %d bytes", n+1)
			// The last character of a signature has two bits that say nothing to a
			// decoder; it is the text that is compared, so they count.
			for _, bit := range []byte{1, 2, 0x20} {
				changed := []byte(g.Data)
				changed[n] ^= bit
				_, err = keys.open(string(changed))
				require.Error(t, err, "byte %d changed", n)
			}
		}
		_, err = keys.open(g.Data + "=")
		require.Error(t, err)
	}
}

func TestOnlyTheSignatureOfASessionCounts(t *testing.T) {
	keys := newDjangoSecrets([]string{testSecret})
	signed, _, _ := cutLast(goldenSessions(t)[0].Data, ':')
	_, err := keys.open(sign(keys.session[0], signed))
	require.NoError(t, err, "this is how Django signs")
	for name, data := range map[string]string{
		"another salt":         sign(keys.password[0], signed),
		"another secret":       sign(newDjangoSecrets([]string{"other"}).session[0], signed),
		"the secret itself":    sign([]byte(testSecret), signed),
		"no key":               sign(nil, signed),
		"an empty signature":   signed + ":",
		"no signature":         signed,
		"nothing":              "",
		"separators":           "::",
		"another's signature":  signed + goldenSessions(t)[1].Data[strings.LastIndexByte(goldenSessions(t)[1].Data, ':'):],
		"the form before 3.1":  "NjJmMjM4OWI2OTJhNmY2YTk6eyJfYXV0aF91c2VyX2lkIjoiNyJ9",
		"a signature in hex":   signed + ":" + strings.Repeat("ab", 32),
		"a signature too long": sign(keys.session[0], signed) + "A",
	} {
		_, err := keys.open(data)
		require.EqualError(t, err, "the session is not signed with this secret", name)
	}
	_, err = newDjangoSecrets(nil).open(sign(nil, signed))
	require.Error(t, err, "without a secret nothing is signed")
}

func TestWhatIsSignedCanBeDamagedToo(t *testing.T) {
	keys := newDjangoSecrets([]string{testSecret})
	const sound = `{"_auth_user_id":"7","_auth_user_backend":"b","_auth_user_hash":"h"}`
	for name, c := range map[string]struct{ payload, want string }{
		"sound":                  {pack(sound, false) + ":1xVOld", ""},
		"sound and compressed":   {pack(sound, true) + ":1xVOld", ""},
		"no time":                {pack(sound, false), "the session has no time"},
		"no base64":              {"!!!:1xVOld", "the session's payload is no base64"},
		"padded base64":          {pack(sound+" ", false) + "=:1xVOld", "the session's payload is no base64"},
		"no zlib":                {"." + pack(sound, false) + ":1xVOld", "the session's payload is not compressed, but says so"},
		"zlib cut short":         {pack(sound, true)[:40] + ":1xVOld", "the session's compressed payload is damaged"},
		"a bomb":                 {pack(strings.Repeat(" ", 100<<20), true) + ":1xVOld", "the session is larger than 1048576 bytes"},
		"the most that may be":   {pack(sound+strings.Repeat(" ", largestPayload-len(sound)), true) + ":1xVOld", ""},
		"no JSON":                {pack("\x80\x04}q.", false) + ":1xVOld", "the session is no JSON"},
		"a list":                 {pack("[]", false) + ":1xVOld", "the session is no JSON"},
		"a deep list":            {pack(strings.Repeat("[", 100_000), true) + ":1xVOld", "the session is no JSON"},
		"more after it":          {pack(sound+"{}", false) + ":1xVOld", "the session is no JSON"},
		"null":                   {pack("null", false) + ":1xVOld", "nobody is signed in to the session"},
		"nothing in it":          {pack("{}", false) + ":1xVOld", "nobody is signed in to the session"},
		"keys in other letters":  {pack(strings.ToUpper(sound), false) + ":1xVOld", "nobody is signed in to the session"},
		"a number for a user":    {pack(strings.Replace(sound, `"7"`, `7`, 1), false) + ":1xVOld", "nobody is signed in to the session"},
		"no hash":                {pack(strings.Replace(sound, "_hash", "_cash", 1), false) + ":1xVOld", "nobody is signed in to the session"},
		"an empty hash":          {pack(strings.Replace(sound, `"h"`, `""`, 1), false) + ":1xVOld", "nobody is signed in to the session"},
		"an object for the user": {pack(strings.Replace(sound, `"7"`, `{"a":1}`, 1), false) + ":1xVOld", "nobody is signed in to the session"},
	} {
		data := sign(keys.session[0], c.payload)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		login, err := keys.open(data)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "%s: bytes allocated", name)
		if c.want != "" {
			require.EqualError(t, err, c.want, name)
			require.Zero(t, login, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, djangoLogin{"7", "b", "h"}, login, name)
	}
}

func TestAHashIsOfOnePassword(t *testing.T) {
	keys := newDjangoSecrets([]string{"newer", testSecret})
	for _, g := range goldenSessions(t) {
		login, err := keys.open(g.Data)
		require.NoError(t, err)
		password := "None"
		if g.Password != nil {
			password = *g.Password
		}
		require.True(t, keys.vouches(login.hash, password))
		for _, wrong := range []string{"", password + " ", password[1:], "!" + password} {
			require.False(t, keys.vouches(login.hash, wrong))
		}
		require.False(t, keys.vouches(strings.ToUpper(login.hash), password))
		require.False(t, keys.vouches(login.hash[1:], password))
		require.False(t, keys.vouches("", password))
		require.False(t, newDjangoSecrets([]string{"newer"}).vouches(login.hash, password))
	}
}

// FuzzSession: what was not signed is never read, and what was signed never panics
// and never takes more memory than is allowed.
func FuzzSession(f *testing.F) {
	keys := newDjangoSecrets([]string{testSecret})
	for _, g := range goldenSessions(f) {
		f.Add(g.Data)
		signed, _, _ := cutLast(g.Data, ':')
		f.Add(signed)
	}
	for _, text := range []string{"", ":", "::", ".:", ".eJw:1", "e30:1", "bnVsbA:1", "W10:1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		signed, signature, ok := cutLast(text, ':')
		login, err := keys.open(text)
		if err == nil {
			require.True(t, ok)
			require.Equal(t, sign(keys.session[0], signed), signed+":"+signature)
			require.NotEmpty(t, login.user)
		}
		if login, err := keys.open(sign(keys.session[0], text)); err == nil {
			require.NotEmpty(t, login.user)
			require.NotEmpty(t, login.hash)
			require.NotEmpty(t, login.backend)
		} else {
			require.Zero(t, login)
		}
	})
}
