package wsserver_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
)

// admitting is a gateway for people of these roles.
func admitting(roles ...cdc.Role) func(*wsserver.Deps) {
	return func(d *wsserver.Deps) {
		d.Router = router.New(&memory{}, router.Config{Roles: roles})
		d.Router.Start(cdc.Position{LSN: 10})
	}
}

func TestAStudentWhoMayConnectIsToldOfNoCounts(t *testing.T) {
	inBubbleOf(t, wsserver.Config{}, admitting(cdc.Teacher, cdc.Student), func(t *testing.T, g *gateway, network pipes) {
		d, hello := network.enterWith(t, token(stu))
		require.Equal(t, "student", hello["user_role"])
		require.Contains(t, hello, "metrics")
		require.Nil(t, hello["metrics"])
		for pings := 0; pings < 2; {
			m := d.next()
			require.Equal(t, "ping", m["type"])
			pings++
			d.say(`{"type":"pong"}`)
		}
		// Whoever becomes a teacher has counts from then on.
		g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: 50}, People: []cdc.Person{g.school.put(person(stu, cdc.Teacher))}})
		began := time.Now()
		require.EqualValues(t, 4, d.until("metrics")["total_assignments"])
		require.LessOrEqual(t, time.Since(began), 10*time.Second)
		require.NoError(t, d.CloseNow())
	})
}

func TestOnlyTheRolesOfTheConfigurationMayConnect(t *testing.T) {
	g := start(t, wsserver.Config{}, admitting(cdc.Student, cdc.Admin))
	for who, allowed := range map[int]bool{ada: true, tom: false, tina: false, stu: true} {
		_, answer, err := websocket.Dial(t.Context(), g.url("/ws/dashboard/", token(who), ""), nil)
		for _, path := range []string{"/api/session", "/api/events"} {
			companion, getErr := http.Get(g.url(path, token(who), ""))
			require.NoError(t, getErr)
			if allowed {
				require.NoError(t, err)
				require.Equal(t, 200, companion.StatusCode)
			} else {
				requireRefusal(t, companion, "role_not_allowed")
			}
			require.NoError(t, companion.Body.Close())
		}
		if !allowed {
			requireRefusal(t, answer, "role_not_allowed")
		}
	}
	d := g.enter(t, stu, "")
	g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: 51}, People: []cdc.Person{g.school.put(person(stu, cdc.Teacher))}})
	d.requireClosed(4403, "role_not_allowed", false)
}

func TestARefusalSaysWhoseRolesMayConnect(t *testing.T) {
	for want, roles := range map[string][]cdc.Role{
		"dashboards are for teachers, tutors and admins": nil,
		"dashboards are for admins":                      {cdc.Admin},
		"dashboards are for teachers and admins":         {cdc.Teacher, cdc.Admin},
	} {
		g := start(t, wsserver.Config{}, admitting(roles...))
		answer, err := http.Get(g.url("/api/session", token(stu), ""))
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, want, decode(t, body)["detail"])
	}
}

func TestATokenForAnotherRoleThanTheAccountHasIsRefused(t *testing.T) {
	g := start(t, wsserver.Config{}, nil)
	for token, allowed := range map[string]bool{
		token(tom) + "~teacher": true, token(tom) + "~admin": false, token(tom) + "~headmaster": false,
		token(ada) + "~admin": true, token(ada) + "~teacher": false, token(stu) + "~teacher": false, token(stu) + "~student": false,
	} {
		for _, path := range []string{"/api/session", "/api/events", "/ws/dashboard/"} {
			answer, err := http.Get(g.url(path, token, ""))
			require.NoError(t, err)
			if allowed {
				require.NotEqual(t, 403, answer.StatusCode, token)
			} else {
				require.Equal(t, 403, answer.StatusCode, token)
				requireRefusal(t, answer, "role_not_allowed")
			}
			require.NoError(t, answer.Body.Close())
		}
	}
	d := g.enter(t, tom, "")
	require.Equal(t, "role_not_allowed", d.handIn(token(tom) + "~admin")["reason"])
	require.Equal(t, true, d.handIn(token(tom) + "~teacher")["ok"])
}

func TestASessionEndsWhenItsTokenIsForAnotherRoleThanTheLMSGivesByNow(t *testing.T) {
	inBubbleOf(t, wsserver.Config{}, nil, func(t *testing.T, g *gateway, network pipes) {
		d, _ := network.enterWith(t, token(tom)+"~teacher")
		any, _ := network.enterWith(t, token(tom))
		time.Sleep(5 * time.Second)
		g.router.Publish(router.Batch{Cursor: cdc.Position{LSN: 50}, People: []cdc.Person{g.school.put(person(tom, cdc.Admin))}})
		began := time.Now()
		d.requireClosed(4403, "role_not_allowed", false)
		require.LessOrEqual(t, time.Since(began), 10*time.Second)
		require.NotEmpty(t, any.until("metrics"))
		require.NoError(t, any.CloseNow())
	})
}
