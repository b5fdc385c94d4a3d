package logs_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cmd/schoolbell/logs"
)

// buffer is one that a timer may write into.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

// plain writes records without their time, and counts them.
func plain(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

func TestAMessageThatIsRepeatedIsWrittenAFewTimesAndThenCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buffer
		log := slog.New(logs.NewRepeats(plain(&b), logs.RepeatsConfig{Burst: 3, Interval: time.Minute}))
		for n := range 50 {
			log.With("kind", "grade").Warn("not following the log", "n", n)
			log.Debug("every one of these")
			time.Sleep(time.Second)
		}
		log.Warn("something else")
		written := strings.Split(strings.TrimSpace(b.String()), "\n")
		require.Equal(t, 3, strings.Count(b.String(), "not following the log"))
		require.Equal(t, 50, strings.Count(b.String(), "every one of these"))
		require.Equal(t, `level=WARN msg="something else"`, written[len(written)-1])

		b.Reset()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, `level=WARN msg="not following the log" kind=grade n=49 repeated="repeated 47 more times in 1m0s, this is the last"`+"\n", b.String())

		b.Reset()
		for range 12 {
			log.Warn("not following the log")
			time.Sleep(5 * time.Second)
		}
		synctest.Wait()
		require.Equal(t, "level=WARN msg=\"not following the log\" repeated=\"repeated 12 more times in 1m0s, this is the last\"\n", b.String(), "as it goes on, one record")

		b.Reset()
		time.Sleep(time.Minute)
		log.Warn("not following the log")
		require.Equal(t, "level=WARN msg=\"not following the log\"\n", b.String(), "after a minute without it begins anew")
	})
}

func TestTheSameWordsOfAnotherLevelAreAnotherMessage(t *testing.T) {
	var b buffer
	log := slog.New(logs.NewRepeats(plain(&b), logs.RepeatsConfig{Burst: 1}))
	log.Warn("x")
	log.Error("x")
	log.Warn("x")
	require.Equal(t, "level=WARN msg=x\nlevel=ERROR msg=x\n", b.String())
}

func TestWhatIsHeldBackAtTheEndIsSaid(t *testing.T) {
	var b buffer
	h := logs.NewRepeats(plain(&b), logs.RepeatsConfig{Burst: 1})
	log := slog.New(h)
	for range 3 {
		log.Info("x")
	}
	require.NoError(t, h.Close())
	require.NoError(t, h.Close())
	require.Equal(t, "level=INFO msg=x\nlevel=INFO msg=x repeated=\"repeated 2 more times in 0s, this is the last\"\n", b.String())
}

func TestMessagesWithoutEndTakeBoundedMemoryAndAreCountedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buffer
		log := slog.New(logs.NewRepeats(plain(&b), logs.RepeatsConfig{Burst: 2, Interval: time.Minute, Messages: 10}))
		for n := range 1000 {
			log.Info(fmt.Sprint("message ", n))
		}
		require.Equal(t, 12, strings.Count(b.String(), "\n"), "ten that are known, and two of all others")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Contains(t, b.String(), `msg="message 999" repeated="repeated 988 more times in 1m0s, this is the last"`)
		b.Reset()
		time.Sleep(time.Minute)
		log.Info("message 5000")
		require.Equal(t, "level=INFO msg=\"message 5000\"\n", b.String(), "there is room again")
	})
}

func TestARingKeepsTheLastLinesAndNoMoreThanItsRoom(t *testing.T) {
	r := logs.NewRing(100)
	for n := range 1000 {
		_, err := fmt.Fprintf(r, "line %03d\n", n)
		require.NoError(t, err)
	}
	lines := strings.Split(strings.TrimSpace(string(r.Bytes())), "\n")
	require.Len(t, lines, 11)
	require.Equal(t, "line 999", lines[10])
	_, err := r.Write(bytes.Repeat([]byte("x"), 101))
	require.NoError(t, err)
	require.Empty(t, r.Bytes())
}

func TestTheLevelIsSetByPUTAndAMistakeIsOneSentence(t *testing.T) {
	var level slog.LevelVar
	handler := logs.LevelHandler(&level, slog.New(slog.DiscardHandler))
	ask := func(method, body string) (int, string) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, "/log-level", strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		method, body string
		status       int
		answer       string
		level        slog.Level
	}{
		{"GET", "", http.StatusOK, "info\n", slog.LevelInfo},
		{"PUT", "debug\n", http.StatusOK, "debug\n", slog.LevelDebug},
		{"PUT", "verbose", http.StatusBadRequest, "log level is \"verbose\", want debug, info, warn or error\n", slog.LevelDebug},
		{"PUT", "", http.StatusBadRequest, "log level is \"\", want debug, info, warn or error\n", slog.LevelDebug},
		{"PUT", strings.Repeat("x", 100), http.StatusBadRequest, "the log level cannot be read; send one word, like curl -X PUT -d debug\n", slog.LevelDebug},
		{"POST", "warn", http.StatusMethodNotAllowed, "the log level is read with GET and set with PUT\n", slog.LevelDebug},
		{"PUT", "error", http.StatusOK, "error\n", slog.LevelError},
	} {
		status, answer := ask(c.method, c.body)
		require.Equal(t, c.status, status, c)
		require.Equal(t, c.answer, answer)
		require.Equal(t, c.level, level.Level())
	}
}
