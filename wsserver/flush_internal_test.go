package wsserver

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

type noHistory struct{ router.History }

func (noHistory) Kept() cdc.Position { return cdc.Position{} }

// loopback is a connection between two sockets.
func loopback(t *testing.T) (ours, theirs net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	theirs, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	ours, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

// Of what is delivered only the messages are allocated, one for each event, and the two
// cursors of the batch; writing them allocates nothing.
func TestWritingWhatIsQueuedAllocatesNothing(t *testing.T) {
	ours, theirs := loopback(t)
	raw := rawOf(ours)
	if raw == nil {
		return // here each session has a writer of its own
	}
	r := router.New(noHistory{}, router.Config{})
	r.Start(cdc.Position{LSN: 1})
	c := &session{server: New(Deps{Router: r}, Config{}), conn: ours, raw: raw, wire: socket{}, open: true, writing: true}
	var err error
	c.sub, err = r.Subscribe(router.Request{Person: cdc.Person{ID: cdc.IntID(1), Role: cdc.Teacher, Active: true}, Wake: c.wake})
	require.NoError(t, err)
	events := make([]*cdc.Event, gather+1) // two writes
	for i := range events {
		events[i] = &cdc.Event{Kind: cdc.Grade, Time: time.Now(), Body: []byte(`{"type":"grade"}`), Audience: cdc.Audience{People: []cdc.ID{cdc.IntID(1)}}}
	}
	b := c.server.batch(c)
	came := make([]byte, len(events)*len(appendText(nil, events[0].Body)))
	lsn := cdc.LSN(1)
	allocated := testing.AllocsPerRun(100, func() {
		lsn++
		for i, e := range events {
			e.Position = cdc.Position{LSN: lsn, Index: uint32(i + 1)}
		}
		r.Publish(router.Batch{Cursor: cdc.Position{LSN: lsn + 1}, Events: events})
		c.flush(b)
		_, err = io.ReadFull(theirs, came)
		c.writing = true // as at the beginning: nobody else is to write
	})
	require.NoError(t, err)
	// The queue grows from nothing to 128 places, and is let go of when it is empty.
	const ring = 6
	require.EqualValues(t, len(events)+2+ring, allocated)
}
