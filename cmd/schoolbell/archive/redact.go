package archive

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const redacted = "[redacted]"

// Redactor takes secrets and people out of texts.
type Redactor struct{ known *strings.Replacer }

// shortest is how long a secret has to be to be looked for: what is shorter stands
// everywhere by chance.
const shortest = 4

// NewRedactor knows these secrets.
func NewRedactor(secrets []string) *Redactor {
	var all []string
	for _, secret := range secrets {
		if len(secret) >= shortest {
			all = append(all, forms(secret)...)
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return len(b) - len(a) }) // so that of a longer one nothing is left
	var pairs []string
	for _, form := range slices.Compact(all) {
		pairs = append(pairs, form, redacted)
	}
	return &Redactor{strings.NewReplacer(pairs...)}
}

// forms are those in which a secret travels.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string always can be
	inJSON := string(quoted[1 : len(quoted)-1])
	inURL := strings.TrimPrefix(url.UserPassword("", secret).String(), ":")
	all := []string{
		secret, inJSON, inURL, url.QueryEscape(secret), url.PathEscape(secret),
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			all = append(all, within(encoding, secret, before))
		}
	}
	return slices.DeleteFunc(all, func(form string) bool { return len(form) < shortest })
}

// within is what stands of a secret in the base64 of a text that has so many bytes, modulo
// 3, before it: without the signs that depend on what is beside it.
func within(encoding *base64.Encoding, secret string, before int) string {
	text := encoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
	return text[(before*8+5)/6 : (before+len(secret))*8/6]
}

// What looks like a credential or a person, wherever it stands.
var (
	email    = regexp.MustCompile(`[\p{L}\p{N}._%+-]+(@|%40)[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)+`)
	userinfo = regexp.MustCompile(`(://)[^/\s@"]+@`)
	jwt      = regexp.MustCompile(`eyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?`)
	header   = regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(["']?\s*[:=]\s*).+`)
	scheme   = regexp.MustCompile(`(?i)\b(bearer|token|basic) ([\w.~+/=-]{8,})`)
	query    = regexp.MustCompile(`(?i)\b((?:access_|id_|refresh_)?token|password|passwd|secret|sessionid|session|key)=("[^"]*"|[^&\s"',;]+)`)
)

// Of a log, besides.
var (
	person = regexp.MustCompile(`("(?:user|remote)":)("(?:[^"\\]|\\.)*"|[^,}\s]+)`)
	named  = regexp.MustCompile(`\b((?:user|remote)=)("(?:[^"\\]|\\.)*"|\S+)`)
	digest = regexp.MustCompile(`\b[0-9a-fA-F]{32,}\b`)
)

// Text is the text without.
func (r *Redactor) Text(text string) string {
	text = r.known.Replace(text)
	text = userinfo.ReplaceAllString(text, "${1}"+redacted+"@")
	text = email.ReplaceAllString(text, redacted)
	text = jwt.ReplaceAllString(text, redacted)
	text = header.ReplaceAllString(text, "${1}${2}"+redacted)
	text = scheme.ReplaceAllString(text, "${1} "+redacted)
	return query.ReplaceAllString(text, "${1}="+redacted)
}

// Log is Text for the lines of a log.
func (r *Redactor) Log(text string) string {
	text = person.ReplaceAllString(text, `${1}"`+redacted+`"`)
	text = named.ReplaceAllString(text, "${1}"+redacted)
	return digest.ReplaceAllString(r.Text(text), redacted)
}
