package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/schoolbell/schoolbell/cmd/schoolbell/logs"
)

// recentLog is how much of the log is kept for whoever asks admin_listen for it.
const recentLog = 512 << 10

// journal is the process's log, with its level, which can be set, and its last lines.
type journal struct {
	*slog.Logger
	level   *slog.LevelVar
	recent  *logs.Ring
	repeats *logs.Repeats
}

// newJournal makes the log in the form and from the level that the configuration says.
// Close says what was held back of it.
func newJournal(w io.Writer, cfg Config) *journal {
	j := &journal{level: &slog.LevelVar{}, recent: logs.NewRing(recentLog)}
	j.setLevel(cfg)
	options := &slog.HandlerOptions{Level: j.level, ReplaceAttr: writeTook}
	var written slog.Handler = slog.NewJSONHandler(w, options)
	if cfg.LogFormat == "text" || cfg.LogFormat == "auto" && isTerminal(w) {
		written = slog.NewTextHandler(w, options)
	}
	j.repeats = logs.NewRepeats(slog.NewMultiHandler(written, slog.NewJSONHandler(j.recent, options)), logs.RepeatsConfig{})
	j.Logger = slog.New(j.repeats)
	return j
}

func (j *journal) setLevel(cfg Config) {
	level, _ := logs.ParseLevel(cfg.LogLevel) // the loader has checked it; info otherwise
	j.level.Set(level)
}

func (j *journal) Close() error { return j.repeats.Close() }

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// writeTook writes durations with their unit in JSON too.
func writeTook(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
