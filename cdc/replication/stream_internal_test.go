package replication

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

func TestReadingAChangeAllocatesNothing(t *testing.T) {
	for name, rows := range map[string]int{"one row each": 1, "1000 rows each": 1000} {
		t.Run(name, func(t *testing.T) {
			p := newPlayback(t, rows)
			require.Zero(t, testing.AllocsPerRun(20, func() { p.play(t) }))
			require.Equal(t, 21*rows, p.taken)
		})
	}
}

// What a change of 1 KB costs us, without the system: it is played from memory.
func BenchmarkPlayback(b *testing.B) {
	for name, rows := range map[string]int{"one row each": 1, "1000 rows each": 1000} {
		b.Run(name, func(b *testing.B) {
			p := newPlayback(b, rows)
			for b.Loop() {
				p.play(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(p.taken), "ns/change")
		})
	}
}

// Both moments are by the clock of the server, which begins with the year 2000.
func TestTheLogIsLetGatherWhereItIsSentLate(t *testing.T) {
	for _, c := range []struct {
		after  time.Duration
		behind bool
	}{{0, false}, {19 * time.Millisecond, false}, {21 * time.Millisecond, true}, {time.Hour, true}, {-time.Hour, false}} {
		p := newPlayback(t, 1)
		p.sent(c.after)
		p.play(t)
		require.Equal(t, c.behind, p.conn.socket.behind, c.after)
	}
}

// playback is a transaction that is read again and again, by a sink that looks at nothing.
type playback struct {
	*Reader
	*stream
	take  func(*cdc.Change, error) bool
	taken int
	tape  []byte
	next  int // of the tape
}

func newPlayback(t testing.TB, rows int) *playback {
	r := New(Config{Tables: []cdc.TableSpec{{Schema: "public", Name: "work"}}})
	p := &playback{Reader: r}
	p.take = func(_ *cdc.Change, err error) bool {
		p.taken++
		return err == nil
	}
	now := time.Now()
	p.stream = &stream{
		conn:  &conn{in: newInput(p, inputSize), socket: &gathering{bell: newBell(nil)}},
		board: r.board, at: &r.at, now: now, appliedAt: now,
		// Nothing is ever due, for there is nobody to tell.
		pace: pace{syncIdle: time.Hour}, deadline: now.Add(time.Minute), reportAt: now.Add(time.Hour),
		transaction: transaction{decoder: &r.decoder},
	}
	p.tx.Changes = func(yield func(*cdc.Change, error) bool) { p.yield(t.Context(), yield) }

	_, err := r.decoder.Decode([]byte("R\x00\x00\x00\x07public\x00work\x00d\x00\x02" +
		"\x01id\x00\x00\x00\x00\x14\xff\xff\xff\xff" + "\x00mark\x00\x00\x00\x00\x19\xff\xff\xff\xff"))
	require.NoError(t, err)
	number := func(n byte) string { return strings.Repeat("\x00", 7) + string(n) }
	p.record("B" + number(8) + number(0) + "\x00\x00\x02\xbc")
	for range rows {
		p.record("I\x00\x00\x00\x07N\x00\x02" + "t\x00\x00\x00\x044711" + "t\x00\x00\x03\xe8" + strings.Repeat("x", 1000))
	}
	p.record("C\x00" + number(8) + number(9) + number(0))
	return p
}

// record puts a message on the tape as the server sends it.
func (p *playback) record(message string) {
	const xLogData = 1 + 8 + 8 + 8
	p.tape = append(p.tape, 'd')
	p.tape = binary.BigEndian.AppendUint32(p.tape, uint32(lengthSize+xLogData+len(message)))
	p.tape = append(p.tape, 'w')
	p.tape = append(p.tape, slices.Repeat([]byte{0}, 8+8+8)...)
	p.tape = append(p.tape, message...)
}

// sent makes all on the tape sent so long after the commit.
func (p *playback) sent(after time.Duration) {
	for at := 0; at < len(p.tape); at += 1 + int(binary.BigEndian.Uint32(p.tape[at+1:])) {
		binary.BigEndian.PutUint64(p.tape[at+headerSize+1+8+8:], uint64(after.Microseconds()))
	}
}

func (p *playback) Read(to []byte) (int, error) {
	n := copy(to, p.tape[p.next:])
	p.next = (p.next + n) % len(p.tape)
	return n, nil
}

// play reads the whole transaction, as if for the first time.
func (p *playback) play(t testing.TB) {
	p.Reader.at.handed = 0
	what, err := p.stream.next(t.Context())
	if err != nil || what != logData {
		t.Fatal(what, err)
	}
	if err := p.apply(t.Context(), p.stream, p); err != nil {
		t.Fatal(err)
	}
}

func (p *playback) Apply(_ context.Context, tx *cdc.Tx) error {
	tx.Changes(p.take)
	return nil
}

func (p *playback) Reset(context.Context, *cdc.Snapshot) error  { return nil }
func (p *playback) Advance(cdc.LSN, time.Time) (wake time.Time) { return time.Time{} }
func (p *playback) Sync(context.Context) (cdc.LSN, error)       { return 0, nil }
