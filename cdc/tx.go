package cdc

import (
	"iter"
	"time"
)

// Tx is one committed transaction. Its changes are read from the connection while
// they are iterated, so a transaction may be larger than the memory.
type Tx struct {
	XID        uint32
	Commit     LSN       // position of the commit record: Begin.FinalLSN = Commit.CommitLSN
	CommitTime time.Time // by the server's clock; now and then these go backwards

	// Changes yields the transaction's row changes once, in the log's order. After
	// an error it yields nothing more, and the transaction must be dropped.
	Changes iter.Seq2[*Change, error]

	// Messages are the texts that the transaction gave to pg_logical_emit_message under
	// MessagePrefix, in order, where they were asked for; known, like End, when Changes
	// has been exhausted. One of more than MessageSize is nil.
	Messages [][]byte
	// MessagesLeft is how many more there were than MessagesAtMost, or than MessageBytes
	// in all.
	MessagesLeft int
	// Echoes are the texts that we gave to pg_logical_emit_message ourselves, under
	// EchoPrefix, to see them come back; known like Messages.
	Echoes [][]byte

	// End is the position after the transaction: where to resume, and what to
	// confirm. It is known only when Changes has been exhausted without an error.
	End LSN
	// More says, from then on, that more of the log has arrived already: the next
	// transaction will not let itself be waited for.
	More bool
}

// What of a transaction's messages is kept in memory.
const (
	MessagesAtMost = 10_000
	MessageBytes   = 8 << 20
)

// Source names where positions come from.
type Source struct {
	System   string // pg_control_system().system_identifier
	Timeline int32
	Database string
	Slot     string
	// Lineage tells the publication and its tables from others of the same names: it
	// differs when one of them was made anew, or was out of the publication.
	Lineage string
	// Offset is what our positions are ahead of the server's own. It grows when the
	// server was replaced by one that counts from lower, so that positions, and with
	// them the ids of events, always grow.
	Offset LSN
}

// Snapshot is the database, whole, as it was at one position.
type Snapshot struct {
	Source Source
	At     LSN       // consistent_point of the slot: the stream continues here
	Time   time.Time // the server's clock when the snapshot was taken
	Reason string    // why the log could not be followed to here, in one word; "": a first start
	// Altered says that a column that was asked for is another one than when the sink was
	// filled last, or of another type: what is made of its values cannot be compared.
	Altered bool
	// Rows yields all rows, table by table in the order the tables were asked for.
	// A row is valid only until the next one is read. After an error the snapshot
	// must be dropped: it cannot be had twice.
	Rows iter.Seq2[Row, error]
}

// TableSpec asks for some columns of a table. The columns of the replica identity
// come with them, asked for or not.
type TableSpec struct {
	Schema  string
	Name    string
	Columns []string
	Keep    []string // more columns, of which it may have some
	// Where says in SQL, without the word WHERE, which rows are wanted: no row that matters
	// fails it; "": all are. typeOf answers the type of a column that the table has. nil: all
	// rows are wanted. Only a snapshot asks: the log carries every row.
	Where func(typeOf func(column string) (oid uint32, ok bool)) string
	// Optional are those of Columns without which a row still means what it means: titles
	// and names. While the LMS lacks one, who follows the log already is given NULL in a
	// new row, and otherwise Unchanged. Without any other column the log is not followed.
	Optional []string
	// Aside says that nothing but the events of the table's own rows comes of it: while it
	// is out of the publication, the other tables can be followed.
	Aside bool
}

// Checkpoint is how far a sink has come: everything before Applied, as Source
// numbers it, is in it.
type Checkpoint struct {
	Source  Source
	Applied LSN
	Last    Mark
}

// Mark identifies the newest transaction with changes that a sink was given, so that a
// log that was set back and written on differently can be told from the one that was read. Its zero
// value says that there was none since the snapshot.
type Mark struct {
	XID    uint32
	Commit LSN
	End    LSN
	// Time is that of the commit, in microseconds since 1970: after a copy of the disk was
	// put back, a statement of the same size makes a transaction that differs in nothing else.
	Time int64
}

// Mark identifies the transaction, once all of it has been read.
func (tx *Tx) Mark() Mark { return Mark{tx.XID, tx.Commit, tx.End, tx.CommitTime.UnixMicro()} }
