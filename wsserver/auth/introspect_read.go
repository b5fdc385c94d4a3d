package auth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// read says what an answer means. A verdict is the LMS's own word; an error says that
// it did not give one.
func (w *Introspection) read(status int, body []byte) (verdict, error) {
	said, err := parseDocument(body)
	if err == nil && w.cfg.Code != "" {
		// Moodle says everything with status 200, and in some places with others.
		if code, ok := said.at(w.cfg.Code).(string); ok && code != "" {
			return w.byCode(code)
		}
	}
	switch {
	case slices.Contains(w.cfg.Refusals, status):
		return verdict{why: fmt.Sprintf("the LMS says %d", status)}, nil
	case status >= 300 && status < 400:
		return verdict{}, fmt.Errorf("it answers %d and leads on to another address; fix: name that one under introspect_url, "+
			"or put %d into introspect_refusals where it leads to the page for signing in", status, status)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return verdict{}, fmt.Errorf("it answers %d; fix: lower introspect_rate if the LMS is not just being restarted", status)
	case status != http.StatusOK:
		return verdict{}, fmt.Errorf("it answers %d; fix: correct introspect_url, or look into the log of the LMS", status)
	case err != nil:
		return verdict{}, err
	}
	return w.byAccount(said)
}

// byCode reads an answer that names a mistake.
func (w *Introspection) byCode(code string) (verdict, error) {
	if slices.Contains(w.cfg.Codes, code) {
		return verdict{why: "the LMS says that it is not valid"}, nil
	}
	if len(code) > 40 || strings.ContainsFunc(code, func(c rune) bool { return c < 'a' || c > 'z' }) {
		code = "an error" // not a word of the LMS's own
	}
	return verdict{}, fmt.Errorf("it answers %s; fix: look into the log of the LMS", code)
}

// byAccount reads an answer that tells of an account. One that names nobody is of
// nobody: so some answer to whom they do not know.
func (w *Introspection) byAccount(said document) (verdict, error) {
	named := said.at(cmp.Or(w.cfg.Email, w.cfg.User))
	if named == nil {
		return verdict{why: "the LMS names nobody"}, nil
	}
	user, ok := account(named)
	if w.cfg.Email != "" {
		var email string
		if email, ok = named.(string); !ok || possibleName(email) != nil {
			return verdict{}, fmt.Errorf("what stands at %s in its answer is no e-mail; fix: correct introspect_email", w.cfg.Email)
		}
		var accounts int
		if user, accounts = w.cfg.Find(email); accounts != 1 {
			return verdict{why: "the e-mail that the LMS names is not exactly one account's"}, nil
		}
	}
	if !ok {
		return verdict{}, fmt.Errorf("what stands at %s in its answer is no text and no whole number; fix: correct introspect_user", w.cfg.User)
	}
	for _, r := range w.requires {
		if !r.met(said) {
			return verdict{why: "what the LMS says of it does not meet introspect_requires"}, nil
		}
	}
	v := verdict{user: strings.Clone(user)}
	if w.cfg.Role != "" {
		switch role := said.at(w.cfg.Role).(type) {
		case nil:
			return verdict{why: "the LMS names no role"}, nil
		case string:
			v.role = strings.Clone(role)
		}
		if v.role == "" || len(v.role) > longest {
			return verdict{}, fmt.Errorf("what stands at %s in its answer is no role; fix: correct introspect_role", w.cfg.Role)
		}
	}
	if w.cfg.Expires != "" {
		var err error
		if v.expires, err = moment(said.at(w.cfg.Expires)); err != nil {
			return verdict{}, fmt.Errorf("what stands at %s in its answer %w; fix: correct introspect_expires", w.cfg.Expires, err)
		}
		if !v.expires.IsZero() && !v.expires.After(time.Now()) {
			return verdict{why: "the LMS says that it has expired"}, nil
		}
	}
	return v, nil
}

// moment reads seconds since 1970, or RFC 3339. The zero time: there is none.
func moment(v any) (time.Time, error) {
	switch v := v.(type) {
	case nil:
		return time.Time{}, nil
	case json.Number:
		seconds, err := v.Float64()
		if err != nil || seconds < 0 || seconds > math.MaxInt32*100 {
			return time.Time{}, errors.New("is no number of seconds since 1970")
		}
		return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
	case string:
		at, err := time.Parse(time.RFC3339, v)
		if err != nil || at.Year() > 9999 {
			return time.Time{}, errors.New("is no time like 2026-11-23T09:00:00Z")
		}
		return at.UTC(), nil
	}
	return time.Time{}, errors.New("is no time")
}

// A document is what JSON says; numbers keep their digits.
type document struct{ value any }

// parseDocument reads the JSON of an answer.
func parseDocument(body []byte) (document, error) {
	var d document
	in := json.NewDecoder(bytes.NewReader(body))
	in.UseNumber()
	err := in.Decode(&d.value)
	if _, more := in.Token(); err != nil || !errors.Is(more, io.EOF) {
		return document{}, errors.New("its answer is no JSON; fix: name an address of the LMS's programming interface, no page")
	}
	return d, nil
}

// at is what a JSON pointer points to; nil, where there is nothing.
func (d document) at(pointer string) any {
	v := d.value
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// A requirement is a condition that an answer has to meet.
type requirement struct {
	pointer string
	values  []string
}

func parseRequirement(text string) (requirement, error) {
	pointer, values, ok := strings.Cut(text, "=")
	if !ok || !strings.HasPrefix(pointer, "/") || values == "" {
		return requirement{}, fmt.Errorf("introspect_requires has %q, want a JSON pointer and what may stand there, like /role=teacher|tutor", text)
	}
	return requirement{pointer, strings.Split(values, "|")}, nil
}

// met reports whether one of the values stands there, or in a list there.
func (r requirement) met(said document) bool {
	v := said.at(r.pointer)
	if list, ok := v.([]any); ok {
		return slices.ContainsFunc(list, r.allows)
	}
	return r.allows(v)
}

func (r requirement) allows(v any) bool {
	switch v := v.(type) {
	case string:
		return slices.Contains(r.values, v)
	case bool:
		return slices.Contains(r.values, strconv.FormatBool(v))
	case json.Number:
		return slices.Contains(r.values, v.String())
	}
	return false
}
