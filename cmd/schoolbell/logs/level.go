package logs

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// ParseLevel reads debug, info, warn or error. The error is a sentence.
func ParseLevel(text string) (slog.Level, error) {
	var level slog.Level
	switch text {
	case "debug", "info", "warn", "error":
		return level, level.UnmarshalText([]byte(text))
	}
	return 0, fmt.Errorf("log level is %q, want debug, info, warn or error", text)
}

// longestLevel is more than any level is long.
const longestLevel = 32

// LevelHandler answers the level to GET, and sets it to what PUT sends.
func LevelHandler(level *slog.LevelVar, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPut:
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestLevel))
			if err != nil {
				http.Error(w, "the log level cannot be read; send one word, like curl -X PUT -d debug", http.StatusBadRequest)
				return
			}
			next, err := ParseLevel(strings.TrimSpace(string(body)))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			if was := level.Level(); was != next {
				level.Set(next)
				log.Warn("log level changed", "from", word(was), "to", word(next)) // as what is not there is then no surprise
			}
		default:
			w.Header().Set("Allow", "GET, HEAD, PUT")
			http.Error(w, "the log level is read with GET and set with PUT", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, word(level.Level()))
	})
}

func word(level slog.Level) string { return strings.ToLower(level.String()) }
