package wsserver_test

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/wsserver"
)

func TestHealthFailsForALockThatIsNeverLetGoAndForNothingThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		looks := 0
		g := build(wsserver.Config{}, func(d *wsserver.Deps) {
			d.Pulse = func() { looks++; <-held }
			d.Ready = func() []wsserver.Check { return []wsserver.Check{{Name: "stream", Detail: "no PostgreSQL"}} }
		})
		ask := func() (int, string) {
			answer := httptest.NewRecorder()
			g.Server.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/healthz", nil))
			return answer.Code, answer.Body.String()
		}
		for range 3 { // whoever asks is not kept waiting, and leaves nothing behind
			status, body := ask()
			require.Equal(t, 200, status)
			require.Equal(t, "{\"status\":\"ok\"}\n", body)
		}
		time.Sleep(29 * time.Second)
		status, _ := ask()
		require.Equal(t, 200, status, "somebody may be busy for so long")
		time.Sleep(time.Second)
		status, body := ask()
		require.Equal(t, 503, status)
		require.JSONEq(t, `{"status":"stuck","detail":"a part of the gateway has not moved for 31s and will not by itself; `+
			`fix: keep /debug/pprof/goroutine?debug=2 of admin_listen, and restart the gateway"}`, body)
		synctest.Wait()
		require.Equal(t, 1, looks)

		close(held)
		synctest.Wait()
		status, _ = ask()
		require.Equal(t, 200, status)
		synctest.Wait()
		require.Equal(t, 2, looks)
	})
}
