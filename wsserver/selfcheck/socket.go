package selfcheck

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/coder/websocket"
)

// A Socket connects to our own listener as a client does.
type Socket struct {
	Listener net.Addr    // whose
	TLS      *tls.Config // nil: it speaks plain HTTP
	Token    string      // by which it knows us
	Type     string      // of the messages that are echoes
}

// Listen is Deps.Listen.
func (s Socket) Listen(ctx context.Context) (next func(context.Context) (string, error), hangUp func(), err error) {
	scheme := "ws"
	if s.TLS != nil {
		scheme = "wss"
	}
	// No proxy of the environment stands between us and ourselves.
	line := &http.Transport{DialContext: s.dial, TLSClientConfig: s.TLS, DisableKeepAlives: true}
	conn, answer, err := websocket.Dial(ctx, scheme+"://"+s.Listener.String()+"/ws/dashboard/", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: line},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + s.Token}},
	})
	if err != nil {
		return nil, nil, refused(answer, err)
	}
	next = func(ctx context.Context) (string, error) {
		for {
			_, body, err := conn.Read(ctx)
			if err != nil {
				return "", cmp.Or(ctx.Err(), err)
			}
			var m struct{ Type, Text string }
			if json.Unmarshal(body, &m) == nil && m.Type == s.Type {
				return m.Text, nil
			}
		}
	}
	return next, func() { _ = conn.CloseNow() }, nil
}

// dial connects to where we listen. Where that is everywhere, this machine is a part of it.
func (s Socket) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsUnspecified() {
		return d.DialContext(ctx, network, address)
	}
	conn, err := d.DialContext(ctx, network, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port()).String())
	if err == nil || at.Addr().Is4() {
		return conn, err
	}
	return d.DialContext(ctx, network, netip.AddrPortFrom(netip.IPv6Loopback(), at.Port()).String())
}

// refused says why there is no connection, in our own words where we said them.
func refused(answer *http.Response, err error) error {
	if answer == nil {
		return fmt.Errorf("%w; fix: see whether the process has file descriptors left, and nothing on this machine filters the loopback; then restart the gateway", err)
	}
	var no struct{ Detail string }
	body, readErr := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if errors.Join(readErr, json.Unmarshal(body, &no)) != nil || no.Detail == "" {
		return fmt.Errorf("%w; fix: see that nobody else listens at the address of listen", err)
	}
	return errors.New(no.Detail)
}
