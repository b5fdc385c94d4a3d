package pgoutput_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/pgoutput"
)

// submissions is a table of twelve columns, with a row of about 300 bytes.
func submissions() (*cdc.Table, []cdc.Value) {
	t := &cdc.Table{OID: 16555, Schema: "public", Name: "assignments_assignmentsubmission", Identity: cdc.IdentityDefault}
	var row []cdc.Value
	for i := range 12 {
		t.Columns = append(t.Columns, cdc.Column{Name: fmt.Sprintf("column_%d", i), Type: 25, Key: i == 0})
		row = append(row, text(strings.Repeat("v", 2+4*i)))
	}
	row[5], row[11] = null(), unchanged()
	return t, row
}

func TestARowAllocatesNothing(t *testing.T) {
	table, values := submissions()
	binaries := make([]cdc.Value, len(values))
	for i := range binaries {
		binaries[i] = binary8(1, 2, 3, 4, 5, 6, 7, 8)
	}
	for name, messages := range map[string][]wire{
		"in a transaction": {
			begin(1, noon(), 700),
			kind('O').lsn(1).str("elsewhere"),
			insert(table, values), insert(table, binaries),
			update(table, 0, nil, values), update(table, 'K', values, values), update(table, 'O', values, binaries),
			insert(people(), nil).nulls(3),
			deletion(table, 'K', values), deletion(table, 'O', values),
			truncate(3, []uint32{table.OID, people().OID}),
			logical(1, 1, "prefix", "content"),
			commit(1, 2, noon()),
		},
		"in a stream": {
			kind('S').u32(800).u8(1),
			insert(table, values, 801), update(table, 'K', values, values, 802), deletion(table, 'K', values, 800),
			truncate(3, []uint32{table.OID, people().OID}, 803),
			kind('E'),
			kind('A').u32(800).u32(801),
			kind('c').u32(800).u8(0).lsn(1).lsn(2).time(noon()),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var d pgoutput.Decoder
			for _, msg := range []wire{relation(table), relation(people())} {
				_, err := d.Decode(msg)
				require.NoError(t, err)
			}
			var failed error
			require.Zero(t, testing.AllocsPerRun(100, func() {
				for _, msg := range messages {
					if _, err := d.Decode(msg); err != nil {
						failed = err
					}
				}
			}))
			require.NoError(t, failed)
		})
	}
}

func TestValuesAliasTheMessageAndEndWhereTheyEnd(t *testing.T) {
	d := opened(t)
	msg := insert(people(), []cdc.Value{text("7"), text("anna"), text("")})
	got, err := d.Decode(msg)
	require.NoError(t, err)
	values := got.(*pgoutput.Row).Change.New
	msg[len(msg)-6] = 'e'
	require.Equal(t, "anne", string(values[1].Data), "no copy was made")
	_ = append(values[1].Data, "XXXX"...)
	require.Equal(t, cdc.Text, values[2].Kind)
	require.Equal(t, wire{'t', 0, 0, 0, 0}, msg[len(msg)-5:], "an append does not reach the next value")
}

// One UPDATE of a row of twelve columns.
func BenchmarkUpdate(b *testing.B) {
	table, values := submissions()
	for name, msg := range map[string]wire{
		"new row":         update(table, 0, nil, values),
		"old key and row": update(table, 'K', values, values),
	} {
		b.Run(name, func(b *testing.B) {
			var d pgoutput.Decoder
			for _, msg := range []wire{begin(1, noon(), 700), relation(table)} {
				_, err := d.Decode(msg)
				require.NoError(b, err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if _, err := d.Decode(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/pglogrepl", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if _, err := pglogrepl.Parse(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
