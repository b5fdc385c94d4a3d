package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// askAtMost is how long the LMS may take for an answer.
	askAtMost = 5 * time.Second

	// largestAnswer is how many bytes are read of it. What Moodle says of a person
	// comes with the names of all its functions, several hundred in the app's service.
	largestAnswer = 256 << 10

	placeholder = "{credential}"
)

var errAskedTooLong = fmt.Errorf("no answer within %v; is the LMS overloaded, or a firewall dropping packets?", askAtMost)

func newIntrospectionClient(atOnce int) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost: atOnce, IdleConnTimeout: 30 * time.Second,
			TLSHandshakeTimeout: askAtMost,
		},
		// A credential goes to the address that was configured, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// place is the address without its query, which may hold a secret.
func (c *IntrospectionConfig) place() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "the LMS"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// show has the credential shown, where the configuration does not say how.
func (c *IntrospectionConfig) show() {
	for _, text := range append([]string{c.URL, c.Body}, c.Headers...) {
		if strings.Contains(text, placeholder) {
			return
		}
	}
	header := "Authorization: Bearer " + placeholder
	if c.Cookie != "" {
		header = "Cookie: " + c.Cookie + "=" + placeholder
	}
	c.Headers = append(slices.Clone(c.Headers), header)
}

// check says everything that is wrong with the configuration. No header is in it.
func (c *IntrospectionConfig) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		wrong("introspect_url is not readable; fix: write it like https://lms.example.org/api/me")
	case u.User != nil:
		wrong("introspect_url holds a user or a password; fix: put it into a header, under introspect_headers")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		wrong("the credentials of people would travel to %s over %s, where anybody in between could read them; fix: use https", u.Host, u.Scheme)
	case strings.Contains(u.Host+u.Path, placeholder):
		wrong("introspect_url has %s in its path, which servers log; fix: put it into a header, or at least behind a ?", placeholder)
	}
	if c.Method != http.MethodGet && c.Method != http.MethodPost {
		wrong("introspect_method is %q, want GET or POST", c.Method)
	}
	for i, line := range c.Headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !validHeader(name, value) {
			wrong("introspect_headers: the header number %d is none; fix: write it like Accept: application/json", i+1)
		}
	}
	for setting, pointer := range map[string]string{"introspect_user": c.User, "introspect_email": c.Email, "introspect_role": c.Role, "introspect_expires": c.Expires} {
		if pointer != "" && !strings.HasPrefix(pointer, "/") {
			wrong("%s is %q, want a JSON pointer like /user/id", setting, pointer)
		}
	}
	for _, status := range c.Refusals {
		if status < 300 || status > 499 || status == http.StatusTooManyRequests {
			wrong("introspect_refusals has %d, want statuses from 300 to 499 and not 429, which say that the credential is not valid", status)
		}
	}
	return errors.Join(errs...)
}

// validHeader reports whether a header can be sent, whatever credential is put into it.
func validHeader(name, value string) bool {
	r, err := http.NewRequest(http.MethodGet, "http://localhost", nil)
	if err != nil || name == "" || strings.ContainsFunc(name, func(c rune) bool { return !isToken(c) }) {
		return false
	}
	r.Header.Set(name, value)
	return !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c > '~' })
}

// isToken reports whether a header's name may have the character.
func isToken(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// ask shows a credential to the LMS, and remembers what it says. The caller has a
// place in a lane.
func (w *Introspection) ask(ctx context.Context, key secret, d digest) (verdict, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, askAtMost, errAskedTooLong)
	defer cancel()
	v, err := w.answer(ctx, key)
	if err != nil && ctx.Err() != nil {
		if err = context.Cause(ctx); !errors.Is(err, errAskedTooLong) {
			return verdict{}, err // whoever asked went away: that says nothing of the LMS
		}
	}
	if err != nil {
		err = w.explain(err)
	} else {
		w.seen.note(d, v, asked)
	}
	w.last.Store(&outcome{asked, err})
	return v, err
}

// explain says what is wrong with an answer. Nothing of the request or of the answer is
// in it: either may hold the credential.
func (w *Introspection) explain(err error) error {
	return fmt.Errorf("the LMS cannot be asked whose a credential is, at %s: %w", w.cfg.place(), err)
}

// answer puts the question, and reads the answer.
func (w *Introspection) answer(ctx context.Context, key secret) (verdict, error) {
	r, err := w.request(ctx, key)
	if err != nil {
		return verdict{}, errors.New("the request cannot be made; fix: correct introspect_url")
	}
	answer, err := w.client.Do(r)
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err // its own text holds the whole address
	}
	if err != nil {
		return verdict{}, fmt.Errorf("%w; fix: start the LMS, or correct introspect_url", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, largestAnswer+1))
	switch {
	case err != nil:
		return verdict{}, err
	case len(body) > largestAnswer:
		return verdict{}, fmt.Errorf("an answer of more than %d bytes; fix: name an address that tells of the account alone", largestAnswer)
	}
	return w.read(answer.StatusCode, body)
}

// request is the question about a credential.
func (w *Introspection) request(ctx context.Context, key secret) (*http.Request, error) {
	escaped := strings.NewReplacer(placeholder, url.QueryEscape(key.key), url.QueryEscape(placeholder), url.QueryEscape(key.key))
	var body io.Reader
	if w.cfg.Body != "" {
		body = strings.NewReader(escaped.Replace(w.cfg.Body))
	}
	r, err := http.NewRequestWithContext(ctx, w.cfg.Method, escaped.Replace(w.cfg.URL), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "schoolbell")
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	// Not sent: it says that a connection which the LMS closed just then may be made anew.
	r.Header["Idempotency-Key"] = nil
	for _, line := range w.cfg.Headers {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Set(name, strings.ReplaceAll(strings.TrimSpace(value), placeholder, key.key))
	}
	return r, nil
}
