package web_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// What the page looks like: SCHOOLBELL_TEST_SCREENSHOTS=DIR go test -run Looks
func TestLooks(t *testing.T) {
	g := newGateway(t)
	page, s := live(t, g)
	page.Look(1100, false)
	page.Screenshot("empty")

	titles := []string{"Essay 2: The Winter Palace", "Fractions, sheet 7", "Lab report – Photosynthesis", "日本語の作文"}
	people := [][2]string{{"Anna", "Petrova"}, {"Ben", "Olsen"}, {"Chukwuemeka", "Oluwaseun-Fitzgerald"}, {"Zoë", "Łukasiewicz"}, {"مريم", "الحسن"}}
	at := 1
	event := func(format string, args ...any) {
		age := time.Duration(14-at) * 137 * time.Second
		s.send(`{"id":"0/200.%d","timestamp":%q,%s}`, at, ago(age), fmt.Sprintf(format, args...))
		at++
	}
	student := func(i int) string {
		return fmt.Sprintf(`{"id":%d,"email":"s%d@school.example","first_name":%q,"last_name":%q}`, i, i, people[i][0], people[i][1])
	}
	for i, title := range titles {
		event(`"type":"assignment","assignment_id":%d,"title":%q,"description":"","due_date":"2026-12-04T23:00:00Z"`, i, title)
	}
	for i := range people {
		event(`"type":"submission","submission_id":%d,"assignment_id":%d,"student":%s`, i, i%4, student(i))
	}
	event(`"type":"grade","submission_id":1,"assignment_id":1,"student":%s,"grade":87.5`, student(1))
	event(`"type":"assignment_closed","assignment_id":1`)
	event(`"type":"submission","recovered":true,"submission_id":2,"assignment_id":40,"student":%s`, student(2))
	s.send(`{"type":"gap","reason":"bulk","from":"0/200.12","to":"0/210.1200","count":1200,"timestamp":%q}`, ago(70*time.Second))
	s.send("%s", grade("0/300.1", 0, "Anna", "Petrova", "0"))
	page.WaitRow("Anna Petrova got 0 for Essay 2: The Winter Palace")

	page.Screenshot("teacher") // with a gap
	choose(page, "#language", "ru")
	page.Screenshot("teacher-russian")
	choose(page, "#language", "en")
	page.Look(1100, true)
	page.Screenshot("teacher-dark")
	page.Look(360, false)
	page.Screenshot("teacher-360")

	s.send(`{"type":"disconnect","code":1001,"reason":"going_away","reconnect":true,"retry_after_ms":9000}`)
	require.NoError(t, s.conn.Close(websocket.StatusGoingAway, "going_away"))
	page.WaitState("waiting")
	page.Screenshot("reconnecting-360")
	page.Look(1100, false)
	page.Screenshot("reconnecting")
	page.Click("#sign-out")
	page.WaitState("signed-out")
	page.Screenshot("signed-out")
}
