package pgoutput_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
)

// step is one message and what it says.
type step struct {
	name string
	msg  wire
	want pgoutput.Message
}

func row(xid uint32, op cdc.Op, t *cdc.Table, old, new []cdc.Value) *pgoutput.Row {
	return &pgoutput.Row{XID: xid, Change: cdc.Change{Op: op, Table: t, Old: old, New: new}}
}

// session is what a server might send: every message of both protocols, in every
// form that it has.
func session() []step {
	anna := []cdc.Value{text("7"), text("anna@école.fr"), unchanged()}
	moved := []cdc.Value{text("8"), text(""), null()}
	key := []cdc.Value{text("7"), null(), null()}
	bin := []cdc.Value{binary8(0, 0, 0, 0, 0, 0, 0, 7), binary8(), text("no send function")}
	before, after := []cdc.Value{text("x"), text("1")}, []cdc.Value{text("x"), null()}
	catalog := &cdc.Table{OID: 1259, Schema: "pg_catalog", Name: "pg_class", Identity: cdc.IdentityNothing, Columns: []cdc.Column{}}
	sentCatalog := *catalog
	sentCatalog.Schema = ""
	return []step{
		{"message of no transaction", logical(0, 0x10, "p", "at once"),
			&pgoutput.LogicalMessage{LSN: 0x10, Prefix: []byte("p"), Content: []byte("at once")}},

		{"begin", begin(0x1_0000_0002, noon(), 700), &pgoutput.Begin{FinalLSN: 0x1_0000_0002, CommitTime: noon(), XID: 700}},
		{"origin", kind('O').lsn(0x99).str("elsewhere"), &pgoutput.Origin{CommitLSN: 0x99, Name: "elsewhere"}},
		{"type", kind('Y').u32(16500).str("public").str("mood"),
			&pgoutput.Type{XID: 700, OID: 16500, Schema: "public", Name: "mood"}},
		{"built-in type", kind('Y').u32(16501).str("").str("int4"),
			&pgoutput.Type{XID: 700, OID: 16501, Schema: "pg_catalog", Name: "int4"}},
		{"relation", relation(people()), &pgoutput.Relation{XID: 700, Table: people(), Changed: true}},
		{"relation of pg_catalog without columns", relation(&sentCatalog),
			&pgoutput.Relation{XID: 700, Table: catalog, Changed: true}},
		{"insert", insert(people(), anna), row(700, cdc.Insert, people(), nil, anna)},
		{"insert of binary values", insert(people(), bin), row(700, cdc.Insert, people(), nil, bin)},
		{"insert of a row without columns", insert(catalog, nil), row(700, cdc.Insert, catalog, nil, []cdc.Value{})},
		{"update", update(people(), 0, nil, anna), row(700, cdc.Update, people(), nil, anna)},
		{"update of the key", update(people(), 'K', key, moved), row(700, cdc.Update, people(), key, moved)},
		{"delete", deletion(people(), 'K', key), row(700, cdc.Delete, people(), key, nil)},
		{"relation with full identity", relation(audit()), &pgoutput.Relation{XID: 700, Table: audit(), Changed: true}},
		{"update with the old row", update(audit(), 'O', before, after), row(700, cdc.Update, audit(), before, after)},
		{"delete with the old row", deletion(audit(), 'O', after), row(700, cdc.Delete, audit(), after, nil)},
		{"truncate", truncate(0, []uint32{people().OID}), &pgoutput.Truncate{XID: 700, Tables: []*cdc.Table{people()}}},
		{"truncate of two with everything", truncate(3, []uint32{audit().OID, people().OID}),
			&pgoutput.Truncate{XID: 700, Tables: []*cdc.Table{audit(), people()}, Cascade: true, RestartIdentity: true}},
		{"message of the transaction", logical(1, 0x20, "", ""),
			&pgoutput.LogicalMessage{XID: 700, Transactional: true, LSN: 0x20, Prefix: []byte{}, Content: []byte{}}},
		{"commit", commit(0x1_0000_0002, 0x1_0000_0032, noon()),
			&pgoutput.Commit{CommitLSN: 0x1_0000_0002, EndLSN: 0x1_0000_0032, CommitTime: noon()}},

		{"message after a transaction", logical(0, 0x38, "p", "c"),
			&pgoutput.LogicalMessage{LSN: 0x38, Prefix: []byte("p"), Content: []byte("c")}},
		{"first piece of a stream", kind('S').u32(800).u8(1), &pgoutput.StreamStart{XID: 800, First: true}},
		{"origin in a stream", kind('O').lsn(0).str("elsewhere"), &pgoutput.Origin{Name: "elsewhere"}},
		{"type in a stream", kind('Y').u32(801).u32(16500).str("public").str("mood"),
			&pgoutput.Type{XID: 801, OID: 16500, Schema: "public", Name: "mood"}},
		{"relation in a stream", relation(people(), 801), &pgoutput.Relation{XID: 801, Table: people()}},
		{"insert in a stream", insert(people(), anna, 801), row(801, cdc.Insert, people(), nil, anna)},
		{"update in a stream", update(people(), 'K', key, moved, 802), row(802, cdc.Update, people(), key, moved)},
		{"delete in a stream", deletion(people(), 'K', key, 800), row(800, cdc.Delete, people(), key, nil)},
		{"truncate in a stream", truncate(1, []uint32{people().OID}, 803),
			&pgoutput.Truncate{XID: 803, Tables: []*cdc.Table{people()}, Cascade: true}},
		{"message in a stream", logical(1, 0x40, "p", "c", 804),
			&pgoutput.LogicalMessage{XID: 804, Transactional: true, LSN: 0x40, Prefix: []byte("p"), Content: []byte("c")}},
		{"end of the piece", kind('E'), &pgoutput.StreamStop{XID: 800}},
		{"message between two pieces", logical(0, 0x48, "p", "c"),
			&pgoutput.LogicalMessage{LSN: 0x48, Prefix: []byte("p"), Content: []byte("c")}},
		{"abort of a savepoint", kind('A').u32(800).u32(802), &pgoutput.StreamAbort{XID: 800, SubXID: 802}},
		{"transaction between two pieces", begin(0x50, noon(), 900), &pgoutput.Begin{FinalLSN: 0x50, CommitTime: noon(), XID: 900}},
		{"row between two pieces", insert(people(), anna), row(900, cdc.Insert, people(), nil, anna)},
		{"commit between two pieces", commit(0x50, 0x60, noon()), &pgoutput.Commit{CommitLSN: 0x50, EndLSN: 0x60, CommitTime: noon()}},
		{"next piece of a stream", kind('S').u32(800).u8(0), &pgoutput.StreamStart{XID: 800}},
		{"end of the next piece", kind('E'), &pgoutput.StreamStop{XID: 800}},
		{"commit of a stream", kind('c').u32(800).u8(0).lsn(0x70).lsn(0x80).time(noon()),
			&pgoutput.StreamCommit{XID: 800, CommitLSN: 0x70, EndLSN: 0x80, CommitTime: noon()}},
		{"abort of a stream", kind('A').u32(805).u32(805), &pgoutput.StreamAbort{XID: 805, SubXID: 805}},
	}
}

func TestEveryMessageSaysWhatTheServerWrote(t *testing.T) {
	var d pgoutput.Decoder
	for _, s := range session() {
		got, err := d.Decode(s.msg)
		require.NoError(t, err, s.name)
		require.Equal(t, s.want, got, s.name)
	}
}

func TestAMessageIsTakenWholeOrRefused(t *testing.T) {
	var d pgoutput.Decoder
	for _, s := range session() {
		for n := range len(s.msg) {
			// A copy, so that reading past its end cannot find the rest by luck.
			_, err := d.Decode(slices.Clone(s.msg[:n]))
			requireRefused(t, err, "%s, cut to %d of %d bytes", s.name, n, len(s.msg))
		}
		_, err := d.Decode(append(slices.Clone(s.msg), 0))
		requireRefused(t, err, "%s, with a byte too many", s.name)

		got, err := d.Decode(s.msg)
		require.NoError(t, err, "%s, after it was refused in pieces", s.name)
		require.Equal(t, s.want, got, s.name)
	}
}

func requireRefused(t *testing.T, err error, what string, args ...any) {
	t.Helper()
	var refusal *pgoutput.Error
	require.ErrorAsf(t, err, &refusal, what, args...)
	require.NotEmptyf(t, refusal.Problem, what, args...)
	require.NotEmptyf(t, refusal.Fix, what, args...)
}

func TestARefusedMessageLeavesTheDecoderAsItWas(t *testing.T) {
	d := opened(t)
	wider := with(people(), cdc.Column{Name: "phone", Type: 25})
	r := relation(wider)
	_, err := d.Decode(r[:len(r)-1])
	requireRefused(t, err, "a relation cut short")
	_, err = d.Decode(kind('C').u8(1).lsn(1).lsn(2).time(noon()))
	requireRefused(t, err, "a commit with unknown flags")

	got, err := d.Decode(insert(people(), []cdc.Value{null(), null(), null()}))
	require.NoError(t, err, "still the table as it was described, still in the transaction")
	require.Equal(t, uint32(700), got.(*pgoutput.Row).XID)
}

// opened is a decoder inside transaction 700, to which people was described.
func opened(t testing.TB) *pgoutput.Decoder {
	t.Helper()
	d := new(pgoutput.Decoder)
	for _, msg := range []wire{begin(1, noon(), 700), relation(people())} {
		_, err := d.Decode(msg)
		require.NoError(t, err)
	}
	return d
}

func TestTheTableStaysTheSameUntilTheServerDescribesItDifferently(t *testing.T) {
	d := opened(t)
	tableOf := func(msg wire) *cdc.Table {
		t.Helper()
		got, err := d.Decode(msg)
		require.NoError(t, err)
		if r, ok := got.(*pgoutput.Relation); ok {
			return r.Table
		}
		return got.(*pgoutput.Row).Change.Table
	}
	first := tableOf(insert(people(), nil).nulls(3))
	require.Same(t, first, tableOf(relation(people())), "described again as it was")
	require.Same(t, first, tableOf(insert(people(), nil).nulls(3)))

	tableOf(relation(audit()))
	require.Same(t, first, tableOf(insert(people(), nil).nulls(3)), "another table in between")

	d.Reset()
	_, err := d.Decode(begin(2, noon(), 701))
	require.NoError(t, err)
	require.Same(t, first, tableOf(relation(people())), "described as it was in the next session")

	renamed, moved, full := *people(), *people(), *people()
	renamed.Name, moved.Schema, full.Identity = "accounts_person", "school", cdc.IdentityFull
	retyped, key := with(people()), with(people())
	retyped.Columns[1].Type, key.Columns[1].Key = 25, true
	for _, other := range []*cdc.Table{&renamed, &moved, &full, retyped, key, with(people(), cdc.Column{Name: "c", Type: 16})} {
		now := tableOf(relation(other))
		require.NotSame(t, first, now)
		require.Equal(t, other, now)
		require.Equal(t, people(), first, "what was handed out before did not change")
		require.Same(t, now, tableOf(insert(other, nil).nulls(len(other.Columns))))
		first = tableOf(relation(people()))
		require.NotSame(t, now, first)
	}
}

// nulls replaces an empty row at the end of a message by one of n nulls.
func (w wire) nulls(n int) wire {
	values := make([]cdc.Value, n)
	for i := range values {
		values[i] = null()
	}
	return w[:len(w)-2].tuple(values...)
}

func TestAChangedTableIsSaidToBe(t *testing.T) {
	d := opened(t)
	for _, s := range []struct {
		table *cdc.Table
		want  bool
	}{{people(), false}, {with(people(), cdc.Column{Name: "c"}), true}, {people(), true}, {audit(), true}} {
		got, err := d.Decode(relation(s.table))
		require.NoError(t, err)
		require.Equal(t, s.want, got.(*pgoutput.Relation).Changed)
	}
}

func TestAfterAResetTheServerMustDescribeItsTablesAgain(t *testing.T) {
	d := opened(t)
	_, err := d.Decode(insert(people(), nil).nulls(3))
	require.NoError(t, err)
	d.Reset()
	_, err = d.Decode(begin(1, noon(), 700))
	require.NoError(t, err, "what was open is forgotten")
	_, err = d.Decode(insert(people(), nil).nulls(3))
	require.ErrorContains(t, err, "the server did not describe the table with oid 16393")
}

func TestTimesReachAsFarAsThePostgreSQLClock(t *testing.T) {
	for _, us := range []uint64{0, 1, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		var d pgoutput.Decoder
		got, err := d.Decode(kind('B').u64(1).u64(us).u32(1))
		require.NoError(t, err)
		require.Equal(t, time.UTC, got.(*pgoutput.Begin).CommitTime.Location())
	}
}
