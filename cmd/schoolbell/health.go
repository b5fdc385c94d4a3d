package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newHealthCmd() *cobra.Command {
	var address string
	var ready bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a gateway whether it lives, or serves",
		Long: `Ask the gateway of this machine whether it lives, or with --ready whether it
serves live events: what /healthz and /readyz answer, for images and machines
without curl. It says so in one sentence and ends with 0, or with 1.

The address is that of the listen setting; where serve is given a file by --config,
give it here, too. Another gateway is asked by --url.`,
		Example: "  schoolbell health --config /etc/schoolbell/schoolbell.yaml\n" +
			"  schoolbell health --ready --url https://live.example.org",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			base, client, err := gatewayToAsk(cfg, address)
			if err != nil {
				return err
			}
			defer client.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			sentence, err := askHealth(ctx, client, base, ready)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), sentence)
			return err
		},
	}
	addConfigFlags(cmd.Flags(), "config", "listen", "tls_certificate")
	cmd.Flags().StringVar(&address, "url", "", "The gateway's `address`, instead of the one in listen")
	cmd.Flags().BoolVar(&ready, "ready", false, "Ask whether it serves live events")
	cmd.Flags().DurationVar(&timeout, "timeout", 4*time.Second, "How long to wait for the answer")
	return cmd
}

// gatewayToAsk is the address of a gateway and how to ask it.
func gatewayToAsk(cfg Config, address string) (*url.URL, *http.Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if address == "" {
		host, port, err := net.SplitHostPort(string(cfg.Listen))
		if err != nil {
			return nil, nil, usageError{err}
		}
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		base := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}
		if cfg.TLSCertificate != "" {
			base.Scheme = "https"
			// Our own machine's listener, by an address that no certificate names. It is shown
			// nothing, and its answer is whether it is up.
			transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		}
		transport.Proxy = nil
		return base, &http.Client{Transport: transport}, nil
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, nil, usageError{fmt.Errorf("--url is %q, want an address like https://live.example.org", address)}
	}
	return base, &http.Client{Transport: transport}, nil
}

// askHealth answers one sentence: all is well. Otherwise the error is that sentence.
func askHealth(ctx context.Context, client *http.Client, base *url.URL, ready bool) (string, error) {
	page, well := base.JoinPath("/healthz"), "alive"
	if ready {
		page, well = base.JoinPath("/readyz"), "ready"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), nil)
	if err != nil {
		return "", usageError{err}
	}
	resp, err := client.Do(req)
	if err != nil {
		cause := err
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			cause = wrapped.Err // the address is in the sentence already
		}
		if errors.Is(err, context.DeadlineExceeded) {
			cause = errors.New("no answer in time")
		}
		return "", fmt.Errorf("no gateway answers at %s: %w; fix: start schoolbell serve, or name its address by --url", page.Redacted(), cause)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", page.Redacted(), err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("not %s: %s", well, cmp.Or(whatIsWrong(body), page.Redacted()+" answers "+resp.Status))
	}
	return well, nil
}

// whatIsWrong reads the answer of /healthz or /readyz; "" if it is none of them.
func whatIsWrong(body []byte) string {
	var answer struct {
		Detail string
		Checks map[string]struct {
			OK     bool
			Detail string
		}
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	var wrong []string
	if answer.Detail != "" {
		wrong = append(wrong, answer.Detail)
	}
	for _, name := range slices.Sorted(maps.Keys(answer.Checks)) {
		if check := answer.Checks[name]; !check.OK {
			wrong = append(wrong, name+": "+check.Detail)
		}
	}
	return strings.Join(wrong, ". ")
}
