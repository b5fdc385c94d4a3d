package replication

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

func TestMessagesAreReadWholeHoweverTheyArriveAndWhoeverReadsThem(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const size = 100
	var wire []byte
	var want [][]byte
	for n := range 2000 {
		body := bytes.Repeat([]byte{byte(n)}, random.IntN(2*size))
		if n%500 == 499 {
			body = bytes.Repeat([]byte{byte(n)}, inputKept+random.IntN(inputKept))
		}
		kind := byte('d')
		if random.IntN(3) == 0 {
			kind = 'S'
			body = append(append([]byte("name\x00"), bytes.Repeat([]byte{'a' + byte(n%26)}, len(body))...), 0)
		}
		wire = append(wire, message(kind, body)...)
		want = append(want, body)
	}
	in := newInput(&dribble{random, wire}, size)
	frontend := pgproto3.NewFrontend(in, io.Discard)
	for n := 0; n < len(want); {
		body, ok, err := in.copyData()
		if err == nil && !ok {
			var msg pgproto3.BackendMessage
			if msg, err = frontend.Receive(); err == nil {
				status := msg.(*pgproto3.ParameterStatus)
				body = []byte(status.Name + "\x00" + status.Value + "\x00")
			}
		}
		if err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			continue
		}
		require.True(t, bytes.Equal(want[n], body), n)
		require.Zero(t, frontend.ReadBufferLen(), "pgproto3 has nothing of the next one")
		n++
	}
	require.False(t, in.more())
	_, _, err := in.copyData()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.LessOrEqual(t, len(in.buf), inputKept, "what large messages took is given back")
}

func TestALengthThatIsALieCostsNoMemory(t *testing.T) {
	cut := message('d', make([]byte, 5000))
	binary.BigEndian.PutUint32(cut[1:], bodyAtMost)
	in := newInput(bytes.NewReader(cut), 1000)
	_, _, err := in.copyData()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, len(in.buf), 3*len(cut))
}

func TestALengthThatCannotBeIsRefusedByPgproto3(t *testing.T) {
	for _, length := range []uint32{0, lengthSize - 1, lengthSize + bodyAtMost + 1, 1<<32 - 1} {
		spoiled := message('d', make([]byte, 100))
		binary.BigEndian.PutUint32(spoiled[1:], length)
		in := newInput(bytes.NewReader(spoiled), 1000)
		_, ok, err := in.copyData()
		require.NoError(t, err)
		require.False(t, ok)
		_, err = pgproto3.NewFrontend(in, io.Discard).Receive()
		require.ErrorContains(t, err, "length", length)
	}
}

func message(kind byte, body []byte) []byte {
	header := binary.BigEndian.AppendUint32([]byte{kind}, uint32(lengthSize+len(body)))
	return append(header, body...)
}

// dribble gives a little at a time, or has a deadline pass; with the last byte comes the end.
type dribble struct {
	random *rand.Rand
	rest   []byte
}

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.rest) > 0 && d.random.IntN(10) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p[:min(len(p), 1+d.random.IntN(1000))], d.rest)
	if d.rest = d.rest[n:]; len(d.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}
