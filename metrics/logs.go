package metrics

import (
	"context"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Logs counts the lines that a handler is given, by their level, whether it writes each of
// them or not.
func (m *Metrics) Logs(to slog.Handler) slog.Handler { return countedLog{to, m.logged} }

type countedLog struct {
	slog.Handler
	logged counters
}

// Handle counts the line, and passes it on.
func (l countedLog) Handle(ctx context.Context, r slog.Record) error {
	l.of(r.Level).Inc()
	return l.Handler.Handle(ctx, r)
}

// of takes a level that slog has no name for (INFO+2) for the one below it.
func (l countedLog) of(level slog.Level) prometheus.Counter {
	name, _, _ := strings.Cut(strings.ToLower(level.String()), "+")
	return l.logged.of(name)
}

// WithAttrs is for slog.
func (l countedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return countedLog{l.Handler.WithAttrs(attrs), l.logged}
}

// WithGroup is for slog.
func (l countedLog) WithGroup(name string) slog.Handler {
	return countedLog{l.Handler.WithGroup(name), l.logged}
}
