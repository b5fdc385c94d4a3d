package pgoutput_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
)

// reference decodes by pglogrepl's parser, into our words. It must be given only
// messages that are whole: on others that parser panics.
type reference struct {
	tables map[uint32]*cdc.Table
	place  byte // 'B' in a transaction, 'S' in a stream, otherwise 0
	xid    uint32
}

func (r *reference) decode(t testing.TB, msg []byte) pgoutput.Message {
	t.Helper()
	parsed, err := pglogrepl.ParseV2(msg, r.place == 'S')
	require.NoError(t, err, "pglogrepl refuses a message of %d bytes that we took: % x", len(msg), msg)
	switch m := parsed.(type) {
	case *pglogrepl.BeginMessage:
		r.place, r.xid = 'B', m.Xid
		return &pgoutput.Begin{FinalLSN: cdc.LSN(m.FinalLSN), CommitTime: utc(m.CommitTime), XID: m.Xid}
	case *pglogrepl.CommitMessage:
		r.place, r.xid = 0, 0
		return &pgoutput.Commit{
			CommitLSN: cdc.LSN(m.CommitLSN), EndLSN: cdc.LSN(m.TransactionEndLSN), CommitTime: utc(m.CommitTime),
		}
	case *pglogrepl.OriginMessage:
		return &pgoutput.Origin{CommitLSN: cdc.LSN(m.CommitLSN), Name: m.Name}
	case *pglogrepl.StreamStartMessageV2:
		r.place, r.xid = 'S', m.Xid
		return &pgoutput.StreamStart{XID: m.Xid, First: m.FirstSegment == 1}
	case *pglogrepl.StreamStopMessageV2:
		xid := r.xid
		r.place, r.xid = 0, 0
		return &pgoutput.StreamStop{XID: xid}
	case *pglogrepl.StreamCommitMessageV2:
		return &pgoutput.StreamCommit{
			XID: m.Xid, CommitLSN: cdc.LSN(m.CommitLSN), EndLSN: cdc.LSN(m.TransactionEndLSN), CommitTime: utc(m.CommitTime),
		}
	case *pglogrepl.StreamAbortMessageV2:
		return &pgoutput.StreamAbort{XID: m.Xid, SubXID: m.SubXid}
	}
	return r.inside(t, parsed)
}

// inside is decode for the messages that name their sub-transaction in a stream.
func (r *reference) inside(t testing.TB, parsed pglogrepl.Message) pgoutput.Message {
	t.Helper()
	switch m := parsed.(type) {
	case *pglogrepl.RelationMessageV2:
		table, changed := r.describe(&m.RelationMessage)
		return &pgoutput.Relation{XID: r.sub(m.Xid), Table: table, Changed: changed}
	case *pglogrepl.TypeMessageV2:
		return &pgoutput.Type{XID: r.sub(m.Xid), OID: m.DataType, Schema: catalog(m.Namespace), Name: m.Name}
	case *pglogrepl.InsertMessageV2:
		return row(r.sub(m.Xid), cdc.Insert, r.tables[m.RelationID], nil, values(m.Tuple))
	case *pglogrepl.UpdateMessageV2:
		return row(r.sub(m.Xid), cdc.Update, r.tables[m.RelationID], values(m.OldTuple), values(m.NewTuple))
	case *pglogrepl.DeleteMessageV2:
		return row(r.sub(m.Xid), cdc.Delete, r.tables[m.RelationID], values(m.OldTuple), nil)
	case *pglogrepl.TruncateMessageV2:
		tables := make([]*cdc.Table, 0, len(m.RelationIDs))
		for _, oid := range m.RelationIDs {
			tables = append(tables, r.tables[oid])
		}
		return &pgoutput.Truncate{
			XID: r.sub(m.Xid), Tables: tables,
			Cascade:         m.Option&pglogrepl.TruncateOptionCascade != 0,
			RestartIdentity: m.Option&pglogrepl.TruncateOptionRestartIdentity != 0,
		}
	case *pglogrepl.LogicalDecodingMessageV2:
		return &pgoutput.LogicalMessage{
			XID: r.sub(m.Xid), Transactional: m.Transactional, LSN: cdc.LSN(m.LSN), Prefix: []byte(m.Prefix), Content: m.Content,
		}
	}
	t.Fatalf("unknown message %T", parsed)
	return nil
}

// sub is the transaction that a message belongs to: pglogrepl knows it in streams only.
func (r *reference) sub(xid uint32) uint32 {
	if r.place == 'S' {
		return xid
	}
	return r.xid
}

func (r *reference) describe(m *pglogrepl.RelationMessage) (*cdc.Table, bool) {
	table := &cdc.Table{
		OID: m.RelationID, Schema: catalog(m.Namespace), Name: m.RelationName,
		Identity: cdc.Identity(m.ReplicaIdentity), Columns: []cdc.Column{},
	}
	for _, c := range m.Columns {
		table.Columns = append(table.Columns, cdc.Column{Name: c.Name, Type: c.DataType, Key: c.Flags&1 != 0})
	}
	was := r.tables[table.OID]
	if r.tables == nil {
		r.tables = make(map[uint32]*cdc.Table)
	}
	r.tables[table.OID] = table
	return table, was == nil || !reflect.DeepEqual(was, table)
}

func values(tuple *pglogrepl.TupleData) []cdc.Value {
	if tuple == nil {
		return nil
	}
	row := make([]cdc.Value, 0, len(tuple.Columns))
	for _, c := range tuple.Columns {
		row = append(row, cdc.Value{Kind: cdc.ValueKind(c.DataType), Data: c.Data})
	}
	return row
}

func catalog(schema string) string {
	if schema == "" {
		return "pg_catalog"
	}
	return schema
}

func utc(t time.Time) time.Time { return t.UTC() }
