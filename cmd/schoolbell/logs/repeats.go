package logs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// RepeatsConfig tunes Repeats; its zero value works.
type RepeatsConfig struct {
	Burst    int           // records of one message and level that are written within an interval (10)
	Interval time.Duration // the interval, which begins with the first of them (1 min)
	Messages int           // different ones that are remembered; beyond that they count as one (256)
}

// Repeats is a slog.Handler that passes records on, but of those with the same message
// and level only so many within an interval. When that is over, the last that was held
// back is written, with an attribute "repeated" that says how many there were. While it
// goes on like that, one record is written in each interval.
//
// Messages are constants, and what differs stands in attributes: a hundred refusals of a
// hundred addresses are one message.
type Repeats struct {
	next   slog.Handler
	shared *repeats
}

// repeats is what a handler shares with those that were made of it with more attributes.
type repeats struct {
	cfg RepeatsConfig

	mu   sync.Mutex // guards what follows
	seen map[words]*interval
}

type words struct {
	level   slog.Level
	message string
}

// interval is one of one message.
type interval struct {
	began   time.Time
	records int // that came
	last    slog.Record
	next    slog.Handler // of last
	end     *time.Timer  // nil: nothing was held back
}

// NewRepeats puts itself before next. Close says at the end what was held back.
func NewRepeats(next slog.Handler, cfg RepeatsConfig) *Repeats {
	cfg.Burst = cmp.Or(cfg.Burst, 10)
	cfg.Interval = cmp.Or(cfg.Interval, time.Minute)
	cfg.Messages = cmp.Or(cfg.Messages, 256)
	return &Repeats{next, &repeats{cfg: cfg, seen: map[words]*interval{}}}
}

// Enabled is next's.
func (h *Repeats) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs counts together with h.
func (h *Repeats) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Repeats{h.next.WithAttrs(attrs), h.shared}
}

// WithGroup counts together with h.
func (h *Repeats) WithGroup(name string) slog.Handler {
	return &Repeats{h.next.WithGroup(name), h.shared}
}

// Handle passes the record on, or remembers it.
func (h *Repeats) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo && h.shared.hold(h.next, r) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// Close says what is held back.
func (h *Repeats) Close() error {
	h.shared.mu.Lock()
	var pending []words
	for of, i := range h.shared.seen {
		if i.end != nil {
			pending = append(pending, of)
		}
	}
	h.shared.mu.Unlock()
	for _, of := range pending {
		h.shared.tell(of)
	}
	return nil
}

// hold reports whether the record is one too many.
func (s *repeats) hold(next slog.Handler, r slog.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	of := words{r.Level, r.Message}
	i := s.seen[of]
	if i == nil && len(s.seen) >= s.cfg.Messages {
		s.forget(now)
		if len(s.seen) >= s.cfg.Messages {
			of = words{level: r.Level} // of all that there is no room for
			i = s.seen[of]
		}
	}
	if i == nil || i.end == nil && now.Sub(i.began) >= s.cfg.Interval {
		i = &interval{began: now}
		s.seen[of] = i
	}
	if i.records++; i.records <= s.cfg.Burst {
		return false
	}
	i.last, i.next = r.Clone(), next
	if i.end == nil {
		i.end = time.AfterFunc(i.began.Add(s.cfg.Interval).Sub(now), func() { s.tell(of) })
	}
	return true
}

// forget makes room: of an interval that is over nothing is left to be said. The caller
// holds s.mu.
func (s *repeats) forget(now time.Time) {
	for of, i := range s.seen {
		if i.end == nil && now.Sub(i.began) >= s.cfg.Interval {
			delete(s.seen, of)
		}
	}
}

// tell writes the last record that was held back, and how many were.
func (s *repeats) tell(of words) {
	s.mu.Lock()
	i := s.seen[of]
	if i == nil || i.end == nil { // somebody else has told
		s.mu.Unlock()
		return
	}
	i.end.Stop()
	now := time.Now()
	s.seen[of] = &interval{began: now, records: s.cfg.Burst} // in which more of them are held back from the first on
	s.mu.Unlock()
	i.last.AddAttrs(slog.String("repeated", fmt.Sprintf("repeated %d more times in %v, this is the last", i.records-s.cfg.Burst, now.Sub(i.began).Round(time.Second))))
	_ = i.next.Handle(context.Background(), i.last) // as slog.Logger does, which has nobody to tell
}
