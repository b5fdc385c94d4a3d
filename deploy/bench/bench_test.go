//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// The benchmark starts itself as client and plain, and the test's binary is it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "client" || os.Args[1] == "plain") {
		main()
		return
	}
	pgtest.Main(m)
}

// tinySizes are the smallest at which every measure has something to measure.
func tinySizes() sizes {
	return sizes{
		Runs: 1, Rows: 2000, Term: 40, Bulk: 100, Slice: 200 * time.Millisecond, Rates: []int{50}, Receivers: []int{1, 5},
		Fans: []int{20}, Events: 2, Burst: 5, Bursts: 2, Sockets: []int{10, 20},
		People: 50, Rate: 50, Mixed: time.Second, Snapshots: []int{2000}, Students: 100,
	}
}

// How fast anything is says nothing here; that every message came is what the measures
// look at themselves.
func TestEveryMeasureRunsToItsEndAndReportsFigures(t *testing.T) {
	pgtest.Server(t) // or a word about what to install
	o := options{sizes: tinySizes(), json: filepath.Join(t.TempDir(), "figures.json")}
	var table, log bytes.Buffer
	require.NoError(t, benchmark(t.Context(), o, &table, &log), log.String())

	text, err := os.ReadFile(o.json)
	require.NoError(t, err)
	var r report
	require.NoError(t, json.Unmarshal(text, &r))
	require.Empty(t, r.Failures)
	require.Equal(t, o.sizes, r.Sizes)
	require.Positive(t, r.Machine.Cores)
	require.NotEmpty(t, r.Machine.PostgreSQL)
	figures := map[string]int{}
	for _, f := range r.Figures {
		figures[f.Measure]++
		require.Contains(t, table.String(), "| "+f.Measure+": "+f.What)
		for _, s := range append(f.Others, f.Ours) {
			require.Len(t, s.Runs, o.Runs, f.What)
			require.Len(t, s.Medians, max(1, len(f.Parts)), f.What)
			for _, m := range s.Medians {
				require.False(t, math.IsNaN(m) || math.IsInf(m, 0), f.What)
			}
		}
	}
	for i, m := range measures() {
		require.Positive(t, figures[m.name], m.name)
		require.Equal(t, m.name, r.Looks[i].Measure)
	}
	for _, what := range []string{"transactions of 1 row", "transactions of 100 rows", "one transaction of 2,000 rows"} {
		require.Positive(t, figureOf(t, r, what).Ours.Medians[0])
	}
	require.Zero(t, figureOf(t, r, "queries to the LMS's database after the snapshot, but for credentials and monitoring").Ours.Medians[0])
	require.Positive(t, figureOf(t, r, "2,000 submissions, first start").Ours.Medians[0])
}

func figureOf(t *testing.T, r report, what string) *figure {
	t.Helper()
	for _, f := range r.Figures {
		if f.What == what {
			return f
		}
	}
	require.Fail(t, "no figure "+what)
	return nil
}

func TestAMistakeOnTheCommandLineIsOneSentence(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-only", "drain,speed"}, `no measure "speed", want some of drain,latency,commits,fanout,idle,mixed,snapshot`},
		{[]string{"-backlogs", "bulk,two"}, `no backlog "two", want some of 1-row,bulk,one`},
		{[]string{"-fans", "1000,many"}, `"many", want numbers like 1000,10000`},
		{[]string{"-sockets", "10,5"}, "-sockets is [10 5], want rising numbers"},
		{[]string{"-snapshots", "0"}, "-snapshots is 0, want at least 1"},
		{[]string{"-runs", "0"}, "-runs is 0, want at least 1"},
		{[]string{"-rows", "1999"}, "-rows is 1999, want at least 2000"},
		{[]string{"-slice", "1ms"}, "-slice is 1ms, want at least 100ms"},
		{[]string{"latency"}, `"latency" is no flag; fix: bench -h lists them`},
	} {
		_, err := parse(c.args, io.Discard)
		require.ErrorContains(t, err, c.want)
	}
	o, err := parse([]string{"-runs", "7", "-quick", "-only", "idle", "-sockets", "5,6"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 7, o.Runs, "what is named goes over -quick, wherever it stands")
	require.Equal(t, quickSizes().Rows, o.Rows)
	require.Equal(t, []int{5, 6}, o.Sockets)
	require.Equal(t, []string{"idle"}, o.only)
}

func TestADrainIsOfTheBacklogsThatAreNamedOrOfAll(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{nil, []string{"1-row", "bulk", "one"}},
		{[]string{"-backlogs", "one"}, []string{"one"}},
		{[]string{"-backlogs", "one,1-row"}, []string{"1-row", "one"}},
	} {
		o, err := parse(c.args, io.Discard)
		require.NoError(t, err)
		var got []string
		for _, s := range o.shapes() {
			got = append(got, s.file)
		}
		require.Equal(t, c.want, got)
	}
}

func TestFramesAreWholeHoweverTheyCome(t *testing.T) {
	var stream []byte
	want := []string{"", "a", string(bytes.Repeat([]byte("b"), 125)), string(bytes.Repeat([]byte("c"), 126)), string(bytes.Repeat([]byte("d"), 3000))}
	for _, text := range want {
		stream = append(stream, encodeFrame([]byte(text))...)
	}
	for size := 1; size <= len(stream); size++ {
		var s socket
		var got []string
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			require.NoError(t, s.frames(rest[:n], func(opcode byte, payload []byte) {
				require.EqualValues(t, opText, opcode)
				got = append(got, string(payload))
			}))
			rest = rest[n:]
		}
		require.Equal(t, want, got, "in pieces of %d", size)
		require.Empty(t, s.rest)
	}
	masked := append([]byte{0x81, 0x81, 0, 0, 0, 0}, 'a')
	require.ErrorContains(t, new(socket).frames(masked, func(byte, []byte) {}), "masked")
}

func TestAMarkIsReadFromAMessage(t *testing.T) {
	require.Equal(t, 1000017, markOf([]byte(`{"type":"grade","id":"0/1.1","grade":1000017,"timestamp":"x"}`)))
	require.Zero(t, markOf([]byte(`{"type":"grade"}`)))
	require.Equal(t, "metrics", string(typeOf([]byte(`{"type":"metrics","total_assignments":3}`))))
}

func TestFiguresAreMediansBesideTheirTargets(t *testing.T) {
	b := &bench{now: "drain"}
	f := b.report("one row", "changes/s", 30_000, 10_000, 20_000).beside("pg_recvlogical", 25_000, 5000).atLeast(20_000)
	require.Equal(t, "| drain: one row | 20,000 changes/s | pg_recvlogical 15,000 | ≥ 20000 | met |", f.line())
	f = b.reportParts("late", "ms", percentileNames, [][]float64{{0.25, 1.5, 2, 1234.6}}).atMost("p50", 0.25).atMost("p99", 1)
	require.Equal(t, "| drain: late, p50 / p99 / p99.9 / max | 0.250 / 1.50 / 2 / 1,235 ms |  | p50 ≤ 0.25, p99 ≤ 1 | missed |", f.line())
	f = b.report("processor", "µs", 2).beside("pg_recvlogical", 1.5).atMost("", 4).atMostOf("")
	require.Equal(t, "| drain: processor | 2 µs | pg_recvlogical 1.50 | ≤ 4, ≤ 1.50 (pg_recvlogical) | missed |", f.line())
	require.Equal(t, []float64{2, 0.5}, ratios([]float64{10, 5}, []float64{5, 10}))
	require.Equal(t, "-1,234,567", number(-1234567))

	var took []time.Duration
	for i := range 1000 {
		took = append(took, time.Duration(1000-i)*time.Millisecond)
	}
	require.Equal(t, []float64{500, 990, 999, 1000}, percentiles(took))
	require.InDelta(t, 3, growth([]sample{{0, 1 << 20}, {time.Minute, 4 << 20}, {2 * time.Minute, 7 << 20}}), 1e-9)
}

func TestWhatIsAskedOfTheLMSsTablesIsNotMonitoring(t *testing.T) {
	require.True(t, isMonitoring(`SELECT slot_name FROM pg_catalog.pg_replication_slots`))
	require.True(t, isMonitoring(`SELECT current_user`))
	require.False(t, isMonitoring(`SELECT "id"::text FROM "public"."accounts_user"`))
	require.False(t, isMonitoring(`SELECT count(*) FROM assignments_assignment`))
}

func TestProcIsReadAsItIs(t *testing.T) {
	resident, err := memoryOf(os.Getpid(), "VmRSS")
	require.NoError(t, err)
	peak, err := memoryOf(os.Getpid(), "VmHWM")
	require.NoError(t, err)
	require.Greater(t, resident, float64(1<<20))
	require.GreaterOrEqual(t, peak, resident)
	_, err = memoryOf(os.Getpid(), "VmNothing")
	require.ErrorContains(t, err, "has no VmNothing")
	p, err := processorOf(os.Getpid())
	require.NoError(t, err)
	require.GreaterOrEqual(t, p.total(), time.Duration(0))
	_, err = processorOf(math.MaxInt32)
	require.Error(t, err)
}
