package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

// tail is a client that prints a person's events as they come. It is what it
// seems: one connection after another, each continuing where the last one ended.
type tail struct {
	url    *url.URL // without credentials; with what is asked for
	token  Secret
	asJSON bool
	colour bool
	out    io.Writer // events
	notes  io.Writer // what happens to the connection
	cursor string    // id up to which everything was printed; "" before the first welcome
}

// refusedError says that the gateway does not want this client, and that asking
// again changes nothing.
type refusedError struct{ sentence string }

func (e refusedError) Error() string { return e.sentence }

func newTailCmd() *cobra.Command {
	var address, token, tokenFile, since string
	var types, assignments []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the live events of a gateway",
		Long: "Print the events that the owner of a token may see, as they happen. Comes back by itself\n" +
			"where the connection is lost, and continues after the last event; Ctrl-C ends it.\n\n" +
			"On a terminal the lines have colours, unless NO_COLOR is set.",
		Example: "  schoolbell tail --url wss://live.example.org/ws/dashboard/ --token-file token\n" +
			"  schoolbell tail --type grade,submission --assignment 12\n" +
			"  schoolbell tail --json --since 0/1A2B3C4D.2 | jq .assignment_id",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			t := &tail{asJSON: asJSON, colour: hasColours(out, os.Getenv), out: out, notes: cmd.ErrOrStderr(), cursor: since}
			var err error
			if t.token, err = tailToken(token, tokenFile, os.Environ()); err != nil {
				return err
			}
			if err := t.setURL(address); err != nil {
				return err
			}
			if err := t.choose(types, assignments); err != nil {
				return err
			}
			if since != "" {
				if _, err := cdc.ParsePosition(since); err != nil {
					return usageError{fmt.Errorf("--since: %w", err)}
				}
			}
			return t.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "url", "ws://127.0.0.1:8080/ws/dashboard/", "The gateway's `address`")
	flags.StringVar(&token, "token", "", "The person's `token`; others on this machine can see it, rather use --token-file or "+tokenVariable)
	flags.StringVar(&tokenFile, "token-file", "", "A `file` with the token")
	flags.StringVar(&since, "since", "", "Begin after the event with this `id`")
	flags.StringSliceVar(&types, "type", nil, "Only events of these `types`: submission, grade, assignment, assignment_closed, or a custom one")
	flags.StringSliceVar(&assignments, "assignment", nil, "Only events about the assignments with these `keys`, and those about none")
	flags.BoolVar(&asJSON, "json", false, "Print each event as the gateway sent it, one JSON object a line")
	return cmd
}

// tailToken finds the token: flag, file, variable, variable naming a file.
func tailToken(token, file string, environ []string) (Secret, error) {
	if token != "" && file != "" {
		return "", usageError{errors.New("--token and --token-file are both set; give one of them")}
	}
	env := variables(environ)
	if token == "" && file == "" {
		token, file = env[tokenVariable], env[tokenVariable+"_FILE"]
	}
	if token != "" || file == "" {
		return Secret(token), nil
	}
	token, err := readSecret(file)
	if err != nil {
		return "", usageError{fmt.Errorf("the token's file: %w", err)}
	}
	return Secret(token), nil
}

// setURL takes the address as a person would write or paste it: a page's address
// will do, and a token in it is moved to where nobody logs it.
func (t *tail) setURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return usageError{errors.New("--url is no address of a gateway, want one like wss://live.example.org")}
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return usageError{fmt.Errorf("--url begins with %s, want ws or wss", u.Scheme)}
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/ws/dashboard/"
	}
	query := u.Query()
	if t.token == "" {
		t.token = Secret(query.Get("token"))
	}
	if t.token == "" {
		return usageError{fmt.Errorf("no token; give it as --token-file or as %s", tokenVariable)}
	}
	query.Del("token")
	u.RawQuery, u.Fragment, u.User = query.Encode(), "", nil
	t.url = u
	return nil
}

// choose has the gateway leave out whatever else there is.
func (t *tail) choose(types, assignments []string) error {
	query := t.url.Query()
	for _, list := range []struct {
		flag, parameter string
		values          []string
		filter          func([]string) error
	}{
		{"--type", "types", types, func(v []string) error { _, err := router.NewFilter(v, nil); return err }},
		{"--assignment", "assignment", assignments, func(v []string) error { _, err := router.NewFilter(nil, v); return err }},
	} {
		if len(list.values) == 0 {
			continue
		}
		if err := list.filter(list.values); err != nil {
			return usageError{fmt.Errorf("%s: %w", list.flag, err)}
		}
		query.Set(list.parameter, strings.Join(list.values, ","))
	}
	t.url.RawQuery = query.Encode()
	return nil
}

// run connects until ctx ends, which is no error, or until the gateway refuses.
func (t *tail) run(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		end, err := t.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if end.greeted {
			attempt = 0
		}
		wait := end.retryAfter
		if wait <= 0 {
			wait = backoff(attempt)
		}
		t.note("%s; next try in %v", end.why, wait.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// maxBackoff is how long a client waits at most before it tries again.
const maxBackoff = 30 * time.Second

// backoff is the wait before a further attempt: twice as long each time, and
// random by half, so that clients that were cut off together come back apart.
func backoff(attempt int) time.Duration {
	d := min(500*time.Millisecond<<min(attempt, 10), maxBackoff)
	return d/2 + rand.N(d/2)
}

func (t *tail) note(format string, args ...any) {
	_, _ = fmt.Fprintln(t.notes, printable(fmt.Sprintf(format, args...)))
}
