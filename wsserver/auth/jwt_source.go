package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	largestKeys = 1 << 20     // bytes of a file or an answer
	rereadFile  = time.Second // a file is read again when it was read longer ago
)

// A keySource is a file or an address with keys. It asks when somebody needs to
// know, one at a time, and keeps what it knows while it gets no better answer.
type keySource struct {
	file    string
	address *url.URL // nil: a file
	client  *http.Client
	refetch time.Duration

	asking chan struct{} // holds one; whoever has it may ask, and writes what follows
	state  atomic.Pointer[sourceState]
}

// sourceState is what we know.
type sourceState struct {
	set   *keySet   // nil: nothing yet
	since time.Time // when set was seen to be current
	tried time.Time // when we asked last
	err   error     // what came of that
}

func newKeySource(place string, refetch time.Duration) (*keySource, error) {
	s := &keySource{file: place, refetch: refetch, asking: make(chan struct{}, 1)}
	s.state.Store(&sourceState{})
	if !strings.Contains(place, "://") {
		if place == "" {
			return nil, errors.New("no keys for tokens; fix: name a file or an https address")
		}
		s.refetch = 0 // a file is cheap to look at
		return s, nil
	}
	u, err := url.Parse(place)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("the address of the keys for tokens is not readable, want https://host/path")
	case u.User != nil:
		return nil, errors.New("the address of the keys for tokens holds a user or a password, which public keys do not need; fix: leave it out")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("the keys for tokens would come over %s, where anybody between us and %s could put their own; fix: use https", u.Scheme, u.Host)
	}
	s.address = u
	s.client = &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("it leads on to %s://%s%s; fix: name that one", r.URL.Scheme, r.URL.Host, r.URL.Path)
		},
	}
	return s, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// String names the place, without a query: that may hold a secret.
func (s *keySource) String() string {
	if s.address == nil {
		return s.file
	}
	return s.address.Scheme + "://" + s.address.Host + s.address.Path
}

// current gives the keys to verify a token by. Of a file they are at most a second
// old; an address is asked only while nothing is known.
func (s *keySource) current(ctx context.Context) (*keySet, error) {
	if known := s.state.Load().set; known != nil && s.address != nil {
		return known, nil
	}
	set, err := s.within(ctx, rereadFile)
	if set != nil {
		return set, nil // the mistake in a file that changed is Check's to tell
	}
	return nil, err
}

// newer gives keys that were seen to be current after somebody asked with a token
// that none of old fits, or an error where that cannot be seen now.
func (s *keySource) newer(ctx context.Context, old *keySet, asked time.Time) (*keySet, error) {
	st := s.ask(ctx, func(st *sourceState) bool { return st.set != old || !st.since.Before(asked) })
	switch {
	case st.set != nil && st.set != old:
		return st.set, nil
	case st.err != nil:
		return nil, st.err
	case st.since.Before(asked):
		return nil, fmt.Errorf("the keys at %v were fetched a moment ago, and are not fetched again within %v", s, s.refetch)
	}
	return st.set, nil
}

// within gives keys that were seen to be current not longer ago than age. With an
// error they are the last that are known, nil if none are.
func (s *keySource) within(ctx context.Context, age time.Duration) (*keySet, error) {
	st := s.ask(ctx, func(st *sourceState) bool { return st.set != nil && st.err == nil && time.Since(st.since) < age })
	return st.set, st.err
}

// ask reads the keys again unless enough is known, or we asked a moment ago.
func (s *keySource) ask(ctx context.Context, enough func(*sourceState) bool) *sourceState {
	if st := s.state.Load(); enough(st) || !s.due(st) {
		return st
	}
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		st := *s.state.Load()
		st.err = context.Cause(ctx)
		return &st
	}
	st := *s.state.Load()
	if enough(&st) || !s.due(&st) { // somebody asked while we waited
		return &st
	}
	begun := time.Now()
	raw, err := s.read(ctx)
	if err != nil && ctx.Err() != nil {
		st.err = context.Cause(ctx) // whoever asked went away: that says nothing of the keys
		return &st
	}
	set := st.set
	if err == nil && (set == nil || !bytes.Equal(set.raw, raw)) {
		set, err = s.parse(raw)
	}
	st.tried, st.err = time.Now(), s.explain(err)
	if err == nil {
		st.set, st.since = set, begun
	}
	s.state.Store(&st)
	return &st
}

func (s *keySource) due(st *sourceState) bool { return time.Since(st.tried) >= s.refetch }

// read gives the bytes that the place holds now.
func (s *keySource) read(ctx context.Context) ([]byte, error) {
	if s.address != nil {
		return s.fetch(ctx)
	}
	f, err := os.Open(s.file)
	if err != nil {
		return nil, fmt.Errorf("%w; fix: name a file that this user can read", err)
	}
	defer f.Close()
	return readBounded(f)
}

func (s *keySource) parse(raw []byte) (*keySet, error) {
	if s.address == nil {
		return parseKeys(raw)
	}
	keys, err := parseSet(bytes.TrimSpace(raw), false)
	return &keySet{raw, keys}, err
}

func (s *keySource) explain(err error) error {
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err // its own text holds the whole address
	}
	switch {
	case err == nil:
		return nil
	case s.address != nil:
		return fmt.Errorf("the keys for tokens cannot be had from %v, so those that we had before still count: %w", s, err)
	}
	return fmt.Errorf("the keys for tokens in %s: %w", s.file, err)
}

func (s *keySource) fetch(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", answer.Status)
	}
	return readBounded(answer.Body)
}

func readBounded(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, largestKeys+1))
	if err == nil && len(raw) > largestKeys {
		err = fmt.Errorf("more than %d bytes, which no set of keys needs", largestKeys)
	}
	return raw, err
}
