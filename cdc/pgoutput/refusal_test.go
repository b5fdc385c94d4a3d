package pgoutput_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
)

func TestARefusalSaysWhatIsWrongAndHowToPutItRight(t *testing.T) {
	two := []cdc.Value{text("7"), null()}
	for _, c := range []struct {
		name string
		msg  wire
		want string
	}{
		{"empty", nil, "pgoutput unknown message, byte 0: it is empty; fix: reconnect"},
		{"prepared transaction", kind('b').u64(1),
			"pgoutput unknown message, byte 0: kind 'b' is none of protocol 1 and 2; fix: ask for proto_version 1 or 2"},
		{"begin in a transaction", begin(1, noon(), 1),
			"pgoutput begin message, byte 0: it cannot come inside a transaction; fix: reconnect, with a Reset"},
		{"stream in a transaction", kind('S').u32(1).u8(1), "it cannot come inside a transaction"},
		{"end of a stream in a transaction", kind('E'), "it cannot come inside a transaction"},
		{"commit of a stream in a transaction", kind('c').u32(1).u8(0).u64(1).u64(1).u64(1), "it cannot come inside a transaction"},
		{"abort of a stream in a transaction", kind('A').u32(1).u32(1), "it cannot come inside a transaction"},
		{"cut short", kind('C').u8(0).u32(1),
			"pgoutput commit message, byte 2: commit position needs 8 bytes, 4 remain; fix: reconnect; if it repeats"},
		{"bytes left over", commit(1, 2, noon()).u16(0), "pgoutput commit message, byte 26: 2 bytes too many; fix: reconnect"},
		{"unknown flags of a commit", kind('C').u8(2).u64(1).u64(1).u64(1), "byte 1: flags are 0x2, want 0"},
		{"name without an end", append(kind('O').u64(1), "abc"...), "byte 9: origin's name has no end in the 3 bytes that remain"},
		{"unknown table", insert(audit(), two),
			"pgoutput insert message, byte 5: the server did not describe the table with oid 16400; fix: reconnect, so that"},
		{"unknown table among the truncated", truncate(0, []uint32{people().OID, 5}),
			"pgoutput truncate message, byte 14: the server did not describe the table with oid 5"},
		{"too few values", insert(people(), two),
			"pgoutput insert message, byte 6: 2 values for the 3 columns of public.accounts_user; fix: reconnect, so that"},
		{"too many values", insert(people(), slices.Concat(two, two)), "4 values for the 3 columns of public.accounts_user"},
		{"more values than bytes", kind('I').u32(people().OID).u8('N').u16(3).u8('n'), "3 values need at least 3 bytes, 1 remain"},
		{"unknown kind of value", kind('I').u32(people().OID).u8('N').u16(3).u8('n').u8('x').u8('n'),
			`pgoutput insert message, byte 9: value of kind 'x' in column "email" of public.accounts_user, want 'n', 'u', 't' or 'b'; fix: ask for proto_version`},
		{"length cut short", kind('I').u32(people().OID).u8('N').u16(3).u8('n').u8('n').u8('t').u16(0),
			`byte 10: the length of column "bio" of public.accounts_user needs 4 bytes, 2 remain`},
		{"value longer than the message", kind('I').u32(people().OID).u8('N').u16(3).u8('n').u8('b').u32(0xffffffff).u8('n'),
			`byte 9: column "email" of public.accounts_user needs 4294967295 bytes, 1 remain`},
		{"row ends early", kind('I').u32(people().OID).u8('N').u16(3).u8('t').u32(2).u16(0),
			`byte 15: the row ends before column "email" of public.accounts_user`},
		{"insert of an old row", kind('I').u32(people().OID).u8('K').tuple(two...), "byte 5: kind of row 'K', want 'N'"},
		{"update to an unknown kind of row", kind('U').u32(people().OID).u8('Q').tuple(two...),
			"byte 5: kind of row 'Q', want 'K', 'O' or 'N'"},
		{"update of two old rows", update(people(), 'K', []cdc.Value{null(), null(), null()}, nil)[:11].u8('O').u16(3),
			"byte 11: kind of row 'O', want"},
		{"delete of a new row", kind('D').u32(people().OID).u8('N').tuple(two...), "byte 5: kind of row 'N', want 'K' or 'O'"},
		{"more columns than bytes", kind('R').u32(5).str("").str("t").u8('d').u16(65535).u64(0),
			"65535 columns need at least 655350 bytes, 8 remain"},
		{"unknown identity", kind('R').u32(5).str("").str("t").u8('x').u16(0),
			"pgoutput relation message, byte 8: replica identity 'x', want 'd', 'n', 'i' or 'f'"},
		{"more tables than bytes", kind('T').u32(0xffffffff).u8(0).u32(people().OID), "4294967295 tables need 17179869180 bytes, 4 remain"},
		{"content longer than the message", kind('M').u8(1).u64(1).str("p").u32(9).u8(0), "the content needs 9 bytes, 1 remain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := opened(t)
			_, err := d.Decode(c.msg)
			require.ErrorContains(t, err, c.want)
			requireRefused(t, err, c.name)
		})
	}
}

func TestARowOutsideOfATransactionIsRefused(t *testing.T) {
	d := opened(t)
	_, err := d.Decode(commit(1, 2, noon()))
	require.NoError(t, err)
	for _, msg := range []wire{
		insert(people(), nil).nulls(3), update(people(), 0, nil, nil).nulls(3), deletion(people(), 'K', nil).nulls(3),
		truncate(0, []uint32{people().OID}), commit(1, 2, noon()), kind('E'),
	} {
		_, err := d.Decode(msg)
		require.ErrorContains(t, err, "it cannot come outside of any transaction")
	}
}

func TestAnAbortOfProtocol4IsRefused(t *testing.T) {
	var d pgoutput.Decoder
	_, err := d.Decode(kind('A').u32(1).u32(2).u64(3).u64(4))
	require.ErrorContains(t, err, "pgoutput stream abort message, byte 9: 16 bytes too many")
}

func TestAStreamIsNotOpenedInAStream(t *testing.T) {
	var d pgoutput.Decoder
	_, err := d.Decode(kind('S').u32(1).u8(1))
	require.NoError(t, err)
	for _, msg := range []wire{
		kind('S').u32(1).u8(1), begin(1, noon(), 1), commit(1, 2, noon()), kind('A').u32(1).u32(1),
		kind('c').u32(1).u8(0).u64(1).u64(1).u64(1),
	} {
		_, err := d.Decode(msg)
		require.ErrorContains(t, err, "it cannot come inside a stream")
	}
}

// The fuzz target says the same of inputs that nobody thought of.
func TestNoInputPanics(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2026))
	steps := session()
	for i, s := range steps {
		for range 200 {
			msg := slices.Clone(s.msg)
			for range 1 + rnd.IntN(3) {
				msg[rnd.IntN(len(msg))] = byte(rnd.Uint32())
			}
			var d pgoutput.Decoder
			for _, earlier := range steps[:i] {
				_, err := d.Decode(earlier.msg)
				require.NoError(t, err)
			}
			_, _ = d.Decode(msg)
			for _, later := range steps[i:] { // what the damaged message changed, it may refuse
				_, _ = d.Decode(later.msg)
			}
		}
	}
}

func TestAMessageCannotMakeTheDecoderAllocateMoreThanASmallMultipleOfItsSize(t *testing.T) {
	wide := &cdc.Table{OID: 9, Schema: "s", Name: "wide", Identity: cdc.IdentityDefault, Columns: make([]cdc.Column, 60_000)}
	d := opened(t)
	_, err := d.Decode(relation(wide))
	require.NoError(t, err)

	for name, msg := range map[string]wire{
		"columns of a relation":      kind('R').u32(5).str("").str("t").u8('d').u16(65535).u64(0),
		"values of a wide table":     kind('I').u32(9).u8('N').u16(60_000).u64(0),
		"bytes of a value":           kind('I').u32(people().OID).u8('N').u16(3).u8('t').u32(1 << 31),
		"tables of a truncate":       kind('T').u32(1 << 31).u8(0).u64(0),
		"bytes of a logical message": kind('M').u8(0).u64(1).str("p").u32(1 << 31).u8(0),
	} {
		var before, after runtime.MemStats
		const times = 100
		runtime.ReadMemStats(&before)
		for range times {
			_, err := d.Decode(msg)
			if err == nil {
				t.Fatalf("%s: a claim of more than there is was believed", name)
			}
		}
		runtime.ReadMemStats(&after)
		perMessage := (after.TotalAlloc - before.TotalAlloc) / times
		require.Less(t, perMessage, uint64(2048), "%s: bytes allocated to refuse %d", name, len(msg))
	}
}
