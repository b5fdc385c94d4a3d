package cdc_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

func TestPositionsAreWrittenAsPostgreSQLAndTheProtocolDo(t *testing.T) {
	for text, lsn := range map[string]cdc.LSN{
		"0/0": 0, "0/1A2B3C4D": 0x1a2b3c4d, "16/B374D848": 0x16b374d848, "FFFFFFFF/FFFFFFFF": math.MaxUint64, "1/0": 1 << 32,
	} {
		require.Equal(t, text, lsn.String())
		got, err := cdc.ParseLSN(text)
		require.NoError(t, err)
		require.Equal(t, lsn, got)
	}
	p, err := cdc.ParsePosition("0/1A2B3C4D.2")
	require.NoError(t, err)
	require.Equal(t, cdc.Position{LSN: 0x1a2b3c4d, Index: 2}, p)
	require.Equal(t, "0/1A2B3C4D.2", p.String())
	out, err := json.Marshal(map[string]any{"lsn": p.LSN, "pos": p})
	require.NoError(t, err)
	require.JSONEq(t, `{"lsn":"0/1A2B3C4D","pos":"0/1A2B3C4D.2"}`, string(out))

	for _, text := range []string{"", "0", "/", "0/", "G/0", "0/123456789", "-1/0", "0/1 ", " 0/1"} {
		_, err := cdc.ParseLSN(text)
		require.ErrorContains(t, err, "want two hexadecimal numbers like 0/1A2B3C4D", text)
	}
	for _, text := range []string{"", "0/1", "0/1.", "0/1.-1", "0/1.4294967296", "0/1.2.3", "x.1"} {
		_, err := cdc.ParsePosition(text)
		require.Error(t, err, text)
	}
}

func TestPositionsAreOrderedAsTheLogIs(t *testing.T) {
	sorted := []cdc.Position{{}, {LSN: 1}, {LSN: 1, Index: 1}, {LSN: 1, Index: 2}, {LSN: 2}}
	for i, p := range sorted {
		for j, q := range sorted {
			require.Equal(t, i > j, p.After(q))
			require.Equal(t, i == j, p.Compare(q) == 0)
		}
	}
	require.True(t, sorted[0].IsZero())
	require.False(t, sorted[1].IsZero())
}

const (
	oidInt8 = 20
	oidInt2 = 21
	oidInt4 = 23
	oidText = 25
	oidUUID = 2950
)

func TestAnIDIsANumberInJSONWhereTheKeyIsAnIntegerOf53Bits(t *testing.T) {
	tests := []struct {
		value string
		typ   uint32
		json  string
	}{
		{"7", oidInt8, "7"},
		{"-7", oidInt4, "-7"},
		{"32767", oidInt2, "32767"},
		{"9007199254740991", oidInt8, "9007199254740991"},
		{"9007199254740992", oidInt8, `"9007199254740992"`},
		{"-9007199254740992", oidInt8, `"-9007199254740992"`},
		{"9223372036854775807", oidInt8, `"9223372036854775807"`},
		{"-9223372036854775808", oidInt8, `"-9223372036854775808"`},
		{"7", oidText, `"7"`},
		{`a"b`, oidText, `"a\"b"`},
		{"0c1e1f7e-2d6b-4c07-9a3e-0a8e1b6c2f11", oidUUID, `"0c1e1f7e-2d6b-4c07-9a3e-0a8e1b6c2f11"`},
	}
	for _, tt := range tests {
		id := cdc.IDOf(cdc.Value{Kind: cdc.Text, Data: []byte(tt.value)}, tt.typ)
		require.Equal(t, tt.json, string(id.AppendJSON(nil)))
		require.Equal(t, tt.value, id.String())
	}
	none := cdc.IDOf(cdc.Value{Kind: cdc.Null}, oidInt8)
	require.True(t, none.IsZero())
	require.Equal(t, "null", string(none.AppendJSON(nil)))
}

func TestAnIDIsTheSameInTextAndBinary(t *testing.T) {
	text := func(s string, typ uint32) cdc.ID { return cdc.IDOf(cdc.Value{Kind: cdc.Text, Data: []byte(s)}, typ) }
	binary := func(b string, typ uint32) cdc.ID { return cdc.IDOf(cdc.Value{Kind: cdc.Binary, Data: []byte(b)}, typ) }
	require.Equal(t, text("-2", oidInt8), binary("\xff\xff\xff\xff\xff\xff\xff\xfe", oidInt8))
	require.Equal(t, text("-2", oidInt4), binary("\xff\xff\xff\xfe", oidInt4))
	require.Equal(t, text("-2", oidInt2), binary("\xff\xfe", oidInt2))
	require.Equal(t, text("-2", oidInt2), text("-2", oidInt8), "a foreign key may be narrower than the key")
	require.Equal(t, text("abc", oidText), binary("abc", oidText))
}

func TestAnIDThatAPersonWritesIsAnIntegerOnlyAsPostgreSQLPrintsOne(t *testing.T) {
	require.Equal(t, cdc.IntID(42), cdc.ParseID("42"))
	require.Equal(t, cdc.IntID(-42), cdc.ParseID("-42"))
	for _, text := range []string{"042", "+42", "4 2", "4.2", "x", "9223372036854775808", "-0"} {
		require.Equal(t, cdc.TextID(text), cdc.ParseID(text))
	}
	require.True(t, cdc.ParseID("").IsZero())
}

// FuzzKeys: the keys of different IDs differ, none is the prefix of another, and
// several can be read back from where they stand side by side.
func FuzzKeys(f *testing.F) {
	f.Add("", int64(0), "a")
	f.Add("a\x00", int64(-1), "a")
	f.Add("\x00\xff", int64(math.MaxInt64), "\x00")
	f.Fuzz(func(t *testing.T, a string, n int64, b string) {
		ids := []cdc.ID{{}, cdc.TextID(a), cdc.IntID(n), cdc.TextID(b)}
		var key []byte
		for _, id := range ids {
			key = id.AppendKey(key)
		}
		rest := key
		for _, want := range ids {
			got, left, err := cdc.CutKey(rest)
			require.NoError(t, err)
			require.Equal(t, want, got)
			rest = left
		}
		require.Empty(t, rest)
		for i := range ids {
			for j := range ids {
				if ids[i] != ids[j] {
					require.False(t, bytes.HasPrefix(ids[i].AppendKey(nil), ids[j].AppendKey(nil)))
				}
			}
		}
		for i := range key {
			for rest, err := key[:i], error(nil); len(rest) > 0 && err == nil; {
				_, rest, err = cdc.CutKey(rest) // must not panic
			}
		}
	})
}

func TestIntegersSortByValueInKeys(t *testing.T) {
	numbers := []int64{math.MinInt64, -1000, -1, 0, 1, 255, 256, math.MaxInt64}
	var keys []string
	for _, n := range numbers {
		keys = append(keys, string(cdc.IntID(n).AppendKey(nil)))
	}
	require.True(t, slices.IsSorted(keys))
}

// FuzzJSONString: whatever bytes the LMS holds, the frame is valid JSON and UTF-8,
// and says the same as encoding/json would.
func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", `"\/`, "\x00\x1f\x7f", "Война и мир", "宿題 🎒", "\xff\xfe", "a\xc3", "</script>", "\u2028\u2029"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := cdc.AppendJSONString(nil, s)
		require.True(t, utf8.Valid(out))
		var got, want string
		require.NoError(t, json.Unmarshal(out, &got), string(out))
		std, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(std, &want))
		require.Equal(t, want, got)
		require.Equal(t, out, cdc.AppendJSONString(nil, []byte(s)))
	})
}

func TestTimesKeepTheirMicrosecondsAndAreInUTC(t *testing.T) {
	at := time.Date(2026, 11, 22, 23, 5, 11, 123456000, time.FixedZone("", 2*3600))
	require.Equal(t, `"2026-11-22T21:05:11.123456Z"`, string(cdc.AppendJSONTime(nil, at)))
	require.Equal(t, `"2026-11-22T21:05:11.000000Z"`, string(cdc.AppendJSONTime(nil, at.Truncate(time.Second))))
}

func TestKindsAndRolesSpeakTheProtocolsWords(t *testing.T) {
	var words []string
	for _, k := range cdc.Kinds {
		words = append(words, k.String())
	}
	require.Equal(t, []string{"assignment", "submission", "grade", "assignment_closed", "custom"}, words)
	for _, r := range cdc.Roles {
		require.Equal(t, r, cdc.ParseRole(r.String()))
	}
	for _, word := range []string{"", "none", "Teacher", "parent"} {
		require.Equal(t, cdc.NoRole, cdc.ParseRole(word))
	}
}

func TestReadingAnIntegerKeyAllocatesNothing(t *testing.T) {
	v := cdc.Value{Kind: cdc.Text, Data: []byte("1234567")}
	key := make([]byte, 0, 16)
	require.Zero(t, testing.AllocsPerRun(100, func() { key = cdc.IDOf(v, oidInt8).AppendKey(key[:0]) }))
}

// FuzzParsePosition: what is read as a position is written as the same one, and two that
// are written differently are not the same but for their zeros and their case.
func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"0/0.0", "0/1A2B3C4D.2", "ffffffff/ffffffff.4294967295", "0/1.4294967296", "1/.1", "/1.1", "0/1", "0/1.", "+0/1.1", "0/1.-1", "0/0x1.1", " 0/1.1", "0/1.1\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := cdc.ParsePosition(s)
		if err != nil {
			require.Zero(t, p)
			return
		}
		again, err := cdc.ParsePosition(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
		require.Regexp(t, `^[0-9A-Fa-f]+/[0-9A-Fa-f]+\.[0-9]+$`, s)
	})
}
