package wsserver_test

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
)

// unlimited is for tests that come more often than anybody should.
var unlimited = wsserver.Config{
	MaxPerPerson: 1 << 20, MaxPerAddress: 1 << 20, HandshakeRate: 1 << 20, MaxFailures: 1 << 20, Linger: 50 * time.Millisecond,
	Heartbeat: time.Hour, MetricsInterval: time.Hour,
}

// FuzzClientFrames: whatever bytes a client sends, every frame that it is answered with is
// whole, and nobody else notices.
func FuzzClientFrames(f *testing.F) {
	for _, bytes := range []string{
		"", masked(0x81, `{"type":"ping"}`), masked(0x81, `{"type":"auth","token":"t-2~1h"}`), masked(0x81, `{"type":"auth","token":"wrong"}`),
		masked(0x01, `{"type":`) + masked(0x89, "x") + masked(0x80, `"pong"}`), masked(0x88, "\x03\xe8bye"), masked(0x88, "\x03\xed"),
		masked(0x82, "\x00\xff"), "\x81\x02{}", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", masked(0xf1, "x"), masked(0x8a, "pong"),
	} {
		f.Add([]byte(bytes))
	}
	g := start(f, unlimited, nil)
	bystander := g.enter(f, ada, "")
	f.Fuzz(func(t *testing.T, bytes []byte) {
		r := g.raw(t, tom, "")
		op, welcome, err := r.frame()
		require.NoError(t, err)
		require.Equal(t, byte(1), op&0x0f)
		require.Contains(t, string(welcome), `"type":"welcome"`)
		go func() {
			_, _ = r.Write(bytes)
			_, _ = r.Write([]byte(masked(0x88, "\x03\xe8"))) // and goodbye, if it is not in the middle of something
			_ = r.Conn.(interface{ CloseWrite() error }).CloseWrite()
		}()
		for {
			op, body, err := r.frame()
			if err != nil {
				break // the connection is over
			}
			switch op & 0x0f {
			case 1:
				require.True(t, json.Valid(body), "%s", body)
			case 8, 9, 10:
				require.LessOrEqual(t, len(body), 125)
			default:
				t.Fatalf("a frame of opcode %d", op)
			}
		}
		require.NoError(t, r.Close())
		bystander.t = t
		g.commit(1, false, ada)
		bystander.until("grade")
	})
}

// FuzzRequest: whatever stands in the query and in the headers, the answer is one of the
// protocol's, and shared with no page that may not come.
func FuzzRequest(f *testing.F) {
	f.Add("since=0/1.1&limit=5&token=t-2", "", "", "")
	f.Add("types=grade,exam_moved&assignment=3,%FF&token=t-2", "", "", "")
	f.Add("since=0%2F1A2B3C4D.4294967295", "Token t-1", "http://example.com", "10.0.0.1, 192.0.2.7")
	f.Add("limit=-1&limit=5", "Bearer t-3", "null", "unknown")
	f.Add("limit=1001&token=%zz;x", "token  t-2", "https://evil.example", "")
	f.Add("since=/.&since=0/0.0&token=s3cret-s3cret", "Basic dDox", "", ",")
	f.Add("token=t-99999999999999999999&limit=٣", "Token", "%", "\x00")
	g := build(unlimited, nil)
	h := g.Handler()
	f.Fuzz(func(t *testing.T, query, authorization, origin, forwarded string) {
		for _, path := range []string{"/api/events", "/api/session", "/ws/dashboard/"} {
			r := httptest.NewRequest("GET", path, nil)
			r.URL.RawQuery = query
			r.Header["Authorization"], r.Header["Origin"], r.Header["X-Forwarded-For"] = []string{authorization}, []string{origin}, []string{forwarded}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Contains(t, []int{200, 400, 401, 403, 429, 503}, w.Code, "%s", path)
			body, err := io.ReadAll(w.Body)
			require.NoError(t, err)
			require.True(t, json.Valid(body), "%s", body)
			if shared := w.Header().Get("Access-Control-Allow-Origin"); shared != "" {
				require.Equal(t, origin, shared)
				require.NotEqual(t, 403, w.Code, "who may not come may not read")
			}
		}
	})
}
