package selfcheck_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver/selfcheck"
)

// slowLog asks something of whoever logs before it goes on.
type slowLog struct {
	slog.Handler
	ask func()
}

func (slowLog) Enabled(context.Context, slog.Level) bool    { return true }
func (l slowLog) Handle(context.Context, slog.Record) error { l.ask(); return nil }

// Who reads from PostgreSQL asks Expect, and must not wait for a terminal.
func TestALogThatTakesItsTimeKeepsNobodyWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var c *selfcheck.Check
	answered := false
	c = selfcheck.New(selfcheck.Deps{
		Listen: func(context.Context) (func(context.Context) (string, error), func(), error) {
			return nil, nil, errors.New("nobody there")
		},
		Log: slog.New(slowLog{slog.DiscardHandler, func() {
			asked := make(chan bool, 1)
			go func() { asked <- c.Expect([]byte("text")) || c.Status() != nil }()
			select {
			case answered = <-asked:
			case <-time.After(10 * time.Second):
			}
			cancel()
		}}),
	}, time.Millisecond)
	require.NoError(t, c.Run(ctx))
	require.True(t, answered)
}
