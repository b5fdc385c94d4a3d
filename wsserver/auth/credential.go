package auth

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// secret is a credential as it came. It shows itself to nobody: not to a log, not
// to %v, %+v, %#v or %q, not to JSON.
type secret struct{ key string }

const redacted = "[redacted]"

// LogValue hides the secret from slog.
func (s secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// String hides the secret from everything that prints.
func (s secret) String() string { return redacted }

// Format hides the secret from the verbs that do not ask String, as %x and %#v.
func (s secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// fromRequest takes the first token of a request, whatever its form.
func fromRequest(r *http.Request) (secret, error) {
	key, ok := fromHeader(r.Header.Get("Authorization"))
	if !ok {
		key = r.URL.Query().Get("token")
	}
	switch {
	case key == "" && !ok:
		return secret{}, ErrNoCredential
	case key == "":
		return secret{}, fmt.Errorf("%w: no token stands in the header Authorization; send Authorization: Token KEY", ErrUnauthenticated)
	}
	return secret{key}, nil
}

// fromHeader reads "Token KEY" and "Bearer KEY". Other schemes are not for us: a
// reverse proxy may ask for a Basic password of its own.
func fromHeader(value string) (key string, ok bool) {
	scheme, key, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(key), true
}
