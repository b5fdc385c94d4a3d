package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// An operator restarts the gateway on a busy morning.
func TestSIGTERMUnderLoadEndsWithinFiveSecondsAndSaysGoodbye(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`UPDATE assignments_assignmentsubmission SET grade = NULL`) // so that every later one is news
	const each = 10                                                    // grades in each transaction, fifty times a second
	gateway := s.serve()
	s.ready()
	admin := s.school.Admins[0]
	d := s.watch(admin)
	byes := make([]farewell, 15)
	var reading sync.WaitGroup
	for i := range byes {
		conn := s.dial(admin)
		reading.Go(func() { byes[i] = lastWords(t, conn) })
	}
	lms := connectTo(t, s.url)
	working, end := context.WithCancel(t.Context())
	var load sync.WaitGroup
	t.Cleanup(func() { end(); load.Wait() })
	load.Go(func() {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for i := 0; working.Err() == nil; i++ {
			<-pace.C
			_, err := lms.Exec(context.Background(), `UPDATE assignments_assignmentsubmission SET grade = $1
				WHERE id IN (SELECT id FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL ORDER BY id LIMIT $2)`, i%100, each)
			if err != nil && working.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	d.await(t, "load", func() bool { return len(d.events) > 500 })

	require.Zero(t, gateway.stop(5*time.Second), gateway.text())
	reading.Wait()
	var waits []int
	for i, bye := range byes {
		waits = append(waits, bye.After)
		require.Equal(t, websocket.StatusGoingAway, bye.status, "client %d: %+v", i, bye)
		require.Equal(t, farewell{status: bye.status, Type: "disconnect", Code: 1001, Reason: "going_away", Reconnect: true, After: bye.After}, bye)
	}
	slices.Sort(waits)
	require.Len(t, slices.Compact(waits), len(byes), "no two return at the same moment: %v", waits)

	// Nothing of what was written around the restart is lost or told twice: the client
	// faults where an id does not grow.
	gateway.restart()
	s.ready()
	end()
	load.Wait()
	s.grade(101)
	d.await(t, "the last grade", func() bool { return lastGrade(d) == 101 })
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Equal(t, 1, len(d.events)%each, "whole transactions of %d grades, and the last one", each)
}

func lastGrade(d *dashboard) float64 {
	var m struct{ Grade float64 }
	_ = json.Unmarshal([]byte(d.events[len(d.events)-1].fields), &m)
	return m.Grade
}

// farewell is the last message before a connection ends.
type farewell struct {
	status    websocket.StatusCode
	Type      string
	Code      int
	Reason    string
	Reconnect bool
	After     int `json:"retry_after_ms"`
}

func lastWords(t *testing.T, conn *websocket.Conn) farewell {
	var last []byte
	for {
		_, data, err := conn.Read(t.Context())
		if err != nil {
			var bye farewell
			_ = json.Unmarshal(last, &bye)
			closed, _ := errors.AsType[websocket.CloseError](err)
			bye.status = closed.Code
			return bye
		}
		last = data
	}
}
