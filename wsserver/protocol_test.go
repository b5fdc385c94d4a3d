package wsserver_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
)

// fields are the names in a JSON object, and in the objects within it.
// The events within a page are the projection's.
func fields(prefix string, object map[string]any) []string {
	var names []string
	for name, value := range object {
		names = append(names, prefix+name)
		if inner, ok := value.(map[string]any); ok {
			names = append(names, fields(prefix+name+".", inner)...)
		}
	}
	slices.Sort(names)
	return names
}

func TestProtocolMDShowsEveryMessageAsTheServerSendsIt(t *testing.T) {
	text, err := os.ReadFile("PROTOCOL.md")
	require.NoError(t, err)
	examples := map[string]map[string]any{}
	for _, block := range regexp.MustCompile("(?s)```json (\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(block[2]), &m), block[2])
		examples[block[1]] = m
	}
	sent := everything(t, published(t, string(text)))
	require.ElementsMatch(t, slices.Collect(maps.Keys(sent)), slices.DeleteFunc(slices.Collect(maps.Keys(examples)),
		func(name string) bool {
			return name == "send" || name == "publish" || slices.Contains(fromTheLog(), name)
		}))
	for name, m := range sent {
		require.Equal(t, fields("", m), fields("", examples[name]), name)
	}
}

// everything makes the server send each kind of message once.
func everything(t *testing.T, all map[string]map[string]any) map[string]map[string]any {
	g := start(t, wsserver.Config{Heartbeat: 50 * time.Millisecond, MetricsInterval: 50 * time.Millisecond}, overseen(essays()))
	get := func(name, path, token string) {
		answer, err := http.Get(g.url(path, token, ""))
		require.NoError(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		all[name] = decode(t, body)
	}
	get("refusal", "/api/session", token(stu))
	get("session", "/api/session", token(tom)+"~1h")
	get("page", "/api/events", token(tom))
	get("assignments", "/api/assignments", token(tom))
	get("activity", "/api/activity", token(tom)+"&step=600&from="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))

	g.memory.mu.Lock()
	g.memory.kept = cdc.Position{LSN: 10}
	g.memory.mu.Unlock()
	d := g.dialWith(t, token(tom)+"~1h", "&since=0/1.1")
	d.say(`{"type":"ping"}`)
	d.say(`{"type":"auth","token":"` + token(tom) + `~1h"}`)
	d.say(`{"type":"auth","token":"wrong"}`)
	d.say(`{"type":"subscribe","types":["grade","exam_moved"],"assignments":[3]}`)
	d.say(`{"type":"subscribe","types":"grade"}`)
	for len(all) < 16 { // welcome, gap, metrics, ping, pong, subscribed, error, and two of auth
		m := d.next()
		name := m["type"].(string)
		if m["ok"] == false {
			name += "_refused"
		}
		all[name] = m
		if m["type"] == "ping" {
			d.say(`{"type":"pong"}`)
		}
	}
	left := person(tom, cdc.Teacher)
	left.Active = false
	g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: 50}, People: []cdc.Person{g.school.put(left)}})
	all["disconnect"] = d.until("disconnect")
	return all
}

// published is what comes of the example of a message that a service publishes.
func published(t *testing.T, text string) map[string]map[string]any {
	p := publishing(wsserver.Config{})
	example := regexp.MustCompile("(?s)```json publish\n(.*?)```").FindStringSubmatch(text)
	status, answer, _ := p.send(request(strings.Replace(example[1], `"user":42`, `"user":2`, 1)))
	require.Equal(t, http.StatusOK, status, answer)
	return map[string]map[string]any{"published": decode(t, []byte(answer)), "custom": decode(t, p.g.memory.events[0].Body)}
}
