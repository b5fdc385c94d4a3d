package pgoutput_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
)

// The input is a session: messages, each after its length in two bytes. Whatever
// it holds, nothing panics; what is taken is what pglogrepl reads in it; what is
// refused changes nothing, or the two would disagree about a later message.
func FuzzDecode(f *testing.F) {
	var whole []byte
	for _, s := range session() {
		whole = appendMessage(whole, s.msg)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, input []byte) {
		var d pgoutput.Decoder
		var ref reference
		for len(input) > 0 {
			var msg []byte
			msg, input = cutMessage(input)
			got, err := d.Decode(msg)
			if err != nil {
				requireRefused(t, err, "% x", msg)
				require.Nil(t, got)
				continue
			}
			requireWithin(t, msg, got)
			if !ref.reads(msg, got) {
				continue
			}
			if want := ref.decode(t, msg); !beyondNanoseconds(got) {
				require.Equal(t, want, got)
			}
		}
	})
}

func appendMessage(dst, msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(msg))), msg...)
}

func cutMessage(input []byte) (msg, rest []byte) {
	if len(input) < 2 {
		return input, nil
	}
	n := min(int(binary.BigEndian.Uint16(input)), len(input)-2)
	return input[2 : 2+n : 2+n], input[2+n:]
}

// requireWithin checks that values are pieces of the message and fit their table.
func requireWithin(t *testing.T, msg []byte, got pgoutput.Message) {
	row, ok := got.(*pgoutput.Row)
	if !ok {
		return
	}
	size := 0
	for _, side := range [][]cdc.Value{row.Change.Old, row.Change.New} {
		if side != nil {
			require.Len(t, side, len(row.Change.Table.Columns))
		}
		for _, v := range side {
			size += len(v.Data)
			require.Equal(t, len(v.Data), cap(v.Data))
		}
	}
	require.LessOrEqual(t, size, len(msg))
}

// reads says whether pglogrepl reads the message as the documentation has it. It
// refuses rows without columns and truncates of no table, and compares the flags
// of a logical message as a whole.
func (r *reference) reads(msg []byte, got pgoutput.Message) bool {
	switch m := got.(type) {
	case *pgoutput.Row:
		return len(m.Change.Table.Columns) > 0
	case *pgoutput.Truncate:
		return len(m.Tables) > 0
	case *pgoutput.LogicalMessage:
		flags := 1
		if r.place == 'S' {
			flags += 4
		}
		return msg[flags] <= 1
	}
	return true
}

// beyondNanoseconds says whether a commit time is one that pglogrepl, which counts
// nanoseconds in an int64, cannot hold.
func beyondNanoseconds(got pgoutput.Message) bool {
	var at time.Time
	switch m := got.(type) {
	case *pgoutput.Begin:
		at = m.CommitTime
	case *pgoutput.Commit:
		at = m.CommitTime
	case *pgoutput.StreamCommit:
		at = m.CommitTime
	default:
		return false
	}
	return at.Year() < 1700 || at.Year() > 2200
}
