package pgoutput_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// form is how a stream is asked for.
type form struct {
	slot     string
	proto    int
	binary   bool
	messages bool
}

// forms are those that a version of the server has: before 14 it has neither
// protocol 2, nor binary values, nor messages.
func forms(major int) []form {
	if major < 14 {
		return []form{{slot: "text1", proto: 1}}
	}
	return []form{{"text1", 1, false, true}, {"binary1", 1, true, true}, {"text2", 2, false, true}, {"binary2", 2, true, true}}
}

func TestWhatARealServerSendsIsReadAsPglogreplReadsIt(t *testing.T) {
	url := pgtest.Database(t)
	major := pgtest.Server(t).Major()
	slots := make([]string, 0, 4)
	for _, f := range forms(major) {
		slots = append(slots, f.slot)
	}
	work(t, url, major, slots...)

	committed := make(map[string][]string)
	for _, f := range forms(major) {
		t.Run(f.slot, func(t *testing.T) {
			messages := receive(t, url, f)
			seen := make(map[string]int)
			var d pgoutput.Decoder
			var ref reference
			var told story
			for _, msg := range messages {
				refuseInPieces(t, &d, msg, seen[features(msg, ref.place)[0]] < 20)
				for _, what := range features(msg, ref.place) {
					seen[what]++
				}
				want := ref.decode(t, msg)
				got, err := d.Decode(msg)
				require.NoError(t, err)
				require.Equal(t, want, got)
				told.add(got)
				if row, ok := got.(*pgoutput.Row); ok {
					requireOldWithinIdentity(t, &row.Change)
					for _, v := range slices.Concat(row.Change.Old, row.Change.New) {
						seen[fmt.Sprintf("value %c", v.Kind)]++
					}
				}
			}
			requireSeen(t, f, seen)
			require.Empty(t, told.open, "transactions that neither committed nor aborted")
			committed[f.slot] = told.committed
			t.Logf("%d messages, %d transactions: %v", len(messages), len(told.committed), seen)
		})
	}
	for _, f := range forms(major) {
		if f.proto == 2 {
			require.Equal(t, committed[strings.Replace(f.slot, "2", "1", 1)], committed[f.slot], "streamed or not, the same was committed")
		}
	}
}

// receive reads what the server has for a slot, up to the transaction with the last words.
func receive(t *testing.T, url string, f form) [][]byte {
	t.Helper()
	ctx := t.Context()
	config, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	config.RuntimeParams["replication"] = "database"
	config.RuntimeParams["logical_decoding_work_mem"] = "64kB" // the least: stream early
	conn, err := pgconn.ConnectConfig(ctx, config)
	require.NoError(t, err)
	defer conn.Close(ctx)
	args := []string{fmt.Sprintf("proto_version '%d'", f.proto), "publication_names 'p'"}
	if f.messages {
		args = append(args, "messages 'true'")
	}
	if f.binary {
		args = append(args, "binary 'true'")
	}
	if f.proto == 2 {
		args = append(args, "streaming 'on'")
	}
	require.NoError(t, pglogrepl.StartReplication(ctx, conn, f.slot, 0, pglogrepl.StartReplicationOptions{PluginArgs: args}))

	var messages [][]byte
	for last := false; !last || messages[len(messages)-1][0] != 'C'; {
		received, err := conn.ReceiveMessage(ctx)
		require.NoError(t, err)
		data, ok := received.(*pgproto3.CopyData)
		require.True(t, ok, "%#v", received)
		if data.Data[0] != pglogrepl.XLogDataByteID {
			continue
		}
		x, err := pglogrepl.ParseXLogData(data.Data[1:])
		require.NoError(t, err)
		messages = append(messages, slices.Clone(x.WALData))
		last = last || bytes.Contains(x.WALData, []byte(lastWords))
	}
	return messages
}

// refuseInPieces checks that no piece of the message is taken. Of rows that are
// like many others it tries a few pieces only.
func refuseInPieces(t *testing.T, d *pgoutput.Decoder, msg []byte, all bool) {
	t.Helper()
	for n := range len(msg) {
		if all && len(msg) < 1000 || n == 0 || n == len(msg)/2 || n == len(msg)-1 {
			if _, err := d.Decode(msg[:n:n]); err == nil {
				t.Fatalf("%q was taken when cut to %d of %d bytes", msg[0], n, len(msg))
			}
		}
	}
}

// features names what a message is an example of, its kind first.
func features(msg []byte, place byte) []string {
	where, head := "", 1
	if place == 'S' {
		where, head = " in a stream", 5
	}
	what := []string{string(msg[:1]) + where}
	if msg[0] == 'U' || msg[0] == 'D' {
		what = append(what, string(msg[:1])+string(msg[head+4])+where)
	}
	return what
}

// requireOldWithinIdentity checks what cdc.Change says of Old.
func requireOldWithinIdentity(t *testing.T, c *cdc.Change) {
	t.Helper()
	for i, v := range c.Old {
		if column := c.Table.Columns[i]; !column.Key && v.Kind != cdc.Null {
			t.Fatalf("the old row has a value of %s, which is not in the identity of %s", column.Name, c.Table.Name)
		}
	}
}

func requireSeen(t *testing.T, f form, seen map[string]int) {
	t.Helper()
	want := strings.Fields("B C O R Y I U UK UO UN D DK DO T")
	if f.messages {
		want = append(want, "M")
	}
	if f.proto == 2 {
		want = append(want, "S", "E in a stream", "c", "A")
		for _, k := range strings.Fields("O R Y I U UK UO UN D DK DO T M") {
			want = append(want, k+" in a stream")
		}
	}
	want = append(want, "value n", "value u", "value t")
	if f.binary {
		want = append(want, "value b")
	}
	for _, k := range want {
		require.NotZero(t, seen[k], "the server sent no %s: the workload does not reach it", k)
	}
}

// story is what a session tells: what each committed transaction changed, in
// commit order. It does with streams what the Message types say.
type story struct {
	committed []string
	open      map[uint32][]change // by transaction
	xid       uint32
}

type change struct {
	xid  uint32 // sub-transaction
	says string
}

func (s *story) add(m pgoutput.Message) {
	if s.open == nil {
		s.open = make(map[uint32][]change)
	}
	switch m := m.(type) {
	case *pgoutput.Begin:
		s.xid = m.XID
	case *pgoutput.StreamStart:
		s.xid = m.XID
	case *pgoutput.Row:
		s.open[s.xid] = append(s.open[s.xid], change{m.XID, say(&m.Change)})
	case *pgoutput.Truncate:
		for _, t := range m.Tables {
			s.open[s.xid] = append(s.open[s.xid], change{m.XID, fmt.Sprintf("T %v %v %v", *t, m.Cascade, m.RestartIdentity)})
		}
	case *pgoutput.LogicalMessage:
		if m.Transactional {
			s.open[s.xid] = append(s.open[s.xid], change{m.XID, fmt.Sprintf("M %s %s", m.Prefix, m.Content)})
		}
	case *pgoutput.Commit:
		s.close(s.xid, m.CommitLSN, m.EndLSN)
	case *pgoutput.StreamCommit:
		s.close(m.XID, m.CommitLSN, m.EndLSN)
	case *pgoutput.StreamAbort:
		if m.SubXID == m.XID {
			delete(s.open, m.XID)
			return
		}
		s.open[m.XID] = slices.DeleteFunc(s.open[m.XID], func(c change) bool { return c.xid == m.SubXID })
	}
}

func (s *story) close(xid uint32, at, end cdc.LSN) {
	if changes := s.open[xid]; len(changes) > 0 {
		var b strings.Builder
		fmt.Fprintf(&b, "%d %v %v", xid, at, end)
		for _, c := range changes {
			b.WriteString("\n" + c.says)
		}
		s.committed = append(s.committed, b.String())
	}
	delete(s.open, xid)
}

func say(c *cdc.Change) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%c %v", c.Op, *c.Table)
	for _, side := range [][]cdc.Value{c.Old, c.New} {
		fmt.Fprintf(&b, " %t", side == nil)
		for _, v := range side {
			fmt.Fprintf(&b, " %c%x", v.Kind, v.Data)
		}
	}
	return b.String()
}
