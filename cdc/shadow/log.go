package shadow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// chatter is where the key-value store's messages go: to Debug.
type chatter struct {
	log *slog.Logger
	d   *disk
}

func (c *chatter) Infof(format string, args ...any) {
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("store", "message", fmt.Sprintf(format, args...))
	}
}

func (c *chatter) Errorf(format string, args ...any) { c.Infof(format, args...) }

// Fatalf by its contract ends the process. Here it freezes the disk, so that all
// that could follow from going on stays in memory.
func (c *chatter) Fatalf(format string, args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			c.d.fail(fmt.Errorf("store: %w", err))
			return
		}
	}
	c.d.fail(errors.New("store: " + fmt.Sprintf(format, args...)))
}

// listener remembers what goes wrong in the background, where no caller waits for
// an answer.
func (c *chatter) listener() *pebble.EventListener {
	l := &pebble.EventListener{
		BackgroundError: func(err error) { c.d.fail(err) },
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			c.d.fail(fmt.Errorf("%s: %w", i.Path, i.Details))
		},
	}
	l.EnsureDefaults(c)
	return l
}
